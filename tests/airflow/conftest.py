"""Fixtures for tests that need Airflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from airflow import settings as airflow_settings
from airflow.sdk import DAG

from tests.airflow.made_once import made_once
from tests.airflow.sample_dags import DAGS, ask_nobody
from tests.moved import DagBag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def _made_once() -> Iterator[None]:
    with made_once():
        yield


@pytest.fixture(scope="module")
def dags(_airflow_database: None) -> dict[str, DAG]:
    """The sample DAGs, with a database behind them, read anew for each file: runs leave answers in them."""
    return _read(DAGS)


@pytest.fixture(scope="module")
def defaults(dags: dict[str, DAG]) -> dict[str, dict[str, Any]]:
    """What each trigger form says at first: `DAG.test` keeps the answers of one run for the next."""
    return {dag_id: dag.params.dump() for dag_id, dag in dags.items()}


Run = Callable[..., tuple[Any, dict[str, Any]]]
"""Runs a DAG, by its id, on a sandbox, and gives the run and the state of each task."""


@pytest.fixture
def run(dags: dict[str, DAG], defaults: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a sample DAG on a sandbox, as a trigger with parameters does; tasks are not retried."""
    return _runner(dags, defaults, monkeypatch)


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
        dags = _read(folder)
        return _runner(dags, {dag_id: dag.params.dump() for dag_id, dag in dags.items()}, monkeypatch)

    return read


def _read(folder: Path) -> dict[str, DAG]:
    bag = DagBag(dag_folder=str(folder))
    assert bag.import_errors == {}
    return dict(bag.dags)


def _runner(
    dags: dict[str, DAG], defaults: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Run:
    def go(dag_id: str, sandbox: Any, extra: dict[str, Any] | None = None, **conf: Any) -> Any:
        where = (
            {"host": sandbox.base_url} if "client_id" in (extra or {}) else {"password": sandbox.webhook_url}
        )
        found = {"conn_type": "bitrix24", **where, "extra": extra or {}}
        monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
        dag = dags[dag_id]
        for task in dag.tasks:
            task.retries = 0
        ask_nobody(dag)
        done = dag.test(run_conf={**defaults[dag_id], **conf})
        instances = sorted(done.get_task_instances(), key=lambda ti: (ti.task_id, ti.map_index))
        states: dict[str, Any] = {}
        for ti in instances:
            name = ti.task_id if ti.map_index < 1 else f"{ti.task_id}[{ti.map_index}]"
            states[name] = ti.state
        return done, states

    return go
