"""``failed.csv``: whoever looks while it is written sees the one before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from upath import UPath

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.plan import ChangeOutcome
from airflow_bitrix.files.journals import write_failed
from tests.plugins.runs import PORTAL, outcome


def test_a_failed_csv_takes_the_place_of_the_one_before_at_once(tmp_path: Path) -> None:
    path = tmp_path / "failed.csv"
    write_failed(path, [outcome(1, "failed", "before")], PORTAL)
    before = path.read_text()

    def outcomes() -> Iterator[ChangeOutcome]:
        yield from (outcome(number, "failed", "now") for number in range(5000))
        assert path.read_text() == before, "half of it is written"

    assert write_failed(path, outcomes(), PORTAL) == 5000
    assert path.read_text().count("now") == 5000
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_csv_that_could_not_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "failed.csv"
    write_failed(path, [outcome(1, "failed", "before")], PORTAL)

    def outcomes() -> Iterator[ChangeOutcome]:
        yield outcome(2, "failed", "now")
        raise PlanRefused("the journal is damaged")

    with pytest.raises(PlanRefused):
        write_failed(path, outcomes(), PORTAL)
    assert "before" in path.read_text()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("store", ["objects in memory", "files by their address"])
def test_a_failed_csv_goes_to_object_storage_as_well(tmp_path: Path, store: str) -> None:
    path: Any = (
        ObjectStoragePath(f"file://{tmp_path}/failed.csv")
        if "files" in store
        else UPath(f"memory://{tmp_path.name}/failed.csv")
    )
    assert write_failed(path, [outcome(1, "failed", "why")], PORTAL) == 1
    assert "why" in path.read_text()
