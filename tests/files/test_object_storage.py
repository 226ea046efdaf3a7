"""On an object storage there are no folders to rename or to remove, only files."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.earlier_runs import journal_parts
from airflow_bitrix.files.journal_lines import journal_lines, move_part
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


def killed(path: Path, plan: str, *leads: int) -> None:
    """Leave what an apply leaves that is killed while it writes."""
    part = JournalPart(path, plan_hash=plan, dry_run=False)
    for lead in leads:
        part.writing([LinkSet(Owner("lead", lead))])
        part.save()


def noted(path: Path) -> list[int]:
    return [line["writing"][0][0] for line in journal_lines(path) if "writing" in line]


def test_the_journal_of_a_killed_apply_is_moved_aside_whole_and_back(place: Path) -> None:
    run = place / "run"
    part = "part-00000.jsonl"
    killed(journal_folder(run, FIRST) / part, FIRST, 1, 2)
    killed(journal_folder(run, FIRST) / part, FIRST, 3)  # a try that goes on leaves a file that shuts out
    killed(journal_folder(run, SECOND) / part, SECOND, 4)
    assert noted(run / f"journal-{FIRST[:12]}" / part) == [1, 2, 3]
    assert noted(run / "journal" / part) == [4]
    with JournalPart(journal_folder(run, FIRST) / part, plan_hash=FIRST, dry_run=False):
        assert noted(run / "journal" / part) == [1, 2, 3]
    assert noted(run / f"journal-{SECOND[:12]}" / part) == [4]


def test_a_move_of_a_journal_that_broke_off_goes_on(tmp_path: Path) -> None:
    run = flat_path(tmp_path.name) / "run"
    journal, aside = run / "journal", run / f"journal-{FIRST[:12]}"
    parts = ("part-00000.jsonl", "part-00001.jsonl")
    for lead, part in enumerate(parts, start=1):
        killed(journal_folder(run, FIRST) / part, FIRST, lead)
    move_part(journal / parts[0], aside / parts[0])
    killed(journal_folder(run, SECOND) / parts[0], SECOND, 3)
    assert [noted(aside / part) for part in parts] == [[1], [2]]
    journal_folder(run, "3" * 64)
    move_part(aside / parts[1], journal / parts[1])
    assert [noted(journal_folder(run, FIRST) / part) for part in parts] == [[1], [2]]
    assert journal_parts(aside) == []
