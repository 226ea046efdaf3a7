"""Weekly clean-up of the contact links of deals."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkCleanupOperator
from airflow_bitrix.pipelines.carry_out import carry_out
from airflow_bitrix.pipelines.telling_form import telling_params, told_by_form
from airflow_bitrix.pipelines.trigger_forms import (
    BY_PARAMS,
    GUARDS,
    OWNERS,
    RULE_OPTIONS,
    owner_params,
    plan_params,
    rule_option_params,
    rules_param,
)

DOC = gettext(
    """
### Clean up the contact links of deals

Deals collect contacts: some are gone from the portal, some are one person twice, some came along with a
company, and some deals show a contact that is not their primary one. This DAG puts that right by the rules
that are chosen in the form, and keeps what was there so that it can be taken back.

| task | what it does |
|:---|:---|
| *Make the plan* | scans the deals and writes a plan: each change with its links before and after |
| *Ask for approval* | shows the plan under *Required actions*, waits until somebody approves or rejects it |
| *Try the first ones* | applies the first few changes; if one of them fails, nothing else is written |
| *Apply the plan* | a task for each 1,000 changes: looks at each deal again, writes, reads it back |
| *Check and report* | looks at all of them once more, writes the report, fails where too many failed |

Deals that a rule is about but must not touch are left out, and the report says why. A deal that somebody
changed since the plan was made is left alone and reported as *drift*. An approval may be used for a day.
An answer is awaited for 72 hours (`[bitrix24] approval_deadline`). Of the runs that write deals of a
portal, this DAG's or another's, one does at a time: the others wait for it, for up to twelve hours. A dry
run waits for nobody.

**Trigger it by hand first**: *Dry run* is on unless you turn it off, and the tab *Bitrix24 report* of the run
shows what a real run would do. Scheduled runs are dry runs too, until you change the default of `dry_run` in
the DAG file; the first is on the Monday after the DAG is unpaused, which a first trigger does.

Who is named under *Whom to tell in Bitrix24* gets a message when an approval is wanted, and when the run
has ended or failed. With *Comment on the cards* each deal that was changed says on its card what was done.

The tab *Bitrix24 report* of a run shows what became of each change, also while it is under way, with all
files to download, and how the run is taken back. The files lie under `[bitrix24] artifacts_path`:
`report.html`, `failed.csv`, `plan/`, `journal/`. A failed run goes on where it stopped when its failed tasks
are cleared, and writes nothing twice.
"""
)

form = plan_params()

with DAG(
    dag_id="bitrix24_deal_link_cleanup",
    dag_display_name=gettext("Bitrix24: clean up deal links"),
    description=gettext("Primary contacts, contacts that are gone or twice: plan, approve, apply, check."),
    doc_md=DOC,
    # With a start_date, or as "@weekly", that of last Monday would start at once, ahead of a first trigger.
    schedule=CronTriggerTimetable("0 0 * * 1", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    render_template_as_native_obj=True,
    default_args={"owner": "bitrix24", "retries": 2, "retry_delay": timedelta(minutes=2)},
    tags=["bitrix24", "clean-up", "deals"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
        "dry_run": form.pop("dry_run"),
        "rules": rules_param("deal", ["fix_primary"]),
        **rule_option_params("deal"),
        **owner_params("deal"),
        **form,
        **telling_params(),
    },
) as dag:
    plan = Bitrix24PlanLinkCleanupOperator(
        task_id="plan",
        task_display_name=gettext("Make the plan"),
        execution_timeout=timedelta(hours=4),
        bitrix24_conn_id="{{ params.bitrix24_conn_id }}",
        kind="deal",
        rules="{{ params.rules }}",
        rule_options=RULE_OPTIONS,
        **OWNERS,
        **GUARDS,
    )
    # Whether somebody has to approve is the author's to say. To let whoever triggers the DAG choose:
    # airflow_bitrix.pipelines.approval_form.
    carry_out(plan, approval="always", notify=told_by_form(), **BY_PARAMS)
