"""The indexes that the API server keeps."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from pathlib import Path

from airflow_bitrix.files.indexed_parts import IndexedPart
from airflow_bitrix.files.journals import write_failed
from airflow_bitrix.files.outcome_index import SINCE
from airflow_bitrix.files.plans import read_manifest
from airflow_bitrix.plugins.indexes import Indexes
from airflow_bitrix.report.indexed import search_for
from tests.growth import traced
from tests.plugins.runs import PORTAL, change, make_plan, note, outcome

EVERYTHING = search_for("")


def test_an_index_is_kept_until_its_files_change(tmp_path: Path) -> None:
    manifest = make_plan(tmp_path, [change(1), change(2)])
    kept = Indexes()
    first = kept.of(tmp_path)
    assert kept.of(tmp_path).parts[0] is first.parts[0]
    note(tmp_path, manifest, {0: [outcome(1)]})
    assert kept.of(tmp_path).counts["applied"] == 1


def test_the_rows_of_a_search_are_those_of_the_journal_as_it_is_now(tmp_path: Path) -> None:
    manifest = make_plan(tmp_path, [change(1), change(2)])
    kept = Indexes()

    def found() -> list[int]:
        index = kept.of(tmp_path)
        return list(kept.rows(index, state="applied", search=EVERYTHING, sort="plan"))

    assert found() == []
    note(tmp_path, manifest, {0: [outcome(2)]})
    assert found() == [1]
    assert found() == [1]


def test_the_rows_are_sorted_as_each_request_asks(tmp_path: Path) -> None:
    make_plan(tmp_path, [change(2), change(1)])
    kept = Indexes()
    index = kept.of(tmp_path)
    assert list(kept.rows(index, state="", search=EVERYTHING, sort="plan")) == [0, 1]
    assert list(kept.rows(index, state="", search=EVERYTHING, sort="owner")) == [1, 0]


def all_of(kept: Indexes, folders: Iterable[Path]) -> dict[Path, IndexedPart]:
    return {folder: kept.of(folder).parts[0] for folder in folders}


def plans(root: Path, number: int, changes: int) -> list[Path]:
    folders = [root / str(place) for place in range(number)]
    for folder in folders:
        make_plan(folder, [change(owner) for owner in range(1, changes + 1)])
    return folders


def test_indexes_that_were_not_looked_at_for_long_are_let_go(tmp_path: Path) -> None:
    one, two, three = plans(tmp_path, 3, 1)
    kept = Indexes(most=2)
    first = all_of(kept, (one, two, three))
    assert len(kept) == 2
    assert kept.of(three).parts[0] is first[three]
    assert kept.of(two).parts[0] is first[two]
    assert kept.of(one).parts[0] is not first[one]
    assert kept.of(two).parts[0] is first[two], "of the two that are left, the other was looked at first"


def test_indexes_are_let_go_by_what_they_weigh(tmp_path: Path) -> None:
    """Each weighs something, its changes, and much more where a check has found many owners changed."""
    folders = plans(tmp_path, 6, 200)
    kept = Indexes(most_weight=5000)
    all_of(kept, folders)
    assert len(kept) == 4
    manifest = read_manifest(folders[5] / "plan")
    note(folders[5], manifest, {0: [outcome(owner) for owner in range(1, 201)]})
    found = [outcome(owner, "drift", f"{SINCE}changed since: {'x' * 100}") for owner in range(1, 201)]
    write_failed(folders[5] / "failed.csv", found, PORTAL)
    kept.of(folders[5])
    assert len(kept) == 2
    kept = Indexes(most_weight=1)
    all_of(kept, folders[:2])
    assert len(kept) == 1, "the one that is looked at is kept whatever it weighs"


def test_what_is_kept_of_many_runs_is_bounded(tmp_path: Path) -> None:
    """Runs of any size, opened one after the other, as somebody does who looks for the one that failed."""
    folders = plans(tmp_path, 96, 40)
    for folder in folders:
        note(folder, read_manifest(folder / "plan"), {0: [outcome(owner) for owner in range(1, 41)]})
        found = [outcome(owner, "drift", f"{SINCE}changed since: {owner} {folder}") for owner in range(1, 41)]
        write_failed(folder / "failed.csv", found, PORTAL)
    Indexes().of(folders[0])  # loads what it is told with, such as a catalogue
    kept = Indexes()
    gc.collect()
    gc.freeze()  # what other tests have left is not looked through each time
    sizes = []
    with traced() as memory:
        for folder in folders:
            kept.of(folder)
            gc.collect()
            sizes.append(memory()[0])
    assert len(kept) == 32
    assert sizes[31] > 16 * sizes[1] / 2, "what is kept is measured"
    assert max(sizes[32:]) < sizes[31] * 1.25
