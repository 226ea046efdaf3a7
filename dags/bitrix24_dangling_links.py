"""Removing links to contacts that are gone: one run over several kinds of owners."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param, TaskGroup

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkCleanupOperator
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
### Remove links to contacts that are gone

A contact that was deleted may still hang on what it was linked to: the link names a contact that there is
not. This DAG looks for such links on **leads, deals, quotes and companies**, and where you choose them on
invoices and items of smart processes, and takes them away. All other links stay as they are. Where the
primary contact is gone, the first of those that are left takes its place.

| task | what it does, once for each kind |
|:---|:---|
| *Which kinds?* | once: goes on to those that are chosen; what is about the others is skipped |
| *Make the plans* | scans the owners, asks for their contacts, writes a plan: links before and after |
| *Ask for approval* | once for all: shows the plans under *Required actions*, waits; a dry run asks nobody |
| *Try the first ones* | applies the first few changes; if one fails, nothing else of its kind is begun |
| *Apply the plan* | looks at each owner again, writes the change and reads it back; a task for each part |
| *Check and report* | looks once more at all of them, and writes `report.html` and `failed.csv` |

**Trigger it with *Dry run* first**, as it is unless you turn it off: the tab *Bitrix24 report* of the run
shows the plan of each kind. **One** question is asked about the plans of all kinds; where the plan of one
kind fails, nobody is asked about the others: mend it and clear it.

A contact is taken for gone only where the portal says *Not found* of it. One that cannot be read for another
reason stays linked, and `left_out.csv` names it. It needs an administrator's webhook: what somebody may not
read can look like what is gone. With another user the plan is refused, unless you turn *Take unseen contacts
for gone* on.

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
under `[bitrix24] artifacts_path`. A link to a contact that is gone is not made again by
`bitrix24_link_restore` unless *Link missing contacts* is on there.
"""
)

form = plan_params()

with DAG(
    dag_id="bitrix24_dangling_links",
    dag_display_name=gettext("Bitrix24: remove links to contacts that are gone"),
    description=gettext("Take away links to deleted contacts wherever they hang."),
    doc_md=DOC,
    schedule=None,
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    catchup=False,
    render_template_as_native_obj=True,
    default_args={"owner": "bitrix24", "retries": 2, "retry_delay": timedelta(minutes=2)},
    tags=["bitrix24", "clean-up", "leads", "deals", "quotes", "companies"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
        "dry_run": form.pop("dry_run"),
        **kinds_params(KINDS),
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
        "believe_any_user": Param(
            default=False,
            type="boolean",
            title=gettext("Take unseen contacts for gone"),
            description=gettext("Where the webhook's user is no administrator. Else the plan is refused."),
            section=gettext("How"),
        ),
        **form,
    },
) as dag:
    plans: dict[str, Bitrix24PlanLinkCleanupOperator] = {}
    with TaskGroup("plans", group_display_name=gettext("Make the plans")):
        for kind in KINDS:
            plans[kind] = Bitrix24PlanLinkCleanupOperator(
                task_id=kind_name(kind),
                task_display_name=kind_title(kind),
                execution_timeout=timedelta(hours=4),
                bitrix24_conn_id="{{ params.bitrix24_conn_id }}",
                kind=kind,
                rules=["remove_dangling"],
                rule_options={"remove_dangling": {"believe_any_user": "{{ params.believe_any_user }}"}},
                filter="{{ params.filter }}",
                allow_saving="{{ params.allow_saving }}",
                **GUARDS,
            )
    branch_to_kinds(plans)
    # One question for all of them. Whether somebody has to approve is the author's to say. To let whoever
    # triggers the DAG choose: airflow_bitrix.pipelines.approval_form.
    carry_out(list(plans.values()), approval="always", **BY_PARAMS)
