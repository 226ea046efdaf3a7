"""Making folders and files: who else may read what a run leaves is decided here.

Plans, journals and reports tell who a company's clients are.
"""

from __future__ import annotations

import errno
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple, TextIO, TypeVar, cast

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.plain_files import descriptor_of
from airflow_bitrix.files.storage_errors import away, storing

T = TypeVar("T")


class _Modes(NamedTuple):
    folder: int
    file: int
    is_exact: bool = False


_MODES: dict[str, _Modes] = {
    "private": _Modes(0o700, 0o600),
    "group": _Modes(0o2770, 0o660, is_exact=True),
    "umask": _Modes(0o777, 0o666),
}

_NAME = "[bitrix24] artifacts_access"

_ask: list[Callable[[], str]] = [lambda: "private"]


def go_by(ask: Callable[[], str]) -> None:
    """Say where the setting stands: this package knows no Airflow.

    :param ask: Gives ``private``, ``group`` or ``umask``, each time that a folder or a file is made.
    """
    _ask[:] = [ask]


def _modes() -> _Modes:
    access = _ask[0]()
    try:
        return _MODES[access]
    except (KeyError, TypeError):
        raise InvalidInput(_NAME, access, gettext("private, group or umask")) from None


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it lies in, where they are missing. One that is there stays as it is.

    With ``private``, the default, nobody else enters those that are made; with ``group`` all of their group
    may, which they have from the process, or from a folder with its setgid bit that they lie in; with
    ``umask`` the process decides. On object storage nothing is made before a file needs it: a bucket whose
    name is misspelt shall not come to be.

    :raises InvalidInput: The setting is none of these.
    :raises OSError: It cannot be made.
    """
    if not is_on_disk(folder):
        return
    modes = _modes()
    missing = []
    for place in (folder, *folder.parents):
        if place.exists():
            break
        missing.append(place)
    if not missing and not folder.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
    for place in reversed(missing):
        try:
            place.mkdir(mode=modes.folder)
        except FileExistsError:
            if not place.is_dir():
                raise
            continue  # another task was first
        if modes.is_exact:
            place.chmod(modes.folder)  # whatever the umask has taken away


def in_its_folder(path: Path, make: Callable[[], T]) -> T:
    """Make a file on an object storage; of one whose folders are more than parts of names, its folder first.

    :param make: Makes it, or fails where its folder is missing.
    """
    try:
        return make()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return make()


def open_new(path: Path, *, newline: str | None = None, add: bool = False) -> TextIO:
    """Open a text file to write it, in UTF-8; one that lies there is emptied first, and keeps its mode.

    :param path: The file, also on object storage. On a disk its folder is there.
    :param newline: As of ``open``.
    :param add: Whether what lies there stays, and is added to.
    :raises NoPlainFileError: There is a pipe, a folder, a symbolic link or the like in its place.
    :raises OSError: It cannot be written.
    :raises RetryLater: An object storage does not take it; that is told when it is closed, at the latest.
    """
    if not is_on_disk(path):
        storage = cast("Any", path)
        mode = "ab" if add else "wb"
        made = in_its_folder(path, lambda: storage.fs.open(storage.path, mode))
        return cast("TextIO", _StoredText(made, path, newline))
    modes = _modes()
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | (os.O_APPEND if add else os.O_TRUNC)
    try:
        descriptor = descriptor_of(path, flags | os.O_EXCL, modes.file)
        if modes.is_exact:
            os.fchmod(descriptor, modes.file)
    except FileExistsError:
        descriptor = descriptor_of(path, flags, modes.file)
    return os.fdopen(descriptor, "a+" if add else "w+", newline=newline, encoding="utf-8")


class _StoredText(io.TextIOWrapper):
    """A text file on an object storage, most of which take a file when it is closed."""

    def __init__(self, file: IO[bytes], path: Path, newline: str | None) -> None:
        super().__init__(file, encoding="utf-8", newline=newline)
        self._path = path

    def close(self) -> None:
        try:
            with storing(self._path):
                super().close()
        except FileNotFoundError as error:  # the bucket
            raise away(self._path, "written", error) from error


def open_once(path: Path) -> IO[bytes]:
    """Open a file to write its bytes, which nobody has created yet; of two that do so at once, one can.

    :param path: The file, also on object storage. On a disk its folder is there.
    :raises FileExistsError: Somebody created it, or put a pipe, a symbolic link or the like in its place; on
        object storage that is told when it is closed, at the latest.
    :raises OSError: It cannot be written.
    """
    if not is_on_disk(path):
        storage = cast("Any", path)
        return cast("IO[bytes]", in_its_folder(path, lambda: storage.fs.open(storage.path, "xb")))
    modes = _modes()
    descriptor = descriptor_of(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, modes.file)
    if modes.is_exact:
        os.fchmod(descriptor, modes.file)
    return os.fdopen(descriptor, "wb", buffering=0)


def open_nameless() -> IO[bytes]:
    """Open a file without a name, on a disk of this machine: for this process alone, and gone with it."""
    return cast("IO[bytes]", tempfile.TemporaryFile())


def write_new(path: Path, text: str) -> None:
    """Write a text file, whole; see :func:`open_new`."""
    with open_new(path) as file:
        file.write(text)
