"""Nightly snapshots of contact links, and what changed since the last ones."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.operators.link_plans import Bitrix24ExportContactLinksOperator
from airflow_bitrix.pipelines.bounds import between
from airflow_bitrix.pipelines.kinds import branch_to_kinds, kind_name, kinds_param, kinds_to_choose

SMART_PROCESSES: tuple[int, ...] = ()
"""The ``entityTypeId`` of each smart process whose items are to be asked for as well, such as ``(1036,)``."""

KINDS = kinds_to_choose(SMART_PROCESSES)

DOC = gettext(
    """
### What changed in contact links

Bitrix24 tells nobody when a contact is linked or unlinked: there is no event, no entry in the timeline, and
the lead's date of change stays. This DAG writes down every night which contacts hang on which leads and
deals, or on which of the *Kinds* that you choose, and reports what is different from the last time. It
changes nothing on the portal.

| task | what it does |
|:---|:---|
| *Which kinds?* | goes on to those that are chosen; what is about the others is skipped |
| *Look at the leads* and so on | scans them, writes a snapshot, compares it with the last |

Scheduled runs look at leads and deals, until you change the default of `kinds` in a copy of the DAG's file.
Smart processes are asked for once their numbers stand in `SMART_PROCESSES` there.

The tab *Bitrix24 report* of the run shows what changed. Each task leaves in its folder under `[bitrix24]
artifacts_path`:

| file | holds |
|:---|:---|
| `snapshot/` | the links of every owner of the kind, a line each |
| `changed.csv` | each difference: before, after, the owner's page |
| `changes.html` | the figures, and the first 500 differences |

What should not have changed is brought back by `bitrix24_link_restore`, with a snapshot from before it: the
tab offers those that are kept, with their dates. The run's own holds the change already.

The first run has nothing to compare with, and says so. A night that fails loses nothing: the next one
compares with the last night that did not. The first night is the one after the DAG is unpaused, which a
first trigger does. With *What a snapshot knows* `full` a snapshot knows sorts and roles too, and
`bitrix24_link_restore` can bring links back to it exactly; with `ids` it knows contacts, order and primary,
at 2,500 owners a request.
"""
)

with DAG(
    dag_id="bitrix24_link_snapshot",
    dag_display_name=gettext("Bitrix24: what changed in links"),
    description=gettext("Write contact links down every night, and report what changed."),
    doc_md=DOC,
    # With a start_date, or as "@daily", the run of last night would start at once, ahead of a first trigger.
    schedule=CronTriggerTimetable("0 0 * * *", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    render_template_as_native_obj=True,
    default_args={"owner": "bitrix24", "retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["bitrix24", "snapshot", "leads", "deals", "quotes", "companies"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
        "kinds": kinds_param(
            KINDS,
            ("lead", "deal"),
            gettext("Whose links are written down. Each kind is compared with its own last snapshot."),
        ),
        "detail": Param(
            "ids",
            type="string",
            enum=["ids", "full"],
            values_display={
                "ids": gettext("Contacts, order and primary: 2,500 owners a request"),
                "full": gettext("Sorts and roles too: 50 owners with contacts a request"),
            },
            title=gettext("What a snapshot knows"),
            description=gettext("Of each link. A restore is exact from a full one only."),
        ),
        "keep": Param(
            30,
            type="integer",
            **between(1, 10_000),
            title=gettext("Snapshots to keep"),
            description=gettext("Older ones are deleted; their reports stay."),
        ),
        "bitrix24_conn_id": Param(
            "bitrix24_default",
            type="string",
            minLength=1,
            title=gettext("Connection"),
            description=gettext("Connection of type Bitrix24."),
            section=gettext("Portal"),
        ),
    },
) as dag:
    exports = {
        kind: Bitrix24ExportContactLinksOperator(
            task_id=kind_name(kind),
            task_display_name=gettext("Look at the {kinds}", **kind_words(kind)),
            execution_timeout=timedelta(hours=6),
            bitrix24_conn_id="{{ params.bitrix24_conn_id }}",
            kind=kind,
            detail="{{ params.detail }}",
            compare_with="previous",
            keep="{{ params.keep }}",
        )
        for kind in KINDS
    }
    branch_to_kinds(exports)
