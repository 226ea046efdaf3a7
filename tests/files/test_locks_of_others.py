"""Locks that another user may hold on what is ours, for ever: nothing waits for them for ever."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.files.journals import JournalPart
from airflow_bitrix.files.locks import LONGEST_WAIT, one_at_a_time
from airflow_bitrix.files.plans import plan_lock
from airflow_bitrix.files.writers import Occupied, Writer, only_writer, writer_file
from tests.files.obstacles import soon
from tests.plugins.runs import PORTAL, change, make_plan

pytestmark = pytest.mark.attack


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock by another opening of the file, as another process does: to read it is enough."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def test_a_folder_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    began = time.monotonic()
    said = f"^another process has kept {tmp_path} locked for 0.2 seconds; lslocks names it$"
    with locked(tmp_path), soon(), pytest.raises(RetryLater, match=said), one_at_a_time(tmp_path, 0.2):
        pass
    assert time.monotonic() - began >= 0.2
    with one_at_a_time(tmp_path, 0):
        pass
    assert LONGEST_WAIT <= 60


def test_a_folder_that_is_let_go_is_taken(tmp_path: Path) -> None:
    def take() -> str:
        with one_at_a_time(tmp_path):
            return "taken"

    with ThreadPoolExecutor(1) as pool:
        with locked(tmp_path):
            waiting = pool.submit(take)
        assert waiting.result(LONGEST_WAIT) == "taken"


def test_a_plan_a_journal_and_the_writer_s_file_are_not_waited_for_at_all(tmp_path: Path) -> None:
    manifest = make_plan(tmp_path, [change(1)])
    with (
        soon(),
        locked(tmp_path / "plan" / "manifest.json"),
        pytest.raises(RetryLater, match="another task applies this plan now"),
        plan_lock(tmp_path / "plan", manifest),
    ):
        pass
    journal = tmp_path / "part-00000.jsonl"
    journal.touch()
    with soon(), locked(journal), pytest.raises(RetryLater, match="another task writes"):
        JournalPart(journal, plan_hash=manifest.hash, dry_run=False)
    path = writer_file(tmp_path, PORTAL, "lead")
    path.touch()
    me = Writer("dag", "run", "2026-11-21T10:00:00+00:00")
    with soon(), locked(path), pytest.raises(Occupied), only_writer(tmp_path, PORTAL, "lead", me):
        pass
