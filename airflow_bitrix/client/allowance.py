"""One allowance of requests per portal, shared by all processes of a host.

The portal counts per source address, so two workers on one host share one bucket whether they know it or not.
They know it through a file of eight bytes per portal, locked while it is read and written. The kernel drops
the lock of a process that dies.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import re
import stat
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from airflow_bitrix.client.pacing import Bucket

log = logging.getLogger(__name__)

_FORMAT = struct.Struct("<d")


class Allowance(Protocol):
    """Says when the next request may leave."""

    def ask(self) -> float:
        """Count one request and give 0, or give the seconds after which to ask again."""

    def tell_full(self) -> None:
        """Note that the portal refused a request, so that everybody pauses."""


class Unlimited:
    """The allowance of a portal without a bucket (self-hosted)."""

    def ask(self) -> float:
        """Admit at once."""
        return 0.0

    def tell_full(self) -> None:
        """Nothing to note: the flow waits before it repeats."""


class MemoryAllowance:
    """An allowance for one process."""

    def __init__(self, bucket: Bucket, clock: Callable[[], float] = time.monotonic) -> None:
        self._bucket = bucket
        self._clock = clock
        self._empty_at = 0.0

    def ask(self) -> float:
        """Count one request, or give the seconds to wait."""
        self._empty_at, wait = self._bucket.admit(self._empty_at, self._clock())
        return wait

    def tell_full(self) -> None:
        """Take the bucket as full from now on."""
        self._empty_at = self._bucket.full(self._empty_at, self._clock())


class FileAllowance:
    """An allowance for all processes of a host, kept in a locked file.

    :param bucket: The portal's bucket.
    :param path: The file; it is made when missing, readable by this user only.
    :param clock: Seconds that all processes of the host agree on.
    :raises OSError: The file cannot be made or belongs to somebody else.
    """

    def __init__(self, bucket: Bucket, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._bucket = bucket
        self._path = path
        self._clock = clock
        with _locked(path):
            pass

    def ask(self) -> float:
        """Count one request for everybody, or give the seconds to wait."""
        with _locked(self._path) as slot:
            now = self._clock()
            empty_at, wait = self._bucket.admit(self._read(slot.descriptor, now), now)
            slot.write(empty_at)
        return wait

    def tell_full(self) -> None:
        """Take the bucket as full for everybody."""
        with _locked(self._path) as slot:
            now = self._clock()
            slot.write(self._bucket.full(self._read(slot.descriptor, now), now))

    def _read(self, descriptor: int, now: float) -> float:
        raw = os.pread(descriptor, _FORMAT.size, 0)
        stored: float = _FORMAT.unpack(raw)[0] if len(raw) == _FORMAT.size else 0.0
        # A number from before a restart of the host, or a damaged one, may lie far ahead: full is the worst
        # that can be true.
        return min(stored, self._bucket.full(0.0, now)) if stored == stored else 0.0  # noqa: PLR0124 (NaN)


class _Slot:
    """The locked file: a number in it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def write(self, value: float) -> None:
        os.pwrite(self.descriptor, _FORMAT.pack(value), 0)


@contextmanager
def _locked(path: Path) -> Iterator[_Slot]:
    descriptor = _open(path)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
            raise PermissionError(errno.EPERM, "it is no file of this user", str(path))
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield _Slot(descriptor)
    finally:
        os.close(descriptor)  # and with it the lock


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        # Cleaners of temporary folders do not ask whether somebody is at work.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, flags, 0o600)


def shared_allowance(bucket: Bucket | None, portal: str, folder: Path) -> Allowance:
    """Give the allowance that this host has at a portal.

    :param bucket: The portal's bucket; ``None`` for a portal without one.
    :param portal: The portal's address without any secret, for example ``https://acme.bitrix24.com``.
    :param folder: Where the file lies. Where it cannot be used, the allowance is kept in memory and a
        warning tells so: then other processes are not seen, and the portal may refuse requests.
    """
    if bucket is None:
        return Unlimited()
    readable = re.sub(r"[^a-z0-9.-]+", "_", portal.lower().split("://")[-1])
    digest = hashlib.sha256(portal.lower().encode()).hexdigest()[:12]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileAllowance(bucket, folder / f"{readable}-{digest}.bucket")
    except OSError as error:
        log.warning(
            "Cannot share the request allowance through %s (%s): it is kept in memory, and other processes "
            "that ask the same portal are not counted.",
            folder,
            error.strerror or error,
        )
        return MemoryAllowance(bucket)
