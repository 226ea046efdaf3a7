"""Who may see the report of a run, and that no address leads anywhere else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.plugins.applied_run import ROUTES, RUN, applied_plan, at
from tests.plugins.conftest import MakeRun
from tests.plugins.picky import MINE, THEIRS

# -- access ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES)
def test_who_may_read_the_dag_s_xcoms_gets_the_report(reader: TestClient, run: Path, route: str) -> None:
    assert run.exists()
    assert reader.get(at(route)).status_code == 200


@pytest.mark.parametrize("route", ROUTES)
def test_nobody_sees_a_report_without_a_login(
    clients: Callable[[str], TestClient], run: Path, route: str
) -> None:
    assert run.exists()
    answer = clients("").get(at(route))
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})


@pytest.mark.parametrize("route", ROUTES)
def test_who_may_not_read_the_dag_sees_no_report(
    reader: TestClient, clients: Callable[[str], TestClient], make_run: MakeRun, route: str
) -> None:
    applied_plan(make_run(THEIRS, RUN) / "plan")
    answer = reader.get(at(route, dag_id=THEIRS))
    assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"})
    assert clients("admin").get(at(route, dag_id=THEIRS)).status_code == 200


@pytest.mark.parametrize("route", ROUTES)
def test_another_dag_in_the_query_opens_nothing(reader: TestClient, make_run: MakeRun, route: str) -> None:
    applied_plan(make_run(THEIRS, RUN) / "plan")
    both = f"{at(route, dag_id=THEIRS)}{'&' if '?' in route else '?'}dag_id={MINE}"
    assert reader.get(both).status_code == 403


# -- addresses ---------------------------------------------------------------------------------------------


OUTSIDE = "..%2f..%2foutside"


@pytest.mark.parametrize(
    "address",
    [
        "/bitrix24/report/mine/..%2f/",
        "/bitrix24/report/mine/..%2f..%2f..%2fetc%2fpasswd/",
        "/bitrix24/report/..%2f/mine/",
        "/bitrix24/report/mine/%2e%2e/",
        "/bitrix24/report/%2e/run/",
        f"{at()}..%2f..%2ftheirs",
        at("files/..%2ffailed.csv?task=plan"),
        at("files/%2e%2e?task=plan"),
        at("files/manifest.json?task=plan"),
        at("files/failed.csv%00.csv?task=plan"),
        at("files/plan%2fmanifest.json?task=plan"),
        at("files/failed.csv?task=.."),
        at("files/failed.csv?task=plan%2fplan"),
        at(f"rows?task={OUTSIDE}"),
        at("rows?task=plan%00"),
        at("outcomes.csv?task=%2e%2e%2fplan"),
        at("?task=.."),
        at("?task=nothing"),
        at("", run_id="manual__never"),
        at("rows?task=plan", run_id="manual__never"),
        at("", dag_id="~"),
        at("nothing"),
        "/bitrix24/report/mine",
        "/bitrix24/",
        "/bitrix24/docs",
        "/bitrix24/openapi.json",
    ],
)
def test_an_address_of_nothing_is_not_found(
    clients: Callable[[str], TestClient], run: Path, address: str
) -> None:
    (run.parent.parent / "outside" / "plan").mkdir(parents=True)
    assert clients("admin").get(address).status_code == 404
    # Without a login there is no other answer than these either.
    assert clients("").get(address).status_code in (401, 404)


@pytest.mark.parametrize("linked", ["task", "plan", "journal", "file", "dag"])
def test_a_symbolic_link_leads_nowhere(
    clients: Callable[[str], TestClient], make_run: MakeRun, tmp_path: Path, linked: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    applied_plan(elsewhere)
    folder = make_run("linked" if linked == "dag" else MINE, RUN)
    if linked == "dag":
        applied_plan(tmp_path / "run" / "plan")
        folder.rmdir()
        folder.symlink_to(tmp_path / "run")
    elif linked == "task":
        (folder / "plan").symlink_to(elsewhere)
    elif linked == "file":
        applied_plan(folder / "plan")
        (folder / "plan" / "failed.csv").unlink()
        (folder / "plan" / "failed.csv").symlink_to(elsewhere / "failed.csv")
    else:
        applied_plan(folder / "plan")
        (folder / "plan" / linked).rename(tmp_path / "aside")
        (folder / "plan" / linked).symlink_to(elsewhere / linked)
    client = clients("admin")
    dag_id = "linked" if linked == "dag" else MINE
    for route in ROUTES[1:]:
        assert client.get(at(route, dag_id=dag_id)).status_code == 404
    assert "Nothing to show here." in client.get(at("", dag_id=dag_id)).text


@pytest.mark.parametrize(
    "inside", ["plan/part-00001.jsonl", "plan/manifest.json", "journal/part-00000.jsonl"]
)
def test_a_symbolic_link_among_the_parts_leads_nowhere(reader: TestClient, run: Path, inside: str) -> None:
    path = run / "plan" / inside
    path.symlink_to(path.rename(run.parent / "aside"))
    for route in ROUTES[1:]:
        assert reader.get(at(route)).status_code == 404
    assert "Nothing to show here." in reader.get(at()).text


@pytest.mark.parametrize("name", ["plan/manifest.json", "journal/part-00000.jsonl", "failed.csv"])
def test_a_pipe_is_not_opened(reader: TestClient, run: Path, name: str) -> None:
    """Whoever opened it would wait until somebody writes into it, and hold a thread."""
    (run / "plan" / name).unlink()
    os.mkfifo(run / "plan" / name)
    for route in ROUTES[1:]:
        assert reader.get(at(route)).status_code == 404
    assert "Nothing to show here." in reader.get(at()).text


@pytest.mark.parametrize("dag_id", [".mine", "team.sales." + "x" * 239, "отдел"])
def test_every_dag_that_airflow_takes_has_its_report(
    clients: Callable[[str], TestClient], make_run: MakeRun, dag_id: str
) -> None:
    """And that of no other DAG."""
    applied_plan(make_run(dag_id, RUN) / "plan")
    make_run("_mine", RUN)
    client = clients("admin")
    for route in ROUTES:
        assert client.get(at(route, dag_id=dag_id)).status_code == 200
        assert client.get(at(route, dag_id="_mine")).status_code == (404 if route else 200)


@pytest.mark.parametrize("name", ["", "reader", "admin"])
@pytest.mark.parametrize(
    "address",
    [
        "/bitrix24/report/mine/%00/",
        "/bitrix24/report/mine/a%00b/rows?task=plan",
        "/bitrix24/report/%00/run/",
        "/bitrix24/report/mine%00/run/outcomes.csv?task=plan",
    ],
)
def test_no_text_that_a_database_does_not_take_gets_that_far(
    clients: Callable[[str], TestClient], name: str, address: str
) -> None:
    """PostgreSQL takes no NUL, neither from here nor from Airflow's look for the DAG."""
    answer = clients(name).get(address)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize("name", ["", "reader"])
@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "ODD"])
def test_there_is_nothing_but_to_get(
    clients: Callable[[str], TestClient], run: Path, name: str, method: str
) -> None:
    assert run.exists()
    client = clients(name)
    assert {client.request(method, at(route)).status_code for route in ROUTES} == {404}
