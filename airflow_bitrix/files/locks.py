"""One task at a time: locks on open files, which the kernel drops with the process that holds them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from airflow_bitrix.core.errors import RetryLater


def take(file: IO[Any], busy: str, *, shared: bool = False) -> None:
    """Lock a file until it is closed.

    :param busy: What to say where somebody else holds the lock.
    :param shared: Whether others may hold it too, if they share it as well.
    :raises RetryLater: Somebody else holds it, or it cannot be locked.
    """
    why: str | None = None
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        why = busy
    except OSError as error:
        why = f"{file.name} cannot be locked: {error.strerror}"
    if why is not None:
        raise RetryLater(why)


@contextmanager
def held(path: Path, busy: str, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a file that exists, on a disk of this machine.

    :param shared: Whether others may hold it too, if they share it as well.
    :raises RetryLater: Somebody else holds it, or it cannot be locked.
    """
    with path.open("rb") as file:
        take(file, busy, shared=shared)
        yield


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until nobody else is at a folder of this machine, for the moment that looking at it takes."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
