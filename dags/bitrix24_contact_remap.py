"""Put new contacts in the place of old ones wherever they hang: one run over several kinds of owners."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, TaskGroup

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.operators.link_plans import (
    Bitrix24PlanLinkMigrationOperator,
    Bitrix24ReconcileContactLinksOperator,
)
from airflow_bitrix.pipelines.bounds import WITHIN
from airflow_bitrix.pipelines.carry_out import carry_out
from airflow_bitrix.pipelines.kinds import (
    branch_to_kinds,
    kind_name,
    kind_title,
    kinds_params,
    kinds_to_choose,
)
from airflow_bitrix.pipelines.trigger_forms import BY_PARAMS, GUARDS, plan_params

SMART_PROCESSES: tuple[int, ...] = ()
"""The ``entityTypeId`` of each smart process whose items are to be asked for as well, such as ``(1036,)``."""

KINDS = kinds_to_choose(SMART_PROCESSES)

DOC = gettext(
    """
### Put new contacts in the place of old ones

After contacts were merged or imported anew, much may still hang on the old ones. This DAG takes a list of
*old contact, new contact* and puts the new contact in the place of the old one on **every lead, deal, quote
and company**, and where you choose them on invoices and items of smart processes. The order stays, and who
was the primary contact stays it; of companies there is neither. Where both are linked, they become one, in
the earlier place. The contacts themselves are not touched, but for the companies that they belong to.

**How to run it**

1. Write a CSV file with two columns, `old` and `new`, an id in each, and put it where the workers can read
   it. Excel's own CSV will do. For a few contacts no file is needed: type `{"17": 23}` into *Contacts*.
   With both a file and contacts the plan fails.
2. Trigger the DAG with *Dry run* on. The tab *Bitrix24 report* of the run shows the plan of each kind;
   nothing was written.
3. Trigger it again with *Dry run* off. **One** question is asked about the plans of all kinds.

| task | what it does, once for each kind |
|:---|:---|
| *Which kinds?* | once: goes on to those that are chosen; what is about the others is skipped |
| *Make the plans* | finds the owners of the old contacts, writes a plan: each with links before and after |
| *Ask for approval* | once for all: shows the plans under *Required actions*, waits; a dry run asks nobody |
| *Try the first ones* | applies the first few changes; if one fails, nothing else of its kind is begun |
| *Apply the plan* | looks at each owner again, writes the change and reads it back; a task for each part |
| *Check and report* | looks once more at all of them, and writes `report.html` and `failed.csv` |
| *Compare what is left* | writes `reconcile.csv`: links to old contacts. After a dry run these are all |

Chains are followed: with `5,6` and `6,7`, contact 5 becomes 7. A bad row, a circle, a contact with two new
ones, or a new contact that does not exist fails the plan, which names it, and nothing is written. Where the
plan of one kind fails, nobody is asked about the others: mend it and clear it.

The methods that write links start **no automation**, change no *modified* date and leave no trace in the
timeline. **Invoices and items of smart processes have no such methods**: they are saved, which starts their
automation, sets the order of their contacts by tens and makes the first one primary. So they are refused
unless *Allow saving* is on. Smart processes are asked for once their numbers stand in `SMART_PROCESSES`, in
a copy of this DAG's file. An owner that somebody changed since the plan was made is left alone and reported
as *drift*.

An answer is awaited for 72 hours (`[bitrix24] approval_deadline`). Of the runs that write owners of one kind
on a portal, this DAG's or another's, one does at a time: the others wait for it, for up to twelve hours. A
dry run waits for nobody.

The tab *Bitrix24 report* of a run shows what became of each change, with all files to download. They lie
under `[bitrix24] artifacts_path`. `bitrix24_link_restore` takes all of it back in one run: give it the
folder that the tab offers.
"""
)

form = plan_params()

MIGRATION: dict[str, Any] = {
    "bitrix24_conn_id": "{{ params.bitrix24_conn_id }}",
    "migration": "contact_map",
    "contact_map": "{{ params.contacts or none }}",
    "contact_map_file": "{{ params.map_file or none }}",
    "filter": "{{ params.filter }}",
}

with DAG(
    dag_id="bitrix24_contact_remap",
    dag_display_name=gettext("Bitrix24: replace contacts"),
    description=gettext("Put new contacts in the place of old ones wherever they hang."),
    doc_md=DOC,
    schedule=None,
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    catchup=False,
    render_template_as_native_obj=True,
    default_args={"owner": "bitrix24", "retries": 2, "retry_delay": timedelta(minutes=2)},
    tags=["bitrix24", "migration", "contacts", "leads", "deals", "quotes", "companies"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
        "dry_run": form.pop("dry_run"),
        **kinds_params(KINDS),
        "map_file": Param(
            None,
            type=["null", "string"],
            title=gettext("Map file"),
            description=gettext("Path or address of a CSV or JSON Lines file with the columns old and new."),
        ),
        "contacts": Param(
            {},
            type=["null", "object"],
            **WITHIN,
            title=gettext("Contacts"),
            description=gettext('In place of a file: new contacts by old ones, such as {"17": 23}.'),
        ),
        "filter": Param(
            {},
            type=["null", "object"],
            **WITHIN,
            title=gettext("Filter"),
            description=gettext(
                'A crm.item.list filter for the owners, such as {"assignedById": 7}; {} for all.'
            ),
            section=gettext("Which owners"),
        ),
        **form,
    },
) as dag:
    plans: dict[str, Bitrix24PlanLinkMigrationOperator] = {}
    with TaskGroup("plans", group_display_name=gettext("Make the plans")):
        for kind in KINDS:
            plans[kind] = Bitrix24PlanLinkMigrationOperator(
                task_id=kind_name(kind),
                task_display_name=kind_title(kind),
                execution_timeout=timedelta(hours=4),
                kind=kind,
                allow_saving="{{ params.allow_saving }}",
                **GUARDS,
                **MIGRATION,
            )
    branch_to_kinds(plans)
    # One question for all of them. Whether somebody has to approve is the author's to say. To let whoever
    # triggers the DAG choose: airflow_bitrix.pipelines.approval_form.
    checks = carry_out(list(plans.values()), approval="always", **BY_PARAMS)
    for kind, check in zip(plans, checks, strict=True):
        compare = Bitrix24ReconcileContactLinksOperator(
            task_id="compare",
            task_display_name=gettext("Compare what is left"),
            task_group=check.task_group,
            execution_timeout=timedelta(hours=4),
            kind=kind,
            **MIGRATION,
        )
        check >> compare
