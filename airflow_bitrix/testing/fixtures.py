"""The fixtures, and a home of its own for the Airflow that they run."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.sandbox.server import Sandbox
from airflow_bitrix.testing.runs import DagRuns, made_database

_HOME = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Give Airflow an empty home, before anybody imports it: no test is to reach a real database."""
    if "airflow" in sys.modules:
        return
    home = config.stash[_HOME] = tempfile.mkdtemp(prefix="airflow-bitrix-testing-")
    os.environ |= {
        "AIRFLOW_HOME": home,
        "AIRFLOW_CONFIG": f"{home}/airflow.cfg",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": f"{home}/dags",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__BITRIX24__PACING_PATH": f"{home}/pacing",
        "AIRFLOW__BITRIX24__ARTIFACTS_PATH": f"{home}/artifacts",
    }


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it."""
    if home := config.stash.get(_HOME, ""):
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def bitrix24_sandbox_options() -> dict[str, Any]:
    """Give what the sandbox is made of, see :class:`airflow_bitrix.sandbox.server.Sandbox`."""
    return {"leads": 200, "deals": 200, "contacts": 300, "plan": "self_hosted"}


@pytest.fixture
def bitrix24_sandbox(bitrix24_sandbox_options: dict[str, Any]) -> Iterator[Sandbox]:
    """Run a sandbox portal for as long as the test lasts."""
    with Sandbox(**bitrix24_sandbox_options) as sandbox:
        yield sandbox


@pytest.fixture
def bitrix24_conn_id(bitrix24_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make an Airflow connection to the sandbox, and give its id."""
    found = {
        "conn_type": "bitrix24",
        "password": bitrix24_sandbox.webhook_url,
        "extra": {"plan": bitrix24_sandbox.portal.plan},
    }
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return "bitrix24_default"


@pytest.fixture(scope="session")
def bitrix24_airflow(request: pytest.FixtureRequest) -> Path:
    """Make the database of the Airflow that runs DAGs, once."""
    home = request.config.stash.get(_HOME, "")
    if not home:
        pytest.fail(
            "Airflow was imported before pytest came to the plugin airflow_bitrix.testing, and may have a "
            "real database: import nothing of it in conftest.py, or run pytest -p airflow_bitrix.testing"
        )
    made_database()
    return Path(home)


@pytest.fixture
def run_dag(
    bitrix24_airflow: Path, bitrix24_conn_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> DagRuns:
    """Give what runs DAG files in a real Airflow, on the sandbox."""
    del bitrix24_airflow, bitrix24_conn_id
    return DagRuns(tmp_path / "artifacts", monkeypatch)
