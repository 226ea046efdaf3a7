"""Finding a run's files: by what is there, whatever the names."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_bitrix.operators.artifacts import folder_names
from airflow_bitrix.plugins.run_files import shown_files, task_folders
from tests.plugins.runs import change, make_plan

RUN = "manual__2026-11-21T10:00:00+00:00"


def test_the_tasks_of_a_run_are_found_by_its_id(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*folder_names("dag", RUN))
    for name in ("plan", "group.plan.3"):
        make_plan(folder / name, [change(1)])
    (folder / "note.txt").write_text("no task")
    make_plan(tmp_path.joinpath(*folder_names("dag", "other")) / "third", [change(1)])
    assert task_folders(tmp_path, "dag", RUN) == {
        "group.plan.3": folder / "group.plan.3",
        "plan": folder / "plan",
    }


@pytest.mark.parametrize("name", ["", ".", "..", "/", "../dag", "dag/", "dag/run", "\x00", "*", "a" * 300])
def test_a_name_that_is_no_folder_finds_nothing(tmp_path: Path, name: str) -> None:
    make_plan(tmp_path / "dag" / "run" / "plan", [change(1)])
    assert task_folders(tmp_path, "dag", "run")
    assert task_folders(tmp_path, name, "run") == {}
    assert task_folders(tmp_path, "dag", name) == {}
    assert task_folders(tmp_path / "dag", name, "plan") == {}


def test_without_a_root_there_is_nothing(tmp_path: Path) -> None:
    assert task_folders(tmp_path / "missing", "dag", "run") == {}


def test_a_root_may_be_a_link_itself(tmp_path: Path) -> None:
    make_plan(tmp_path / "real" / "dag" / "run" / "plan", [change(1)])
    (tmp_path / "root").symlink_to(tmp_path / "real")
    assert list(task_folders(tmp_path / "root", "dag", "run")) == ["plan"]


def test_the_files_that_people_read_are_those_of_the_task_and_of_its_plan(tmp_path: Path) -> None:
    make_plan(tmp_path, [change(1)])
    (tmp_path / "failed.csv").write_text("x")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "failed.csv")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "other.csv").write_text("x")
    for name in ("report.html", "other.html", "approval.json", "secret.txt"):
        (tmp_path / name).write_text("x")
    assert shown_files(tmp_path) == {
        "failed.csv": tmp_path / "failed.csv",
        "report.html": tmp_path / "report.html",
        "left_out.csv": tmp_path / "plan" / "left_out.csv",
    }
