"""Workers that run tasks in processes of their own, and a portal that kills them after so many writes.

No clock decides when: whoever counts from outside is late where the machine is busy.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.compat import AirflowFailException
from airflow_bitrix.files import file_systems
from airflow_bitrix.files.file_systems import MOUNTS
from airflow_bitrix.operators import link_plans
from airflow_bitrix.sandbox.server import Sandbox

FOR_GOOD = 2
"""The exit status of a task that Airflow would not try again."""

LONGEST = 300.0
"""Seconds after which a task hangs."""

_SERVER = multiprocessing.get_context("forkserver")
"""Starts one process that imports this module, and lives as long as ours; it forks one for each task."""
_SERVER.set_forkserver_preload([__name__])


class Writes(deque[Any]):
    """What the portal was told to write; after so much of it somebody dies.

    The portal itself kills, in the middle of a request.

    :ivar after: Writes after which the victim dies.
    :ivar victim: Its process id; 0 for nobody.
    """

    after: float = math.inf
    victim: int = 0

    def append(self, write: Any) -> None:
        """Note a write."""
        super().append(write)
        if self.victim and len(self) > self.after:
            with suppress(ProcessLookupError):
                os.kill(self.victim, signal.SIGKILL)
            self.victim = 0


class HungError(Exception):
    """A task came to no end."""


class Worker:
    """Runs tasks, each forked from a process that has imported everything: so they start at once.

    :param folder: Where tasks leave what they returned, and their log.
    :param environment: That of the tasks.
    :ivar writes: What the tasks wrote.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self.writes = Writes()

    def run(
        self,
        task_id: str,
        operator: str,
        *,
        dies_after: float = math.inf,
        mounts: Path = MOUNTS,
        **arguments: Any,
    ) -> int:
        """Run a task once, and give the exit status of its process.

        :param dies_after: Writes, of all that were made, after which it is killed.
        :param mounts: Tells it what is mounted where.
        :raises HungError: It came to no end, and was killed.
        """
        task = _Task(task_id, operator, arguments, self._told(task_id), self._folder / "log.txt", mounts)
        process = _SERVER.Process(target=_work, args=(task, self._environment))
        process.start()
        self.writes.after, self.writes.victim = dies_after, process.pid or 0
        process.join(LONGEST)
        self.writes.victim = 0
        if process.exitcode is None:
            process.kill()
            process.join()
            raise HungError
        return process.exitcode

    def result(self, task_id: str) -> Any:
        """Give what a task returned."""
        return json.loads(self._told(task_id).read_text())

    def _told(self, task_id: str) -> Path:
        return self._folder / f"{task_id}.json"


@dataclass(frozen=True)
class _Task:
    task_id: str
    operator: str
    arguments: Mapping[str, Any]
    told: Path
    log: Path
    mounts: Path


def _work(task: _Task, environment: Mapping[str, str]) -> None:
    log = os.open(task.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(environment)
    file_systems.MOUNTS = task.mounts
    end = 1
    try:
        operator = getattr(link_plans, task.operator)(task_id=task.task_id, **task.arguments)
        operator.hook.retries = Retries(times=6, first=0.01, longest=0.05)
        task.told.write_text(json.dumps(operator.execute({})))
        end = 0
    except AirflowFailException:
        traceback.print_exc()
        end = FOR_GOOD
    except BaseException:  # noqa: BLE001 (whatever it was, the log tells)
        traceback.print_exc()
    finally:
        os._exit(end)


def worker_of(sandbox: Sandbox, folder: Path) -> Worker:
    """Give a worker whose default connection leads to a sandbox, and which that sandbox may kill.

    :param folder: Takes what the tasks return, and their log: ``log.txt``.
    """
    connection = {"conn_type": "bitrix24", "password": sandbox.webhook_url}
    extra = {"plan": "self_hosted", "timeout": 10}
    connected = {"AIRFLOW_CONN_BITRIX24_DEFAULT": json.dumps({**connection, "extra": extra})}
    worker = Worker(folder, {**os.environ, **connected})
    with sandbox.portal.lock:
        sandbox.portal.writes = worker.writes
    return worker
