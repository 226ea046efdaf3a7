"""Workers that run tasks in processes of their own, and a portal that kills them after so many writes.

No clock decides when: whoever counts from outside is late where the machine is busy.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from airflow_bitrix.files.file_systems import MOUNTS
from airflow_bitrix.sandbox.server import Sandbox

FOR_GOOD = 2
"""The exit status of a task that Airflow would not try again."""

LONGEST = 300.0
"""Seconds after which a task hangs."""

_WORK = f"""
import json, os, sys, traceback
from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.compat import AirflowFailException
from airflow_bitrix.files import file_systems
from airflow_bitrix.operators import link_plans
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        log = os.open(os.environ["WORKER_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(log, 1), os.dup2(log, 2)
        end = 1
        try:
            task = json.loads(line)
            file_systems.MOUNTS = file_systems.Path(task["mounts"])
            operator = getattr(link_plans, task["operator"])(task_id=task["task_id"], **task["arguments"])
            operator.hook.retries = Retries(times=6, first=0.01, longest=0.05)
            told = operator.execute({{}})
            with open(task["told"], "w") as file:
                json.dump(told, file)
            end = 0
        except AirflowFailException:
            traceback.print_exc()
            end = {FOR_GOOD}
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(end)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


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

    :param process: That process.
    :param folder: Where tasks leave what they returned.
    :ivar writes: What the tasks wrote.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
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
        told = str(self._told(task_id))
        task = {"task_id": task_id, "operator": operator, "told": told, "arguments": arguments}
        task["mounts"] = str(mounts)
        given = _open(self._process.stdin)
        given.write(json.dumps(task) + "\n")
        given.flush()
        child = int(self.said())
        self.writes.after, self.writes.victim = dies_after, child
        try:
            return int(self.said())
        except HungError:
            os.kill(child, signal.SIGKILL)
            raise
        finally:
            self.writes.victim = 0

    def result(self, task_id: str) -> Any:
        """Give what a task returned."""
        return json.loads(self._told(task_id).read_text())

    def said(self) -> str:
        """Read what the process says next."""
        output = _open(self._process.stdout)
        if not select.select([output], [], [], LONGEST)[0]:
            raise HungError
        return output.readline().strip()

    def _told(self, task_id: str) -> Path:
        return self._folder / f"{task_id}.json"


@contextmanager
def working(sandbox: Sandbox, folder: Path) -> Iterator[Worker]:
    """Start a worker whose default connection leads to a sandbox, and which that sandbox may kill.

    :param folder: Takes what the tasks return, and their log: ``log.txt``.
    """
    connection = {"conn_type": "bitrix24", "password": sandbox.webhook_url}
    extra = {"plan": "self_hosted", "timeout": 10}
    environment = {
        **os.environ,
        "AIRFLOW_CONN_BITRIX24_DEFAULT": json.dumps({**connection, "extra": extra}),
        "WORKER_LOG": str(folder / "log.txt"),
    }
    with subprocess.Popen(
        [sys.executable, "-c", _WORK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        worker = Worker(process, folder)
        try:
            if worker.said() != "ready":
                raise HungError
            with sandbox.portal.lock:
                sandbox.portal.writes = worker.writes
            yield worker
        finally:
            _open(process.stdin).close()


def _open(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise HungError
    return pipe
