"""Finding the files of a DAG run: by listing what there is, never by joining what an address says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from airflow_bitrix.operators.artifacts import folder_names


def task_folders(root: Path, dag_id: str, run_id: str) -> dict[str, Path]:
    """Give the folders of a run's tasks by name, in order; none where the run has left nothing.

    Nothing that is reached through a symbolic link is given, so that all of it lies under the root.

    :param root: The artifacts root.
    """
    dag_name, run_name = folder_names(dag_id, run_id)
    if dag_name != dag_id:
        return {}  # another DAG may have this name, and whoever may read this one may not read that one
    folder: Path | None = root.resolve()
    for name in (dag_name, run_name):
        folder = dict(_folders(folder)).get(name) if folder else None
    return {name: path for name, path in sorted(_folders(folder)) if _is_plain(path)} if folder else {}


_PAGES = ("report.html", "changes.html")


def shown_files(folder: Path) -> dict[str, Path]:
    """Give what people read of a task by name: its report, and CSV files, those of its plan too."""
    found: dict[str, Path] = {}
    for place in (folder / "plan", folder):
        for entry in _listed(place):
            is_shown = entry.name.endswith(".csv") or entry.name in _PAGES
            if is_shown and entry.is_file(follow_symlinks=False):
                found[entry.name] = Path(entry.path)
    return found


def _folders(folder: Path) -> Iterator[tuple[str, Path]]:
    for entry in _listed(folder):
        if entry.is_dir(follow_symlinks=False):
            yield entry.name, Path(entry.path)


def _is_plain(folder: Path) -> bool:
    """Whether nothing in a task's folder is a symbolic link."""
    places = (folder, folder / "plan", folder / "journal")
    return not any(entry.is_symlink() for place in places for entry in _listed(place))


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
