"""The names beside a plan: found again owner by owner, searched, and nothing lost with them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_bitrix.core.names import LONGEST_NAME, NAMELESS, OwnerNames
from airflow_bitrix.files import part_name
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.names import NAMES, PartNames, read_names, remove_names, write_part_names
from airflow_bitrix.files.outcome_index import OutcomeIndex, keep_index, read_index
from airflow_bitrix.files.stored_paths import looked_at
from airflow_bitrix.report.indexed import search_for
from tests.plugins.runs import TWO_PARTS, change, make_plan, note, outcome

ANNA = OwnerNames("Поставка «Север»", "In progress", "Olga", {7: "Анна Шмидт", 8: 'O"Neil\\'})


def named(number: int) -> OwnerNames:
    return OwnerNames(f"Lead of {number}", "New", "Olga", {7: f"Ivan the {number}th"})


def made_run(folder: Path) -> Path:
    """Make a run of two parts that has applied all, with a name for each owner."""
    manifest = make_plan(folder, [change(number) for number in range(1, TWO_PARTS + 1)])
    note(folder, manifest, {0: [outcome(one) for one in range(1, 1001)], 1: [outcome(TWO_PARTS)]})
    write_part_names(folder, 0, ((one, named(one)) for one in range(1, 1001)))
    write_part_names(folder, 1, [(TWO_PARTS, ANNA)])
    return folder


@pytest.fixture
def run(place: Path) -> Path:
    return made_run(place / "task")


def seen(run: Path) -> OutcomeIndex:
    return read_index(run if is_on_disk(run) else looked_at(run))


def names_of(index: OutcomeIndex, *rows: int) -> list[OwnerNames]:
    return [names for *_, names in index.read_named(rows)]


def test_names_come_back_as_they_were_written(run: Path) -> None:
    assert PartNames(run, 1).of(TWO_PARTS) == ANNA
    assert PartNames(run, 0).of(5) == named(5)
    assert PartNames(run, 0).of(TWO_PARTS) == PartNames(run, 7).of(5) == NAMELESS
    assert read_names(run, range(2), [TWO_PARTS, 5, 99_999]) == {TWO_PARTS: ANNA, 5: named(5)}
    if is_on_disk(run):
        assert stat.S_IMODE((run / NAMES).stat().st_mode) == 0o700
        assert stat.S_IMODE((run / NAMES / part_name(0)).stat().st_mode) == 0o600


def test_an_index_gives_the_names_of_the_rows_that_are_read(run: Path) -> None:
    keep_index(run)
    index = seen(run)
    assert names_of(index, TWO_PARTS - 1, 3) == [ANNA, named(4)]
    write_part_names(run, 0, [(4, ANNA)])
    assert names_of(seen(run), 3, 4) == [ANNA, NAMELESS]


def test_a_name_finds_its_owner_in_any_alphabet_and_case(run: Path) -> None:
    index = seen(run)

    def found(typed: str) -> list[int]:
        search = search_for(typed)
        return list(index.rows(matches=search.matches, hints=search.hints))

    assert found("шМИДТ") == found("север поставка") == found('o"neil') == [TWO_PARTS - 1]
    assert found("500th") == [499]
    assert len(found("ivan olga")) == 1000
    assert found("smith") == []


@pytest.mark.attack
@pytest.mark.parametrize(
    "content",
    [
        b"\x00\xff" * 3000,
        b'{"owner":4,' + b"[" * 100_000,
        b'{"owner":4,"title":{},"stage":1}\n' * 3,
        b'{"owner":5,"title":"of another"}\n'.rjust(4000),
        b'{"owner":4,"contacts":{"x":"y"}}',
        b'{"owner":99999999999999999999,"title":""}\n',
        b"",
    ],
)
def test_names_that_are_damaged_are_none(tmp_path: Path, content: bytes) -> None:
    run = made_run(tmp_path)
    index = seen(run)
    (run / NAMES / part_name(0)).write_bytes(content)
    for found in (index, seen(run)):
        assert names_of(found, 3) == [NAMELESS]
        assert found.counts["applied"] == 1001


@pytest.mark.attack
def test_names_that_somebody_handed_in_are_plain_and_short(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    evil = OwnerNames("x" * 100_000, "\x1b[31m", "\u202e", {7: "a\nb" * 500})
    write_part_names(run, 0, [(4, evil)])
    (names,) = names_of(seen(run), 3)
    assert (len(names.title), names.stage, names.responsible) == (LONGEST_NAME, "\\x1b[31m", "\\u202e")
    assert len(names.contacts[7]) == LONGEST_NAME
    assert "\n" not in names.contacts[7]


@pytest.mark.attack
@pytest.mark.parametrize(
    "put",
    [os.mkfifo, os.mkdir, lambda path: Path(path).symlink_to(path.parent)],
    ids=["pipe", "folder", "loop"],
)
def test_what_is_no_file_has_no_names(tmp_path: Path, put: Callable[[Path], object]) -> None:
    make_plan(tmp_path, [change(1)])
    (tmp_path / NAMES).mkdir()
    put(tmp_path / NAMES / part_name(0))
    assert names_of(read_index(tmp_path), 0) == [NAMELESS]
    (tmp_path / "other").mkdir()
    make_plan(tmp_path / "other", [change(1)])
    put(tmp_path / "other" / NAMES)
    assert names_of(read_index(tmp_path / "other"), 0) == [NAMELESS]


def test_a_plan_that_is_made_again_has_no_names_of_the_one_before(run: Path) -> None:
    make_plan(run, [change(4)])
    assert names_of(seen(run), 0) == [NAMELESS]
    remove_names(run)  # of what is gone nothing is to be removed
