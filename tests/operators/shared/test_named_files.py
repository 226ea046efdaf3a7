"""Where files may lie that a form names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.owner_lists import read_owner_ids
from airflow_bitrix.operators.shared.artifacts import named_file

pytestmark = pytest.mark.attack


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place with a folder of maps, the artifacts, and somebody's file beside them."""
    for name in ("maps", "artifacts/dag"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "secret").touch()
    (tmp_path / "maps" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "maps" / "round").symlink_to(tmp_path / "maps" / "round")
    (tmp_path / "in").symlink_to(tmp_path / "maps")
    monkeypatch.setenv("AIRFLOW__BITRIX24__FILES_PATH", f"{tmp_path}/maps , s3://bucket/maps/")
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", str(tmp_path / "artifacts"))
    return tmp_path


INSIDE = ["maps/map.csv", "maps", "in/map.csv", "maps/../maps/map.csv", "artifacts/dag/run/plan/failed.csv"]
OUTSIDE = [
    "secret",
    "maps/../secret",
    "maps/out",
    "maps/round",
    "maps/round/map.csv",
    "mapsaside",
    "/etc/passwd",
    "",
]


@pytest.mark.parametrize("name", INSIDE)
def test_files_may_lie_where_the_administrator_lets_them(root: Path, name: str) -> None:
    assert named_file("owners_file", str(root / name)) == root / name


@pytest.mark.parametrize("name", [*OUTSIDE, "file:///etc/passwd"])
def test_files_may_lie_nowhere_else(root: Path, name: str) -> None:
    accepted = rf"; accepted: what lies in {root}/maps or s3://bucket/maps/ or among the artifacts \("
    with pytest.raises(InvalidInput, match=accepted):
        named_file("owners_file", name if "://" in name else str(root / name))


def test_without_the_setting_a_file_may_lie_anywhere(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__BITRIX24__FILES_PATH", "")
    assert named_file("owners_file", str(root / "secret")) == root / "secret"


@pytest.mark.parametrize("given", ["maps\0", "\0", 17, None])
def test_what_is_no_name_is_refused(given: object) -> None:
    with pytest.raises(InvalidInput, match="the path or address of a file or folder, as text"):
        named_file("owners_file", given)


@pytest.mark.parametrize("scheme", ["file", "FILE", "local", "Local"])
def test_what_airflow_calls_a_storage_and_is_this_machine_s_disk_holds_up_nobody_by_a_pipe(
    tmp_path: Path, scheme: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "ids.csv").write_text("5\n")
    pipe, ids = (named_file("owners_file", f"{scheme}://{tmp_path}/{name}") for name in ("pipe", "ids.csv"))
    assert is_on_disk(pipe)
    with pytest.raises(InvalidInput, match="no plain file"):
        read_owner_ids(pipe, "lead")
    assert list(read_owner_ids(ids, "lead")) == [5]
