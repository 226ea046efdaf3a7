"""Fixtures for tests that need Airflow."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.execution_time import supervisor
from jsonschema import Draft202012Validator

from scripts.local_airflow import LocalAirflow
from scripts.local_sandbox import ROOT, LocalSandbox, Owners
from scripts.processes import Processes, clean_environment
from tests.airflow.sample_dags import DAGS
from tests.moved import DagBag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow.sdk import DAG

# A real Airflow with the sample DAGs, and a sandbox portal that its connection leads to.


@dataclass(frozen=True)
class Run:
    """A DAG run that is over, and what it did to the portal."""

    run_id: str
    state: str
    tasks: Mapping[str, Mapping[str, Any]]
    writes: int
    leads: Owners
    deals: Owners
    question: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Live:
    """Airflow, and the portal as it was at first."""

    airflow: LocalAirflow
    sandbox: LocalSandbox
    leads: Owners
    deals: Owners

    def run(self, dag_id: str, answer: tuple[str, str] | None = None, **conf: Any) -> Run:
        """Trigger a DAG as the UI does, and wait until the run is over.

        ``answer`` is the task that asks a person, and the option that this person chooses.
        """
        written = self.sandbox.stats()["writes"]
        run_id = self.airflow.trigger(dag_id, conf)
        question = None
        if answer:
            question = self.airflow.wait_for_question(dag_id, run_id)
            assert self.sandbox.stats()["writes"] == written
            self.airflow.answer(dag_id, run_id, *answer)
        state = self.airflow.wait_for_run(dag_id, run_id)
        return Run(
            run_id=run_id,
            state=state,
            tasks={name_of(task): task for task in self.airflow.task_instances(dag_id, run_id)},
            writes=self.sandbox.stats()["writes"] - written,
            leads=self.sandbox.owners("lead"),
            deals=self.sandbox.owners("deal"),
            question=question,
        )


def name_of(task: Mapping[str, Any]) -> str:
    """A task's id, with the number of the copy where there are several: ``apply``, ``apply[1]``."""
    return f"{task['task_id']}[{task['map_index']}]" if task["map_index"] > 0 else str(task["task_id"])


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Airflow and a sandbox portal for the whole test session."""
    with Processes(clean_environment()) as processes:
        sandbox = LocalSandbox(processes, leads=600, deals=300, contacts=500).start()
        home = tmp_path_factory.mktemp("airflow") / "home"
        for folder in (ROOT / "dags", Path(__file__).parent / "dags"):
            shutil.copytree(folder, home.parent / "dags", dirs_exist_ok=True)
        airflow = LocalAirflow(processes, home=home, dags=home.parent / "dags", schedules=False).start()
        airflow.create_connection("bitrix24_default", **sandbox.connection())
        yield Live(airflow, sandbox, sandbox.owners("lead"), sandbox.owners("deal"))


@pytest.fixture(scope="session", autouse=True)
def _made_once() -> Iterator[None]:
    """Keep what Airflow makes anew for each task that `DAG.test` runs, most of the time of these tests.

    Whether the schema of a param is right, it asks for each param of each task; Airflow before 3.3 also makes
    the application that tasks speak to, which 3.3 keeps by itself. What is asked, and of what, stays.
    """
    check, known = Draft202012Validator.check_schema, set[str]()

    def once(schema: Any, **how: Any) -> None:
        about = repr((schema, how))
        if about not in known:
            check(schema, **how)
            known.add(about)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft202012Validator, "check_schema", once)
        patch.setattr(supervisor, "in_process_api_server", cache(supervisor.in_process_api_server))
        yield


@pytest.fixture(scope="session")
def _database() -> None:
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def dags(_database: None) -> dict[str, DAG]:
    """The sample DAGs, with a database behind them, read anew for each file: runs leave answers in them."""
    bag = DagBag(dag_folder=str(DAGS))
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture(scope="module")
def defaults(dags: dict[str, DAG]) -> dict[str, dict[str, Any]]:
    """What each trigger form says at first: `DAG.test` keeps the answers of one run for the next."""
    return {dag_id: dag.params.dump() for dag_id, dag in dags.items()}


@pytest.fixture
def run(
    dags: dict[str, DAG], defaults: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Run a DAG on a sandbox, as a trigger with parameters does; tasks are not retried."""

    def go(dag_id: str, sandbox: Any, extra: dict[str, Any] | None = None, **conf: Any) -> Any:
        found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": extra or {}}
        monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
        dag = dags[dag_id]
        for task in dag.tasks:
            task.retries = 0
        done = dag.test(run_conf={**defaults[dag_id], **conf})
        instances = sorted(done.get_task_instances(), key=lambda ti: (ti.task_id, ti.map_index))
        states: dict[str, Any] = {}
        for ti in instances:
            name = ti.task_id if ti.map_index < 1 else f"{ti.task_id}[{ti.map_index}]"
            states[name] = ti.state
        return done, states

    return go
