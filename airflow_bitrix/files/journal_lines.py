"""The lines of a part of a journal: read in order, and added to by one task at a time, wherever they lie."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files import journal_objects
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.file_systems import is_kept_by_kernel
from airflow_bitrix.files.journal_objects import ObjectLines, Spool, has_objects, part_content
from airflow_bitrix.files.json_texts import json_value
from airflow_bitrix.files.locks import take
from airflow_bitrix.files.own_files import open_new
from airflow_bitrix.files.plain_files import read_plain
from airflow_bitrix.files.storage_errors import storing


class Lines(Protocol):
    """A part of a journal that a task adds to."""

    @property
    def content(self) -> bytes:
        """All lines so far."""

    def begin(self, header: str) -> None:
        """Begin to add, with the line that a task begins with."""

    def drop(self) -> None:
        """Be done, without having begun."""

    def add(self, line: str) -> None:
        """Add a line, which is kept with the next save."""

    def save(self) -> None:
        """Keep what was added: afterwards it outlives this task."""

    def close(self) -> None:
        """Keep what was added, and be done."""


def opened_lines(path: Path, spool: Spool) -> Lines:
    """Open a part to add lines to it.

    :param spool: Keeps lines on this machine that go to an object storage.
    :raises PlanRefused: It is a copy on a disk, with objects beside it.
    :raises RetryLater: Another task writes it now, or the storage is away.
    """
    if not is_on_disk(path):
        return ObjectLines(path, spool)
    if has_objects(path):
        raise PlanRefused(
            gettext(
                "{path} is a copy from an object storage, with lines beside it: a restore reads them, "
                "and an apply goes on where the journal was begun",
                path=path,
            )
        )
    return _DiskLines(path)


class _DiskLines:
    """The lines of a part on a disk: one file, which is locked as long as it is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open_new(path, add=True)
        try:
            if is_kept_by_kernel(path.parent):  # elsewhere a lease is held
                take(self._file, path, busy(path))
            # What a run was writing when it died is cut off; what it told is looked up again.
            self._file.truncate(read_plain(path).rfind(b"\n") + 1)
        except BaseException:
            self._file.close()
            raise

    @property
    def content(self) -> bytes:
        self._file.flush()
        return read_plain(self._path)

    def begin(self, header: str) -> None:
        self.add(header)

    def drop(self) -> None:
        self._file.close()

    def add(self, line: str) -> None:
        self._file.write(line)

    def save(self) -> None:
        with storing(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def busy(path: Path) -> str:
    """Say that a part is written by another task."""
    return gettext("another task writes {path} now", path=path)


def journal_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Give the lines of a journal part, up to one that a run was writing when it died.

    :raises PlanRefused: A line is damaged.
    """
    return told_lines(raw_lines(path), path)


def raw_lines(path: Path) -> Iterator[bytes]:
    """Give the lines of a part as they are, each with its end; none where there is no such part."""
    if not is_on_disk(path) or has_objects(path):
        yield from part_content(path).splitlines(keepends=True)
    elif path.exists():
        yield from read_plain(path).splitlines(keepends=True)


def raw_content(path: Path) -> bytes:
    """Give the lines of a part as one.

    :raises FileNotFoundError: There is no such part.
    """
    if is_on_disk(path) and not has_objects(path):
        return read_plain(path)
    if not (content := part_content(path)):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return content


def move_part(path: Path, target: Path) -> None:
    """Move a part of a journal, with all its lines, to where none lies. Nobody writes it meanwhile.

    :param target: Its new path, on the same storage; the folder is there.
    """
    if is_on_disk(path):
        path.rename(target)
    else:
        journal_objects.move_part(path, target)


def told_lines(lines: Iterable[bytes], path: Path) -> Iterator[dict[str, Any]]:
    """Read lines of a part.

    :raises PlanRefused: A line is damaged.
    """
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            return
        try:
            told = json_value(line)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise PlanRefused(
                gettext(
                    "line {number} of {path} is damaged; mend or remove the line",
                    number=str(number),
                    path=path,
                )
            )
        yield told
