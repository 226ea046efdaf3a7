"""Nightly snapshots of contact links, and what changed since the last ones."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.operators.link_plans import Bitrix24ExportContactLinksOperator
from airflow_bitrix.pipelines.bounds import between

DOC = gettext(
    """
### What changed in contact links

Bitrix24 tells nobody when a contact is linked or unlinked: there is no event, no entry in the timeline, and
the lead's date of change stays. This DAG writes down every night which contacts hang on which leads and
deals, and reports what is different from the last time. It changes nothing on the portal.

| task | what it does |
|:---|:---|
| *Look at the leads*, *Look at the deals* | scans them, writes a snapshot, compares it with the last |

The tab *Bitrix24 report* of the run shows what changed. Each task leaves in its folder under `[bitrix24]
artifacts_path`:

| file | holds |
|:---|:---|
| `snapshot/` | the links of every lead or deal, a line each |
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
    description=gettext("Write the contact links of all leads and deals down, and report what changed."),
    doc_md=DOC,
    # With a start_date, or as "@daily", the run of last night would start at once, ahead of a first trigger.
    schedule=CronTriggerTimetable("0 0 * * *", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    render_template_as_native_obj=True,
    default_args={"owner": "bitrix24", "retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["bitrix24", "snapshot", "leads", "deals"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
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
    for kind in ("lead", "deal"):
        Bitrix24ExportContactLinksOperator(
            task_id=f"{kind}s",
            task_display_name=gettext("Look at the {kinds}", **kind_words(kind)),
            execution_timeout=timedelta(hours=6),
            bitrix24_conn_id="{{ params.bitrix24_conn_id }}",
            kind=kind,
            detail="{{ params.detail }}",
            compare_with="previous",
            keep="{{ params.keep }}",
        )
