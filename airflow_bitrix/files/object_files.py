"""Small files that are created once, by one who finds none: on an object storage, and in a folder.

What a storage's client keeps of earlier listings is never gone by: others write there, too.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from airflow_bitrix.core.errors import Bitrix24Error, RetryLater
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.own_files import open_once
from airflow_bitrix.files.plain_files import MOST_BYTES, NoPlainFileError, read_plain, too_large

_LONGEST = 300
"""Letters of a storage's words that are shown."""

_MOST = 10_000
_QUERY = re.compile(r"\?[^\s\"']+")
"""What stands behind an address, and may be a key to it, as Azure has them."""


@contextmanager
def storing(path: Path, what: str = "written") -> Iterator[None]:
    """Turn whatever a storage or a disk raises into one error, but for files that are there or are not.

    :param what: What cannot be done with the path.
    :raises RetryLater: It cannot be done now; it says with which path, and why in the storage's own words.
    """
    try:
        yield
    except (FileExistsError, FileNotFoundError, Bitrix24Error):
        raise
    except Exception as error:
        raise away(path, what, error) from error


def away(path: Path | str, what: str, error: Exception) -> RetryLater:
    """Say what cannot be done now, and why in the storage's own words."""
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    said = as_plain_text(_QUERY.sub("?…", str(why)[:_MOST]), _LONGEST)
    return RetryLater(f"{path} cannot be {what} now: {said}")


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
    with storing(paths[0], "read"):
        if is_on_disk(paths[0]):
            return [read_plain(path) for path in paths]
        storage = [cast("Any", path) for path in paths]
        names = [path.path for path in storage]
        pieces = storage[0].fs.cat_ranges(names, 0, MOST_BYTES + 1)
        every = zip(paths, pieces, strict=True)
        found = given([read_plain(path) if _has_no_range(piece) else piece for path, piece in every])
    if sum(map(len, found)) > MOST_BYTES:
        raise too_large(paths[0], MOST_BYTES)
    return found


def _has_no_range(piece: object) -> bool:
    """Whether a file may be empty, of which an S3 server gives no range."""
    return isinstance(piece, OSError) and piece.errno == errno.EINVAL


def given(pieces: Sequence[bytes | BaseException]) -> list[bytes]:
    """Give pieces of files as a storage's client gives them, which has errors among them.

    :raises BaseException: The first of these.
    """
    for piece in pieces:
        if isinstance(piece, BaseException):
            raise piece
    return cast("list[bytes]", list(pieces))


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
                if one.exists():
                    one.unlink()
