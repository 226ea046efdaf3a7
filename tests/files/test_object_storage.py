"""On an object storage there are no folders to rename or to remove, only files."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.journals import JournalPart, journal_folder
from airflow_bitrix.files.snapshot_history import delete_snapshot
from airflow_bitrix.files.snapshots import ABOUT, SnapshotWriter
from tests.files.flat import flat_path

FIRST, SECOND = "1" * 64, "2" * 64


@pytest.fixture(params=["disk", "object storage"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path if request.param == "disk" else flat_path(tmp_path.name)


def test_a_path_says_whether_it_is_on_a_disk(tmp_path: Path) -> None:
    assert is_on_disk(tmp_path)
    assert not is_on_disk(flat_path("any"))


def test_a_snapshot_is_deleted_with_its_folder(place: Path) -> None:
    folder = place / "night"
    with SnapshotWriter(folder) as writer:
        writer.finish(kind="lead", portal="https://acme.bitrix24.com", created="", detail="full")
    assert (folder / ABOUT).exists()
    assert delete_snapshot(folder)
    assert not folder.exists()
    assert not delete_snapshot(folder)


def test_the_journal_of_another_plan_is_moved_aside_and_back(place: Path) -> None:
    for plan in (FIRST, SECOND, FIRST):
        folder = journal_folder(place / "run", plan)
        with JournalPart(folder / "part-00000.jsonl", plan_hash=plan, dry_run=False):
            pass
    kept = {
        path.parent.name: path.read_text().count(FIRST) for path in (place / "run").glob("*/part-*.jsonl")
    }
    assert kept == {"journal": 2, f"journal-{SECOND[:12]}": 0}
