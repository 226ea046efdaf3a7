"""One allowance of requests for all processes of a host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from airflow_bitrix.client.allowance import (
    Allowance,
    FileAllowance,
    HostAllowance,
    MemoryAllowance,
    Unlimited,
    shared_allowance,
)
from airflow_bitrix.client.pacing import Bucket
from tests.client.allowances import BUCKET, NOON, admitted

ASK = """
import sys
from pathlib import Path
from airflow_bitrix.client.allowance import FileAllowance
from airflow_bitrix.client.pacing import Bucket
allowance = FileAllowance(Bucket(rate=2, burst=int(sys.argv[2])), Path(sys.argv[1]), clock=lambda: 1000.0)
print("ready", flush=True)
sys.stdin.readline()
print(sum(allowance.ask() == 0 for _ in range(int(sys.argv[3]))))
"""

HOLD = """
import sys
from pathlib import Path
from airflow_bitrix.client.allowance import FileAllowance
from airflow_bitrix.client.pacing import Bucket
def clock():
    print("held", flush=True)  # the clock is read while the file is locked
    sys.stdin.readline()
FileAllowance(Bucket(rate=2, burst=5), Path(sys.argv[1]), clock=clock).ask()
"""


@contextmanager
def process(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        try:
            yield running
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)


def line_of(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def test_processes_that_ask_at_the_same_time_together_get_exactly_the_burst(path: Path) -> None:
    """Four processes ask 200 times each; the clock stands still, so nothing drains."""
    with (
        process(ASK, path, 300, 200) as one,
        process(ASK, path, 300, 200) as two,
        process(ASK, path, 300, 200) as three,
        process(ASK, path, 300, 200) as four,
    ):
        everybody = (one, two, three, four)
        assert [line_of(running) for running in everybody] == ["ready"] * 4
        for running in everybody:
            assert running.stdin is not None
            running.stdin.write("go\n")
            running.stdin.flush()
        assert sum(int(line_of(running)) for running in everybody) == 300


def test_a_process_that_is_killed_while_it_holds_the_lock_blocks_nobody(
    path: Path, allowance: FileAllowance
) -> None:
    assert allowance.ask() == 0
    with process(HOLD, path) as holder:
        assert line_of(holder) == "held"
        with process(ASK, path, 5, 20) as waiting:
            os.kill(holder.pid, signal.SIGKILL)
            assert holder.wait() == -signal.SIGKILL
            assert line_of(waiting) == "ready"
            assert waiting.stdin is not None
            waiting.stdin.write("go\n")
            waiting.stdin.flush()
            assert line_of(waiting) == "4"


def test_two_clients_of_one_file_share_one_allowance(path: Path, allowance: FileAllowance) -> None:
    other = FileAllowance(BUCKET, path, clock=lambda: NOON)
    assert [allowance.ask(), other.ask(), allowance.ask(), other.ask(), allowance.ask()] == [0] * 5
    assert other.ask() == allowance.ask() == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_an_allowance_refills_as_time_passes(kind: str, path: Path) -> None:
    now = [NOON]
    allowance: Allowance = (
        FileAllowance(BUCKET, path, clock=lambda: now[0])
        if kind == "file"
        else MemoryAllowance(BUCKET, clock=lambda: now[0])
    )
    assert admitted(allowance) == 5
    now[0] += 1.0
    assert admitted(allowance) == 2
    now[0] += 3600
    assert admitted(allowance) == 5


def test_what_one_client_is_told_makes_the_others_wait(path: Path, allowance: FileAllowance) -> None:
    other = FileAllowance(BUCKET, path, clock=lambda: NOON)
    allowance.tell_full()
    assert other.ask() == pytest.approx(1 / BUCKET.rate)


def test_a_full_bucket_in_memory_makes_its_process_wait() -> None:
    allowance = MemoryAllowance(BUCKET, clock=lambda: NOON)
    allowance.tell_full()
    assert allowance.ask() == pytest.approx(1 / BUCKET.rate)


def test_a_portal_without_a_bucket_admits_everything() -> None:
    allowance = shared_allowance(None, "https://portal.example", Path("/nowhere"))
    assert isinstance(allowance, Unlimited)
    allowance.tell_full()
    assert admitted(allowance, 100) == 100


def test_threads_that_ask_at_the_same_time_together_get_exactly_the_burst() -> None:
    allowance = MemoryAllowance(Bucket(rate=2, burst=30_000), clock=lambda: NOON)
    with ThreadPoolExecutor(8) as threads:
        found = [threads.submit(admitted, allowance, 5_000) for _ in range(8)]
        assert sum(one.result() for one in found) == 30_000


FORK = """
import os, sys, time
from pathlib import Path
from airflow_bitrix.client.allowance import FileAllowance
from airflow_bitrix.client.pacing import Bucket
def clock():
    if os.fork() == 0:  # while the file is locked, as another thread may do
        time.sleep(60)
        os._exit(0)
    return 1000.0
FileAllowance(Bucket(rate=2, burst=5), Path(sys.argv[1]), clock=clock).ask()
print("asked", flush=True)
sys.stdin.readline()
"""


def test_a_child_that_was_forked_while_the_file_was_locked_blocks_nobody(
    path: Path, allowance: FileAllowance
) -> None:
    """A child shares its parent's lock, and with a worker of Airflow it lives for hours."""
    with process(FORK, path) as parent:
        assert line_of(parent) == "asked"
        assert allowance.ask() == 0
        os.killpg(parent.pid, signal.SIGKILL)


def test_a_process_that_holds_the_lock_makes_others_wait_without_blocking_them(
    path: Path, allowance: FileAllowance
) -> None:
    """A task on an event loop has other work to do, and a stopped process never lets go."""
    with process(HOLD, path) as holder:
        assert line_of(holder) == "held"
        began = time.monotonic()
        assert 0 < allowance.ask() < 1
        allowance.tell_full()
        assert time.monotonic() - began < 2
    assert allowance.ask() == 0


def test_a_lock_that_is_never_let_go_is_given_up_for_memory(path: Path) -> None:
    reasons: list[str] = []

    def instead(error: OSError) -> Allowance:
        reasons.append(str(error))
        return MemoryAllowance(BUCKET)

    allowance = HostAllowance(FileAllowance(BUCKET, path, longest_lock=0.05), instead)
    with process(HOLD, path) as holder:
        assert line_of(holder) == "held"
        ends = time.monotonic() + 10
        while allowance.ask() and time.monotonic() < ends:
            time.sleep(0.01)
        assert admitted(allowance) == 4
    assert len(reasons) == 1
    assert "another process keeps it locked" in reasons[0]
