"""Journals: outcomes are appended, survive a crash, and are never overwritten; failures go into a CSV."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import PlanRefused, RetryLater
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner, owner_address
from airflow_bitrix.core.plan import OUTCOMES, ChangeOutcome, OutcomeName
from airflow_bitrix.files import part_name
from airflow_bitrix.files.journals import (
    JournalPart,
    final_outcomes,
    journal_folder,
    read_ledger,
    write_failed,
)

PLAN, OTHER = "a" * 64, "b" * 64
PORTAL = "https://acme.bitrix24.com"
LINKS = LinkSet(Owner("lead", 1), (ContactLink(7, 10, is_primary=True, role_id=2),))


def outcome(
    number: int, name: OutcomeName = "applied", reason: str = "", before: LinkSet | None = None
) -> ChangeOutcome:
    return ChangeOutcome(Owner("lead", number), name, reason, before)


def keep(
    path: Path, outcomes: Iterable[ChangeOutcome] = (), *, begun: Iterable[int] = (), plan: str = PLAN
) -> None:
    with JournalPart(path, plan_hash=plan, dry_run=False) as journal:
        links = [LinkSet(Owner("lead", number)) for number in begun]
        if links:
            journal.writing(links)
        for one in outcomes:
            journal.note(one)


def test_a_save_keeps_what_others_are_about_to_write_and_hurries_for_what_somebody_has_to_look_at(
    path: Path,
) -> None:
    with JournalPart(path, plan_hash=PLAN, dry_run=False) as journal:
        first, second = journal.writing([LINKS]), journal.writing([LinkSet(Owner("lead", 2))])
        assert not journal.is_saved(first)
        journal.save()
        assert journal.is_saved(first)
        assert journal.is_saved(second)

        journal.note(outcome(1))
        assert journal.is_saved(second)  # the next try finds that out by looking
        third = journal.writing([LinkSet(Owner("lead", 3))])
        assert not journal.is_saved(third)
        assert journal.is_saved(second)

        for urgent in (outcome(2, "failed", "no"), outcome(3, "applied", "it held 9 too", LINKS)):
            journal.note(urgent)
            assert not journal.is_saved(second)
            journal.save()
            assert journal.is_saved(second)
        journal.owing([4])
        assert not journal.is_saved(second)


def kept(path: Path) -> list[ChangeOutcome]:
    return list(read_ledger(path, "lead").last.values())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / part_name(0)


def test_outcomes_come_back_as_they_were(path: Path) -> None:
    outcomes = [
        outcome(1, before=LINKS),
        outcome(2, "failed", 'Нет доступа: "a", b\r\nc\u2028d 👋'),
        outcome(3, "drift", "x", LinkSet(Owner("lead", 3))),
        outcome(4, "already"),
        outcome(5, "skipped", "dry run: x"),
    ]
    keep(path, outcomes)
    assert kept(path) == outcomes


def test_no_links_before_is_told_apart_from_not_known(path: Path) -> None:
    keep(path, [outcome(1, before=LinkSet(Owner("lead", 1))), outcome(2, before=None)])
    assert [one.before for one in kept(path)] == [LinkSet(Owner("lead", 1)), None]


def test_a_later_run_appends_and_the_last_outcome_of_an_owner_counts(path: Path) -> None:
    keep(path, [outcome(1, "failed", "busy"), outcome(2)])
    first = path.read_bytes()
    keep(path, [outcome(1, "applied"), outcome(3, "drift")])
    assert path.read_bytes().startswith(first)
    assert kept(path) == [outcome(1), outcome(2), outcome(3, "drift")]


def test_a_ledger_tells_what_was_begun_and_what_is_confirmed(path: Path) -> None:
    keep(path, [outcome(1), outcome(2, "failed")], begun=[1, 2, 3])
    ledger = read_ledger(path, "lead")
    assert ledger.writing.keys() == {1, 2, 3}
    assert ledger.settled.keys() == {1}


@pytest.mark.parametrize("later", ["failed", "drift"])
def test_what_was_applied_once_stays_settled_whatever_comes_later(path: Path, later: Any) -> None:
    """Else a third try would write again what somebody has put back since."""
    keep(path, [outcome(1), outcome(2, "already"), outcome(1, later, "x"), outcome(2, later, "x")])
    ledger = read_ledger(path, "lead")
    assert ledger.settled.keys() == {1, 2}
    assert {one.outcome for one in ledger.last.values()} == {later}


def test_a_dry_run_says_nothing_of_what_a_real_run_told(path: Path) -> None:
    keep(path, [outcome(1, "failed", "x")])
    with JournalPart(path, plan_hash=PLAN, dry_run=True) as journal:
        journal.note(outcome(1, "skipped"))
        journal.note(outcome(2, "skipped"))
    assert [one.outcome for one in read_ledger(path, "lead").last.values()] == ["failed", "skipped"]


def test_a_journal_that_became_another_plan_s_is_not_written_into(path: Path) -> None:
    keep(path, [outcome(1)])
    with pytest.raises(RetryLater, match="is now the journal of another plan"):
        JournalPart(path, plan_hash="0" * 64, dry_run=False)
    assert kept(path) == [outcome(1)]


def test_what_is_about_to_be_written_is_on_disk_before_the_request_leaves(path: Path) -> None:
    with JournalPart(path, plan_hash=PLAN, dry_run=False) as journal:
        journal.note(outcome(1))
        journal.writing([LINKS])
        journal.save()
        assert read_ledger(path, "lead").writing == {1: LINKS}
        assert kept(path) == [outcome(1)]


def test_a_journal_that_is_not_there_says_nothing(path: Path) -> None:
    assert kept(path) == []
    assert not path.exists()


# -- what a crash leaves behind ----------------------------------------------------------------------------


def test_a_line_that_was_cut_anywhere_is_dropped_and_the_journal_goes_on(tmp_path: Path) -> None:
    """Cuts may fall into the middle of a letter: reasons are in the portal's language."""
    path = journal_folder(tmp_path, PLAN) / part_name(0)
    keep(path, [outcome(1, "failed", "Нет")], begun=[1, 2])
    whole = path.read_bytes()
    keep(path, [outcome(2, "failed", "Доступ запрещён 👋")])
    longer = path.read_bytes()
    for end in range(len(whole), len(longer)):
        path.write_bytes(longer[:end])
        assert kept(path) == [outcome(1, "failed", "Нет")]
        assert journal_folder(tmp_path, PLAN) == path.parent
        assert [found.name for found in tmp_path.iterdir()] == ["journal"]
        keep(path, [outcome(2)])
        assert kept(path) == [outcome(1, "failed", "Нет"), outcome(2)]
        assert read_ledger(path, "lead").writing.keys() == {1, 2}


@pytest.mark.parametrize("left", [b"", b'{"jour', b'{"journal":1,"plan":"aaa'], ids=repr)
def test_a_journal_that_died_with_its_first_line_still_belongs_to_its_plan(
    left: bytes, tmp_path: Path
) -> None:
    """A part is made when the apply starts, and its first line is written out when it is first needed."""
    folder = journal_folder(tmp_path, PLAN)
    (folder / part_name(0)).write_bytes(left)
    keep(folder / part_name(0), [outcome(1)], begun=[1])
    journal_folder(tmp_path, PLAN)
    assert [found.name for found in tmp_path.iterdir()] == ["journal"]
    assert list(final_outcomes(folder, "lead")) == [outcome(1)]


def test_a_run_that_dies_at_once_again_and_again_can_still_go_on(tmp_path: Path) -> None:
    for _ in range(3):
        folder = journal_folder(tmp_path, PLAN)
        (folder / part_name(0)).write_bytes(b"")
    keep(journal_folder(tmp_path, PLAN) / part_name(0), [outcome(1)])
    assert list(final_outcomes(tmp_path / "journal", "lead")) == [outcome(1)]


LATIN = """
import sys
from pathlib import Path
from airflow_bitrix.core.links import Owner
from airflow_bitrix.core.plan import ChangeOutcome
from airflow_bitrix.files.journals import JournalPart, final_outcomes, write_failed
folder = Path(sys.argv[1])
with JournalPart(folder / "part-00000.jsonl", plan_hash="x", dry_run=False) as journal:
    journal.note(ChangeOutcome(Owner("lead", 1), "failed", sys.argv[2].encode().decode("unicode_escape")))
write_failed(folder / "failed.csv", final_outcomes(folder, "lead"), "https://acme.bitrix24.com")
"""


def test_the_portals_words_are_kept_whatever_the_workers_language_is(tmp_path: Path) -> None:
    plain = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    run = subprocess.run(
        [sys.executable, "-c", LATIN, tmp_path, ascii("Нет доступа")[1:-1]],
        capture_output=True,
        text=True,
        check=False,
        env=plain,
    )
    assert run.stderr == ""
    assert kept(tmp_path / part_name(0)) == [outcome(1, "failed", "Нет доступа")]
    assert "Нет доступа" in (tmp_path / "failed.csv").read_text(encoding="utf-8")


def test_half_an_emoji_in_the_portals_words_loses_no_outcome(path: Path) -> None:
    keep(path, [outcome(1, "failed", "cut \ud83d"), outcome(2)])
    assert [one.outcome for one in kept(path)] == ["failed", "applied"]
    assert write_failed(path.with_name("failed.csv"), kept(path), PORTAL) == 1


# -- journals of several plans -----------------------------------------------------------------------------


def test_the_journal_of_the_same_plan_is_taken_up_again(tmp_path: Path) -> None:
    folder = journal_folder(tmp_path, PLAN)
    keep(folder / part_name(0), [outcome(1)])
    assert journal_folder(tmp_path, PLAN) == folder == tmp_path / "journal"
    assert list(final_outcomes(folder, "lead")) == [outcome(1)]


def test_the_journal_of_another_plan_is_moved_aside_and_kept(tmp_path: Path) -> None:
    keep(journal_folder(tmp_path, OTHER) / part_name(0), [outcome(1, before=LINKS)], plan=OTHER)
    folder = journal_folder(tmp_path, PLAN)
    assert list(folder.iterdir()) == []
    (aside,) = (found for found in tmp_path.iterdir() if found != folder)
    assert OTHER[:12] in aside.name
    assert list(final_outcomes(aside, "lead")) == [outcome(1, before=LINKS)]


def test_two_plans_may_take_turns_and_no_journal_is_lost(tmp_path: Path) -> None:
    for number, plan in enumerate([PLAN, OTHER, PLAN, OTHER], start=1):
        keep(journal_folder(tmp_path, plan) / part_name(0), [outcome(number)], plan=plan)
    found = [one.owner.id for folder in tmp_path.iterdir() for one in final_outcomes(folder, "lead")]
    assert sorted(found) == [1, 2, 3, 4]


def test_a_plan_that_dies_between_two_turns_of_another_stands_in_nobodys_way(tmp_path: Path) -> None:
    keep(journal_folder(tmp_path, PLAN) / part_name(0), [outcome(1)])
    (journal_folder(tmp_path, OTHER) / part_name(0)).touch()
    keep(journal_folder(tmp_path, PLAN) / part_name(0), [outcome(2)])
    keep(journal_folder(tmp_path, OTHER) / part_name(0), [outcome(3)], plan=OTHER)
    found = [one.owner.id for folder in tmp_path.iterdir() for one in final_outcomes(folder, "lead")]
    assert sorted(found) == [1, 2, 3]


def test_outcomes_of_all_parts_come_part_by_part(tmp_path: Path) -> None:
    keep(tmp_path / part_name(1), [outcome(3)])
    keep(tmp_path / part_name(0), [outcome(1, "failed"), outcome(2), outcome(1)])
    assert list(final_outcomes(tmp_path, "lead")) == [outcome(1), outcome(2), outcome(3)]
    assert list(final_outcomes(tmp_path / "nowhere", "lead")) == []


# -- failed.csv --------------------------------------------------------------------------------------------


def failed_rows(path: Path, outcomes: Iterable[ChangeOutcome]) -> list[list[str]]:
    count = write_failed(path, outcomes, PORTAL)
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["owner", "owner_id", "outcome", "reason", "address"]
    assert count == len(rows)
    return rows


def test_failed_csv_holds_what_failed_drifted_or_overwrote_and_why(
    path: Path,
) -> None:
    outcomes = [outcome(number, name, f"why {name}") for number, name in enumerate(OUTCOMES, start=1)]
    assert failed_rows(path, [outcome(9), *outcomes]) == [
        ["lead", "1", "applied", "why applied", f"{PORTAL}/crm/lead/details/1/"],
        ["lead", "3", "drift", "why drift", f"{PORTAL}/crm/lead/details/3/"],
        ["lead", "4", "failed", "why failed", f"{PORTAL}/crm/lead/details/4/"],
    ]
    assert owner_address(PORTAL, Owner("deal", 9)) == f"{PORTAL}/crm/deal/details/9/"


def test_what_a_dry_run_skipped_says_nothing_about_a_real_run_that_follows(path: Path) -> None:
    with JournalPart(path, plan_hash=PLAN, dry_run=True) as journal:
        journal.note(outcome(1, "skipped"))
        journal.note(outcome(2, "drift", "x"))
    assert [one.outcome for one in kept(path)] == ["skipped", "drift"]
    keep(path, [outcome(3)])
    assert [one.outcome for one in kept(path)] == ["drift", "applied"]


def test_a_line_that_somebody_damaged_is_named_and_nothing_is_guessed(path: Path) -> None:
    keep(path, [outcome(1), outcome(2)])
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-9], *lines[2:]]) + "\n")
    with pytest.raises(PlanRefused, match=rf"^line 2 of {path} is damaged"):
        kept(path)


def test_failed_csv_of_nothing_is_its_header_and_replaces_an_older_one(path: Path) -> None:
    failed_rows(path, [outcome(1, "failed")])
    assert failed_rows(path, [outcome(1)]) == []


def test_signs_within_a_sentence_stay_as_they_are(path: Path) -> None:
    reason = "deal 5 - stage=WON; sort 10-20, e-mail a@b.c"
    assert [row[3] for row in failed_rows(path, [outcome(1, "failed", reason)])] == [reason]
