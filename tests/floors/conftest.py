"""A real Airflow of another version, with the package from its wheel and nothing else of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from scripts.environments import KEPT, MADE, STORED, build_wheel, make, pins, read_pins
from scripts.local_airflow import LocalAirflow
from scripts.local_sandbox import LocalSandbox, Owners
from scripts.object_storage import object_storage
from scripts.processes import Processes, clean_environment
from tests.ui.conftest import log_in, open_chromium

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser, Page

FLOORS = tuple(os.environ.get("FLOORS", "").split()) or KEPT
"""The sets to test: those that are kept, unless the environment names others."""


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel, and the versions that should lie beside it."""

    name: str
    python: Path
    pins: dict[str, str]

    @property
    def airflow(self) -> Version:
        """The version of Airflow."""
        return Version(self.pins["apache-airflow"])

    def says(self, *command: str, **environment: str) -> str:
        """Run its Python, away from the clone, and give what it prints."""
        done = subprocess.run(
            [self.python, *command],
            cwd=self.python.parent,
            env={**clean_environment(), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@dataclass(frozen=True)
class Place:
    """That Airflow at work, and a portal before anything was changed.

    :ivar asked: What an object storage was asked that its runs lie on; ``None`` where they lie in a folder.
    """

    installed: Installed
    airflow: LocalAirflow
    sandbox: LocalSandbox
    leads: Owners
    samples: frozenset[str]
    asked: Sequence[str] | None

    def run(self, dag_id: str, **conf: object) -> tuple[str, str]:
        """Run a DAG to its end; give the id of the run, and how it ended."""
        self.airflow.wait_for_dag(dag_id)
        self.airflow.unpause(dag_id)
        run_id = self.airflow.trigger(dag_id, conf)
        return run_id, self.airflow.wait_for_run(dag_id, run_id)

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Tell the state of each task of a run."""
        return {task["task_id"]: task["state"] for task in self.airflow.task_instances(dag_id, run_id)}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module", params=FLOORS)
def installed(request: pytest.FixtureRequest, wheel: Path) -> Installed:
    """The wheel, installed as Airflow's documentation has it: with a release's versions as constraints."""
    name: str = request.param
    file = pins(name)
    versions = read_pins(file)
    folder = MADE / name
    extra = "[s3]" if name in STORED else ""
    wanted = [f"apache-airflow=={versions['apache-airflow']}", f"airflow-bitrix{extra} @ {wheel.as_uri()}"]
    python = make(folder, python=sys.executable, install=wanted, constraints=[file])
    return Installed(name, python, versions)


@pytest.fixture(scope="module")
def place(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    dags = tmp_path_factory.mktemp(f"dags-{installed.name}")
    found = installed.says("-c", "import airflow_bitrix; print(airflow_bitrix.__file__)").strip()
    samples = sorted((Path(found).parent / "example_dags").glob("*.py"))
    for file in (*samples, Path(__file__).parent / "dags" / "what_works.py"):
        shutil.copy(file, dags)
    with Processes(clean_environment()) as processes, ExitStack() as opened:
        storage = opened.enter_context(object_storage()) if installed.name in STORED else None
        python = str(installed.python)
        sandbox = LocalSandbox(processes, leads=300, deals=200, contacts=250, python=python).start()
        home = tmp_path_factory.mktemp(f"airflow-{installed.name}") / "home"
        shutil.copytree(Path(__file__).parent / "plugins", home / "plugins")
        artifacts = "s3://floor_store@artifacts/runs" if storage else ""
        airflow = LocalAirflow(
            processes, home=home, dags=dags, python=python, artifacts=artifacts, schedules=False
        ).start()
        if storage:
            airflow.create_connection("floor_store", **storage.connection)
        airflow.create_connection("bitrix24_default", **sandbox.connection())
        names = frozenset(file.stem for file in samples)
        asked = storage.requests.seen if storage else None
        yield Place(installed, airflow, sandbox, sandbox.owners("lead"), names, asked)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as opened:
        yield opened


@pytest.fixture
def page(chromium: Browser, place: Place) -> Iterator[Page]:
    """A page in which a person is logged in."""
    with closing(chromium.new_context(viewport={"width": 1200, "height": 1000})) as context:
        opened = context.new_page()
        log_in(opened, place.airflow.url, place.airflow.password)
        yield opened
