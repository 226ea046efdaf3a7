"""A journal on an object storage: nothing of it is lost, told twice, or written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.files.earlier_runs import journal_parts
from airflow_bitrix.files.journal_lines import journal_lines
from airflow_bitrix.files.journal_objects import PartLostError
from airflow_bitrix.files.journals import JournalPart, has_begun
from airflow_bitrix.files.object_files import contents, create, listed
from tests.files.flat import flat_path

PLAN = "1" * 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return flat_path(tmp_path.name) / "journal" / "part-00000.jsonl"


def objects(path: Path) -> Path:
    return path.with_name(f"{path.name}.d")


def begun(path: Path) -> JournalPart:
    return JournalPart(path, plan_hash=PLAN, dry_run=False)


def note(part: JournalPart, *leads: int) -> None:
    for lead in leads:
        part.writing([LinkSet(Owner("lead", lead))])
        part.save()


def noted(path: Path) -> list[int]:
    return [line["writing"][0][0] for line in journal_lines(path) if "writing" in line]


def test_what_was_saved_outlives_a_kill_and_the_next_try_goes_on_behind_it(path: Path) -> None:
    note(begun(path), 1, 2)  # and is killed
    assert noted(path) == [1, 2]
    assert has_begun(path.parent.parent, PLAN)
    with begun(path) as part:
        assert [line["writing"][0][0] for line in part.lines() if "writing" in line] == [1, 2]
        note(part, 3)
        assert noted(path) == [1, 2, 3]
        part.writing([LinkSet(Owner("lead", 4))])
    assert noted(path) == [1, 2, 3, 4]
    assert journal_parts(path.parent) == [path]


def test_in_the_end_one_file_holds_it_all_but_for_what_shuts_out_one_that_was_called_dead(path: Path) -> None:
    with begun(path) as part:
        note(part, 1, 2)
    assert listed(objects(path)) == []
    dead = begun(path)
    note(dead, 3)
    with begun(path) as part:
        note(part, 4)
    assert listed(objects(path)) == ["000004"]
    with pytest.raises(PartLostError, match=r"another task writes .*, and this one writes no more"):
        note(dead, 5)
    with begun(path) as part:
        note(part, 6)
    assert noted(path) == [1, 2, 3, 4, 6]
    with pytest.raises(PartLostError):
        note(dead, 7)


def test_whoever_lost_a_part_does_not_put_it_together(path: Path) -> None:
    one = begun(path)
    note(one, 1)
    note(begun(path), 2)
    one.writing([LinkSet(Owner("lead", 3))])
    with pytest.raises(PartLostError), one:
        pass
    assert noted(path) == [1, 2]


@pytest.mark.parametrize("left", [(1, 2, 3), (3,), (2, 3), (2,)])
def test_files_that_a_crash_left_behind_are_not_read_twice(left: tuple[int, ...], path: Path) -> None:
    part = begun(path)
    note(part, 1, 2, 3)
    files = {number: objects(path) / f"{number:06d}" for number in left}
    kept = dict(zip(files, contents(list(files.values())), strict=True))
    with part:
        pass
    for number, content in kept.items():
        create(files[number], content)
    assert noted(path) == [1, 2, 3]
    with begun(path) as part:
        note(part, 4)
    assert noted(path) == [1, 2, 3, 4]
    assert listed(objects(path)) == []


def test_a_file_that_is_gone_is_missed(path: Path) -> None:
    note(begun(path), 1, 2, 3)
    (objects(path) / "000002").unlink()
    with pytest.raises(PlanRefused, match="a file is missing behind number 0"):
        noted(path)


def test_an_answer_that_was_lost_is_no_loss(path: Path) -> None:
    create(path, b"mine")
    create(path, b"mine")
    with pytest.raises(FileExistsError):
        create(path, b"yours")
