"""The manifest of a plan: written whole or not at all, and read only where it holds what it should."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.files.plans import MANIFEST, read_manifest
from tests.plugins.runs import change, make_plan, sealed


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let a file that grows beyond so many bytes fail, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_of_a_manifest_that_could_not_be_written_nothing_stays(tmp_path: Path) -> None:
    """A half of it would be taken for a plan that somebody has damaged."""
    with files_of_at_most(400), pytest.raises(OSError, match="too large"):
        make_plan(tmp_path, [change(1)])
    assert sorted(path.name for path in (tmp_path / "plan").iterdir()) == ["left_out.csv", "part-00000.jsonl"]
    with pytest.raises(PlanRefused, match="there is no plan"):
        read_manifest(tmp_path / "plan")
    make_plan(tmp_path, [change(1)])
    assert (tmp_path / "plan" / MANIFEST).stat().st_size > 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"counts": []},
        {"counts": {"read": 1, "changes": 1, "emptied": 0, "left_out": [1]}},
        {"counts": {"read": 1, "changes": 1, "emptied": 0, "left_out": {"why": "1"}}},
        {"counts": {"read": 1, "changes": 1, "emptied": 0, "by_rule": {"rule": None}}},
        {"counts": {"read": 1, "changes": 1, "emptied": 0, "hidden_links": "1"}},
        {"counts": {"read": "1", "changes": 1, "emptied": 0}},
        {"counts": {"read": 1, "changes": 1}},
        {"counts": {"changes": 1, "emptied": 0}},
        {"created": 5},
        {"portal": 5},
        {"rules": [5]},
        {"rules": "release"},
        {"guards": {"max_changes": None, "max_share": 0.5, "portals": [], "population": "1"}},
        {"parts": [{"name": 5, "changes": 1, "sha256": ""}]},
        {"parts": [{"name": "part-00000.jsonl", "changes": "1", "sha256": ""}]},
        {"parts": [{"name": "part-00000.jsonl", "changes": 1}]},
    ],
)
def test_a_manifest_that_holds_something_else_is_damaged_though_its_hash_is_right(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    make_plan(tmp_path, [change(1)])
    sealed(tmp_path, **wrong)
    with pytest.raises(PlanRefused, match="is damaged or was edited"):
        read_manifest(tmp_path / "plan")


def test_a_manifest_of_a_version_that_counted_less_is_read(tmp_path: Path) -> None:
    make_plan(tmp_path, [change(1)])
    sealed(tmp_path, counts={"read": 1, "changes": 1, "emptied": 0})
    assert read_manifest(tmp_path / "plan").changes == 1
