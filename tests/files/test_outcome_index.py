"""The index of a plan and its journal: the same as reading both whole, in little memory."""

from __future__ import annotations

import gc
import os
from collections import Counter
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.plan import OUTCOMES, ChangeOutcome
from airflow_bitrix.files import part_name
from airflow_bitrix.files.journals import final_outcomes, write_failed
from airflow_bitrix.files.outcome_index import OVERWRITTEN, OutcomeIndex, read_index
from airflow_bitrix.files.plans import Manifest, read_changes
from airflow_bitrix.report.indexed import search_for
from tests.growth import traced
from tests.plugins.runs import PORTAL, TWO_PARTS, change, make_plan, note, outcome


def ids(index: OutcomeIndex, rows: object) -> list[int]:
    return [found.owner.id for found, _ in index.read(rows)]  # type: ignore[arg-type]


def counts(index: OutcomeIndex) -> dict[str, int]:
    return {name: number for name, number in index.counts.items() if number}


def small(tmp_path: Path, *numbers: int) -> Manifest:
    return make_plan(tmp_path, [change(number) for number in numbers or (1, 2, 3)])


OUTCOME = st.sampled_from(OUTCOMES)
REASON = st.sampled_from(["", "why", "Доступ запрещён", 'a "quote"\n'])


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, TWO_PARTS), OUTCOME, REASON), max_size=60),
    st.lists(st.booleans(), min_size=1, max_size=3),
)
def test_an_index_says_what_plan_and_journal_say(told: list[tuple[int, str, str]], tries: list[bool]) -> None:
    """However often a part was applied, dry or not: the last outcome of each owner counts."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        manifest = make_plan(folder, [change(number) for number in range(1, TWO_PARTS + 1)])
        for dry_run in tries:
            by_part: dict[int, list[ChangeOutcome]] = {0: [], 1: []}
            for number, outcome_name, reason in told:
                by_part[number > 1000].append(outcome(number, outcome_name, reason))  # type: ignore[arg-type]
            note(folder, manifest, by_part, dry_run=dry_run)
        index = read_index(folder)
        expected = {one.owner.id: one for one in final_outcomes(folder / "journal", "lead")}
        changes = chain.from_iterable(read_changes(folder / "plan", manifest, part) for part in (0, 1))
        assert list(index.read(range(TWO_PARTS))) == [(one, expected.get(one.owner.id)) for one in changes]
        names = Counter(one.outcome for one in expected.values())
        told_counts: dict[str, int] = {name: names[name] for name in OUTCOMES}
        assert index.counts == told_counts | {"open": TWO_PARTS - len(expected)}
        assert index.overwritten == sum(one.is_overwrite for one in expected.values())
        assert index.is_dry_run == all(tries)
        look = {one.owner.id for one in expected.values() if one.needs_a_look}
        assert set(ids(index, index.rows(["failed", "drift", OVERWRITTEN]))) == look


def test_a_plan_without_a_journal_is_all_open(tmp_path: Path) -> None:
    small(tmp_path)
    index = read_index(tmp_path)
    assert (index.is_begun, index.is_dry_run, index.noted) == (False, False, None)
    assert counts(index) == {"open": 3}
    assert index.by_rule["release_repeat_leads"]["open"] == 3


def test_there_is_no_index_without_a_plan(tmp_path: Path) -> None:
    with pytest.raises(PlanRefused, match="there is no plan"):
        read_index(tmp_path)


def test_an_edited_plan_has_no_index(tmp_path: Path) -> None:
    small(tmp_path)
    part = tmp_path / "plan" / part_name(0)
    part.write_text(part.read_text().replace('"owner":1,', '"owner":9,'))
    with pytest.raises(PlanRefused, match="it was edited"):
        read_index(tmp_path)


def test_a_damaged_line_of_the_journal_is_no_outcome(tmp_path: Path) -> None:
    note(tmp_path, small(tmp_path), {0: [outcome(1)]})
    with (tmp_path / "journal" / part_name(0)).open("a") as file:
        file.write('{"owner":2,"outc\n')
    with pytest.raises(PlanRefused, match="is damaged"):
        read_index(tmp_path)


def test_a_line_that_is_being_written_is_not_read_yet(tmp_path: Path) -> None:
    note(tmp_path, small(tmp_path), {0: [outcome(1)]})
    with (tmp_path / "journal" / part_name(0)).open("a") as file:
        file.write('{"owner":2,"outcome":"failed","reason":"x","before":null}')
    assert counts(read_index(tmp_path)) == {"applied": 1, "open": 2}


def test_another_plan_s_journal_says_nothing(tmp_path: Path) -> None:
    manifest = small(tmp_path, 1, 2)
    note(tmp_path, manifest, {0: [outcome(1)]})
    small(tmp_path, 1, 2, 3)
    index = read_index(tmp_path)
    assert not index.is_begun
    assert counts(index) == {"open": 3}


def test_only_what_was_written_since_is_read_again(tmp_path: Path) -> None:
    manifest = make_plan(tmp_path, [change(number) for number in range(1, TWO_PARTS + 1)])
    note(tmp_path, manifest, {0: [outcome(1)]})
    first = read_index(tmp_path)
    note(tmp_path, manifest, {1: [outcome(1001, "failed", "x")]})
    second = read_index(tmp_path, first)
    assert second.parts[0] is first.parts[0]
    assert second.parts[1] is not first.parts[1]
    assert counts(second) == {"applied": 1, "failed": 1, "open": TWO_PARTS - 2}


def test_what_a_check_found_later_goes_before_the_journal(tmp_path: Path) -> None:
    manifest = small(tmp_path)
    note(tmp_path, manifest, {0: [outcome(1), outcome(2)]})
    found = "applied, and changed since: contacts are now 5*"
    write_failed(tmp_path / "failed.csv", [outcome(2, "drift", found)], PORTAL)
    index = read_index(tmp_path)
    assert counts(index) == {"applied": 1, "drift": 1, "open": 1}
    ((_, told),) = index.read(index.rows(["drift"]))
    assert told is not None
    assert (told.outcome, told.reason) == ("drift", found)
    assert ids(index, index.rows(matches=lambda text: "now 5" in text)) == [2]


def test_what_a_check_tells_of_an_owner_without_an_outcome_is_passed_over(tmp_path: Path) -> None:
    """It is of a journal that there was: counts, rows and search say the same of it."""
    note(tmp_path, small(tmp_path), {0: [outcome(1)]})
    found = "applied, and changed since: contacts are now 5*"
    write_failed(tmp_path / "failed.csv", [outcome(2, "drift", found)], PORTAL)
    index = read_index(tmp_path)
    assert counts(index) == {"applied": 1, "open": 2}
    assert index.by_rule["release_repeat_leads"]["drift"] == 0
    assert ids(index, index.rows(["drift"])) == []
    assert ids(index, index.rows(matches=lambda text: "now 5" in text)) == []
    assert ids(index, index.rows(matches=lambda text: "because" in text)) == [1, 2, 3]


def test_a_search_with_hints_finds_what_a_check_found(tmp_path: Path) -> None:
    """That stands in failed.csv alone, so no line may be passed over for lack of a hint."""
    note(tmp_path, small(tmp_path), {0: [outcome(1), outcome(2)]})
    write_failed(tmp_path / "failed.csv", [outcome(2, "drift", "applied, and changed since")], PORTAL)
    index, search = read_index(tmp_path), search_for("changed since")
    assert search.hints
    assert ids(index, index.rows(matches=search.matches, hints=search.hints)) == [2]


def test_what_a_check_found_is_old_once_an_apply_goes_on(tmp_path: Path) -> None:
    manifest = small(tmp_path)
    write_failed(tmp_path / "failed.csv", [outcome(2, "drift", "applied, and changed since: x")], PORTAL)
    os.utime(tmp_path / "failed.csv", ns=(1, 1))
    note(tmp_path, manifest, {0: [outcome(2)]})
    assert counts(read_index(tmp_path)) == {"applied": 1, "open": 2}


def test_rows_are_sorted_by_owner_outcome_or_as_planned(tmp_path: Path) -> None:
    manifest = small(tmp_path, 5, 3, 9, 4)
    note(tmp_path, manifest, {0: [outcome(9, "failed", "x"), outcome(3, "applied", "x"), outcome(4)]})
    index = read_index(tmp_path)
    assert ids(index, index.rows()) == [5, 3, 9, 4]
    assert ids(index, index.rows(sort="owner")) == [3, 4, 5, 9]
    assert ids(index, index.rows(sort="-owner")) == [9, 5, 4, 3]
    assert ids(index, index.rows(sort="outcome")) == [3, 4, 9, 5]
    assert ids(index, index.rows(["open", "failed"], "owner")) == [5, 9]
    assert ids(index, index.rows(["nonsense"])) == []
    assert ids(index, index.rows([OVERWRITTEN])) == [3]
    assert ids(index, index.rows(["applied"])) == [3, 4]


def test_the_biggest_changes_are_those_of_most_links(tmp_path: Path) -> None:
    sizes = {number: 1 + number % 7 for number in range(1, TWO_PARTS + 1)}
    make_plan(tmp_path, [change(number, *range(1, size + 1)) for number, size in sizes.items()])
    index = read_index(tmp_path)
    assert ids(index, index.biggest) == [number for number in sizes if sizes[number] == 7][:10]


SEARCHES = [
    "5",
    "7",
    "1003",
    "1003 8",
    "WHY",
    "why 5",
    "доступ",
    "Запрещён 1001",
    "why, 8*",
    "because",
    'x"y',
    "y\\",
]


@pytest.mark.parametrize("words", SEARCHES)
def test_a_search_finds_the_same_with_hints_and_without(tmp_path: Path, words: str) -> None:
    """What is passed over unread is nothing that would have been found."""
    manifest = make_plan(
        tmp_path, [change(number, 7 + number % 2) for number in [*range(1, 1001), *range(1001, 1006)]]
    )
    told = [outcome(5, "failed", "Why not"), outcome(6, "drift", 'x"y\\'), outcome(7)]
    later = [outcome(1001, "failed", "Доступ запрещён"), outcome(1003, "failed", "not 1003, why")]
    note(tmp_path, manifest, {0: told, 1: later})
    index, search = read_index(tmp_path), search_for(words)
    found = ids(index, index.rows(matches=search.matches, hints=search.hints))
    assert found == ids(index, index.rows(matches=search.matches))
    assert found


@pytest.mark.slow
def test_an_index_takes_little_memory_for_each_change(tmp_path: Path) -> None:
    """A page of 100,000 outcomes must not weigh on the API server."""
    many = 20_000
    manifest = make_plan(tmp_path, (change(number, 7, 8, 9) for number in range(1, many + 1)))
    note(
        tmp_path,
        manifest,
        {part: [outcome(part * 1000 + place) for place in range(1, 1001)] for part in range(many // 1000)},
    )
    gc.collect()
    with traced() as memory:
        index = read_index(tmp_path)
        kept, peak = memory()
        assert kept / many < 48
        assert (peak - kept) < 5_000_000
        sum(1 for _ in index.read(range(many)))
        assert memory()[1] - kept < 5_000_000
    assert counts(index) == {"applied": many}
