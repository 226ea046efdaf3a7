"""How a report reads an object storage: few requests, as many for a long run as for a short one."""

from __future__ import annotations

import os
import zlib
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import PlanRefused, RetryLater
from airflow_bitrix.files import part_name, stored_looks
from airflow_bitrix.files.damage import reading
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.journals import JournalPart
from airflow_bitrix.files.kept_indexes import packed
from airflow_bitrix.files.object_files import contents
from airflow_bitrix.files.outcome_index import INDEX, OutcomeIndex, keep_index, read_index
from airflow_bitrix.files.plain_files import LONGEST_LINE, NoPlainFileError, open_plain
from airflow_bitrix.files.storage_errors import away
from airflow_bitrix.files.stored_paths import looked_at
from airflow_bitrix.operators.shared.artifacts import given_folder
from airflow_bitrix.report.indexed import summary_of
from scripts.object_storage import ObjectStorage
from tests.files.flat import flat_path
from tests.plugins.runs import change, make_plan, note, outcome


def applied(folder: Path, parts: int, troubled: int = 2) -> None:
    """A plan of that many parts, all of it applied but for a change in each of the first ones that failed."""
    owners = [range(1 + 1000 * number, 1001 + 1000 * number) for number in range(parts)]
    manifest = make_plan(folder, [change(number) for some in owners for number in some])
    for number, some in enumerate(owners):
        failed = some[500] if number < troubled else 0
        outcomes = [outcome(one, "failed" if one == failed else "applied") for one in some]
        note(folder, manifest, {number: outcomes})
    note(folder, manifest, {0: [outcome(1)]})  # of a second try, whose first line stays beside the part


def asked(storage: ObjectStorage, work: Callable[[], Any]) -> int:
    """Count the requests that some work sends to the storage."""
    before = len(storage.requests.seen)
    work()
    return len(storage.requests.seen) - before


@pytest.mark.slow
def test_a_view_asks_as_often_for_a_long_run_as_for_a_short_one(
    object_storage: ObjectStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    for parts in (2, 3):
        folder = object_storage.folder(f"{tmp_path.name}/{parts}")
        applied(folder, parts)
        keep_index(folder)
        monkeypatch.setattr(stored_looks, "_kept", stored_looks._Kept(2**24))  # of another process
        found: list[OutcomeIndex] = []

        def view(folder: Path = folder, found: list[OutcomeIndex] = found) -> None:
            found.append(read_index(looked_at(folder), found[-1] if found else None))
            summary_of(found[-1])

        def turn(folder: Path = folder, found: list[OutcomeIndex] = found) -> None:
            index = read_index(looked_at(folder), found[-1])
            assert [one.owner.id for one, _ in index.read(range(900, 1100))] == list(range(901, 1101))

        counted.append(
            [asked(object_storage, view), asked(object_storage, view), asked(object_storage, turn)]
        )
        assert found[0].counts["applied"] == 1000 * parts - 2
        assert found[0].counts["failed"] == 2
        assert found[0].parts == read_index(looked_at(folder), found[0]).parts
        (folder / "journal" / INDEX).unlink()
        assert read_index(looked_at(folder)).parts == found[0].parts
    assert counted[0] == counted[1]
    first, again, turned = counted[1]
    assert first <= 12
    assert (again, turned) == (1, 5), "a listing, and two parts of plan and journal"


@pytest.mark.attack
@pytest.mark.slow
@pytest.mark.parametrize(
    "content",  # made where it is used: packing the bomb takes a second
    [
        lambda: b"",
        lambda: b"nonsense",
        lambda: zlib.compress(b"nonsense"),
        lambda: zlib.compress(bytes(2**28)),
        lambda: zlib.compress(
            b'{"index":2,"order":"little","parts":[[[],3,[],[],true,true,{},{},true]]}\nabc'
        ),
        lambda: zlib.compress(b'{"index":2,"order":"little","parts":[[' + b"[" * 800 + b"]" * 802 + b"}\n"),
        lambda: zlib.compress(b"[]," * 2**20 + b"\n"),
    ],
    ids=["empty", "no zlib", "no index", "a bomb", "half of one", "a deep one", "many values"],
)
def test_an_index_that_is_none_is_passed_over(
    object_storage: ObjectStorage, tmp_path: Path, content: Callable[[], bytes]
) -> None:
    folder = object_storage.folder(tmp_path.name)
    note(folder, make_plan(folder, [change(1), change(2)]), {0: [outcome(1)]})
    with (folder / "journal" / INDEX).open("wb") as file:
        file.write(content())
    counts = read_index(looked_at(folder)).counts
    assert (counts["applied"], counts["open"]) == (1, 1)


@pytest.mark.attack
def test_places_that_an_index_made_up_are_no_lines(object_storage: ObjectStorage, tmp_path: Path) -> None:
    folder = object_storage.folder(tmp_path.name)
    note(folder, make_plan(folder, [change(1), change(2)]), {0: [outcome(1)]})
    [part] = read_index(looked_at(folder)).parts
    for places in ([3, 5], [0, 2**40]):
        part.planned_at[:] = array("Q", places)
        with (folder / "journal" / INDEX).open("wb") as file:
            file.write(packed([part]))
        with pytest.raises(PlanRefused), reading(folder):
            list(read_index(looked_at(folder)).read(range(2)))


def test_a_part_that_is_written_now_is_read_with_its_objects(
    object_storage: ObjectStorage, tmp_path: Path
) -> None:
    """Each view reads what has come since, and nothing of before again."""
    folder = object_storage.folder(tmp_path.name)
    manifest = make_plan(folder, [change(number) for number in range(1, 101)])
    index: OutcomeIndex | None = None

    def again(index: OutcomeIndex) -> OutcomeIndex:
        return read_index(looked_at(folder), index)

    with JournalPart(folder / "journal" / part_name(0), plan_hash=manifest.hash, dry_run=False) as part:
        for number in range(1, 61):
            part.note(outcome(number))
            if number % 10 == 0:
                part.save()
                index = read_index(looked_at(folder), index)
                assert index.counts["applied"] == number
                assert [one.owner.id for one, _ in index.read([number - 1, 0])] == [number, 1]
                assert asked(object_storage, partial(again, index)) <= 2


def test_a_part_that_is_put_together_while_it_is_read_is_read_again(
    object_storage: ObjectStorage, tmp_path: Path
) -> None:
    folder = object_storage.folder(tmp_path.name)
    manifest = make_plan(folder, [change(number) for number in range(1, 11)])
    with JournalPart(folder / "journal" / part_name(0), plan_hash=manifest.hash, dry_run=False) as part:
        for number in range(1, 9):
            part.note(outcome(number))
            part.save()
        earlier = looked_at(folder)
    index = read_index(earlier)
    assert index.counts["applied"] == 8
    assert [one.owner.id for one, _ in index.read([7, 0])] == [8, 1]


def test_a_file_of_any_size_is_read_in_pieces(object_storage: ObjectStorage, tmp_path: Path) -> None:
    folder = object_storage.folder(tmp_path.name)
    content = os.urandom(3 * 2**20 + 5)
    with (folder / "large").open("wb") as file:
        file.write(content)
    pieces: list[bytes] = []
    with open_plain(looked_at(folder) / "large", most=None) as opened:
        assert asked(object_storage, lambda: pieces.extend(iter(lambda: opened.read(2**16), b""))) == 4
    assert b"".join(pieces) == content


def test_lines_longer_than_what_is_asked_for_are_read_whole(
    object_storage: ObjectStorage, tmp_path: Path
) -> None:
    folder = object_storage.folder(tmp_path.name)
    lines = [b"a" * 200_000, b"b", b"c" * 9000, b"without an end"]
    with (folder / "lines").open("wb") as file:
        file.write(b"\n".join(lines))
    places = [0, 200_001, 200_003, 209_004]
    told = looked_at(folder).look.lines({"lines": places})  # type: ignore[attr-defined]
    assert [told["lines"][place] for place in places] == lines


def test_an_empty_file_is_read_though_no_range_of_it_is_given(place: Path) -> None:
    for name, content in (("empty", b""), ("full", b"full")):
        with (place / name).open("wb") as file:
            file.write(content)
    assert contents([place / "full", place / "empty", place / "full"]) == [b"full", b"", b"full"]
    if not is_on_disk(place):
        assert looked_at(place).look.cat_ranges(["full", "empty"], 0, 9) == [b"full", b""]  # type: ignore[attr-defined]


def test_a_storage_whose_client_is_not_asynchronous_is_read_likewise(tmp_path: Path) -> None:
    folder = flat_path(tmp_path.name)
    applied(folder, 1)
    keep_index(folder)
    index = read_index(looked_at(folder))
    assert (index.counts["applied"], index.counts["failed"]) == (999, 1)
    assert [one.owner.id for one, _ in index.read([999, 0])] == [1000, 1]


@pytest.mark.attack
def test_a_line_without_an_end_is_not_read(object_storage: ObjectStorage, tmp_path: Path) -> None:
    folder = object_storage.folder(tmp_path.name)
    with (folder / "lines").open("wb") as file:
        file.write(bytes(LONGEST_LINE + 1))
    with pytest.raises(NoPlainFileError, match="has a line of more than 16,777,216 bytes, and is not read"):
        looked_at(folder).look.lines({"lines": [0]})  # type: ignore[attr-defined]


def test_a_storage_that_is_away_is_named_and_says_why(object_storage: ObjectStorage) -> None:
    folder = given_folder("name", str(object_storage.folder("run")).replace("@artifacts", "@no-such-bucket"))
    said = "s3://aws_default@no-such-bucket/run cannot be read now: The specified bucket does not exist"
    with pytest.raises(RetryLater, match=f"^{said}$"):
        looked_at(folder)


@pytest.mark.attack
def test_what_a_storage_said_shows_no_key_to_it() -> None:
    said = (
        'Cannot GET "https://a.example/x?sv=1&sig=sesame" nor https://key:sesame@b.example/x?sig=sesame. Why?'
    )
    told = str(away("abfs://name@c/x", "read", ValueError(said)))
    assert told.startswith('abfs://name@c/x cannot be read now: Cannot GET "https://a.example/x?…" nor')
    assert told.endswith("Why?")
    assert "sesame" not in told


def test_a_folder_that_is_not_there_is_an_empty_one(object_storage: ObjectStorage, tmp_path: Path) -> None:
    assert list(looked_at(object_storage.folder(tmp_path.name)).iterdir()) == []
