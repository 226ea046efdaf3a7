"""The clean-up on several hosts that share a database, a queue and a store, and no disk.

``make test-cluster`` runs this.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote

import pytest
import requests

from scripts.local_sandbox import difference
from tests.cluster.runs import CLEANUP, RESTORE, Portal, is_restored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORKERS = ("worker-1", "worker-2")


class Workers(TypedDict):
    """How workers are started."""

    fresh_disks: bool


@pytest.fixture(params=[False, True], ids=["a disk for each worker", "a disk for each task"])
def workers(portal: Portal, request: pytest.FixtureRequest) -> Iterator[Workers]:
    """Two workers, and whether each of their tasks has a disk of its own."""
    options = Workers(fresh_disks=request.param)
    for name in WORKERS:
        portal.airflow.start_worker(name, **options)
    yield options
    for name in WORKERS:
        portal.airflow.kill_worker(name)
        shutil.rmtree(portal.airflow.disk_of(name))


def test_a_worker_dies_while_it_applies_and_nothing_is_lost(portal: Portal, workers: Workers) -> None:
    """Plan, approval, apply on both hosts, one of them without power in between, check, and the way back."""
    airflow, sandbox = portal.airflow, portal.sandbox
    leads, released = portal.leads(), sandbox.released_leads()
    lost: list[int] = []

    def lose_a_host(run_id: str) -> None:
        # Else the part of the host that begins first may be done before the other one has begun.
        sandbox.set_faults(slow=1.0, slow_seconds=3)
        task = portal.caught_writing(run_id)
        sandbox.set_faults()
        lost.append(task["map_index"])
        airflow.kill_worker(worker_of(task["hostname"]))
        airflow.start_worker(worker_of(task["hostname"]), **workers)

    run_id = portal.run(CLEANUP, lose_a_host)

    assert difference(leads, portal.leads(), released) == []
    checked = airflow.xcom(CLEANUP, run_id, "check")
    assert checked["counts"] == {**dict.fromkeys(checked["counts"], 0), "applied": len(released)}
    tries = {task["map_index"]: task["try_number"] for task in portal.tasks(CLEANUP, run_id, "apply")}
    assert tries == {**dict.fromkeys(tries, 1), lost[0]: 2}
    assert [file for name in WORKERS for file in journals(airflow.disk_of(name))] == []

    restored = portal.run(RESTORE, journal=checked["plan"].removesuffix("/plan"), link_missing=True)

    there = portal.leads()
    assert {
        lead: there[lead]["links"] for lead in released if not is_restored(leads[lead], there[lead])
    } == {}
    assert {lead: there[lead] for lead in there if lead not in released} == {
        lead: leads[lead] for lead in leads if lead not in released
    }
    assert airflow.xcom(RESTORE, restored, "leads.check")["counts"]["failed"] == 0
    assert sandbox.stats()["refused_503"] == 0
    assert portal.is_paced_by_redis()
    rows = tab(portal, run_id, "rows?task=plan").json()
    assert rows["total"] == len(released)
    assert "Lead link clean-up" in tab(portal, run_id).text


def worker_of(host: str) -> str:
    """A task with a disk of its own tells another host name than its worker."""
    return host.partition("-pod-")[0]


def journals(disk: Path) -> list[Path]:
    """What a host kept of a run, though it should all be in the store."""
    return [file for file in disk.rglob("*") if file.is_dir() and file.name in {"journal", "plan"}]


def tab(portal: Portal, run_id: str, route: str = "") -> requests.Response:
    """Ask the report tab, as the browser of somebody who has logged in does."""
    session = requests.Session()
    session.trust_env = False
    login: dict[str, Any] = {"username": "admin", "password": portal.airflow.password}
    token = session.post(f"{portal.airflow.url}/auth/token", json=login, timeout=30).json()["access_token"]
    session.cookies.set("_token", token)
    path = f"/bitrix24/report/{CLEANUP}/{quote(run_id, safe='')}/{route}"
    answer = session.get(portal.airflow.url + path, timeout=60)
    assert answer.ok, answer.text
    return answer
