"""Look at the contacts of leads as soon as these were saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, Param, task

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.operators.contact_links import Bitrix24LeadContactItemsGetOperator
from airflow_bitrix.triggers.records import Bitrix24RecordsSavedTrigger

DOC = gettext(
    """
### Go on when leads were saved

The triggerer asks the portal once a minute which leads were saved, and tells an asset; that starts this DAG.
It changes nothing on the portal.

| task | what it does |
|:---|:---|
| *Which leads?* | takes the ids from the event; by hand, lead 1 |
| *Their contacts* | reads the links of each of them, as a mapped task that is called after its lead |

Unpausing the DAG starts the watcher, half a minute later. Changes of contact links save nothing: what they
start is `bitrix24_links_changed_cleanup`. In a DAG of your own, put your work in place of *Their contacts*.
"""
)

# An asset that a watcher has is its own: another one would tell the same events once more.
saved = Asset(
    "bitrix24_saved_leads",
    watchers=[AssetWatcher(name="saved", trigger=Bitrix24RecordsSavedTrigger(kind="lead"))],
)

with DAG(
    dag_id="bitrix24_saved_leads",
    dag_display_name=gettext("Bitrix24: leads that were saved"),
    description=gettext("On the event of a watcher: read the contacts of the leads that were saved."),
    doc_md=DOC,
    schedule=[saved],
    catchup=False,
    render_template_as_native_obj=True,
    default_args={"owner": "bitrix24", "retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["bitrix24", "watcher", "leads"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
        "bitrix24_conn_id": Param(
            "bitrix24_default",
            type="string",
            minLength=1,
            title=gettext("Connection"),
            description=gettext("Connection of type Bitrix24; the watcher looks at bitrix24_default."),
        ),
    },
) as dag:

    @task(task_display_name=gettext("Which leads?"), execution_timeout=timedelta(minutes=5))
    def saved_leads(triggering_asset_events: Mapping[Any, Sequence[Any]] | None = None) -> list[int]:
        """Give the ids, each once."""
        told = (triggering_asset_events or {}).values()
        ids = {one for events in told for event in events for one in event.extra["payload"]["ids"]}
        return sorted(ids) or [1]

    Bitrix24LeadContactItemsGetOperator.partial(
        task_id="contacts",
        task_display_name=gettext("Their contacts"),
        execution_timeout=timedelta(minutes=5),
        bitrix24_conn_id="{{ params.bitrix24_conn_id }}",
    ).expand(owner_id=saved_leads())
