"""Leases where something comes late: a claim, a holder that slept, a storage's word of when that was."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.files import holders, leases
from airflow_bitrix.files.journals import JournalPart
from airflow_bitrix.files.leases import HeldError, Lease, LeaseLostError
from airflow_bitrix.files.object_files import create, listed, written_at
from airflow_bitrix.files.plans import MANIFEST, PlanWriter
from tests.files.flat import flat_path
from tests.files.test_leases import ELSEWHERE, a_plan, lease


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return flat_path(tmp_path.name) / "lease"


def once(do: Callable[[], None]) -> Callable[[Path], list[str]]:
    """List a folder, and do something before the caller goes on, the first time."""
    left = iter([do])

    def listing(folder: Path) -> list[str]:
        found = listed(folder)
        next(left, lambda: None)()
        return found

    return listing


@pytest.mark.parametrize("others", [1, 2])
def test_a_claim_that_comes_late_to_a_number_that_is_free_again_holds_nothing(
    others: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its look and its claim some have come and gone, and one has come who stays."""
    with ExitStack() as held:

        def meanwhile() -> None:
            for _ in range(others):
                with lease(folder, ELSEWHERE):
                    pass
            held.enter_context(lease(folder, ELSEWHERE))

        monkeypatch.setattr(leases, "listed", once(meanwhile))
        with pytest.raises(HeldError), lease(folder):
            pass
        monkeypatch.undo()
        with pytest.raises(HeldError), lease(folder):
            pass


def test_a_claim_that_comes_late_where_all_have_gone_holds(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile() -> None:
        with lease(folder, ELSEWHERE):
            pass

    monkeypatch.setattr(leases, "listed", once(meanwhile))
    with lease(folder, ELSEWHERE) as late:
        late.renew()
        with pytest.raises(HeldError), lease(folder):
            pass


class Sleeping(Lease):
    """One that gives signs when it is told to."""

    def _beat_on(self) -> None:
        self._is_over.wait()


def killed(folder: Path, signs: int) -> Lease:
    one = Sleeping(folder, {"any": 1}, lambda _: True, "it is at work", ELSEWHERE)
    one.__enter__()
    for _ in range(signs - 1):
        one.renew()
    return one


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time pass for the storage."""
    passed = 0.0

    def add(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    real = leases._age
    monkeypatch.setattr(leases, "_age", lambda place, file: real(place, file) + passed)
    return add


def test_of_one_that_was_killed_one_sign_is_left_and_after_a_day_none(
    folder: Path, later: Callable[[float], None]
) -> None:
    killed(folder, 40)
    later(61)
    with lease(folder):
        assert len(listed(folder)) == 2  # what shuts it out, and the claim that is held
    later(86400)
    with lease(folder):
        assert [name[:6] for name in listed(folder)] == ["000003"]


def test_one_that_slept_for_longer_than_it_is_shut_out_holds_nothing(
    folder: Path, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = killed(folder, 3)
    later(61)
    with lease(folder, ELSEWHERE):
        pass
    later(86400)
    with lease(folder, ELSEWHERE):
        now = time.time() + 90000
        monkeypatch.setattr(time, "time", lambda: now)
        with pytest.raises(LeaseLostError):
            slept.check()


def told(name: str, at: Any) -> Callable[..., dict[str, Any]]:
    return lambda path, **_: {"name": path, "size": 1, "type": "file", name: at}


AT = datetime(2026, 11, 29, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "at"),
    [("LastModified", AT), ("last_modified", AT), ("mtime", AT), ("updated", "2026-11-29T10:00:00Z")],
    ids=["s3fs", "adlfs", "gcsfs", "an older gcsfs"],
)
def test_when_a_file_was_written_is_understood_from_each_storage(
    name: str, at: Any, object_storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = object_storage.folder("lease")
    create(place / "one", b"1")
    monkeypatch.setattr(place.fs, "info", told(name, at))
    assert written_at(place / "one") == AT.timestamp()
    assert leases._age(place, place / "one") == 0


def test_a_plan_whose_manifest_is_damaged_is_made_again(tmp_path: Path) -> None:
    """Whoever replaces it does not stand in its own way."""
    plan = flat_path(tmp_path.name) / "run" / "plan"
    manifest = a_plan(plan)
    part = plan.parent / "journal" / "part-00000.jsonl"
    with JournalPart(part, plan_hash=manifest.hash, dry_run=False):
        pass
    with (plan / MANIFEST).open("wb") as file:
        file.write(b"{")
    with PlanWriter(plan):
        pass
    assert (plan.parent / "earlier-unknown" / "journal" / part.name).exists()


def test_a_process_that_may_not_be_seen_is_not_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As where /proc hides those of other users."""
    holder = holders.this_holder()
    monkeypatch.setattr(holders, "_kernel", lambda: holder.kernel)
    monkeypatch.setattr(holders, "_PROC", tmp_path)
    assert not holder.is_gone


def test_a_process_that_is_not_there_is_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(holders, "_PROC", tmp_path)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
        assert not holders._started(ended.pid)
