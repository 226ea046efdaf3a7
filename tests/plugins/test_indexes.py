"""The indexes that the API server keeps."""

from __future__ import annotations

from pathlib import Path

from airflow_bitrix.plugins.indexes import Indexes
from tests.plugins.runs import change, make_plan, note, outcome


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
        return list(kept.rows(index, state="applied", search="", sort="plan"))

    assert found() == []
    note(tmp_path, manifest, {0: [outcome(2)]})
    assert found() == [1]
    assert found() == [1]


def test_indexes_that_were_not_looked_at_for_long_are_let_go(tmp_path: Path) -> None:
    kept = Indexes(most_changes=4)
    first = {}
    for name in ("one", "two", "three"):
        make_plan(tmp_path / name, [change(1), change(2)])
        first[name] = kept.of(tmp_path / name).parts[0]
    assert kept.of(tmp_path / "three").parts[0] is first["three"]
    assert kept.of(tmp_path / "two").parts[0] is first["two"]
    assert kept.of(tmp_path / "one").parts[0] is not first["one"]
