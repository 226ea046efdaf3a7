"""What applying cost is kept beside the outcomes, for all tasks and tries together."""

from __future__ import annotations

from pathlib import Path

from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.journals import JournalPart, read_effort, read_ledger

ONE = ApplyCost(requests=5, refused=1, repeats=2, waited=1.5, seconds=3.25, hidden_links=7)


def tell(folder: Path, part: int, *efforts: ApplyCost, dry_run: bool = False) -> None:
    path = folder / f"part-{part:05d}.jsonl"
    for effort in efforts:
        with JournalPart(path, plan_hash="f" * 64, dry_run=dry_run) as journal:
            journal.note_effort(effort)


def test_tries_and_parts_add_up(tmp_path: Path) -> None:
    tell(tmp_path, 0, ONE, ONE)
    tell(tmp_path, 1, ONE)
    assert read_effort(tmp_path) == ONE + ONE + ONE
    assert read_effort(tmp_path, [1]) == ONE
    assert read_effort(tmp_path, [7]) == ApplyCost()


def test_a_dry_run_counts_only_until_there_is_a_real_one(tmp_path: Path) -> None:
    tell(tmp_path, 0, ONE, dry_run=True)
    assert read_effort(tmp_path) == ONE
    tell(tmp_path, 0, ApplyCost(requests=9))
    assert read_effort(tmp_path) == ApplyCost(requests=9)


def test_a_line_that_was_torn_tells_nothing(tmp_path: Path) -> None:
    tell(tmp_path, 0, ONE)
    with (tmp_path / "part-00000.jsonl").open("a") as file:
        file.write('{"effort":{"requests":')
    assert read_effort(tmp_path) == ONE


def test_comments_count_once_also_of_tries_that_were_killed_and_tell_no_effort(tmp_path: Path) -> None:
    tell(tmp_path, 0, ONE)
    with JournalPart(tmp_path / "part-00000.jsonl", plan_hash="f" * 64, dry_run=False) as journal:
        journal.commenting([1, 2, 3, 4])
        journal.commented([1, 2], [3], "lead 3: Access denied.")
        journal.commented([], [4], "lead 4: Locked.")
    comments = ApplyCost(comments=2, refused_comments=2, comment_refusal="lead 3: Access denied.")
    assert read_effort(tmp_path) == ONE + comments
    ledger = read_ledger(tmp_path / "part-00000.jsonl", "lead")
    assert (set(ledger.announced), ledger.commented) == ({1, 2, 3, 4}, {1, 2, 3, 4})
