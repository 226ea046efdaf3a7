"""Who writes on a portal: one run at a time, all tasks of it, and nobody for whom a process was killed."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.files.writers import (
    Occupied,
    Wait,
    Writer,
    only_writer,
    read_wait,
    write_wait,
    writer_file,
)

ACME = "https://acme.bitrix24.com"
FIRST = Writer("clean_up", "manual__1", "2026-11-21T10:00:00+00:00")
LATER = Writer("clean_up", "manual__1", "2026-11-21T10:05:00+00:00")
OTHER = Writer("my_own", "manual__1", "2026-11-21T10:10:00+00:00")


def write(folder: Path, who: Writer, portal: str = ACME) -> None:
    """Be let write leads, and end."""
    with only_writer(folder, portal, "lead", who):
        pass


def test_another_run_is_told_who_writes_and_since_when(tmp_path: Path) -> None:
    with only_writer(tmp_path, ACME, "lead", FIRST), pytest.raises(Occupied) as refused:
        write(tmp_path, OTHER, ACME.upper())
    assert str(refused.value) == (
        "run manual__1 of the DAG clean_up has been writing leads on HTTPS://ACME.BITRIX24.COM since "
        "2026-11-21 10:00 UTC, and one run at a time does"
    )
    assert refused.value.writer == FIRST
    write(tmp_path, OTHER)


@pytest.mark.parametrize(("portal", "kind"), [(ACME, "deal"), ("https://other.bitrix24.com", "lead")])
def test_other_owners_are_no_matter_of_it(portal: str, kind: OwnerKind, tmp_path: Path) -> None:
    with only_writer(tmp_path, ACME, "lead", FIRST), only_writer(tmp_path, portal, kind, OTHER):
        pass


def test_tasks_of_a_run_write_together_and_the_last_of_them_lets_others_in(tmp_path: Path) -> None:
    with ExitStack() as second:
        with only_writer(tmp_path, ACME, "lead", FIRST):
            second.enter_context(only_writer(tmp_path, ACME, "lead", LATER))
        with (
            pytest.raises(Occupied, match="since 2026-11-21 10:00 UTC"),
            only_writer(tmp_path, ACME, "lead", OTHER),
        ):
            pass
    write(tmp_path, OTHER)


KILLED = """
import os, signal, sys
from pathlib import Path
from airflow_bitrix.files.writers import Writer, only_writer

with only_writer(Path(sys.argv[1]), "https://acme.bitrix24.com", "lead", Writer("killed", "one", "now")):
    print("writes", flush=True)
    sys.stdin.read()
"""


def test_a_run_whose_process_was_killed_writes_no_more(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"writes\n"
        with pytest.raises(Occupied, match="run one of the DAG killed"):
            write(tmp_path, OTHER)
        os.kill(process.pid, signal.SIGKILL)
    write(tmp_path, OTHER)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"dag_id": 1}', b"\xff"])
def test_a_damaged_file_keeps_nobody_from_writing(damage: bytes, tmp_path: Path) -> None:
    path = writer_file(tmp_path, ACME, "lead")
    path.write_bytes(damage)
    with only_writer(tmp_path, ACME, "lead", FIRST):
        path.write_bytes(damage)
        with pytest.raises(Occupied, match=r"^another run has been writing leads"):
            write(tmp_path, OTHER)


def test_the_report_is_told_of_a_wait_for_the_very_plan(tmp_path: Path) -> None:
    wait = Wait("a" * 64, OTHER.name, OTHER.since, FIRST.since, LATER.since)
    write_wait(tmp_path, wait)
    assert read_wait(tmp_path, "a" * 64) == wait
    assert read_wait(tmp_path, "b" * 64) is None


def test_a_lock_that_cannot_be_had_is_nobody_else_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock = fcntl.flock

    def without_locks(file: Any, how: int) -> None:
        if not stat.S_ISDIR(os.fstat(file if isinstance(file, int) else file.fileno()).st_mode):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", without_locks)
    with pytest.raises(RetryLater, match=r"/writing-lead\.acme\S+ cannot be locked: No locks available$"):
        write(tmp_path, OTHER)
