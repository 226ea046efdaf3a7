"""Carry the contacts of leads over to the deals that were made from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, TaskGroup, task

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.operators.link_plans import (
    Bitrix24PlanLinkMigrationOperator,
    Bitrix24ReconcileContactLinksOperator,
)
from airflow_bitrix.pipelines.bounds import WITHIN
from airflow_bitrix.pipelines.carry_out import carry_out
from airflow_bitrix.pipelines.trigger_forms import BY_PARAMS, GUARDS, plan_params

DOC = gettext(
    """
### Carry contacts of leads over to their deals

A deal that was made from a lead names it in its field *Lead*, but need not have the lead's contacts. This
DAG gives each such deal the contacts of its lead that it lacks. The deal's own contacts stay first, in
their order, and its primary contact stays primary; those of the lead follow in the lead's order.

| *Mode* | what becomes of the leads |
|:---|:---|
| `copy` | they stay as they are |
| `move` | they lose the contacts that **all** their deals then hold. What did not arrive stays on the lead |

**How to run it**

1. Trigger it with *Dry run* on. The tab *Bitrix24 report* of the run shows the plan for the deals; nothing
   was written. (The plan for the leads shows only what deals hold already: it is made from the portal as it
   is then.)
2. Trigger it again with *Dry run* off.

| task, those of *Deals* first | what it does |
|:---|:---|
| *Make the plan* | reads all deals that were made from leads, and these leads, and writes a plan |
| *Ask for approval* | shows the plan under *Required actions* and waits; a dry run asks nobody |
| *Try the first ones*, *Apply the plan* | look at each deal again, write the change and read it back |
| *Check and report* | looks once more at all of them, and writes `report.html` and `failed.csv` |
| *Compare what is left* | writes `reconcile.csv`: contacts that deals lack. After a dry run these are all |
| *Go on to the leads?* | ends the run here unless *Mode* is `move` |
| *Leads* | the same steps: take from the leads what their deals now hold |

Where a deal could not be written, *Check and report* fails and no lead is
touched. With a *Filter* only its deals
are written, and only leads that one of them was made from lose contacts; what they lose is still what all
their deals hold. *Move* needs the webhook of an administrator: nobody else sees all deals for certain.

The methods that write links start **no automation**, change no *modified* date and leave no trace in the
timeline. *Save leads* does: a save starts the portal's automation for the lead. Without it a lead that has
lost its contacts stays a *repeat lead* until somebody saves it.

An answer is awaited for 72 hours (`[bitrix24] approval_deadline`). Of the runs that write leads, or
deals, of a portal, this DAG's or another's, one does at a time: the others wait for it, for up to twelve
hours. A dry run waits for nobody.

The tab *Bitrix24 report* of a run shows what became of each change, with all files to download. They lie
under `[bitrix24] artifacts_path`.
"""
)

form = plan_params()

with DAG(
    dag_id="bitrix24_lead_to_deal_links",
    dag_display_name=gettext("Bitrix24: contacts of leads onto their deals"),
    description=gettext("Copy or move contacts of leads onto the deals that were made from them."),
    doc_md=DOC,
    schedule=None,
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    catchup=False,
    render_template_as_native_obj=True,
    default_args={"owner": "bitrix24", "retries": 2, "retry_delay": timedelta(minutes=2)},
    tags=["bitrix24", "migration", "leads", "deals"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
        "dry_run": form.pop("dry_run"),
        "mode": Param(
            "copy",
            type="string",
            enum=["copy", "move"],
            values_display={
                "copy": gettext("Copy: leads keep their contacts"),
                "move": gettext("Move: leads lose them"),
            },
            title=gettext("Mode"),
            description=gettext("Whether leads lose the contacts that all their deals then hold."),
        ),
        "save": Param(
            default=False,
            type="boolean",
            title=gettext("Save leads"),
            description=gettext(
                "With move: save each lead, so that it stops being a repeat lead. Starts automation."
            ),
        ),
        "filter": Param(
            {},
            type=["null", "object"],
            **WITHIN,
            title=gettext("Filter"),
            description=gettext(
                'A crm.item.list filter for the deals, such as {"categoryId": 3}; {} for all.'
            ),
            section=gettext("Which deals"),
        ),
        **form,
    },
) as dag:
    common: dict[str, Any] = {
        "bitrix24_conn_id": "{{ params.bitrix24_conn_id }}",
        "filter": "{{ params.filter }}",
    }

    with TaskGroup("deals", group_display_name=gettext("Deals")) as deals:
        plan = Bitrix24PlanLinkMigrationOperator(
            task_id="plan",
            task_display_name=gettext("Make the plan"),
            execution_timeout=timedelta(hours=4),
            migration="lead_to_deal",
            **GUARDS,
            **common,
        )
        # Whether somebody has to approve is the author's to say. To let whoever triggers the DAG choose:
        # airflow_bitrix.pipelines.approval_form.
        last = carry_out(plan, approval="always", **BY_PARAMS)
        last >> Bitrix24ReconcileContactLinksOperator(
            task_id="compare",
            task_display_name=gettext("Compare what is left"),
            execution_timeout=timedelta(hours=4),
            migration="lead_to_deal",
            **common,
        )

    @task.short_circuit(
        task_display_name=gettext("Go on to the leads?"), execution_timeout=timedelta(minutes=5)
    )
    def is_move(params: dict[str, Any] | None = None) -> bool:
        """End the run here where leads keep their contacts."""
        return bool((params or {})["mode"] == "move")

    with TaskGroup("leads", group_display_name=gettext("Leads")) as leads:
        release = Bitrix24PlanLinkMigrationOperator(
            task_id="plan",
            task_display_name=gettext("Make the plan"),
            execution_timeout=timedelta(hours=4),
            migration="release_moved_leads",
            save="{{ params.save }}",
            **GUARDS,
            **common,
        )
        carry_out(release, approval="always", **BY_PARAMS)

    deals >> is_move() >> leads
