"""Fixtures for tests that need Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow import settings as airflow_settings
from airflow.sdk import DAG

from tests.airflow import loaded_dags
from tests.airflow.made_once import made_once
from tests.airflow.sample_dags import DAGS, ask_nobody
from tests.moved import DagBag

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _made_once() -> Iterator[None]:
    with made_once():
        yield


@pytest.fixture(scope="session")
def dags(_airflow_database: None) -> dict[str, DAG]:
    """The sample DAGs, with a database behind them; none of these is run."""
    return _read(DAGS)


@pytest.fixture(scope="session")
def loaded_in_russian(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Load the sample DAGs in a process that speaks Russian and may connect to nothing."""
    about = os.environ | {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("home")),
        "AIRFLOW__BITRIX24__LANGUAGE": "ru",
    }
    command = [sys.executable, loaded_dags.__file__, str(DAGS)]
    return subprocess.run(command, env=about, capture_output=True, text=True, check=False)


Run = Callable[..., tuple[Any, dict[str, Any]]]
"""Runs a DAG, by its id, on a sandbox, and gives the run and the state of each task."""


@pytest.fixture
def run(dags: dict[str, DAG], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a sample DAG on a sandbox, as a trigger with parameters does; tasks are not retried."""
    return _runner(dags, monkeypatch)


@pytest.fixture
def run_file(
    _airflow_database: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Run]:
    """Run the DAG of a file, in a folder that Airflow takes for that of its DAGs."""

    def read(text: str) -> Run:
        folder = tmp_path / "dags"
        folder.mkdir()
        (folder / "it.py").write_text(text)
        monkeypatch.setattr(airflow_settings, "DAGS_FOLDER", str(folder))
        return _runner(_read(folder), monkeypatch)

    return read


def _read(folder: Path) -> dict[str, DAG]:
    bag = DagBag(dag_folder=str(folder))
    assert bag.import_errors == {}
    return dict(bag.dags)


def run_anew(dag: DAG, conf: dict[str, Any]) -> Any:
    """Run a DAG as its file has it: one that was run here keeps the answers, which no trigger does.

    Its tasks are not retried, and ask nobody.
    """
    dag = _read(Path(dag.fileloc))[dag.dag_id]
    for task in dag.tasks:
        task.retries = 0
    ask_nobody(dag)
    return dag.test(run_conf=conf)


def _runner(dags: dict[str, DAG], monkeypatch: pytest.MonkeyPatch) -> Run:
    def go(dag_id: str, sandbox: Any, extra: dict[str, Any] | None = None, **conf: Any) -> Any:
        where = (
            {"host": sandbox.base_url} if "client_id" in (extra or {}) else {"password": sandbox.webhook_url}
        )
        found = {"conn_type": "bitrix24", **where, "extra": extra or {}}
        monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
        done = run_anew(dags[dag_id], conf)
        instances = sorted(done.get_task_instances(), key=lambda ti: (ti.task_id, ti.map_index))
        states: dict[str, Any] = {}
        for ti in instances:
            name = ti.task_id if ti.map_index < 1 else f"{ti.task_id}[{ti.map_index}]"
            states[name] = ti.state
        return done, states

    return go
