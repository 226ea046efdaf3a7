"""One allowance of requests for all processes of a host."""

from __future__ import annotations

import logging
import math
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
from airflow_bitrix.client.pacing import SPARE, Bucket

BUCKET = Bucket(rate=2, burst=5)
NOON = 1000.0

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


def admitted(allowance: Allowance, asks: int = 20) -> int:
    return sum(allowance.ask() == 0 for _ in range(asks))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "acme.bucket"


@pytest.fixture
def allowance(path: Path) -> FileAllowance:
    return FileAllowance(BUCKET, path, clock=lambda: NOON)


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
    assert other.ask() == pytest.approx((1 + SPARE) / BUCKET.rate)


def test_a_full_bucket_in_memory_makes_its_process_wait() -> None:
    allowance = MemoryAllowance(BUCKET, clock=lambda: NOON)
    allowance.tell_full()
    assert allowance.ask() == pytest.approx((1 + SPARE) / BUCKET.rate)


def test_a_portal_without_a_bucket_admits_everything() -> None:
    allowance = shared_allowance(None, "https://portal.example", Path("/nowhere"))
    assert isinstance(allowance, Unlimited)
    allowance.tell_full()
    assert admitted(allowance, 100) == 100


NUMBERS: list[tuple[str, bytes, int]] = [
    ("empty", b"", 5),
    ("cut", b"\0\0\0", 5),
    ("not a number", struct.pack("<d", math.nan), 5),
    ("long past", struct.pack("<d", -1e300), 5),
    ("minus infinity", struct.pack("<d", -math.inf), 5),
    ("now", struct.pack("<d", NOON), 5),
    ("too long", struct.pack("<d", NOON) + b"more", 5),
    ("full", struct.pack("<d", NOON + 2.5), 0),
    ("far future", struct.pack("<d", 1e300), 0),
    ("infinity", struct.pack("<d", math.inf), 0),
]


@pytest.mark.parametrize(("content", "free"), [row[1:] for row in NUMBERS], ids=[row[0] for row in NUMBERS])
def test_whatever_the_file_holds_the_allowance_is_between_none_and_the_burst(
    content: bytes, free: int, path: Path, allowance: FileAllowance
) -> None:
    path.write_bytes(content)
    assert admitted(allowance) == free


@pytest.mark.parametrize("content", [row[1] for row in NUMBERS], ids=[row[0] for row in NUMBERS])
def test_whatever_the_file_holds_nobody_waits_longer_than_after_a_refusal(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    now = [NOON]
    allowance = FileAllowance(BUCKET, path, clock=lambda: now[0])
    allowance.tell_full()
    wait = allowance.ask()
    assert 0 < wait <= (1 + SPARE) / BUCKET.rate + 1e-9
    now[0] += wait
    assert allowance.ask() < 1e-6


def test_the_file_holds_eight_bytes_that_only_its_user_may_read(path: Path) -> None:
    before = os.umask(0)
    try:
        allowance = FileAllowance(BUCKET, path, clock=lambda: NOON)
    finally:
        os.umask(before)
    allowance.ask()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size == 8


def symlink(path: Path) -> None:
    path.with_name("target").write_bytes(b"somebody's data")
    path.symlink_to(path.with_name("target"))


def folder(path: Path) -> None:
    path.mkdir()


def foreign(path: Path) -> None:
    """A file of another user; without the right to make one, one that is nobody's to make."""
    if os.geteuid() == 0:
        path.touch()
        os.chown(path, 12345, 12345)
    else:
        path.touch(mode=0o000)


def pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize("obstacle", [symlink, folder, foreign, pipe], ids=lambda make: make.__name__)
def test_a_file_that_is_not_ours_to_write_is_not_used(obstacle: Callable[[Path], None], path: Path) -> None:
    obstacle(path)
    with pytest.raises(OSError, match=r"."):
        FileAllowance(BUCKET, path, clock=lambda: NOON)


def test_a_symlink_in_the_files_place_leaves_its_target_as_it_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In a folder that others may write, a link must not lead us to somebody's data."""
    shared_allowance(BUCKET, "https://link.bitrix24.com", tmp_path)
    (place,) = tmp_path.glob("*.bucket")
    place.unlink()
    symlink(place)
    with caplog.at_level(logging.WARNING):
        allowance = shared_allowance(BUCKET, "https://link.bitrix24.com", tmp_path)
    assert admitted(allowance) == 5
    assert place.with_name("target").read_bytes() == b"somebody's data"
    assert "Cannot share the request allowance" in caplog.text


def test_where_no_file_can_be_made_all_clients_of_a_process_share_one_allowance_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        several = [
            shared_allowance(BUCKET, f"https://{name}.bitrix24.com", tmp_path / "file" / "folder")
            for name in ("memory", "MEMORY", "memory", "other")
        ]
    assert all(isinstance(allowance, MemoryAllowance) for allowance in several)
    assert [admitted(allowance, 2) for allowance in several] == [2, 2, 1, 2]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "other processes" in caplog.text


def test_threads_that_ask_at_the_same_time_together_get_exactly_the_burst() -> None:
    allowance = MemoryAllowance(Bucket(rate=2, burst=30_000), clock=lambda: NOON)
    with ThreadPoolExecutor(8) as threads:
        found = [threads.submit(admitted, allowance, 5_000) for _ in range(8)]
        assert sum(one.result() for one in found) == 30_000


def as_folder(place: Path) -> None:
    place.unlink()
    place.mkdir()


def as_pipe(place: Path) -> None:
    place.unlink()
    os.mkfifo(place)


def as_link(place: Path) -> None:
    place.unlink()
    place.symlink_to("/dev/full")


def behind_a_file(place: Path) -> None:
    place.unlink()
    place.parent.rmdir()
    place.parent.touch()


@pytest.mark.parametrize(
    "become", [as_folder, as_pipe, as_link, behind_a_file], ids=lambda become: become.__name__
)
@pytest.mark.parametrize("first", ["ask", "tell_full"])
def test_a_file_that_goes_bad_while_it_is_in_use_does_not_stop_the_work(
    first: str, become: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shared = tmp_path / "pacing"
    portal = f"https://{first}.{become.__name__}.example"
    allowance = shared_allowance(BUCKET, portal, shared)
    assert allowance.ask() == 0
    become(next(shared.iterdir()))
    with caplog.at_level(logging.WARNING):
        getattr(allowance, first)()
        allowance.ask()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(shared) in caplog.text
    assert admitted(shared_allowance(BUCKET, portal, shared)) == (3 if first == "ask" else 0)


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


def test_a_folder_that_vanishes_while_it_is_in_use_does_not_stop_the_work(tmp_path: Path) -> None:
    """Cleaners of temporary folders do not ask whether a DAG is running."""
    shared = tmp_path / "pacing"
    allowance = shared_allowance(BUCKET, "https://acme.bitrix24.com", shared)
    assert allowance.ask() == 0
    for file in shared.iterdir():
        file.unlink()
    shared.rmdir()
    allowance.tell_full()
    assert allowance.ask() >= 0


def test_the_folder_is_made_for_this_user_only(tmp_path: Path) -> None:
    shared_allowance(BUCKET, "https://acme.bitrix24.com", tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://acme.bitrix24.com", "https://ACME.bitrix24.com", True),
        ("https://acme.bitrix24.com", "https://acne.bitrix24.com", False),
        ("https://a_b.example", "https://a:b.example", False),
        ("https://acme.example:8443", "https://acme.example", False),
    ],
)
def test_each_portal_has_a_file_of_its_own(one: str, other: str, same: bool, tmp_path: Path) -> None:  # noqa: FBT001
    for portal in (one, other):
        shared_allowance(BUCKET, portal, tmp_path)
    assert (len(list(tmp_path.iterdir())) == 1) is same


def test_the_files_name_tells_the_portal_and_stays_in_the_folder(tmp_path: Path) -> None:
    shared_allowance(BUCKET, "http://../..//evil/127.0.0.1:8900", tmp_path)
    (file,) = tmp_path.iterdir()
    assert "127.0.0.1" in file.name
