"""Fixtures for tests that need Airflow."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from airflow import settings as airflow_settings
from airflow.sdk import DAG
from airflow.sdk.execution_time import supervisor
from jsonschema import Draft202012Validator
from packaging.version import Version

from tests.airflow.sample_dags import DAGS, ask_nobody
from tests.moved import AIRFLOW, DagBag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def _made_once() -> Iterator[None]:
    """Keep what Airflow makes anew for each task that `DAG.test` runs, most of the time of these tests.

    Whether the schema of a param is right, it asks for each param of each task; Airflow before 3.3 also makes
    the application that tasks speak to, which 3.3 keeps by itself. What is asked, and of what, stays.

    Since 3.3 each run also reads all DAG files of its folder and writes them into the database, where they
    stand since the run before; here only those that were never read as they are now.

    It also sleeps for a second in each round in which no task runs, as where one is skipped or was told that
    those before it failed.
    """
    check, known = Draft202012Validator.check_schema, set[str]()

    def once(schema: Any, **how: Any) -> None:
        about = repr((schema, how))
        if about not in known:
            check(schema, **how)
            known.add(about)

    sleep, of_dag_test = time.sleep, sys.modules[DAG.__module__].__dict__

    def hardly(seconds: float) -> None:
        sleep(0.01 if sys._getframe(1).f_globals is of_dag_test else seconds)

    with pytest.MonkeyPatch.context() as patch:
        if Version("3.3") <= AIRFLOW:
            from airflow.dag_processing import dagbag  # noqa: PLC0415 (it has these since 3.2)

            patch.setattr(dagbag, "BundleDagBag", _read_once(dagbag.BundleDagBag))
            patch.setattr(dagbag, "sync_bag_to_db", cache(dagbag.sync_bag_to_db))
        patch.setattr(time, "sleep", hardly)
        patch.setattr(Draft202012Validator, "check_schema", once)
        patch.setattr(supervisor, "in_process_api_server", cache(supervisor.in_process_api_server))
        yield


def _read_once(read: Callable[..., Any]) -> Callable[..., Any]:
    """Give the same bag for the same files, as long as none of them has changed."""
    known: dict[Any, Any] = {}

    def bag(*, dag_folder: Path, **bundle: Any) -> Any:
        found = sorted((str(file), file.stat().st_mtime_ns) for file in dag_folder.rglob("*.py"))
        about = (dag_folder, *bundle.items(), *found)
        if about not in known:
            known[about] = read(dag_folder=dag_folder, **bundle)
        return known[about]

    return bag


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
