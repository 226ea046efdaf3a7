"""The report of a run whose artifacts lie on an object storage."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from uuid import uuid4

import pytest
from airflow.models.connection import Connection
from airflow.utils.session import create_session
from fastapi.testclient import TestClient
from moto.server import ThreadedMotoServer

from airflow_bitrix.files import part_name
from airflow_bitrix.files.journals import JournalPart
from airflow_bitrix.files.own_files import write_new
from airflow_bitrix.operators.shared.artifacts import is_in_tab, tab_folder
from scripts.object_storage import ObjectStorage
from tests.plugins.applied_run import ROUTES, RUN, applied_plan, at
from tests.plugins.conftest import MakeRun
from tests.plugins.picky import MINE
from tests.plugins.runs import change, make_plan, outcome


@pytest.fixture
def stored(object_storage: ObjectStorage, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run on an object storage, with nothing in it."""
    root = object_storage.folder(uuid4().hex)
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", str(root))
    return make_run(MINE, RUN)


def test_a_report_is_read_from_an_object_storage(reader: TestClient, stored: Path) -> None:
    applied_plan(stored / "plan")
    page = reader.get(at())
    assert page.status_code == 200
    for told in ("999 applied", "1 failed", "20 open", "1,020", "A part of the plan was applied."):
        assert told in page.text
    rows = reader.get(at("rows?task=plan&at=998&size=3")).json()
    assert (rows["total"], [row[0] for row in rows["rows"]]) == (1020, [999, 1000, 1001])
    assert reader.get(at("rows?task=plan&search=hyperlink")).json()["total"] == 1
    table = list(csv.DictReader(io.StringIO(reader.get(at("outcomes.csv?task=plan")).text)))
    assert [int(row["owner_id"]) for row in table] == list(range(1, 1021))
    assert "lead,1000,failed" in reader.get(at("files/failed.csv?task=plan")).text


def test_a_report_that_is_looked_at_again_costs_one_listing(
    reader: TestClient, stored: Path, object_storage: ObjectStorage
) -> None:
    applied_plan(stored / "plan")
    reader.get(at())
    before = len(object_storage.requests.seen)
    reader.get(at())
    reader.get(at("rows?task=plan&at=20&size=50"))
    seen = object_storage.requests.seen[before:]
    assert len(seen) == 2
    assert all("list-type=2" in one for one in seen)


def test_progress_and_differences_are_shown_while_the_run_goes_on(
    reader: TestClient, make_run: MakeRun, object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", str(object_storage.folder(uuid4().hex)))
    folder = make_run(MINE, f"{RUN}running", state="running")
    manifest = make_plan(folder / "plan", [change(number) for number in range(1, 101)])

    def shown(task: str = "") -> str:
        page = reader.get(at(f"?task={task}" if task else "", run_id=f"{RUN}running"))
        assert page.status_code == 200
        text: str = page.text
        return text

    journal = folder / "plan" / "journal" / part_name(0)
    with JournalPart(journal, plan_hash=manifest.hash, dry_run=False) as part:
        for number in range(1, 61):
            part.note(outcome(number))
            if number % 20 == 0:
                part.save()
                assert f"{number} applied" in shown()
    write_new(folder / "compare" / "reconcile.csv", "difference,kind\nmissing,lead\nmissing,lead\n")
    assert "a contact is not linked that should be" in shown("compare")


@pytest.mark.attack
def test_other_names_lead_to_nothing(reader: TestClient, stored: Path) -> None:
    applied_plan(stored / "plan")
    for route in (
        "files/failed.csv?task=..",
        "files/manifest.json?task=plan",
        "rows?task=plan/plan",
        "rows?task=x",
    ):
        assert reader.get(at(route)).status_code == 404
    for route in ROUTES:
        assert reader.get(at(route, dag_id="other")).status_code in (403, 404)


def test_a_store_that_is_away_is_named_and_comes_back(
    reader: TestClient, make_run: MakeRun, object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a connection of Airflow's database, which the API server asks itself."""
    name, root = f"store_{uuid4().hex}", uuid4().hex
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", str(object_storage.folder(root)))
    applied_plan(make_run(MINE, RUN) / "plan")
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", f"s3://{name}@artifacts/{root}")
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # as the API server's first module has it

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)  # it holds the same buckets
    server.start()
    _, port = server.get_host_and_port()
    extra = {
        "endpoint_url": f"http://127.0.0.1:{port}",
        "region_name": "us-east-1",
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }
    connection = Connection(
        conn_id=name, conn_type="aws", login="key", password="sesame-sesame", extra=json.dumps(extra)
    )
    with create_session() as session:
        session.add(connection)
    try:
        assert "999 applied" in reader.get(at()).text
        server.stop()
        away = reader.get(at())
        assert (away.status_code, away.headers["retry-after"]) == (503, "10")
        assert "The store of the artifacts is away:" in away.text
        assert f"s3://{name}@artifacts/{root}/mine/" in away.text
        assert "cannot be read now: Could not connect to the endpoint" in away.text
        assert "sesame" not in away.text
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        _, port = server.get_host_and_port()
        with create_session() as session:  # it comes back elsewhere
            connection.extra = json.dumps({**extra, "endpoint_url": f"http://127.0.0.1:{port}"})
            session.merge(connection)
        assert "999 applied" in reader.get(at()).text
        server.stop()
        assert {reader.get(at(route)).status_code for route in ROUTES[2:]} == {503}
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        server.start()
        assert reader.get(at("rows?task=plan")).json()["total"] == 1020
    finally:
        server.stop()
        with create_session() as session:
            session.delete(session.merge(connection))


def test_links_lead_to_reports_on_an_object_storage(stored: Path, object_storage: ObjectStorage) -> None:
    tab = tab_folder(MINE, RUN)
    assert str(tab) == str(stored)
    assert is_in_tab(stored / "plan" / "plan", tab)
    for other in (
        stored.parent / "other",
        object_storage.folder("elsewhere"),
        stored.parent / f"{stored.name}x" / "plan",
        Path("plan"),
    ):
        assert not is_in_tab(other, tab)
    assert not is_in_tab(stored, None)
