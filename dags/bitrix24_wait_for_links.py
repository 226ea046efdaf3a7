"""Wait until somebody has linked a contact, and go on then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.pipelines.bounds import between
from airflow_bitrix.sensors.contact_links import Bitrix24ContactLinksSensor
from airflow_bitrix.sensors.records import Bitrix24RecordsSensor

DOC = gettext(
    """
### Wait for contact links

A lead or deal has to have its contact before the work about it can begin, and Bitrix24 tells nobody when a
contact is linked. Two sensors look now and then; they hold no worker slot, and all that wait in a triggerer
ask the portal together. It changes nothing on the portal.

| task | what it does |
|:---|:---|
| *Is there work at all?* | waits until the portal counts one lead or deal, or more |
| *Is the contact linked?* | waits until the contact hangs on the lead or deal |
| *Go on* | takes what the sensor saw; put your own work here |

An owner that is not there fails the task at once; after a day without the link the run is over, too.
"""
)

with DAG(
    dag_id="bitrix24_wait_for_links",
    dag_display_name=gettext("Bitrix24: wait for a contact link"),
    description=gettext("Wait until a contact is linked to a lead or deal, without a worker slot."),
    doc_md=DOC,
    schedule=None,
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    catchup=False,
    render_template_as_native_obj=True,
    default_args={
        "owner": "bitrix24",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "deferrable": True,
        "poke_interval": 60,
        "timeout": timedelta(days=1),
        "execution_timeout": timedelta(minutes=10),  # of the look on the worker, not of the waiting
    },
    tags=["bitrix24", "sensor", "leads", "deals"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
        "kind": Param(
            "lead",
            type="string",
            enum=["lead", "deal"],
            values_display={"lead": gettext("Lead"), "deal": gettext("Deal")},
            title=gettext("Lead or deal"),
            description=gettext("What the contact is to be linked to."),
        ),
        "owner_id": Param(
            1,
            type="integer",
            **between(1, 2_147_483_647),
            title=gettext("Its id"),
            description=gettext("Of the lead or deal."),
        ),
        "contact_id": Param(
            1,
            type="integer",
            **between(1, 2_147_483_647),
            title=gettext("Contact"),
            description=gettext("Id of the contact."),
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
    any_at_all = Bitrix24RecordsSensor(
        task_id="any",
        task_display_name=gettext("Is there work at all?"),
        bitrix24_conn_id="{{ params.bitrix24_conn_id }}",
        kind="{{ params.kind }}",
        at_least=1,
    )
    linked = Bitrix24ContactLinksSensor(
        task_id="linked",
        task_display_name=gettext("Is the contact linked?"),
        bitrix24_conn_id="{{ params.bitrix24_conn_id }}",
        kind="{{ params.kind }}",
        owner_id="{{ params.owner_id }}",
        has="{{ params.contact_id }}",
    )

    @task(task_display_name=gettext("Go on"))
    def go_on(links: Any) -> int:
        """Give the number of contacts."""
        return len(links["contact_ids"])

    any_at_all >> linked
    go_on(linked.output)
