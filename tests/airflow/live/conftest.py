"""A real Airflow with the sample DAGs, and a sandbox portal that its connection leads to."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.forked_airflow import ForkedAirflow
from scripts.local_sandbox import ROOT, LocalSandbox, Owners
from scripts.processes import Processes, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SAMPLES = ("deal_link_cleanup", "lead_link_cleanup", "link_snapshot", "links_changed_cleanup")
"""The sample DAGs that are run here; that Airflow reads all of them, tests/ui sees."""


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

    airflow: ForkedAirflow
    sandbox: LocalSandbox
    leads: Owners
    deals: Owners

    def from_now_on(self) -> Live:
        """Give the same, with the portal as other tests have left it."""
        return replace(self, leads=self.sandbox.owners("lead"), deals=self.sandbox.owners("deal"))

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

    def told(self, run_id: str, to: str, number: int) -> list[list[str]]:
        """Give the lines of what a run told somebody; its last task tells it when it has ended already."""

        def told() -> list[list[str]]:
            return [
                text.splitlines() for who, text in self.sandbox.messages() if who == to and run_id in text
            ]

        wait_for(lambda: len(told()) >= number)
        return told()


def wait_for(found: Callable[[], Any], seconds: float = 60) -> Any:
    """Give what is found as soon as there is something."""
    end = time.monotonic() + seconds
    while not (what := found()):
        assert time.monotonic() < end, f"nothing was found in {seconds:.0f} s"
        time.sleep(0.5)
    return what


def name_of(task: Mapping[str, Any]) -> str:
    """A task's id, with the number of the copy where there are several: ``apply``, ``apply[1]``."""
    return f"{task['task_id']}[{task['map_index']}]" if task["map_index"] > 0 else str(task["task_id"])


@pytest.fixture(scope="package")
def live(tmp_path_factory: pytest.TempPathFactory, _airflow_database: Path) -> Iterator[Live]:
    """Airflow and a sandbox portal for the tests of this folder."""
    once = {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600"}  # files that change are read at once
    with Processes(clean_environment() | once, grace=0) as processes:
        sandbox = LocalSandbox(processes, leads=600, deals=300, contacts=500).start()
        home = tmp_path_factory.mktemp("airflow") / "home"
        dags = shutil.copytree(Path(__file__).parent / "dags", home.parent / "dags")
        for name in SAMPLES:
            shutil.copy(ROOT / "dags" / f"bitrix24_{name}.py", dags)
        # Airflow's components find modules there; a trigger has to be in one.
        shutil.copytree(Path(__file__).parent / "plugins", home / "plugins")
        airflow = ForkedAirflow(processes, home=home, dags=dags, database=_airflow_database).start()
        airflow.create_connection("bitrix24_default", **sandbox.connection())
        yield Live(airflow, sandbox, sandbox.owners("lead"), sandbox.owners("deal"))
