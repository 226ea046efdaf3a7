"""Who holds a lease: a task on some host, and whether it is gone where that can be seen."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.plain_files import read_plain

_LONGEST = 600
"""Signs of a task or a host that are shown; ids of DAG, run and task have 250 each at most."""
_HIDDEN = "hidden"
"""In place of when a process began that is there, where another user's cannot be seen."""
_PROC = Path("/proc")
_STARTED = 19
"""Place of a process's start among what stands behind its name in ``/proc/<pid>/stat``."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A task that holds something.

    :param who: The task, as people read it; empty for a process outside of Airflow.
    :param since: Since when, ISO 8601.
    :param host: Name of its host.
    :param pid: Its process.
    :param started: When that process began, as its kernel counts; empty where that is not told.
    :param kernel: Tells the kernel and the container in which the process has that number.
    :param key: Differs for each lease.
    """

    who: str
    since: str
    host: str
    pid: int
    started: str
    kernel: str
    key: str

    @property
    def name(self) -> str:
        """How people find it: task, host, process, and since when."""
        task = as_plain_text(self.who, _LONGEST) or gettext("a process outside of Airflow")
        host = as_plain_text(self.host, _LONGEST)
        return gettext(
            "{task}, on host {host}, process {pid}, since {since}",
            task=task,
            host=host,
            pid=str(self.pid),
            since=shown_timestamp(self.since),
        )

    @property
    def is_gone(self) -> bool:
        """Whether it is known to have ended, as far as that can be seen from here."""
        if not self.kernel or self.kernel != _kernel():
            return False
        return _started(self.pid) not in (self.started, _HIDDEN)


def this_holder(who: str = "") -> Holder:
    """Give this process.

    :param who: The task that it runs, as people read it.
    """
    pid, since = os.getpid(), datetime.now(UTC).isoformat(timespec="seconds")
    return Holder(who, since, socket.gethostname(), pid, _started(pid), _kernel(), uuid4().hex)


def _kernel() -> str:
    try:
        boot = read_plain(_PROC / "sys/kernel/random/boot_id").decode().strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:  # another system's, or not to be seen
        return ""


def _started(pid: int) -> str:
    """Say when a process began; nothing where there is none, or it has only to be waited for."""
    try:
        told = read_plain(_PROC / str(pid) / "stat").rpartition(b")")[2].decode().split()
    except OSError:
        return _HIDDEN if _is_there(pid) else ""
    return "" if told[0] in "ZX" else told[_STARTED]


def _is_there(pid: int) -> bool:
    """Whether there is a process, also one whose folder in ``/proc`` is hidden, as ``hidepid`` does."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True
