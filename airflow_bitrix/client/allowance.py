"""One allowance of requests per portal, shared by all processes of a host.

The portal counts per source address, so two workers on one host share one bucket whether they know it or not.
They know it through a small file per portal, locked while it is read and written. The kernel drops
the lock of a process that dies.

The times in it are those of a clock that starts anew with the host, and that nobody sets. The name of the
file tells which start of which host it belongs to: one that an earlier start left, or that another host keeps
in the same folder, is another file.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import hashlib
import logging
import math
import os
import platform
import re
import stat
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from airflow_bitrix.client.pacing import Bucket, Level
from airflow_bitrix.client.sharing import Share
from airflow_bitrix.core.languages import gettext

log = logging.getLogger(__name__)

_FORMAT = struct.Struct("<9d")


class Turn:
    """One request that asks to be let through, until it is."""

    @functools.cached_property
    def name(self) -> str:
        """A name that is no other's; made where somebody asks for it, since most allowances do not."""
        return uuid.uuid4().hex


class Allowance(Protocol):
    """Says when the next request may leave."""

    remote: bool
    """Whether asking takes its time, so that an event loop leaves it to a thread."""

    def ask(self, turn: Turn | None = None) -> float:
        """Count one request and give 0, or give the seconds after which to ask again, with the same turn.

        :param turn: Where it is left out, the request is one that asks for the first time.
        """

    def tell_full(self) -> None:
        """Note that the portal refused a request, so that everybody pauses."""


class Unlimited:
    """The allowance of a portal without a bucket (self-hosted)."""

    remote = False

    def ask(self, turn: Turn | None = None) -> float:  # noqa: ARG002 (as all allowances)
        """Admit at once."""
        return 0.0

    def tell_full(self) -> None:
        """Nothing to note: the flow waits before it repeats."""


_memory_lock = threading.Lock()
# A child that is forked while another thread holds the lock would wait for it for ever.
os.register_at_fork(
    before=_memory_lock.acquire, after_in_parent=_memory_lock.release, after_in_child=_memory_lock.release
)


class MemoryAllowance:
    """An allowance for the threads of one process."""

    remote = False

    def __init__(self, bucket: Bucket, clock: Callable[[], float] = time.monotonic) -> None:
        self._bucket = bucket
        self._clock = clock
        self._level = Level()

    def ask(self, turn: Turn | None = None) -> float:  # noqa: ARG002 (as all allowances)
        """Count one request, or give the seconds to wait."""
        with _memory_lock:
            self._level, wait = self._bucket.admit(self._level, self._clock())
        return wait

    def tell_full(self) -> None:
        """Take the bucket as full from now on."""
        with _memory_lock:
            self._level = self._bucket.full(self._level, self._clock())


_TRIES = 20
_PAUSE = 0.0005
_LOCKED = 0.01
"""Seconds after which to ask again where somebody else holds the lock."""


class FileAllowance:
    """An allowance for all processes of a host, kept in a locked file.

    :param bucket: The portal's bucket.
    :param path: The file; it is made when missing, readable by this user only.
    :param clock: Seconds that all processes of the host agree on.
    :param longest_lock: Seconds after which a lock is taken as never to be let go; usually it is held for
        microseconds.
    :raises OSError: The file cannot be made or belongs to somebody else; so do all methods.
    """

    remote = False

    def __init__(
        self,
        bucket: Bucket,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        longest_lock: float = 10.0,
    ) -> None:
        self._bucket = bucket
        self._longest_lock = longest_lock
        self._path = path
        self._clock = clock
        self._locked_since: float | None = None
        with own_slot(path):
            pass

    def ask(self, turn: Turn | None = None) -> float:  # noqa: ARG002 (as all allowances)
        """Count one request for everybody, or give the seconds to wait."""
        with own_slot(self._path) as slot:
            if not self._lock(slot):
                return _LOCKED
            now = self._clock()
            level, wait = self._bucket.admit(self._read(slot.descriptor, now), now)
            slot.write(level)
        return wait

    def tell_full(self) -> None:
        """Take the bucket as full for everybody. Where the lock is not let go, nobody hears of it."""
        with own_slot(self._path) as slot:
            if self._lock(slot):
                now = self._clock()
                slot.write(self._bucket.full(self._read(slot.descriptor, now), now))

    def _lock(self, slot: Slot) -> bool:
        # Never waited for in the kernel: it would stop an event loop with all its other work.
        if slot.lock():
            self._locked_since = None
            return True
        now = time.monotonic()
        self._locked_since = now if self._locked_since is None else self._locked_since
        if now - self._locked_since > self._longest_lock:
            raise TimeoutError(errno.ETIMEDOUT, gettext("another process keeps it locked"), str(self._path))
        return False

    def _read(self, descriptor: int, now: float) -> Level:
        raw = os.pread(descriptor, _FORMAT.size, 0)
        if len(raw) != _FORMAT.size:
            return Level()
        return self._bucket.credible(level_of(_FORMAT.unpack(raw)), now)


def numbers_of(level: Level) -> tuple[float, ...]:
    """Give a level as numbers, to be kept."""
    share = level.share
    bucket = (level.empty_at, level.opened_at, level.quiet_until, level.refusals)
    return (*bucket, share.pace, share.since, share.horizon, share.sent, share.due_at)


def level_of(numbers: Sequence[float]) -> Level:
    """Give the level that :func:`numbers_of` made numbers of.

    :raises ValueError: There are more of them, or fewer.
    """
    empty_at, opened_at, quiet_until, refusals, pace, since, horizon, sent, due_at = numbers
    share = Share(pace, since, horizon, _count(sent), due_at)
    return Level(empty_at, opened_at, quiet_until, _count(refusals), share)


def _count(number: float) -> int:
    return int(number) if math.isfinite(number) else -1


class Slot:
    """An open file of this user: what is in it is read and written while it is locked."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def lock(self) -> bool:
        """Lock it, unless somebody else does for more than a moment."""
        for _ in range(_TRIES):
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_PAUSE)
            else:
                return True
        return False

    def write(self, level: Level) -> None:
        """Write a level into it."""
        raw = _FORMAT.pack(*numbers_of(level))
        os.pwrite(self.descriptor, raw, 0)


@contextmanager
def own_slot(path: Path) -> Iterator[Slot]:
    """Open a file, which is made when missing; its lock is let go at the end.

    :raises OSError: It cannot be made, or is somebody else's.
    """
    descriptor = _open(path)
    try:
        found = os.fstat(descriptor)
        # One of several names: in a folder that others may write, of any other file of ours.
        if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise PermissionError(errno.EPERM, gettext("it is no file of this user"), str(path))
        yield Slot(descriptor)
    finally:
        # Closing alone would leave the lock to a child that was forked meanwhile.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _open(path: Path) -> int:
    # Cleaners of temporary folders do not ask whether somebody is at work, and somebody else may be quicker
    # to make what they have removed.
    make_own_folder(path.parent)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    return os.open(path, flags, 0o600)


def make_own_folder(folder: Path) -> None:
    """Make a folder in which files of this user are safe, or look whether one that is there is such.

    Where everybody may make folders, as in ``/tmp``, anybody may have made one of this name, or a link.

    :raises PermissionError: It is another user's.
    :raises OSError: It cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for about in (folder.lstat(), folder.stat()):
        if about.st_uid not in (os.geteuid(), 0):
            raise PermissionError(errno.EPERM, gettext("it is a folder of another user"), str(folder))


class HostAllowance:
    """An allowance kept in a file, and in memory from the moment on at which the file cannot be used.

    :param file: The allowance in a file.
    :param instead: Gives the one to be used when that fails, told why it did.
    """

    remote = False

    def __init__(self, file: Allowance, instead: Callable[[OSError], Allowance]) -> None:
        self._used = file
        self._instead = instead

    def ask(self, turn: Turn | None = None) -> float:
        """Count one request, or give the seconds to wait."""
        try:
            return self._used.ask(turn)
        except OSError as error:
            self._used = self._instead(error)
        return self._used.ask(turn)

    def tell_full(self) -> None:
        """Take the bucket as full from now on."""
        try:
            return self._used.tell_full()
        except OSError as error:
            self._used = self._instead(error)
        return self._used.tell_full()


BOOT = Path("/proc/sys/kernel/random/boot_id")


def shared_allowance(bucket: Bucket | None, portal: str, folder: Path, boot: Path = BOOT) -> Allowance:
    """Give the allowance that this host has at a portal.

    :param bucket: The portal's bucket; ``None`` for a portal without one.
    :param portal: The portal's address without any secret, for example ``https://acme.bitrix24.com``.
    :param folder: Where the file lies. Where it cannot be used, now or later, the allowance is kept in the
        memory of this process and a warning tells so: then other processes are not seen, and the portal may
        refuse requests.
    :param boot: The file that holds something else after each start of the host.
    """
    if bucket is None:
        return Unlimited()
    name = file_name(portal)

    def instead(error: OSError) -> Allowance:
        return _in_memory(bucket, portal.lower(), folder, error)

    try:
        file = FileAllowance(bucket, folder / f"{name}-{_start_of(boot)}.bucket")
        _tidy(folder, name)
        return HostAllowance(file, instead)
    except OSError as error:
        return instead(error)


def file_name(portal: str) -> str:
    """Give a name for what is kept of a portal: readable, and no other portal's."""
    readable = re.sub(r"[^a-z0-9.-]+", "_", portal.lower().split("://")[-1])
    return f"{readable}-{hashlib.sha256(portal.lower().encode()).hexdigest()[:12]}"


_LEFT = 86400.0
"""Seconds after which a file that nobody wrote to is one that an earlier start left."""


def _start_of(boot: Path) -> str:
    """Give what tells this start of this host from any other."""
    try:
        start = boot.read_text()
    except OSError:  # not Linux: the host at least
        start = platform.node()
    return hashlib.sha256(start.encode()).hexdigest()[:12]


def _tidy(folder: Path, name: str) -> None:
    """Remove what earlier starts left; whoever is at work writes at each request."""
    for path in folder.glob(f"{name}-*.bucket"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - _LEFT:
                path.unlink()


_in_memories: dict[tuple[str, Bucket], MemoryAllowance] = {}


def _in_memory(bucket: Bucket, portal: str, folder: Path, error: OSError) -> MemoryAllowance:
    """Give the one allowance that this process keeps in memory for a portal."""
    made = MemoryAllowance(bucket)
    known = _in_memories.setdefault((portal, bucket), made)
    if known is made:
        log.warning(
            "%s",
            gettext(
                "Cannot share the request allowance through {folder} ({why}): it is kept in memory, "
                "and other processes that ask the same portal are not counted.",
                folder=folder,
                why=error.strerror or error,
            ),
        )
    return known
