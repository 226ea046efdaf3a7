"""The report tab in a real Airflow: found by its entry point, behind Airflow's own login."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
import requests

from airflow_bitrix.hooks.failures import WHY
from scripts.local_sandbox import LocalSandbox
from scripts.processes import Processes, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.airflow.live.conftest import Live, Run

DAG_ID = "bitrix24_deal_link_cleanup"  # nobody else in this session changes deals


@pytest.fixture(scope="module")
def run(live: Live) -> Run:
    live.airflow.wait_for_dag(DAG_ID)
    live.airflow.unpause(DAG_ID)
    return live.run(DAG_ID)


@pytest.fixture(scope="module")
def browser(live: Live) -> requests.Session:
    """A session that holds Airflow's cookie, as the frame of the tab does."""
    session = requests.Session()
    session.trust_env = False
    login = {"username": "admin", "password": live.airflow.password}
    token = session.post(f"{live.airflow.url}/auth/token", json=login, timeout=30).json()["access_token"]
    session.cookies.set("_token", token)
    return session


def address(live: Live, run_id: str, route: str = "") -> str:
    return f"{live.airflow.url}/bitrix24/report/{DAG_ID}/{quote(run_id, safe='')}/{route}"


def test_airflow_s_ui_is_told_of_the_tab(live: Live) -> None:
    plugins = live.airflow.call("GET", "/api/v2/plugins")["plugins"]
    (ours,) = [plugin for plugin in plugins if plugin["name"] == "airflow_bitrix"]
    (view,) = ours["external_views"]
    assert (view["name"], view["destination"]) == ("Bitrix24 report", "dag_run")
    assert live.airflow.call("GET", "/api/v2/plugins/importErrors")["import_errors"] == []


def test_the_tab_shows_the_run_to_who_is_logged_in_only(
    live: Live, run: Run, browser: requests.Session
) -> None:
    page = browser.get(address(live, run.run_id), timeout=30)
    assert page.status_code == 200
    assert "Deal link clean-up" in page.text
    planned = live.airflow.xcom(DAG_ID, run.run_id, "plan")["changes"]
    assert planned > 0
    rows: dict[str, Any] = browser.get(address(live, run.run_id, "rows?task=plan"), timeout=30).json()
    assert rows["total"] == planned
    for route in ("", "rows?task=plan", "outcomes.csv?task=plan", "files/failed.csv?task=plan"):
        assert requests.get(address(live, run.run_id, route), timeout=30).status_code == 401
        assert browser.get(address(live, "never", route), timeout=30).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["..%2f", "..%2f..%2f..%2fetc%2fpasswd", "../../../etc/passwd", "%2e%2e/%2e%2e/", "....//", "%00/"],
)
def test_a_path_out_of_the_root_is_not_found(live: Live, browser: requests.Session, path: str) -> None:
    """Sent as it is, since a client would tidy it up first."""
    server = urlsplit(live.airflow.url)
    cookie = f"_token={browser.cookies['_token']}"
    for line in (f"GET /bitrix24/report/{DAG_ID}/{path} HTTP/1.1", f"GET /bitrix24/report/{path} HTTP/1.1"):
        with socket.create_connection((server.hostname, server.port), timeout=30) as raw:
            raw.sendall(f"{line}\r\nHost: x\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n".encode())
            answer = raw.makefile("rb").readline().decode()
        assert " 404 " in answer


def test_the_tasks_link_to_the_tab(live: Live, run: Run) -> None:
    for task in ("plan", "canary", "apply", "check"):
        path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run.run_id}/taskInstances/{task}/links"
        path += "?map_index=0" if task == "apply" else ""
        link = live.airflow.call("GET", path)["extra_links"]["Report"]
        assert link == f"dags/{DAG_ID}/runs/{quote(run.run_id, safe='')}/plugin/bitrix24_report?task=plan"


OWN, CLEANUP = "own_arguments", "bitrix24_lead_link_cleanup"
TOGETHER = "bitrix24_together"


@pytest.mark.attack
@pytest.mark.usefixtures("run")
def test_a_sentence_that_is_longer_than_any_of_ours_is_not_read(
    live: Live, browser: requests.Session
) -> None:
    """Whoever may write XComs could have the API server read megabytes for each look at the page."""
    failed = live.run(DAG_ID, stages=["NOPE"])
    path = f"/api/v2/dags/{DAG_ID}/dagRuns/{failed.run_id}/taskInstances/plan/xcomEntries/{WHY}"
    for signs, shown in ((4_000, True), (40_000, False)):
        live.airflow.call("PATCH", path, json={"value": "z" * signs})
        assert ("z" * 100 in browser.get(address(live, failed.run_id)).text) == shown


@pytest.fixture(scope="module")
def together(live: Live) -> Iterator[LocalSandbox]:
    """Another portal, which two DAGs clean up."""
    with Processes(clean_environment()) as processes:
        sandbox = LocalSandbox(processes, leads=300, deals=1, contacts=200).start()
        live.airflow.create_connection(TOGETHER, **sandbox.connection())
        live.airflow.call("POST", "/api/v2/pools", json={"name": "narrow", "slots": 1})
        for dag_id in (OWN, CLEANUP):
            live.airflow.wait_for_dag(dag_id)
            live.airflow.unpause(dag_id)
        yield sandbox


def test_two_dags_that_clean_up_the_same_leads_wait_for_people_and_for_each_other(
    live: Live, together: LocalSandbox, browser: requests.Session
) -> None:
    """One of them has all of Airflow's own arguments in its ``default_args``, and ends as it should."""
    airflow, real = live.airflow, {"dry_run": False, "canary": 0, "bitrix24_conn_id": TOGETHER}
    released = together.released_leads()

    def begin(day: int, **conf: Any) -> str:
        """With a date, as only then there is a past to depend on."""
        body = {"logical_date": f"2026-02-{day:02}T00:00:00Z", "conf": {"bitrix24_conn_id": TOGETHER, **conf}}
        run_id: str = airflow.call("POST", f"/api/v2/dags/{OWN}/dagRuns", json=body)["dag_run_id"]
        return run_id

    def page(dag_id: str, run_id: str) -> str:
        route = f"{airflow.url}/bitrix24/report/{dag_id}/{quote(run_id, safe='')}/"
        return browser.get(route, timeout=30).text.replace("<b>", "").replace("</b>", "")

    dry = begin(1)
    first = airflow.trigger(CLEANUP, real)
    airflow.wait_for_question(CLEANUP, first)
    beside = airflow.trigger(CLEANUP, {"bitrix24_conn_id": TOGETHER})
    assert airflow.wait_for_run(OWN, dry) == "success"
    second, third = begin(2, **real), begin(3)
    airflow.wait_for_question(OWN, second)
    assert airflow.wait_for_run(CLEANUP, beside) == "success"  # while another run of its DAG waits
    assert f"These are: {second} (at approve)." in page(OWN, third)
    airflow.call("PATCH", f"/api/v2/dags/{OWN}/dagRuns/{third}", json={"state": "failed"})

    together.set_faults(slow=1.0, slow_seconds=6)  # until another run has come to wait
    airflow.answer(CLEANUP, first, "approve", "Approve")
    airflow.wait_for_task(CLEANUP, first, "apply", "running")
    airflow.answer(OWN, second, "approve", "Approve")  # later than any execution_timeout
    airflow.wait_for_task(OWN, second, "canary", "deferred")
    says = f"run {first} of the DAG {CLEANUP} has been writing leads"
    assert f"Waits for another run: {says} of this portal since " in page(OWN, second)
    together.set_faults()
    assert airflow.wait_for_run(CLEANUP, first) == "success"
    assert airflow.wait_for_run(OWN, second) == "success"
    assert [line for line in airflow.task_log(OWN, second, "canary") if f"{says} on {together.url}" in line]
    assert airflow.xcom(CLEANUP, first, "check")["counts"]["applied"] == len(released)
    assert airflow.xcom(OWN, second, "check")["counts"]["already"] == len(released)
    assert together.stats()["commands_in_batches"]["crm.lead.update"] == len(released)
