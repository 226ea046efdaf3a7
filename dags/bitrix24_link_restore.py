"""Taking a run back: contact links as a journal or a snapshot holds them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param, TaskGroup

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import LINK_ROWS
from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkRestoreOperator
from airflow_bitrix.pipelines.carry_out import carry_out
from airflow_bitrix.pipelines.kinds import (
    branch_to_kinds,
    kind_name,
    kind_title,
    kinds_to_restore,
    saving_param,
)
from airflow_bitrix.pipelines.trigger_forms import BY_PARAMS, GUARDS, plan_params

DOC = gettext(
    """
### Bring contact links back

Brings contact links back to what they were before a run, from that run's journal, or to what a snapshot
holds: the same contacts in the same order, with sort and primary. A run over several kinds of owners, such as
*replace contacts*, is taken back as a whole, with one question about all of it; one over two smart processes
kind by kind: give the folder of each by itself.

| task | what it does, once for each kind that the run was about |
|:---|:---|
| *Which kinds?* | once: goes on to those that are chosen; what is about the others is skipped |
| *Make the plans* | reads journal or snapshot, looks at the owners as they are now, and writes a plan |
| *Ask for approval* | once for all: shows the plans under *Required actions*, waits for an answer |
| *Try the first ones* | applies the first few changes; if one fails, nothing else of its kind is begun |
| *Apply the plan* | a task for each 1,000 changes: looks at each owner again, writes, reads it back |
| *Check and report* | looks at all of them once more, writes the report, fails where too many failed |

Give **one** of *Journal* and *Snapshot*. The tab *Bitrix24 report* of the run to take back shows its folder;
the address of that run's page does as well. What is as it was is left alone; so is what somebody changed
since the run, unless you turn *Overwrite* on. A snapshot does not know who changed what: every owner in it
that differs now is brought back, so name the owners, or look at the dry run first. The snapshot of the night
that found an unwanted change holds that change already: the tab of its run offers those from before it.
`left_out.csv`, to download in the tab, names all that is left alone, and why.

**Trigger it with *Dry run* first**, as it is unless you turn it off: the tab *Bitrix24 report* of the run
shows what a real run would do.

Contacts that were deleted meanwhile are not linked again. The repeat flag of a lead stays as it is, unless
you turn *Save* on: then the portal's automation runs, a lead with contacts becomes a repeat lead again, and
the portal may merge its name, phones and e-mails into its primary contact. Invoices and items of smart
processes are always written by saving them, which needs *Allow saving*. A company that the run took off a
lead comes back in any case by such a save, and the approval says for how many.
"""
)

form = plan_params()

with DAG(
    dag_id="bitrix24_link_restore",
    dag_display_name=gettext("Bitrix24: bring links back"),
    description=gettext("Bring contact links back to a run's journal or to a snapshot."),
    doc_md=DOC,
    schedule=None,
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    catchup=False,
    render_template_as_native_obj=True,
    default_args={"owner": "bitrix24", "retries": 2, "retry_delay": timedelta(minutes=2)},
    tags=["bitrix24", "restore", "leads", "deals", "quotes", "companies", "contacts"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
        "dry_run": form.pop("dry_run"),
        "journal": Param(
            None,
            type=["null", "string"],
            title=gettext("Journal"),
            description=gettext(
                "Folder of the run to take back, as its Bitrix24 report tab shows it; or its page."
            ),
        ),
        "snapshot": Param(
            None,
            type=["null", "string"],
            title=gettext("Snapshot"),
            description=gettext(
                "Or the folder of a snapshot from before the change, as the report tab offers it."
            ),
        ),
        "owners": Param(
            [],
            type=["null", "array"],
            items={"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
            title=gettext("Owners"),
            description=gettext(
                "Ids of the only owners to bring back, of a run about one kind; empty for all."
            ),
            section=gettext("Which owners"),
        ),
        "owners_file": Param(
            None,
            type=["null", "string"],
            title=gettext("File of owners"),
            description=gettext("Or a file of such ids: failed.csv, or one id a line."),
            section=gettext("Which owners"),
        ),
        "overwrite": Param(
            default=False,
            type="boolean",
            title=gettext("Overwrite"),
            description=gettext("Also take away what somebody changed since the run."),
            section=gettext("How"),
        ),
        "link_missing": Param(
            default=False,
            type="boolean",
            title=gettext("Link missing contacts"),
            description=gettext("Also link contacts, or companies, that no longer exist."),
            section=gettext("How"),
        ),
        "believe_any_user": Param(
            default=False,
            type="boolean",
            title=gettext("Take unseen contacts for gone"),
            description=gettext(
                "Where the webhook's user is no administrator. Else such owners are left alone."
            ),
            section=gettext("How"),
        ),
        "save": Param(
            default=False,
            type="boolean",
            title=gettext("Save"),
            description=gettext(
                "Save each owner afterwards, so that the repeat flag follows. Starts automation."
            ),
            section=gettext("How"),
        ),
        "allow_saving": saving_param(section=gettext("How")),
        **form,
    },
) as dag:
    plans: dict[str, Bitrix24PlanLinkRestoreOperator] = {}
    with TaskGroup("plans", group_display_name=gettext("Make the plans")):
        for kind in LINK_ROWS:
            plans[kind] = Bitrix24PlanLinkRestoreOperator(
                task_id=kind_name(kind),
                task_display_name=kind_title(kind),
                execution_timeout=timedelta(hours=4),
                bitrix24_conn_id="{{ params.bitrix24_conn_id }}",
                kind=kind,
                journal="{{ params.journal }}",
                snapshot="{{ params.snapshot }}",
                owners="{{ params.owners or none }}",
                owners_file="{{ params.owners_file }}",
                overwrite="{{ params.overwrite }}",
                link_missing="{{ params.link_missing }}",
                believe_any_user="{{ params.believe_any_user }}",
                save="{{ params.save }}",
                allow_saving="{{ params.allow_saving }}",
                **GUARDS,
            )
    branch_to_kinds(plans, kinds_to_restore)
    # One question for all of them. Whether somebody has to approve is the author's to say. To let whoever
    # triggers the DAG choose: airflow_bitrix.pipelines.approval_form.
    carry_out(list(plans.values()), approval="always", **BY_PARAMS)
