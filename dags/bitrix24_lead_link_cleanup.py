"""Weekly clean-up of the contact links of leads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_bitrix.core.rules import RULES
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24PlanLinkCleanupOperator,
)

DOC = """
### Clean up the contact links of leads

A lead that is linked to a contact becomes a *repeat lead*: Bitrix24 hides its own phone and e-mail, and it
can only be converted into a deal. This DAG finds repeat leads, unlinks their contacts, saves them so that
the portal takes the repeat flag off, and reads back that it did.

| task | what it does |
|:---|:---|
| `plan` | scans the leads and writes a plan: each change with its links before and after |
| `apply` | looks at each lead again, writes the change, reads it back, and writes the report |

Leads that a company holds and leads that are converted already are left out, and the report says so.
A lead that somebody changed since the plan was made is left alone and reported as *drift*.

**Trigger it by hand first**: *Dry run* is on unless you turn it off, and its report shows what a real run
would do. Scheduled runs are dry runs too, until you change the default of `dry_run` in the DAG file.
Saving a lead starts the portal's automation rules for it.

Files of a run lie under `[bitrix24] artifacts_path`: `report.html`, `failed.csv`, `plan/`, `journal/`.
"""

with DAG(
    dag_id="bitrix24_lead_link_cleanup",
    dag_display_name="Bitrix24: clean up lead links",
    description="Release repeat leads: unlink their contacts, save, and check.",
    doc_md=DOC,
    schedule="@weekly",
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    render_template_as_native_obj=True,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=2)},
    tags=["bitrix24", "clean-up", "leads"],
    params={
        "dry_run": Param(
            default=True,
            type="boolean",
            title="Dry run",
            description="Only plan and report; write nothing to the portal.",
        ),
        "rules": Param(
            ["release_repeat_leads"],
            type="array",
            items={"type": "string", "enum": [name for name, rule in RULES.items() if "lead" in rule.kinds]},
            examples=[name for name, rule in RULES.items() if "lead" in rule.kinds],
            values_display={name: rule.title for name, rule in RULES.items()},
            minItems=1,
            title="Rules",
            description="What to clean up.",
        ),
        "max_changes": Param(
            1000,
            type="integer",
            minimum=0,
            maximum=1_000_000,
            title="Most changes allowed",
            description="A plan with more changes is written and shown, but not applied.",
        ),
        "stages": Param(
            [],
            type="array",
            items={"type": "string", "minLength": 1},
            examples=["NEW", "IN_PROCESS", "PROCESSED", "JUNK"],
            title="Stages",
            description="Only leads in these stages; empty for all. Portals can have stages of their own.",
            section="Which leads",
        ),
        "older_than_days": Param(
            0,
            type="integer",
            minimum=0,
            maximum=36500,
            title="Older than (days)",
            description="Only leads created at least so many days ago; 0 for all.",
            section="Which leads",
        ),
        "filter": Param(
            {},
            type="object",
            title="Further filter",
            description='A crm.item.list filter, such as {"assignedById": 7}. Unknown fields are refused.',
            section="Which leads",
        ),
        "bitrix24_conn_id": Param(
            "bitrix24_default",
            type="string",
            minLength=1,
            title="Connection",
            description="Connection of type Bitrix24.",
            section="Portal",
        ),
    },
) as dag:
    plan = Bitrix24PlanLinkCleanupOperator(
        task_id="plan",
        bitrix24_conn_id="{{ params.bitrix24_conn_id }}",
        kind="lead",
        rules="{{ params.rules }}",
        stages="{{ params.stages }}",
        older_than_days="{{ params.older_than_days }}",
        filter="{{ params.filter }}",
        max_changes="{{ params.max_changes }}",
    )
    Bitrix24ApplyLinkPlanOperator(
        task_id="apply",
        bitrix24_conn_id="{{ params.bitrix24_conn_id }}",
        plan=plan.output,
        is_dry_run="{{ params.dry_run }}",
    )
