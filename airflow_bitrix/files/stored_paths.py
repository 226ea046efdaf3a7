"""Paths in a folder of an object storage that was looked at: they tell what the listing told."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self, cast

from airflow_bitrix.files.stamps import Stamp
from airflow_bitrix.files.stored_looks import LARGEST_KEPT, Look

_PIECE = 2**20


def looked_at(folder: Path) -> Path:
    """Look at a folder of an object storage, and give it as it was then.

    :raises RetryLater: The storage did not tell.
    """
    return cast("Path", StoredPath(Look(folder), ()))


@dataclass(frozen=True, slots=True, eq=False)
class StoredPath:
    """A path in a folder that was looked at, as far as whoever reads asks a path.

    :param look: The look.
    :param names: Names from its folder on.
    """

    look: Look
    names: tuple[str, ...]

    def __truediv__(self, name: str) -> Self:
        return type(self)(self.look, (*self.names, *name.split("/")))

    def __str__(self) -> str:
        return self.look.address(self.path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredPath) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def fs(self) -> Look:
        """What reads it."""
        return self.look

    @property
    def path(self) -> str:
        """Its path from the look's folder on."""
        return "/".join(self.names)

    @property
    def name(self) -> str:
        """Its last name."""
        return self.names[-1] if self.names else self.look.address("").rpartition("/")[2]

    @property
    def parent(self) -> Self:
        """The folder that it lies in; of the look's folder this one."""
        return type(self)(self.look, self.names[:-1])

    def with_name(self, name: str) -> Self:
        """Give the path of another name beside it."""
        return self.parent / name

    @property
    def stamp(self) -> Stamp:
        """Its state, of a part of a journal with that of its objects; empty where there is no file."""
        entry = self.look.entry(self.path)
        if entry is None:
            return ()
        every = [entry.stamp, *(one.stamp for _, one in self.look.below(f"{self.path}.d"))]
        if len(every) == 1:
            return entry.stamp
        written, sizes, signs = zip(*every, strict=True)
        return max(written), sum(sizes), signs

    @property
    def size(self) -> int:
        """Bytes of the file; 0 where there is none."""
        entry = self.look.entry(self.path)
        return entry.size if entry else 0

    def exists(self) -> bool:
        """Whether there is a file, or a folder with something in it."""
        return self.look.entry(self.path) is not None or self.is_dir()

    def is_dir(self) -> bool:
        """Whether something lies below."""
        return next(self.look.below(self.path), None) is not None

    def is_file(self) -> bool:
        """Whether there is a file."""
        return self.look.entry(self.path) is not None

    def iterdir(self) -> Iterator[Self]:
        """Give what lies in the folder, in order."""
        names = dict.fromkeys(one.partition("/")[0] for one, _ in self.look.below(self.path))
        return (self / name for name in names if name)

    def glob(self, pattern: str) -> Iterator[Self]:
        """Give the files whose path from here is of a pattern."""
        depth = pattern.count("/")
        for path, _ in self.look.below(self.path):
            if path.count("/") == depth and PurePosixPath(path).match(pattern):
                yield self / path

    def open(self, mode: str = "rb") -> io.RawIOBase | io.BytesIO:
        """Open the file to read its bytes.

        :raises FileNotFoundError: It is not there.
        :raises RetryLater: The storage did not give it.
        """
        entry = self.look.entry(self.path)
        if mode != "rb" or entry is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        if entry.size <= LARGEST_KEPT:
            return io.BytesIO(*self.look.cat_ranges([self.path], 0, entry.size))
        return _Pieces(self.look, self.path, entry.size)


class _Pieces(io.RawIOBase):
    """A large file, read a piece at a time."""

    def __init__(self, look: Look, name: str, size: int) -> None:
        self._look, self._name, self.size = look, name, size
        self._at, self._piece = 0, b""

    def read(self, size: int = -1) -> bytes:
        wanted = self.size - self._at if size < 0 else size
        if not self._piece:
            end = min(self._at + _PIECE, self.size)
            self._piece = self._look.part(self._name, self._at, end) if self._at < end else b""
            self._at = end
        given, self._piece = self._piece[:wanted], self._piece[wanted:]
        return given
