"""Folders of runs: readable names that no two runs share, whatever their ids."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from airflow.sdk import ObjectStoragePath
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.operators.shared.artifacts import folder_names, lasting_file, task_folder

MOST_BYTES = 255
NAMES = st.text(st.sampled_from("ab_-.~%:/+ 3A2Fя") | st.characters(codec="utf-8"), min_size=1, max_size=250)


def context(dag_id: str = "dag", run_id: str = "run", task_id: str = "plan", index: int = -1) -> Any:
    ti = SimpleNamespace(task_id=task_id, map_index=index)
    return {"dag": SimpleNamespace(dag_id=dag_id), "run_id": run_id, "ti": ti}


def run_name(run_id: str) -> str:
    return folder_names("dag", run_id)[1]


def test_usual_ids_stay_readable() -> None:
    root = Path(os.environ["AIRFLOW__BITRIX24__ARTIFACTS_PATH"])
    run_id = "manual__2026-11-22T00:00:00.123+00:00_aBc"
    folder = root / "nightly_links" / "manual__2026-11-22T00%3A00%3A00.123%2B00%3A00_aBc"
    assert task_folder(context("nightly_links", run_id)) == folder / "plan"
    assert task_folder(context("nightly_links", run_id, "group.plan", 3)) == folder / "group.plan.3"
    assert unquote(folder.name) == run_id


def test_ids_that_differ_in_one_sign_have_folders_of_their_own() -> None:
    ids = ["a/b", "a:b", "a+b", "a b", "a_b", "a%b", "a%3Ab", "a~b", "a.b", ".ab", "%2Eab", "..ab", "_ab"]
    assert len({run_name(one) for one in ids}) == len(ids)


@pytest.mark.parametrize("run_id", [".", "..", "../../etc", "/etc/passwd", ".hidden", "a/../b"])
def test_no_id_leads_out_of_the_folder(run_id: str) -> None:
    name = run_name(run_id)
    assert "/" not in name
    assert not name.startswith(".")


@pytest.mark.drawn
@given(NAMES, NAMES)
def test_any_two_ids_have_folders_of_their_own_that_a_file_system_takes(one: str, other: str) -> None:
    assert (run_name(one) == run_name(other)) is (one == other)
    assert len(run_name(one).encode()) <= MOST_BYTES


@pytest.mark.parametrize("letter", ["a", "я", ":"])
def test_ids_as_long_as_airflow_takes_them_have_folders_of_their_own(letter: str, tmp_path: Path) -> None:
    for last in "xy":
        (tmp_path / run_name(letter * 249 + last)).mkdir()
    assert len(list(tmp_path.iterdir())) == 2


def test_files_that_last_differ_with_each_of_their_names() -> None:
    portals = ["https://acme.bitrix24.com", "https://acme.bitrix24.com:8443", f"https://{'a' * 250}.com"]
    found = {lasting_file(context(task_id=task), "lead", portal) for task in "ab" for portal in portals}
    assert len(found) == 6
    assert all(path.suffix == ".json" and len(path.name.encode()) <= MOST_BYTES for path in found)


def test_object_storage_takes_the_names_as_they_are(tmp_path: Path) -> None:
    name = run_name("manual__2026-11-22T00:00:00+00:00")
    place = ObjectStoragePath(f"file://{tmp_path}") / name
    place.mkdir()
    (place / "x.txt").write_text("kept")
    assert (tmp_path / name / "x.txt").read_text() == "kept"
    assert ObjectStoragePath(str(place / "x.txt")).read_text() == "kept"


def test_outside_of_a_dag_run_a_task_needs_a_folder_of_its_own() -> None:
    with pytest.raises(InvalidInput, match=r"^artifacts_path: None .* accepted: a folder, where a task is"):
        task_folder({})
