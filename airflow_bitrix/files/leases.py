"""Leases: who may write something that several hosts reach, on an object storage or a disk that they share.

A lease lies in a folder, as small files that are created once and never written over: ``000007.000001`` is
the claim with the number 7, ``000007.000002`` the sign that its holder still lives, and so on. A claim with a
lower number comes first; it holds for as long as signs come, by the storage's own clock. A holder that is
dead is shut out by whoever comes next, with the file that would have been its next sign: should it live after
all, it finds that there, and stops before the next request. What a dead one is shut out with lies for a day,
and whoever could give no sign for half of that holds nothing any more.
"""

from __future__ import annotations

import json
import logging
import math
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Self
from uuid import uuid4

from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.holders import Holder, this_holder
from airflow_bitrix.files.json_texts import shaped
from airflow_bitrix.files.object_files import contents, create, listed, remove, written_at
from airflow_bitrix.files.own_files import make_folder
from airflow_bitrix.files.plain_files import NoPlainFileError
from airflow_bitrix.files.storage_errors import storing

LEASE = 60.0
"""Seconds without a sign after which a holder counts as dead; it gives four in that time."""

_DAY = 86400.0
_TRIES = 50
_PAUSE = 0.25

log = logging.getLogger(__name__)

Claim = Mapping[str, Any]
Conflicts = Callable[[Claim], bool]

_Signs = dict[int, list[int]]
"""The numbers of the signs of each claim, in order."""


class HeldError(RetryLater):
    """Another one holds what is asked for.

    :param claim: What it claims.
    :param holder: Who it is.
    """

    def __init__(self, what: str, claim: Claim, holder: Holder) -> None:
        super().__init__(f"{what}: {holder.name}")
        self.claim = claim
        self.holder = holder


class LeaseLostError(RetryLater):
    """A holder was taken for dead, and another one holds what it held."""


@dataclass(frozen=True, slots=True)
class _Sign:
    """What a file of a lease tells.

    :param ended: Whether its holder holds nothing any more.
    :param shut: Whether that was so decided by another one.
    """

    claim: dict[str, Any]
    holder: Holder
    ended: bool = False
    shut: bool = False

    def as_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


class Lease:
    """A claim that is held from entering to leaving its context.

    :param folder: Where all those keep their claims who want the same.
    :param claim: What is claimed.
    :param conflicts: Whether somebody else's claim does not go with it.
    :param busy: What to say of one that holds it.
    :param holder: Who asks.
    :param seconds: See :data:`LEASE`.
    """

    def __init__(
        self,
        folder: Path,
        claim: Claim,
        conflicts: Conflicts,
        busy: str,
        holder: Holder | None = None,
        *,
        seconds: float = LEASE,
    ) -> None:
        self._folder = folder
        self._seconds = seconds
        self._conflicts = conflicts
        self._busy = busy
        self._mine = _Sign(dict(claim), holder or this_holder())
        self._number = self._beats = 0
        self._confirmed = _Moment.now()
        self._is_lost = False
        self._is_over = Event()
        self._lock = Lock()
        self._beating = Thread(target=self._beat_on, name="lease", daemon=True)

    def __enter__(self) -> Self:
        """Claim it.

        :raises HeldError: Another one holds it.
        :raises RetryLater: The storage is away, or does not keep what it holds from being written over.
        """
        if is_on_disk(self._folder):
            make_folder(self._folder)
        try:
            others = self._put_in()
            self._prove()
            self._look_at(others)
        except BaseException:
            self._leave()
            raise
        self._beating.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give it up; where the storage is away, it ends by itself."""
        self._is_over.set()
        self._beating.join(timeout=self._seconds)
        if not self._is_lost:
            try:
                self._leave()
            except RetryLater as error:
                log.warning(
                    "%s",
                    gettext(
                        "A lease ends {seconds} s from now, by itself: {error}",
                        seconds=f"{self._seconds:.0f}",
                        error=error,
                    ),
                )

    @property
    def is_due(self) -> bool:
        """Whether the last sign is so long ago that nothing may be written before the next one."""
        return self._is_lost or self._confirmed.ago > self._seconds / 2

    def check(self) -> None:
        """Make sure that it is still held, before something is written.

        :raises LeaseLostError: Another one holds it.
        :raises RetryLater: The storage is away.
        """
        if self.is_due:
            self.renew()

    def _put_in(self) -> _Signs:
        """Put a claim behind all others, and give the signs of these.

        They are listed once more behind it. A claim that takes long to arrive may come to a number which has
        been another one's and is free again, and whoever holds a later number has not seen it.
        """
        for _ in range(_TRIES):
            self._number = max(_signs(self._folder), default=0) + 1
            try:
                self.renew()
            except LeaseLostError:  # somebody else was faster
                self._is_lost = False
                continue
            others = _signs(self._folder)
            if others.pop(self._number, []) == [1] and not self._is_late(others):
                return others
            self._leave()
            self._beats = 0
            time.sleep(_PAUSE * (1 + random.random()))
        raise RetryLater(gettext("too many tasks begin at the same time: {folder}", folder=self._folder))

    def _is_late(self, others: _Signs) -> bool:
        """Whether one behind ours claims the same, and may have come before it."""
        later = (_file(self._folder, one, beats[-1]) for one, beats in others.items() if one > self._number)
        signs = map(_read, later)
        return any(sign and not sign.ended and self._conflicts(sign.claim) for sign in signs)

    def _prove(self) -> None:
        """Find out that what is there is not written over: all else counts on it."""
        try:
            create(self._file(1), b"may this be written over?\n")
        except FileExistsError:
            return
        raise RetryLater(
            gettext(
                "the storage of {folder} writes over what is there, also where it is told not to, so "
                "that nobody could tell whether two tasks write at once; [bitrix24] artifacts_path has "
                "to name another",
                folder=self._folder,
            )
        )

    def _look_at(self, others: _Signs) -> None:
        """Find out whether none of those who came before holds what is claimed; delete what is of no use."""
        gone: list[Path] = []
        for number, every in others.items():
            beats = every[-1]
            sign = _read(_file(self._folder, number, beats))
            if sign is None:
                continue
            if not sign.ended:
                if not self._conflicts(sign.claim):
                    continue
                self._shut_out(number, beats, sign)
            is_in_use = sign.shut and self._age(number, beats) <= _DAY
            gone += [_file(self._folder, number, one) for one in (every[:-1] if is_in_use else every)]
        with suppress(RetryLater):  # it only tidies up, and somebody may have put a folder there
            remove(gone)

    def _shut_out(self, number: int, beats: int, sign: _Sign) -> None:
        """Shut out a holder that is dead.

        :raises HeldError: It lives.
        """
        if not sign.holder.is_gone and self._age(number, beats) <= self._seconds:
            raise HeldError(self._busy, sign.claim, sign.holder)
        shut = _Sign(sign.claim, sign.holder, ended=True, shut=True)
        try:
            create(_file(self._folder, number, beats + 1), shut.as_bytes())
        except FileExistsError:
            now = _read(_file(self._folder, number, beats + 1))
            if now and not now.ended:
                raise HeldError(self._busy, sign.claim, sign.holder) from None
        log.warning(
            "%s",
            gettext(
                "Went on behind a task that ended without a word: {holder_name}", holder_name=sign.holder.name
            ),
        )

    def _age(self, number: int, beats: int) -> float:
        return _age(self._folder, _file(self._folder, number, beats))

    def _file(self, beats: int) -> Path:
        return _file(self._folder, self._number, beats)

    def _beat_on(self) -> None:
        while not self._is_over.wait(self._seconds / 4):
            try:
                self.renew()
            except LeaseLostError:
                return  # whoever writes next is told
            except RetryLater as error:
                log.warning("%s", gettext("No sign that this task still works: {error}", error=error))

    def renew(self) -> None:
        """Give a sign.

        :raises LeaseLostError: Another one holds it.
        :raises RetryLater: The storage is away.
        """
        with self._lock:
            if self._is_lost or self._confirmed.ago > _DAY / 2:  # by then it may have been shut out for a day
                self._is_lost = True
                raise self._lost()
            began = _Moment.now()
            try:
                create(self._file(self._beats + 1), self._mine.as_bytes())
            except FileExistsError:
                self._is_lost = True
                raise self._lost() from None
            self._beats += 1
            self._confirmed = began

    def _lost(self) -> LeaseLostError:
        return LeaseLostError(
            gettext(
                "this task gave no sign of life for {seconds} s, and another one goes on in its place, "
                "so it writes no more: {folder}",
                seconds=f"{self._seconds:.0f}",
                folder=self._folder,
            )
        )

    def _leave(self) -> None:
        ended = _Sign(self._mine.claim, self._mine.holder, ended=True)
        with self._lock:
            if not self._beats:  # nothing is claimed
                return
            try:
                create(self._file(self._beats + 1), ended.as_bytes())
            except FileExistsError:
                return
            remove([self._file(number) for number in range(1, self._beats + 1)])


def refuse_if_held(folder: Path, conflicts: Conflicts, busy: str) -> None:
    """Look whether somebody holds something, without claiming it.

    :raises HeldError: Somebody does.
    """
    for number, beats in _signs(folder).items():
        file = _file(folder, number, beats[-1])
        sign = _read(file)
        if not sign or sign.ended or sign.holder.is_gone or not conflicts(sign.claim):
            continue
        if _age(folder, file) <= LEASE:
            raise HeldError(busy, sign.claim, sign.holder)


@contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """Wait until nobody else is at a folder, for the moment that a look at its files and a move take."""
    ends = time.monotonic() + 2 * LEASE
    while True:
        lease = Lease(folder, {}, lambda _: True, gettext("another task is at {folder}", folder=folder))
        try:
            lease.__enter__()
            break
        except HeldError:
            if time.monotonic() > ends:
                raise
        time.sleep(_PAUSE)
    with ExitStack() as held:
        held.push(lease.__exit__)
        yield


def _file(folder: Path, number: int, beats: int) -> Path:
    return folder / f"{number:06d}.{beats:06d}"


def _signs(folder: Path) -> _Signs:
    signs: _Signs = {}
    for name in listed(folder):
        if found := re.fullmatch(r"(\d{6,})\.(\d{6,})", name):
            signs.setdefault(int(found[1]), []).append(int(found[2]))
    return {number: sorted(beats) for number, beats in signs.items()}


def _read(file: Path) -> _Sign | None:
    """Read a sign; ``None`` where it is gone, as its holder ended."""
    try:
        [content] = contents([file])
        return shaped(content, _Sign)
    except FileNotFoundError:
        return None
    # It is being written, was cut off by a crash, or is a pipe that somebody put there: then its age tells.
    except (ValueError, NoPlainFileError):
        unknown = Holder(gettext("a task that is not known"), "", "unknown", 0, "", "", "")
        return _Sign({}, unknown)


def _age(folder: Path, file: Path) -> float:
    """Give the seconds since a file was created, by the clock of its storage; 0 where that tells no times.

    Of one that is gone, whose holder has ended, they are without end.
    """
    probe = folder / f"now-{uuid4().hex}"
    create(probe, b"")
    try:
        with storing(file, "read"):
            times = [written_at(path) for path in (probe, file)]
    except FileNotFoundError:
        return math.inf
    finally:
        remove([probe])
    return times[0] - times[1] if all(times) else 0.0


@dataclass(frozen=True, slots=True)
class _Moment:
    """A moment by two clocks of a host: one may stand still while it sleeps, the other is set."""

    up: float
    unix: float

    @classmethod
    def now(cls) -> _Moment:
        return cls(time.clock_gettime(time.CLOCK_BOOTTIME), time.time())

    @property
    def ago(self) -> float:
        """Seconds since, by the clock that says more."""
        now = _Moment.now()
        return max(now.up - self.up, now.unix - self.unix)
