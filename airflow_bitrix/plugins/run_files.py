"""Finding the files of a DAG run: by listing what there is, never by joining what an address says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from airflow_bitrix.compat import conf
from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.damage import reading
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.names import NAMES
from airflow_bitrix.files.plain_files import open_plain
from airflow_bitrix.files.stamps import stamp
from airflow_bitrix.files.storage_errors import away
from airflow_bitrix.files.stored_paths import looked_at
from airflow_bitrix.operators.shared.artifacts import artifacts_root, folder_names


class ArtifactsElsewhere(PlanRefused):
    """The API server lacks what opens the artifacts root; the text says what that is."""


def opened_root() -> Path:
    """Give the artifacts root.

    :raises ArtifactsElsewhere: Nothing here opens such an address.
    :raises RetryLater: It cannot be opened now, as there is no such connection for example.
    """
    try:
        return artifacts_root()
    except (ImportError, ValueError) as error:
        root = as_plain_text(conf.get("bitrix24", "artifacts_path"))
        raise ArtifactsElsewhere(
            gettext(
                "The artifacts lie in {root}. The API server cannot open that: {error}. It needs what the "
                "workers have for it; report.html and the other files lie there for each task.",
                root=root,
                error=as_plain_text(error),
            )
        ) from None
    except Exception as error:
        raise away(as_plain_text(conf.get("bitrix24", "artifacts_path")), "opened", error) from error


def task_folders(root: Path, dag_id: str, run_id: str) -> dict[str, Path | PlanRefused]:
    """Give the folders of a run's tasks by name, in order; none where the run has left nothing.

    In the place of one that cannot be read stands why: it hides no other. No two runs have the same folder.
    Nothing that is reached through a symbolic link is given, so that all of it lies under the root; and no
    task that has a pipe or a device among its files, which may never end. What lies on an object storage is
    listed once, and tells what it told then.

    :param root: The artifacts root.
    :raises PlanRefused: The folder of the run, or one that it lies in, cannot be read.
    :raises RetryLater: The object storage does not tell what lies there.
    """
    if not is_on_disk(root):
        every = looked_at(root.joinpath(*folder_names(dag_id, run_id))).iterdir()
        return {one.name: one for one in every if one.is_dir() and _is_text(one.name)}
    folder: Path | None = root.resolve()
    for name in folder_names(dag_id, run_id):
        folder = dict(_folders(folder)).get(name) if folder else None
    found = ((name, _plain(path)) for name, path in sorted(_folders(folder))) if folder else ()
    return {name: path for name, path in found if path}


_PAGES = ("report.html", "changes.html")


def shown_files(folder: Path) -> dict[str, Path]:
    """Give what people read of a task by name: its report, and CSV files, those of its plan too."""
    found: dict[str, Path] = {}
    for place in (folder / "plan", folder):
        for path in _files(place):
            if (path.name.endswith(".csv") or path.name in _PAGES) and _is_text(path.name):
                found[path.name] = path
    return found


def _files(folder: Path) -> Iterator[Path]:
    if not is_on_disk(folder):
        return (path for path in folder.iterdir() if path.is_file())
    return (Path(entry.path) for entry in _listed(folder) if entry.is_file(follow_symlinks=False))


def open_file(path: Path) -> tuple[BinaryIO, int]:
    """Open a file that was found here and give it with its size.

    :raises PlanRefused: It has become something else meanwhile, or cannot be read.
    """
    with reading(path):
        file = open_plain(path, most=None, follow=False)
        return file, os.fstat(file.fileno()).st_size if is_on_disk(path) else stamp(path)[1]


def _folders(folder: Path) -> Iterator[tuple[str, Path]]:
    for entry in _listed(folder):
        if _is_text(entry.name) and entry.is_dir(follow_symlinks=False):
            yield entry.name, Path(entry.path)


def _plain(folder: Path) -> Path | PlanRefused | None:
    """Give a task's folder, or why it cannot be read; ``None`` where not all in it is a file or a folder."""
    places = (folder, folder / "plan", folder / "journal", folder / NAMES)
    try:
        is_plain = all(
            entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
            for place in places
            for entry in _listed(place)
        )
    except PlanRefused as error:
        return error
    return folder if is_plain else None


def _is_text(name: str) -> bool:
    """Whether a name can be written into a page; a disk may hold others, which stand as halves of pairs."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    with reading(folder):
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
    return found
