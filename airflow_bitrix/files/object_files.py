"""Small files that are created once, by one who finds none: on an object storage, and in a folder.

What a storage's client keeps of earlier listings is never gone by: others write there, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.own_files import open_once
from airflow_bitrix.files.plain_files import NoPlainFileError, read_plain, read_stored
from airflow_bitrix.files.storage_errors import away, storing

_TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")
"""What clients of storages call the time at which a file was written; Airflow's paths know two of them."""


def create(path: Path, content: bytes) -> None:
    """Create a file with some content, or find that somebody else did.

    :raises FileExistsError: It is there, with other content.
    :raises RetryLater: It cannot be written now.
    """
    with storing(path):
        try:
            with open_once(path) as file:
                file.write(content)
        except FileExistsError:
            # The client of a storage asks again where an answer was lost, and then finds what it made itself.
            if not _holds(path, content):
                raise
        except FileNotFoundError as error:  # the folder, or the bucket
            raise away(path, "written", error) from error


def _holds(path: Path, content: bytes) -> bool:
    with suppress(NoPlainFileError, FileNotFoundError):  # a pipe or the like; it was deleted meanwhile
        return contents([path]) == [content]
    return False


def listed(folder: Path) -> list[str]:
    """Give the names of the files in a folder, in order, as they are now; none where it is not there.

    :raises RetryLater: It cannot be read now.
    """
    with storing(folder, "read"):
        try:
            if is_on_disk(folder):
                return sorted(path.name for path in folder.iterdir())
            storage = cast("Any", folder)
            storage.fs.invalidate_cache(storage.path)
            found = storage.fs.ls(storage.path, detail=False, refresh=True)
        except FileNotFoundError:
            return []
    names = (str(path).rstrip("/").rpartition("/")[2] for path in found)
    return sorted(name for name in names if name and name != folder.name)


def contents(paths: Sequence[Path]) -> list[bytes]:
    """Read several files at once.

    :raises NoPlainFileError: They have more than :data:`~airflow_bitrix.files.plain_files.MOST_BYTES`.
    :raises FileNotFoundError: One of them is gone.
    :raises RetryLater: One cannot be read now.
    """
    if not paths:
        return []
    if is_on_disk(paths[0]):
        with storing(paths[0], "read"):
            return [read_plain(path) for path in paths]
    return read_stored(paths)


def remove(paths: Sequence[Path]) -> None:
    """Delete several files of one folder at once; one that is gone is no matter.

    :raises RetryLater: One cannot be deleted now.
    """
    if not paths:
        return
    with storing(paths[0], "deleted"):
        if is_on_disk(paths[0]):
            for path in paths:
                path.unlink(missing_ok=True)
            return
        storage = [cast("Any", path) for path in paths]
        try:
            storage[0].fs.rm([path.path for path in storage])
        except FileNotFoundError:
            for one in storage:
                with suppress(FileNotFoundError):
                    one.unlink()


def written_at(path: Path) -> float:
    """Give the time at which a file was written, unix time by the clock of its storage; 0 where none is told.

    :raises FileNotFoundError: It is gone.
    """
    return path.stat().st_mtime if is_on_disk(path) else _stored_at(path)


def _stored_at(path: Any) -> float:
    return time_told(path.fs.info(path.path))


def time_told(about: Mapping[str, Any]) -> float:
    """Give the time at which a file was written as its storage tells it, unix time; 0 where it tells none."""
    written = next((about[name] for name in _TIMES if about.get(name)), 0)
    if isinstance(written, str):
        written = datetime.fromisoformat(written)
    return written.timestamp() if isinstance(written, datetime) else float(written)
