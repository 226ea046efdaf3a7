"""Put new companies in the place of old ones on the contacts that belong to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param

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
### Put new companies in the place of old ones

After companies were merged or imported anew, contacts may still belong to the old ones. This DAG takes a list
of *old company, new company* and puts the new company in the place of the old one on **every contact**. The
order stays, and which company was the primary one stays it, so it is the one on the contact's card. Where a
contact belongs to both, they become one, in the earlier place. The companies themselves are not touched.

**How to run it**

1. Write a CSV file with two columns, `old` and `new`, an id in each, and put it where the workers can read
   it. For a few companies no file is needed: type `{"4": 9}` into *Companies*. With both the plan fails.
2. Trigger the DAG with *Dry run* on. The tab *Bitrix24 report* of the run shows the plan; nothing was
   written.
3. Trigger it again with *Dry run* off. Somebody is asked before anything is written.

| task | what it does |
|:---|:---|
| *Make the plan* | finds the contacts of the old companies, writes a plan: each with links before and after |
| *Ask for approval* | shows the plan under *Required actions*, waits until somebody approves or rejects it |
| *Try the first ones* | applies the first few changes; if one of them fails, nothing else is written |
| *Apply the plan* | looks at each contact again, writes the change and reads it back; a task for each part |
| *Check and report* | looks once more at all of them, and writes `report.html` and `failed.csv` |
| *Compare what is left* | writes `reconcile.csv`: links to old companies. After a dry run these are all |

Chains are followed: with `5,6` and `6,7`, company 5 becomes 7. A bad row, a circle, a company with two new
ones, or a new company that does not exist fails the plan, which names it, and nothing is written.

The methods that write links start **no automation**, change no *modified* date and leave no trace in the
timeline. Leads, deals and quotes name a company in a field of their own, and keep it. A contact that somebody
changed since the plan was made is left alone and reported as *drift*.

An answer is awaited for 72 hours (`[bitrix24] approval_deadline`). Of the runs that write companies of
contacts on a portal, this DAG's or another's, one does at a time: the others wait for it, for up to twelve
hours. A dry run waits for nobody.

The tab *Bitrix24 report* shows what became of each change, with all files to download. They lie under
`[bitrix24] artifacts_path`. `bitrix24_link_restore` takes all of it back.
"""
)

form = plan_params()

with DAG(
    dag_id="bitrix24_company_remap",
    dag_display_name=gettext("Bitrix24: replace companies of contacts"),
    description=gettext("Put new companies in the place of old ones on the contacts that belong to them."),
    doc_md=DOC,
    schedule=None,
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    catchup=False,
    render_template_as_native_obj=True,
    default_args={"owner": "bitrix24", "retries": 2, "retry_delay": timedelta(minutes=2)},
    tags=["bitrix24", "migration", "contacts", "companies"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
        "dry_run": form.pop("dry_run"),
        "map_file": Param(
            None,
            type=["null", "string"],
            title=gettext("Map file"),
            description=gettext("Path or address of a CSV or JSON Lines file with the columns old and new."),
        ),
        "companies": Param(
            {},
            type=["null", "object"],
            **WITHIN,
            title=gettext("Companies"),
            description=gettext('In place of a file: new companies by old ones, such as {"4": 9}.'),
        ),
        "filter": Param(
            {},
            type=["null", "object"],
            **WITHIN,
            title=gettext("Filter"),
            description=gettext(
                'A crm.item.list filter for the contacts, such as {"assignedById": 7}; {} for all.'
            ),
            section=gettext("Which contacts"),
        ),
        **form,
    },
) as dag:
    migration: dict[str, Any] = {
        "bitrix24_conn_id": "{{ params.bitrix24_conn_id }}",
        "migration": "company_map",
        "company_map": "{{ params.companies or none }}",
        "company_map_file": "{{ params.map_file or none }}",
        "filter": "{{ params.filter }}",
    }
    plan = Bitrix24PlanLinkMigrationOperator(
        task_id="plan",
        task_display_name=gettext("Make the plan"),
        execution_timeout=timedelta(hours=4),
        **GUARDS,
        **migration,
    )
    # Whether somebody has to approve is the author's to say. To let whoever triggers the DAG choose:
    # airflow_bitrix.pipelines.approval_form.
    last = carry_out(plan, approval="always", **BY_PARAMS)
    last >> Bitrix24ReconcileContactLinksOperator(
        task_id="compare",
        task_display_name=gettext("Compare what is left"),
        execution_timeout=timedelta(hours=4),
        **migration,
    )
