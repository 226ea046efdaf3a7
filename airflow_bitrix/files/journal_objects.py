"""A part of a journal on an object storage, which takes whole files only and appends to none.

While a task writes, its lines lie in small objects beside the part: ``part-00000.jsonl.d/000001``,
``000002`` and so on, without a gap. Each is created by a task that finds none of that number: so it fails for
whoever has lost the part to another task, and nothing is ever written over. In the end they are put into the
part itself, and then deleted. The last line of the part tells up to which number it holds them: a reader that
still finds some of these passes them over.

What a task begins with, behind others, is never deleted, nor is the object that ends a part which is moved:
whoever was called dead before would go on at this number. So objects can lie where a part was moved away
from; the next part there begins behind them. And whoever puts a part together adds a last object first: one
that was called dead finds out there that another task went on, and leaves the part alone. What a task adds
behind one that died stays until the next one ends, should the dead one's part arrive late.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from uuid import uuid4

from airflow_bitrix.core.errors import PlanRefused, RetryLater
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.json_texts import json_value
from airflow_bitrix.files.object_files import contents, create, listed, remove
from airflow_bitrix.files.own_files import open_nameless, open_new
from airflow_bitrix.files.storage_errors import storing

_LOOKS = 10
"""Times that a part is read anew because it was put together meanwhile."""

_KEPT = b'{"began_after": '
"""How an object begins that is not deleted."""


class PartLostError(RetryLater):
    """Another task writes this part of a journal now."""


def has_objects(path: Path) -> bool:
    """Whether a part on a disk was copied from an object storage with objects beside it."""
    return _objects(path).is_dir()


def part_content(path: Path) -> bytes:
    """Give the lines of a part, wherever they lie; nothing where there is no such part.

    :raises PlanRefused: Some are missing.
    :raises RetryLater: They cannot be read now.
    """
    return _read(path).content


def _objects(path: Path) -> Path:
    return path.with_name(f"{path.name}.d")


def _object(path: Path, number: int) -> Path:
    return _objects(path) / f"{number:06d}"


@dataclass(frozen=True, slots=True)
class _Found:
    """What lies of a part on a storage.

    :param base: What the part itself holds; nothing where there is none.
    :param numbers: Numbers of all its objects.
    :param held: The last one whose lines the part holds, or that was there before it.
    :param later: What those behind it hold, by number.
    """

    base: bytes = b""
    numbers: tuple[int, ...] = ()
    held: int = 0
    later: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return b"".join([self.base, *self.later.values()])

    @property
    def last(self) -> int:
        """The number of the last object; behind it nobody has written."""
        return max([self.held, *self.numbers])


def _read(path: Path) -> _Found:
    for _ in range(_LOOKS):
        # Listed before it is read: what is put into the part meanwhile is gone from its place, or told twice.
        numbers = tuple(int(name) for name in listed(_objects(path)) if re.fullmatch(r"\d{6,}", name))
        try:
            [base] = contents([path])
        except FileNotFoundError:
            return _Found(numbers=numbers, held=max(numbers, default=0))
        held = _held(base)
        later = [number for number in numbers if number > held]
        if later != list(range(held + 1, held + 1 + len(later))):
            raise PlanRefused(
                gettext(
                    "of {objects} a file is missing behind number {held}", objects=_objects(path), held=held
                )
            )
        try:
            lines = contents([_object(path, number) for number in later])
        except FileNotFoundError:
            continue
        return _Found(base, numbers, held, dict(zip(later, lines, strict=True)))
    raise RetryLater(gettext("{path} is being put together, and cannot be read now", path=path))


def move_part(path: Path, target: Path) -> None:
    """Move a part with all its lines; where that broke off it is done again.

    The caller lets nobody write it meanwhile. Should it be taken for dead and sleep, it finds out before it
    deletes anything, and writes over no part that another one moved.

    :raises PlanRefused: Some lines are missing.
    :raises PartLostError: Another task moved it meanwhile.
    :raises RetryLater: The storage does not take it.
    """
    found, there = _read(path), _read(target)
    if not found.base:
        return
    _create_next(path, found.last + 1, _began_after(found.last))
    lines = found.content + _holds(max([found.held, *there.numbers]))
    if there.base or not _is_created(target, lines):  # a move broke off behind this
        with storing(target), open_new(target) as file:
            file.buffer.write(lines)
    _create_next(path, found.last + 2, _began_after(found.last + 1))
    with storing(path, "deleted"):
        path.unlink()
    remove([_object(path, number) for number, lines in found.later.items() if not lines.startswith(_KEPT)])


def _is_created(target: Path, lines: bytes) -> bool:
    """Create a part; or tell that an empty one is there, as storages leave them that write bit by bit.

    :raises PartLostError: Another task created it.
    """
    try:
        create(target, lines)
    except FileExistsError:
        if contents([target]) != [b""]:
            raise _lost(target) from None
        return False
    return True


def _create_next(path: Path, number: int, lines: bytes) -> None:
    """Create the next object of a part.

    :raises PartLostError: Another task did.
    :raises RetryLater: The storage does not take it.
    """
    try:
        create(_object(path, number), lines)
    except FileExistsError:
        raise _lost(path) from None


def _lost(path: Path) -> PartLostError:
    return PartLostError(gettext("another task writes {path} now, and this one writes no more", path=path))


def _began_after(number: int) -> bytes:
    """Give the line that begins an object which is never deleted, and which differs from all others."""
    return f'{_KEPT.decode()}{number},"by":"{uuid4().hex}"}}\n'.encode()


def _holds(number: int) -> bytes:
    """Give the line that ends a part which holds the lines of objects."""
    return f'{{"holds":{number}}}\n'.encode() if number else b""


def _held(base: bytes) -> int:
    """Give the number up to which a part holds the lines of its objects."""
    last = base.rstrip(b"\n").rpartition(b"\n")[2]
    if not last.startswith(b'{"holds":'):
        return 0
    try:
        return int(json_value(last)["holds"])
    except (ValueError, KeyError, TypeError):
        return 0


class Spool:
    """Keeps lines on this machine until they are put together, for all parts of a task in one file."""

    def __init__(self) -> None:
        self._file = open_nameless()
        self._lock = Lock()

    def keep(self, content: bytes) -> tuple[int, int]:
        """Keep some lines and give where they lie."""
        with self._lock:
            at = self._file.seek(0, 2)
            self._file.write(content)
        return at, len(content)

    def read(self, place: tuple[int, int]) -> bytes:
        """Give lines back."""
        with self._lock:
            self._file.seek(place[0])
            return self._file.read(place[1])


class ObjectLines:
    """The lines of a part on an object storage, while a task adds to them.

    :param path: The part.
    :param spool: Keeps what was written.
    :raises PlanRefused: The part is not whole.
    :raises RetryLater: The storage is away, or another task began with the part at the same time.
    """

    def __init__(self, path: Path, spool: Spool) -> None:
        self._path, self._spool = path, spool
        self._guard, self._saving = Lock(), Lock()
        self._waiting: list[str] = []
        self._pending = b""
        """What was to become the next object, and may have."""
        found = _read(path)
        self._held, self._numbers = found.held, list(found.numbers)
        self._stay = {number for number, lines in found.later.items() if lines.startswith(_KEPT)}
        self._next = found.last + 1
        self._places = [spool.keep(found.content)]
        self._is_lost, self._is_new, self._is_left = False, not found.base, bool(found.later)

    def begin(self, header: str) -> None:
        """Begin to add, with the line that a task begins with.

        :raises PartLostError: Another task began at the same time.
        """
        if self._is_new:
            lines = header.encode() + _began_after(self._held) + _holds(self._held)
            try:
                create(self._path, lines)
            except FileExistsError:
                raise self._has_lost() from None
            self._places.append(self._spool.keep(lines))
            return
        began = self._next
        self._stay.add(began)
        self.add(_began_after(began - 1).decode() + header)
        self.save()
        # One that was called dead may have ended since the part was read: then this number is free again, and
        # the part holds what was never read here.
        try:
            [base] = contents([self._path])
        except FileNotFoundError:
            raise self._has_lost() from None
        if _held(base) >= began:
            raise self._has_lost()

    def drop(self) -> None:
        """Be done, without having begun."""

    @property
    def content(self) -> bytes:
        """All lines so far, those too that are not saved yet."""
        waiting = "".join(self._waiting).encode()
        return b"".join([*map(self._spool.read, self._places), self._pending, waiting])

    @property
    def is_saved(self) -> bool:
        """Whether all lines would outlive this task."""
        with self._guard:
            return not (self._waiting or self._pending)

    def add(self, line: str) -> None:
        """Add a line, which is kept with the next save."""
        with self._guard:
            self._waiting.append(line)

    def save(self) -> None:
        """Keep what was added: afterwards it outlives this task.

        :raises PartLostError: Another task writes this part now.
        :raises RetryLater: The storage does not take it.
        """
        with self._saving:
            while self._take_up():
                try:
                    _create_next(self._path, self._next, self._pending)
                except PartLostError:
                    raise self._has_lost() from None
                self._places.append(self._spool.keep(self._pending))
                self._numbers.append(self._next)
                self._next += 1
                self._pending = b""

    def _take_up(self) -> bool:
        """Make the next object of what waits, unless one is pending; whether there is any."""
        with self._guard:
            if not self._pending:
                self._pending = "".join(self._waiting).encode()
                self._waiting.clear()
            return bool(self._pending)

    def close(self) -> None:
        """Put all lines into the part, and delete the objects that held them.

        :raises PartLostError: Another task writes this part now.
        :raises RetryLater: The storage does not take it.
        """
        if self._is_lost or (self.is_saved and self._next == self._held + 1):
            return
        self.add(f'{{"ended":{self._next}}}\n')
        self.save()
        with self._saving, storing(self._path), open_new(self._path) as file:
            file.buffer.write(self.content + _holds(self._next - 1))
        olds = [number for number in self._numbers if number <= self._held]
        try:
            told = contents([_object(self._path, number) for number in olds])
        except FileNotFoundError:  # one that was called dead deletes them now
            told = [_KEPT] * len(olds)
        self._stay |= {number for number, lines in zip(olds, told, strict=True) if lines.startswith(_KEPT)}
        gone = [number for number in self._numbers if number not in self._stay]
        if self._is_left:  # one that was called dead may be about to put the part together, and arrive late
            gone = [number for number in gone if number <= self._held]
        remove([_object(self._path, number) for number in gone])

    def _has_lost(self) -> PartLostError:
        self._is_lost = True
        return _lost(self._path)
