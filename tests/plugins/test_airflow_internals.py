"""Internals of Airflow: where they are used, and what the tab says where one is gone."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airflow_bitrix.plugins import airflow_internals, run_requests, run_states
from airflow_bitrix.plugins.report_api import ReportApp
from airflow_bitrix.plugins.report_tab import PREFIX, LazyReportApp
from tests.plugins.conftest import MakeRun
from tests.plugins.picky import MINE

ROOT = Path(__file__).parents[2]

PUBLIC = {
    "airflow.plugins_manager",
    "airflow.providers.common.compat.openlineage.facet",
    "airflow.providers.http.hooks.http",
    "airflow.providers.openlineage.extractors",
    "airflow.providers.standard.exceptions",
    "airflow.providers.standard.operators",
    "airflow.providers.standard.triggers.temporal",
    "airflow.sdk",
    "airflow.sdk.bases.notifier",
    "airflow.sdk.configuration",
    "airflow.sdk.exceptions",
    "airflow.sdk.io",
    "airflow.sdk.log",
    "airflow.timetables.trigger",
    "airflow.triggers.base",
}
"""What providers may use of Airflow, as far as we do."""

ALSO = {
    "airflow_bitrix/compat.py": {
        "airflow.configuration",  # public in 3.1, as is the next one
        "airflow.exceptions",
        "airflow.models.variable",  # of a command, which runs in no task
        "airflow.sdk._shared.secrets_masker",
    },
    "airflow_bitrix/plugins/airflow_internals.py": {
        "airflow.api_fastapi.auth.managers.models.resource_details",
        "airflow.api_fastapi.core_api.security",
        "airflow.models.dag",
        "airflow.models.dagrun",
        "airflow.models.taskinstance",
        "airflow.models.xcom",
        "airflow.utils.session",
        "airflow.utils.state",
    },
    # Beside pytest alone: what loads a DAG file as Airflow does, in 3.1 and later.
    "airflow_bitrix/testing/runs.py": {"airflow.dag_processing.dagbag", "airflow.models.dagbag"},
}
"""What one module alone may use beside that."""

INTERNALS = sorted(ALSO["airflow_bitrix/plugins/airflow_internals.py"])


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_internals_of_airflow_are_imported_in_one_place_only() -> None:
    found: dict[str, set[str]] = {}
    for folder in ("airflow_bitrix", "dags"):
        for file in (ROOT / folder).rglob("*.py"):
            asked = {name for name in imported(file) if name.split(".")[0] == "airflow"}
            if others := asked - PUBLIC:
                found[file.relative_to(ROOT).as_posix()] = others
    assert found == ALSO


def test_each_internal_has_its_reason() -> None:
    lines = (airflow_internals.__doc__ or "").splitlines()
    explained = {line.split("``")[1] for line in lines if line.startswith("``")}
    names = set(airflow_internals.__all__) - {"AirflowChangedError", "as_known"}
    assert explained == names


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the modules of the tab be imported anew, and those of this process be back afterwards."""
    for name in [name for name in sys.modules if name.startswith("airflow_bitrix.plugins.")]:
        monkeypatch.delitem(sys.modules, name)
    package = sys.modules["airflow_bitrix.plugins"]
    before = dict(vars(package))
    yield
    for name, module in before.items():
        setattr(package, name, module)


@pytest.mark.parametrize("gone", INTERNALS)
@pytest.mark.usefixtures("forgotten")
def test_where_an_internal_is_gone_the_tab_says_so(gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, gone, None)
    client = TestClient(_mounted(LazyReportApp()))
    for _ in range(2):
        answer = client.get(f"{PREFIX}/report/{MINE}/any/")
        assert answer.status_code == 501
        assert "The report cannot be shown here." in answer.text
        assert gone in answer.text
        assert "report.html" in answer.text
        assert ".py" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
    assert client.get("/other").json() == "as ever"


def _mounted(app: Any) -> FastAPI:
    """Mount the tab in an app that has a route of its own, as Airflow's has."""
    whole = FastAPI()
    whole.mount(PREFIX, app)
    whole.get("/other")(lambda: "as ever")
    return whole


def takes_nothing() -> None:
    """A function of other arguments than it was called with until now."""


async def yet_to_be_made() -> None:
    """A check that nobody has made until it is awaited."""


@pytest.mark.parametrize("where", ["access", "access, later", "run"])
def test_where_an_internal_has_changed_the_tab_says_so(
    clients: Callable[[str], TestClient],
    make_run: MakeRun,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    """And nothing of the report is shown to anybody."""
    make_run(MINE, "changed")
    cookies = clients("reader").cookies
    client = TestClient(_mounted(ReportApp()), cookies=cookies)
    assert client.get(f"{PREFIX}/report/{MINE}/changed/").status_code == 200
    if where == "access":
        monkeypatch.setattr(run_requests, "_may_read", takes_nothing)
    elif where == "access, later":
        monkeypatch.setattr(run_requests, "_may_read", lambda *_: yet_to_be_made())
    else:
        monkeypatch.setattr(run_states, "DagRun", object())
    for route in ("", "rows?task=plan", "outcomes.csv?task=plan"):
        answer = client.get(f"{PREFIX}/report/{MINE}/changed/{route}")
        assert answer.status_code == 501
        assert "The report cannot be shown here." in answer.text
        assert answer.headers["cache-control"] == "no-store"
