"""A look at a folder of an object storage: its files as one listing told them, read at few requests.

Whoever shows a run asks for many small things: whether a file is there, when it was written, a line of it.
All that a listing tells costs no request of its own; what is read is kept for as long as the listing tells of
the same file; several files, or places of a file, are asked for at once. No request takes longer than
:data:`TIMEOUT`: a store that is away is said to be.
"""

from __future__ import annotations

import asyncio
import errno
import os
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from threading import Lock
from typing import Any, cast

from fsspec.asyn import sync  # type: ignore[import-untyped]

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.object_files import time_told
from airflow_bitrix.files.plain_files import LONGEST_LINE, MOST_BYTES, NoPlainFileError, too_large
from airflow_bitrix.files.stamps import Stamp
from airflow_bitrix.files.storage_errors import away, storing

TIMEOUT = 20.0
"""Seconds that the storage has for an answer."""

MOST_KEPT = 2**24
"""Bytes of files and lines that are kept by a process, of all folders together."""

LARGEST_KEPT = 2**21
"""Bytes of a file that is kept; parts of plans and journals have a fifth of it."""

_AT_ONCE = MOST_KEPT // 2
"""Bytes that are read ahead: so nothing of it is lost before it is used."""

_WHOLE = -1
_OF_EACH = 500
"""Bytes that something weighs that is kept, beside what it holds."""

_A_LINE = 4096
_NEAR = 2**16
"""Bytes between two places that are asked for together, as these cost less than another request."""


def _too_long() -> str:
    return gettext("has a line of more than {longest_line} bytes, and is not read", longest_line=LONGEST_LINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a listing tells of a file.

    :param size: Bytes.
    :param stamp: When it was written, ns since 1970, its size, and a sign of what it holds.
    """

    size: int
    stamp: Stamp


class _Kept:
    """Files and lines of files, by address, stamp and where they begin; those that were asked for last."""

    def __init__(self, most: int) -> None:
        self._most, self._bytes, self._lock = most, 0, Lock()
        self._by_key: OrderedDict[tuple[str, Stamp, int], bytes] = OrderedDict()

    def get(self, key: tuple[str, Stamp, int]) -> bytes | None:
        with self._lock:
            if key in self._by_key:
                self._by_key.move_to_end(key)
            return self._by_key.get(key)

    def put(self, key: tuple[str, Stamp, int], content: bytes) -> None:
        if len(content) > LARGEST_KEPT:
            return
        with self._lock:
            if (earlier := self._by_key.pop(key, None)) is not None:
                self._bytes -= len(earlier) + _OF_EACH
            self._bytes += len(content) + _OF_EACH
            self._by_key[key] = content
            while self._bytes > self._most:
                self._bytes -= len(self._by_key.popitem(last=False)[1]) + _OF_EACH


_kept = _Kept(MOST_KEPT)


class Look:
    """What lay in a folder of an object storage at one moment.

    It stands for the file system of its paths, as far as reading needs one.

    :param folder: The folder; it need not be there.
    :raises RetryLater: The storage did not tell.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = cast("Any", folder)
        self._address = str(folder).rstrip("/")
        self._entries: dict[str, Entry] = {}
        self._names: list[str] = []
        self._renew()

    def address(self, name: str) -> str:
        """Give the address of a path below the folder."""
        return f"{self._address}/{name}" if name else self._address

    def entry(self, name: str) -> Entry | None:
        """Give what the listing tells of a file; ``None`` where it tells of none."""
        return self._entries.get(name)

    def below(self, name: str) -> Iterator[tuple[str, Entry]]:
        """Give the files that lie below a folder, by their path from there."""
        prefix = f"{name}/" if name else ""
        for path in islice(self._names, bisect_left(self._names, prefix), None):
            if not path.startswith(prefix):
                return
            yield path[len(prefix) :], self._entries[path]

    def invalidate_cache(self, path: str) -> None:
        """Do nothing: no listing is kept."""

    def ls(self, path: str, **_: Any) -> list[str]:
        """Give what lies in a folder, as the listing tells it."""
        return [f"{path}/{name}" for name in sorted({name.partition("/")[0] for name, _ in self.below(path)})]

    def cat_ranges(self, names: Sequence[str], start: int, end: int, **_: Any) -> list[bytes]:
        """Read files at once, as far as they are asked for.

        :raises FileNotFoundError: One of them is not there any more.
        :raises RetryLater: The storage did not give it.
        """
        found = {name: self._known(name) for name in names}
        sizes = {name: self._listed(name).size for name, content in found.items() if content is None}
        spans = [(name, start, min(end, size)) for name, size in sizes.items()]
        for name, content in zip(sizes, self._ask_for(spans), strict=True):
            if start == 0 and end >= sizes[name]:
                self._keep(name, content)
            found[name] = content
        return [cast("bytes", found[name])[start:end] for name in names]

    def warm(self, now: Sequence[str], later: Iterable[str]) -> None:
        """Read parts of a plan and a journal at once that are read one after the other, if one is not kept.

        :param now: The files to be read now; the objects of a part of a journal belong to it.
        :param later: Those to be read after them.
        """
        if missing := self._not_kept(now):
            every = dict.fromkeys([*missing, *self._not_kept(later)])
            sums = accumulate(self._listed(name).size for name in every)
            few = [name for name, bytes_so_far in zip(every, sums, strict=True) if bytes_so_far <= _AT_ONCE]
            with suppress(FileNotFoundError):  # it was put together meanwhile, as its reader finds out
                self.cat_ranges(few, 0, LARGEST_KEPT)

    def _not_kept(self, names: Iterable[str]) -> list[str]:
        with_objects = (one for name in names for one in (name, *self._objects(name)))
        small = (
            one for one in with_objects if one in self._entries and self._entries[one].size <= LARGEST_KEPT
        )
        return [one for one in small if self._known(one) is None]

    def _objects(self, name: str) -> Iterator[str]:
        return (f"{name}.d/{one}" for one, _ in self.below(f"{name}.d"))

    def lines(self, wanted: Mapping[str, Iterable[int]]) -> dict[str, dict[int, bytes]]:
        """Read single lines of files.

        :param wanted: Where they begin, in bytes, by file.
        :return: The lines, by file and beginning. What has no end within the file is given up to there.
        :raises FileNotFoundError: A file is not there any more.
        :raises RetryLater: The storage did not give it.
        """
        found: dict[str, dict[int, bytes]] = {name: {} for name in wanted}
        left: dict[str, list[int]] = {}
        for name, places in wanted.items():
            whole = self._known(name)
            for at in sorted(set(places)):
                line = self._known(name, at) if whole is None else _line(whole, at)
                if line is None:
                    left.setdefault(name, []).append(at)
                else:
                    found[name][at] = line
        length = _A_LINE
        while any(left.values()):
            if length > LONGEST_LINE:
                raise NoPlainFileError(self._folder, _too_long())
            spans = [
                (name, *span) for name, places in left.items() for span in self._spans(name, places, length)
            ]
            for (name, start, end), piece in zip(spans, self._ask_for(spans), strict=True):
                is_last = end >= self._listed(name).size
                for at in [at for at in left[name] if start <= at < end]:
                    if is_last or piece.find(b"\n", at - start) >= 0:
                        found[name][at] = _line(piece, at - start)
                        self._keep(name, found[name][at], at)
            left = {name: [at for at in places if at not in found[name]] for name, places in left.items()}
            length *= 16
        return found

    def part(self, name: str, start: int, end: int) -> bytes:
        """Read some bytes of a file; see :meth:`cat_ranges`."""
        return self._ask_for([(name, start, end)])[0]

    def _listed(self, name: str) -> Entry:
        if (entry := self._entries.get(name)) is None:
            raise _gone(self.address(name))
        return entry

    def _spans(self, name: str, places: Sequence[int], length: int) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        size = self._listed(name).size
        for at in places:
            end = min(at + length, size)
            if at >= size:
                raise _gone(self.address(name))
            if spans and at - spans[-1][1] < _NEAR:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((at, end))
        return spans

    def _known(self, name: str, at: int = _WHOLE) -> bytes | None:
        entry = self._entries.get(name)
        return _kept.get((self.address(name), entry.stamp, at)) if entry else None

    def _keep(self, name: str, content: bytes, at: int = _WHOLE) -> None:
        _kept.put((self.address(name), self._listed(name).stamp, at), content)

    def _renew(self) -> None:
        top = str(self._folder.path).rstrip("/")
        with storing(self._folder, "read"):
            try:
                storage = self._folder.fs
                found = _bounded(storage, "find", top, detail=True)
            except FileNotFoundError as error:  # the bucket is
                raise away(self._folder, "read", error) from error
            storage.invalidate_cache()  # it keeps this listing, and nobody is to go by it
            inside = f"{storage._strip_protocol(top)}/"  # noqa: SLF001 (each file system has it)
            self._entries = {
                path.removeprefix(inside): _entry(about)
                for path, about in found.items()
                if path.startswith(inside) and not path.endswith("/")
            }
        self._names = sorted(self._entries)

    def _ask_for(self, spans: Sequence[tuple[str, int, int]]) -> list[bytes]:
        if empty := [span for span in spans if span[1] == span[2]]:  # of which no range can be given
            pieces = iter(self._ask_for([span for span in spans if span not in empty]))
            return [b"" if span in empty else next(pieces) for span in spans]
        if not spans:
            return []
        if sum(end - start for _, start, end in spans) > MOST_BYTES:
            raise too_large(self._folder, MOST_BYTES)
        paths = [f"{str(self._folder.path).rstrip('/')}/{name}" for name, _, _ in spans]
        starts, ends = [start for _, start, _ in spans], [end for _, _, end in spans]
        try:
            with storing(self._folder, "read"):
                return _given(_bounded(self._folder.fs, "cat_ranges", paths, starts, ends))
        except FileNotFoundError:
            self._renew()  # it was put together meanwhile, or replaced
            raise


def _bounded(storage: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """Ask a storage for something; whose client waits for answers by itself has a deadline."""
    if not getattr(storage, "async_impl", False):
        return getattr(storage, name)(*args, **kwargs)

    async def in_time() -> Any:
        try:
            return await asyncio.wait_for(getattr(storage, f"_{name}")(*args, **kwargs), TIMEOUT)
        except TimeoutError:
            raise TimeoutError(
                gettext("no answer within {timeout} seconds", timeout=f"{TIMEOUT:g}")
            ) from None

    return sync(storage.loop, in_time)


def _line(content: bytes, at: int) -> bytes:
    ends = content.find(b"\n", at)
    return content[at : ends if ends >= 0 else None]


def _gone(address: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), address)


_SIGNS = ("ETag", "etag", "generation", "md5Hash", "content_md5")


def _entry(about: Mapping[str, Any]) -> Entry:
    size = int(about.get("size") or 0)
    sign = next((about[name] for name in _SIGNS if about.get(name)), None)
    seconds = time_told(about)
    known = str(sign) if sign or seconds else object()  # of what tells neither nothing is kept
    return Entry(size, (int(seconds * 1e9), size, known))


def _given(pieces: Sequence[bytes | BaseException]) -> list[bytes]:
    """Give pieces of files as a storage's client gives them, which has errors among them.

    :raises BaseException: The first of these.
    """
    for piece in pieces:
        if isinstance(piece, BaseException):
            raise piece
    return cast("list[bytes]", list(pieces))
