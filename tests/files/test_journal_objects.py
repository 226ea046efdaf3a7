"""A journal on an object storage: nothing of it is lost, told twice, or written over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.files import journal_objects
from airflow_bitrix.files.earlier_runs import journal_parts
from airflow_bitrix.files.journal_lines import journal_lines, opened_lines
from airflow_bitrix.files.journal_objects import PartLostError, Spool, move_part
from airflow_bitrix.files.journals import JournalPart, has_begun, journal_folder
from airflow_bitrix.files.object_files import contents, create, listed, remove
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
    assert listed(objects(path)) == [
        f"00000{number}" for number in range(4, 9)
    ]  # behind a dead one all stays
    with pytest.raises(PartLostError, match=r"another task writes .*, and this one writes no more"):
        note(dead, 5)
    with begun(path) as part:
        note(part, 6)
    assert noted(path) == [1, 2, 3, 4, 6]
    assert listed(objects(path)) == ["000004", "000006", "000009"]  # what each of them began with
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
    assert listed(objects(path)) == ["000005"]  # what that try began with


@pytest.mark.parametrize("is_closed", [True, False])
def test_whoever_was_called_dead_puts_nothing_together_behind_another_task(
    path: Path, *, is_closed: bool
) -> None:
    """Also where it had nothing left to save, and where the other task has ended."""
    with begun(path) as part:
        note(part, 1)
    dead = begun(path)
    if not is_closed:
        note(dead, 2)
    with begun(path) as part:
        note(part, 3)
    told = noted(path)
    with pytest.raises(PartLostError), dead:
        pass
    assert noted(path) == told == ([1, 3] if is_closed else [1, 2, 3])


def test_a_part_that_arrives_late_takes_nothing_away(path: Path) -> None:
    dead = begun(path)
    note(dead, 1)
    whole = dead._lines.content
    with begun(path) as part:
        note(part, 2)
    assert noted(path) == [1, 2]
    with path.open("wb") as file:
        file.write(whole + b'{"holds":1}\n')
    assert noted(path) == [1, 2]


def test_of_two_that_begin_at_once_one_is_refused(path: Path) -> None:
    one, other = opened_lines(path, Spool()), opened_lines(path, Spool())
    header = '{"journal":1}\n'
    one.begin(header)
    with pytest.raises(PartLostError):
        other.begin(header)


def test_one_that_was_called_dead_adds_nothing_to_a_part_of_another_plan(path: Path) -> None:
    dead = begun(path)
    note(dead, 1, 2)
    folder = journal_folder(path.parent.parent, "2" * 64)
    with JournalPart(folder / path.name, plan_hash="2" * 64, dry_run=False) as part:
        note(part, 7)
        with pytest.raises(PartLostError):
            note(dead, 3)
        note(part, 8)
    assert noted(folder / path.name) == [7, 8]


def test_a_copy_on_a_disk_is_read_with_all_that_lies_beside_it_and_not_written(
    path: Path, tmp_path: Path
) -> None:
    note(begun(path), 1, 2)
    copy = tmp_path / "journal" / path.name
    objects(copy).mkdir(parents=True)
    for name in listed(objects(path)):
        (objects(copy) / name).write_bytes((objects(path) / name).read_bytes())
    copy.write_bytes(path.read_bytes())
    assert noted(copy) == [1, 2]
    with pytest.raises(PlanRefused, match="is a copy from an object storage, with lines beside it"):
        begun(copy)


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


def test_one_that_slept_while_it_moved_a_part_takes_nothing_from_the_next(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another task was through with the move meanwhile, and the next plan began."""
    note(begun(path), 1, 2)
    target = path.parent.parent / "journal-1" / path.name

    def meanwhile() -> None:
        monkeypatch.undo()
        move_part(path, target)
        note(JournalPart(path, plan_hash="2" * 64, dry_run=False), 7)
        note(begun(target), 3)

    asleep(meanwhile, monkeypatch)
    with pytest.raises(PartLostError):
        move_part(path, target)
    assert noted(path) == [7]
    assert noted(target) == [1, 2, 3]


def asleep(meanwhile: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something before a part is written."""

    def writes(real: Callable[..., Any]) -> Callable[..., Any]:
        def write(path: Path, *args: Any, **kwargs: Any) -> Any:
            if path.name.endswith(".jsonl"):
                meanwhile()
            return real(path, *args, **kwargs)

        return write

    for name in ("create", "open_new"):
        monkeypatch.setattr(journal_objects, name, writes(getattr(journal_objects, name)))


def test_a_dead_one_that_tidies_up_late_lets_the_next_one_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = begun(path)
    note(part, 1, 2)
    late: list[Path] = []
    monkeypatch.setattr(journal_objects, "remove", late.extend)
    with part:
        pass
    monkeypatch.undo()
    with begun(path) as part:
        note(part, 3)
        remove(late)
    assert noted(path) == [1, 2, 3]


def test_a_task_that_began_while_a_dead_one_ended_writes_nothing_that_is_not_read(path: Path) -> None:
    """The numbers that it found free were those of the dead one, whose part holds them already."""
    header = '{"journal":1}\n'
    dead = begun(path)
    late = opened_lines(path, Spool())
    with dead:
        note(dead, 1, 2)
    with pytest.raises(PartLostError):
        late.begin(header)
    late.close()
    with begun(path) as part:
        note(part, 3)
    assert noted(path) == [1, 2, 3]
