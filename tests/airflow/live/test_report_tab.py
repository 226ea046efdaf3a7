"""The report tab in a real Airflow: found by its entry point, behind Airflow's own login."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
import requests

if TYPE_CHECKING:
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
