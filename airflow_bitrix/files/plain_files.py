"""Opening files to read them: plain ones alone, at once, and no more of them than is bearable.

A person can name any file in a trigger form, and whoever may write into a folder can put anything there under
any name: a pipe that nobody writes into, a device without an end, a file of many gigabytes. All that is read
of artifacts and of named files is opened here.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import IO, Any, TextIO, cast

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.storage_errors import storing

MOST_BYTES = 2**28
"""Bytes of a file that are read; parts of plans and journals have a few million."""

LONGEST_LINE = 2**24
"""Bytes of a line, of a file that is read a line at a time and may have any size."""

_WHOLE = 2**18
"""Bytes that are read at once of a file that is read whole."""

_AT_ONCE = 2**16

NO_PLAIN_FILE = gettext_noop("is no plain file")

_NEVER_WAIT = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NoPlainFileError(PlanRefused, OSError):
    """What has the name of a file is a folder, a pipe, a device, a socket, or is too large.

    It is an error of the file system, too: where a file may be missing, so may this one.

    :param path: The file.
    :param why: What is wrong with it, as in ``is no plain file``.
    """

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} {why}")
        self.why = why


def descriptor_of(path: Path, flags: int, mode: int = 0o600) -> int:
    """Open a plain file on a disk without waiting for anybody, and give its descriptor.

    :param flags: As of ``os.open``; a symbolic link is followed unless they have ``O_NOFOLLOW``.
    :param mode: Who may do what with a file that is made.
    :raises NoPlainFileError: It is something else.
    :raises OSError: It is not there, or may not be opened.
    """
    try:
        descriptor = os.open(path, flags | _NEVER_WAIT, mode)
    except ValueError:  # no name of a file has a zero byte
        raise NoPlainFileError(path, gettext(NO_PLAIN_FILE)) from None
    except OSError as error:
        # A socket, or a pipe that nobody reads; a folder that is to be written; a link not to be followed.
        if error.errno in (errno.ENXIO, errno.EISDIR) or (
            error.errno == errno.ELOOP and flags & os.O_NOFOLLOW
        ):
            raise NoPlainFileError(path, gettext(NO_PLAIN_FILE)) from None
        raise
    with ExitStack() as opened:
        opened.callback(os.close, descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NoPlainFileError(path, gettext(NO_PLAIN_FILE))
        opened.pop_all()
    return descriptor


def open_plain(path: Path, most: int | None = MOST_BYTES, *, follow: bool = True) -> io.BufferedReader:
    """Open a plain file to read it.

    :param path: The file, also on object storage.
    :param most: Bytes that may be read of it; ``None`` for a file that is not kept in memory.
    :param follow: Whether a symbolic link to a file will do.
    :raises NoPlainFileError: It is something else, or larger; also while it is read, where it grows.
    :raises OSError: It is not there, or may not be read.
    :raises RetryLater: An object storage does not give it now; also while it is read.
    """
    file: IO[bytes]
    if is_on_disk(path):
        file = os.fdopen(descriptor_of(path, os.O_RDONLY if follow else os.O_RDONLY | os.O_NOFOLLOW), "rb", 0)
        size = os.fstat(file.fileno()).st_size
    else:
        with storing(path, "read"):
            file = path.open("rb")
            size = getattr(file, "size", None) or 0  # not every storage tells it
    if most is not None and size > most:
        file.close()
        raise too_large(path, most)
    return io.BufferedReader(_Bounded(file, path, most), _AT_ONCE)


def open_text(
    path: Path, *, encoding: str = "utf-8", errors: str = "strict", newline: str | None = None
) -> TextIO:
    """Open a plain file to read its text; see :func:`open_plain`."""
    return io.TextIOWrapper(open_plain(path), encoding=encoding, errors=errors, newline=newline)


def read_plain(path: Path, most: int = MOST_BYTES) -> bytes:
    """Read a plain file, whole; see :func:`open_plain`."""
    if not is_on_disk(path):
        return read_stored([path], most)[0]
    with open_plain(path, most) as file:
        return file.read()


def read_stored(paths: Sequence[Path], most: int = MOST_BYTES) -> list[bytes]:
    """Read files of an object storage at once, with a request for each.

    :param most: Bytes that they may have together.
    :raises NoPlainFileError: They have more.
    :raises FileNotFoundError: One of them is gone.
    :raises RetryLater: One cannot be read now.
    """
    storage = [cast("Any", path) for path in paths]
    with storing(paths[0], "read"):
        names = [path.path for path in storage]
        told = storage[0].fs.cat_ranges(names, 0, most + 1)
        found = [_content(path, one) for path, one in zip(storage, told, strict=True)]
    if sum(map(len, found)) > most:
        raise too_large(paths[0], most)
    return found


def _content(path: Any, told: bytes | Exception) -> bytes:
    """Give what a storage told of a file: S3 has no range of an empty one to give, and says so."""
    if isinstance(told, Exception):
        if isinstance(told, FileNotFoundError) or path.fs.info(path.path)["size"]:
            raise told
        return b""
    return told


def plain_lines(path: Path, most: int | None = None) -> Iterator[bytes]:
    """Give the lines of a plain file, with their ends; see :func:`open_plain`.

    :param most: Bytes that may be read of it; any number by default.
    :raises NoPlainFileError: It is something else, or a line is longer than :data:`LONGEST_LINE`.
    """
    with open_plain(path, most) as file:
        while line := file.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                too_long = gettext(
                    "has a line of more than {longest_line} bytes, and is not read", longest_line=LONGEST_LINE
                )
                raise NoPlainFileError(path, too_long)
            yield line


class _Bounded(io.RawIOBase):
    """A file of which no more is read than may be, also where it has no size, or grows.

    :param file: The file; it is closed with this one.
    :param path: Its path.
    :param most: How many bytes may be read; ``None`` for any number.
    """

    def __init__(self, file: IO[bytes], path: Path, most: int | None) -> None:
        self._file, self._path, self._most, self._read = file, path, most, 0

    def fileno(self) -> int:
        return self._file.fileno()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with nullcontext() if is_on_disk(self._path) else storing(self._path, "read"):
            piece: bytes | None = self._file.read(len(buffer))
        if piece is None:  # as files of the kernel do that wait for something to happen
            raise NoPlainFileError(self._path, gettext(NO_PLAIN_FILE))
        self._read += len(piece)
        if self._most is not None and self._read > self._most:
            raise too_large(self._path, self._most)
        buffer[: len(piece)] = piece
        return len(piece)

    def readall(self) -> bytes:
        # The base class takes 8 KB at a time.
        pieces: list[bytes] = []
        while piece := self.read(_WHOLE):
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def too_large(path: Path, most: int) -> NoPlainFileError:
    """Say that a file is not read because of its size."""
    return NoPlainFileError(path, gettext("has more than {most} bytes, and is not read", most=most))
