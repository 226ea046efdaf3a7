"""Finding a run's files: by what is there, whatever the names."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from airflow.sdk import DAG
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.operators.shared.artifacts import folder_names
from airflow_bitrix.plugins.run_files import open_file, shown_files, task_folders
from tests.plugins.runs import as_another_user, change, for_everybody, make_plan, note, outcome

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


LONG = "team.sales." + "x" * 239


@pytest.mark.parametrize("dag_id", [".hidden", LONG, "._.", "отдел.продаж", "a" * 201, "a" * 250])
def test_every_name_that_a_dag_may_have_is_found(tmp_path: Path, dag_id: str) -> None:
    assert DAG(dag_id, schedule=None).dag_id == dag_id, "Airflow takes it"
    folder = tmp_path.joinpath(*folder_names(dag_id, RUN))
    make_plan(folder / "plan", [change(1)])
    assert task_folders(tmp_path, dag_id, RUN) == {"plan": folder / "plan"}


NAMES = st.one_of(
    st.text("ab.%~/2E\n_", min_size=1),
    st.text("aж.", min_size=180, max_size=250),
    st.sampled_from([LONG, LONG[:-1], LONG[:-1] + "y", ".a", "%2Ea", "%252Ea"]),
)


@settings(max_examples=300, deadline=None)
@given(NAMES, NAMES)
def test_no_two_dags_and_no_two_runs_share_a_folder(one: str, other: str) -> None:
    """Whoever may read one of them may not read the other."""
    (one_dag, one_run), (other_dag, other_run) = folder_names(one, one), folder_names(other, other)
    assert (one_dag == other_dag) == (one == other)
    assert (one_run == other_run) == (one == other)


def test_a_long_name_cannot_be_had_by_another_dag(tmp_path: Path) -> None:
    """It ends with a digest behind a mark that no DAG's id may hold; in other names that mark is escaped."""
    name, _ = folder_names(LONG, RUN)
    assert name != LONG
    with pytest.raises(ValueError, match="alphanumeric"):
        DAG(name, schedule=None)
    make_plan(tmp_path.joinpath(*folder_names(LONG, RUN)) / "plan", [change(1)])
    assert task_folders(tmp_path, name, RUN) == {}


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def bound(path: Path) -> None:
    """A socket, which cannot be read either."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as one, contextlib.chdir(path.parent):
        one.bind(path.name)


def link(path: Path) -> None:
    aside = path.rename(path.parents[2] / "aside") if path.exists() else path.parents[2]
    path.symlink_to(aside)


@pytest.mark.parametrize("make", [pipe, bound, link])
@pytest.mark.parametrize(
    "name",
    [
        "failed.csv",
        "approval.json",
        "plan/manifest.json",
        "plan/part-00000.jsonl",
        "journal/part-00000.jsonl",
    ],
)
def test_a_task_with_anything_but_files_and_folders_is_not_looked_at(
    tmp_path: Path, make: Callable[[Path], None], name: str
) -> None:
    """Who opens a pipe waits until somebody writes into it."""
    tmp_path.joinpath("aside.d").mkdir()
    folder = tmp_path / "dag" / "run" / "plan"
    note(folder, make_plan(folder, [change(1)]), {0: [outcome(1)]})
    make_plan(folder.parent / "other", [change(1)])
    assert list(task_folders(tmp_path, "dag", "run")) == ["other", "plan"]
    make(folder / name)
    assert list(task_folders(tmp_path, "dag", "run")) == ["other"]


@pytest.mark.parametrize("make", [pipe, link])
def test_a_file_that_became_something_else_is_not_opened(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "dag" / "run" / "failed.csv"
    path.parent.mkdir(parents=True)
    path.write_text("x" * 10)
    file, size = open_file(path)
    assert (file.read(), size) == (b"x" * 10, 10)
    file.close()
    make(path)
    with pytest.raises(PlanRefused, match=r"^run/failed\.csv "):
        open_file(path)


def test_a_folder_that_may_not_be_read_is_named() -> None:
    with TemporaryDirectory() as name:
        root = Path(name).resolve()
        root.chmod(0o755)
        make_plan(root / "dag" / "run" / "plan", [change(1)])
        for_everybody(root)
        refused = pytest.raises(PlanRefused, match=r"^dag/run cannot be read: Permission denied$")
        with as_another_user(root / "dag" / "run"), refused:
            task_folders(root, "dag", "run")


def test_names_that_are_no_text_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "dag" / "run" / "plan"
    make_plan(folder, [change(1)])
    odd = os.fsdecode(b"\xff.csv")
    (folder / odd).write_text("x")
    (folder.parent / odd).mkdir()
    assert list(task_folders(tmp_path, "dag", "run")) == ["plan"]
    assert list(shown_files(folder)) == ["left_out.csv"]


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
