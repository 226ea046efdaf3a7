"""Waiting and reacting in a real Airflow: sensors that are woken, a DAG that a snapshot starts, a watcher."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.airflow.live.conftest import wait_for

if TYPE_CHECKING:
    from tests.airflow.live.conftest import Live

SNAPSHOT, CHANGED = "bitrix24_link_snapshot", "bitrix24_links_changed_cleanup"

DAG_FILE = """
from datetime import timedelta

from airflow.sdk import DAG, AssetWatcher, task

from airflow_bitrix.assets.portals import records_asset
from airflow_bitrix.sensors.contact_links import Bitrix24ContactLinksSensor
from airflow_bitrix.sensors.records import Bitrix24RecordsSensor
from airflow_bitrix.triggers.records import Bitrix24RecordsSavedTrigger

# Where a task is woken before the scheduler has heard that it was deferred, Airflow fails that try.
again = {"retries": 2, "retry_delay": timedelta(seconds=1)}

with DAG("waiting", schedule=None, default_args={"deferrable": True, "poke_interval": 1, **again}):
    Bitrix24ContactLinksSensor(task_id="linked", owner_id="{{ params.lead }}", has=["{{ params.contact }}"])
    Bitrix24RecordsSensor(task_id="counted", filter={"title": "awaited"})

saved = AssetWatcher(name="saved", trigger=Bitrix24RecordsSavedTrigger(kind="lead", poke_interval=1))

with DAG("watching", schedule=[records_asset("acme.bitrix24.com", "lead", watchers=[saved])]):
    @task
    def told(triggering_asset_events=None):
        [events] = triggering_asset_events.values()
        return [event.extra["payload"]["ids"] for event in events]

    told()
"""


@pytest.fixture(scope="module")
def waiting(live: Live) -> Iterator[Live]:
    """DAGs that wait; the portal is asked once a second while they are there."""
    path = live.airflow.dags / "waiting.py"
    path.write_text(DAG_FILE)
    for dag_id in ("waiting", "watching", SNAPSHOT, CHANGED):
        live.airflow.wait_for_dag(dag_id)
    for dag_id in ("waiting", "watching", SNAPSHOT, CHANGED):
        live.airflow.unpause(dag_id)
    path.touch()  # Airflow starts the watcher when it reads the file of a DAG that is not paused
    yield live
    path.unlink()


def call(live: Live, method: str, params: dict[str, Any]) -> Any:
    """Do something on the portal, as a salesperson does."""
    sandbox = live.sandbox
    told = requests.post(f"{sandbox.url}/rest/1/{sandbox.code}/{method}", json=params, timeout=30).json()
    return told["result"]


def runs(live: Live, dag_id: str) -> list[dict[str, Any]]:
    answer = live.airflow.call("GET", f"/api/v2/dags/{dag_id}/dagRuns")
    found: list[dict[str, Any]] = answer["dag_runs"]
    return [run for run in found if run["run_type"].startswith("asset")]


def test_what_is_waited_for_wakes_tasks_and_starts_dags(waiting: Live) -> None:
    airflow, sandbox = waiting.airflow, waiting.sandbox
    assert waiting.run(SNAPSHOT).state == "success"
    before = len(runs(waiting, CHANGED))
    leads = sandbox.owners("lead")
    lead, links = next((int(lead), owner["links"]) for lead, owner in leads.items() if owner["links"])
    contact = next(one for one in range(1, 500) if one not in {link[0] for link in links})
    run_id = airflow.trigger("waiting", {"lead": lead, "contact": contact})
    for task in ("linked", "counted"):
        airflow.wait_for_task("waiting", run_id, task, "deferred")

    call(waiting, "crm.lead.contact.add", {"id": lead, "fields": {"CONTACT_ID": contact}})
    added = call(waiting, "crm.lead.add", {"fields": {"TITLE": "awaited"}})
    assert airflow.wait_for_run("waiting", run_id) == "success"
    assert contact in airflow.xcom("waiting", run_id, "linked")["contact_ids"]
    assert airflow.xcom("waiting", run_id, "counted") == 1

    night = waiting.run(SNAPSHOT)
    changed = airflow.xcom(SNAPSHOT, night.run_id, "leads")
    assert changed["changes"] == {"added": 1, "new": 1}
    run = wait_for(lambda: runs(waiting, CHANGED)[before:])[-1]
    airflow.wait_for_task(CHANGED, run["dag_run_id"], "plan", "success")
    assert airflow.xcom(CHANGED, run["dag_run_id"], "changed") == changed["changed_csv"]
    assert airflow.xcom(CHANGED, run["dag_run_id"], "plan")["read"] <= 2

    def saved() -> list[dict[str, Any]]:
        """Save a lead again: what was saved before the watcher was started is none of its business."""
        call(waiting, "crm.lead.update", {"id": added, "fields": {"TITLE": "awaited"}})
        return runs(waiting, "watching")

    [first, *_] = wait_for(saved)
    assert airflow.wait_for_run("watching", first["dag_run_id"]) == "success"
    told = airflow.xcom("watching", first["dag_run_id"], "told")
    assert {one for each in told for one in each} == {added}
