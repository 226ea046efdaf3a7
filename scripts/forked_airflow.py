"""A local Airflow that starts at a third of the cost: its components are forked from one process.

That process imports what they need, and makes the application that answers tasks, once for all of them. The
components are the same, and so is what they do; but whoever looks at the start itself takes `LocalAirflow`.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import secrets
import shutil
import signal
import sqlite3
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if __name__ == "__main__":  # run by its path, in another folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from scripts.airflow_api import AirflowError
from scripts.local_airflow import COMPONENTS, LocalAirflow

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from fastapi import FastAPI

    from scripts.processes import Processes

ALL, DATABASE, NUMBERS = "components", "airflow.db", "components.json"
PATIENCE = 60.0
"""Seconds in which the scheduler, which looks twice a second, has heard of the end of a process."""


class ForkedAirflow(LocalAirflow):
    """A local Airflow whose components are forked from one process; each still has a log of its own.

    :param database: An empty one of this Airflow, to begin with a copy of it.
    :param options: As ``LocalAirflow`` has them; ``home`` is new.
    """

    def __init__(self, processes: Processes, *, database: Path, **options: Any) -> None:
        super().__init__(processes, **options)
        self._empty = database
        self._token_key = secrets.token_hex(32)
        self._fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()

    def environment(self) -> dict[str, str]:
        """Tell the settings, with what Airflow makes up at its first start and reads at the next."""
        return {
            **super().environment(),
            "AIRFLOW__API_AUTH__JWT_SECRET": self._token_key,
            "AIRFLOW__CORE__FERNET_KEY": self._fernet_key,
            # What tests wait for; an Airflow that idles meanwhile costs as much as looking more often.
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.4",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        }

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Tell the state of a run, from the database: asking the API server costs it fifty times as much."""
        query = "SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?"
        with closing(sqlite3.connect(self.home / DATABASE)) as database:
            (state,) = database.execute(query, (dag_id, run_id)).fetchone()
        return str(state)

    def wait_for_run(self, dag_id: str, run_id: str, *, timeout: float = 120, pause: float = 0.1) -> str:
        """Wait until a run is over and return its state."""
        return super().wait_for_run(dag_id, run_id, timeout=timeout, pause=pause)

    @contextmanager
    def alone(self, component: str) -> Iterator[None]:
        """Let the other components rest meanwhile."""
        numbers = json.loads((self.home / NUMBERS).read_text())
        others = [number for name, number in numbers.items() if name != component]
        try:
            for number in others:
                os.kill(number, signal.SIGSTOP)
            yield
        finally:
            for number in others:
                os.kill(number, signal.SIGCONT)

    def _read(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Wait until the scheduler says that it has heard of the end of the process that asked."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        of_try = f"try_number={self.call('GET', path)['try_number']}, "
        key = f"TaskInstanceKey(dag_id='{dag_id}', task_id='{task_id}', run_id='{run_id}', {of_try}"
        heard = f"Received executor event with state success for task instance {key}"
        end = time.monotonic() + PATIENCE
        while heard not in (self.home / "scheduler.log").read_text(errors="replace"):
            if time.monotonic() > end:
                raise AirflowError(f"the scheduler has not heard that {key} has asked")
            time.sleep(0.1)

    def _begin(self, begun: float) -> dict[str, subprocess.Popen[bytes]]:  # noqa: ARG002 (as its base has it)
        shutil.copyfile(self._empty, self.home / DATABASE)
        with (self.home / f"{ALL}.log").open("wb") as output:
            command = [self._python, __file__]
            return {ALL: self._processes.start(command, output=output, cwd=self.home, **self.environment())}


def main() -> str:
    """Fork the components, and tell which was the first to end."""
    gc.disable()
    context = dict(os.environ)
    _make_ready()
    os.environ.clear()
    os.environ.update(context)
    gc.freeze()  # or each copy would write into all of this, and so have its own
    gc.set_threshold(20_000, 10, 100)
    running = {_fork(name, *options): name for name, options in COMPONENTS.items()}
    Path(NUMBERS).write_text(json.dumps({name: number for number, name in running.items()}))
    return f"`airflow {running[os.wait()[0]]}` ended; see its log"


def _make_ready() -> None:
    """Import what the components do, and make the applications as far as their first request does."""
    from airflow.api_fastapi.execution_api import app as for_tasks  # noqa: PLC0415
    from airflow.api_fastapi.main import app  # noqa: PLC0415
    from airflow.cli import cli_parser  # noqa: F401, PLC0415
    from airflow.dag_processing import manager, processor  # noqa: F401, PLC0415
    from airflow.executors import local_executor  # noqa: F401, PLC0415
    from airflow.jobs import scheduler_job_runner, triggerer_job_runner  # noqa: F401, PLC0415
    from airflow.sdk.execution_time import task_runner  # noqa: F401, PLC0415

    asyncio.run(_knock(app, "/execution/nothing"))
    # The triggerer and the DAG processor answer their children by themselves, each of them by one such.
    inside = for_tasks.InProcessExecutionAPI()
    asyncio.run(_knock(inside.app, "/nothing"))
    vars(for_tasks)["InProcessExecutionAPI"] = lambda: inside


async def _knock(app: FastAPI, path: str) -> None:
    from httpx import ASGITransport, AsyncClient  # noqa: PLC0415

    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://127.0.0.1") as client:
        await client.get(path)


def _fork(name: str, *options: str) -> int:
    """Start a command of Airflow in a copy of this process, and give its number."""
    sys.stdout.flush()
    sys.stderr.flush()
    number = os.fork()
    if not number:
        _be_component(name, *options)
    return number


def _be_component(name: str, *options: str) -> NoReturn:
    from airflow.__main__ import main as airflow  # noqa: PLC0415

    log = os.open(f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    gc.enable()
    sys.argv = ["airflow", name, *options]
    airflow()  # type: ignore[no-untyped-call]
    sys.exit()


if __name__ == "__main__":
    sys.exit(main())
