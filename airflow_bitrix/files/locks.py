"""One task at a time: locks on open files, which the kernel drops with the process that holds them."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.plain_files import open_plain

LONGEST_WAIT = 30.0
"""Seconds that another process at a folder is waited for; it usually takes milliseconds."""

_PAUSE = 0.02


class TakenError(RetryLater):
    """Somebody else holds the lock."""


def take(file: IO[Any], path: Path, busy: str, *, shared: bool = False) -> None:
    """Lock a file until it is closed.

    :param path: Its path, to be named.
    :param busy: What to say where somebody else holds the lock.
    :param shared: Whether others may hold it too, if they share it as well.
    :raises TakenError: Somebody else holds it.
    :raises RetryLater: It cannot be locked.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise TakenError(busy) from None
    except OSError as error:
        raise _not_lockable(path, error) from error


def _not_lockable(path: Path, error: OSError) -> RetryLater:
    return RetryLater(gettext("{path} cannot be locked: {strerror}", path=path, strerror=error.strerror))


@contextmanager
def held(path: Path, busy: str, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a file that exists, on a disk of this machine.

    :param shared: Whether others may hold it too, if they share it as well.
    :raises TakenError: Somebody else holds it.
    :raises RetryLater: It cannot be locked.
    """
    with open_plain(path, most=None) as file:
        take(file, path, busy, shared=shared)
        yield


@contextmanager
def one_at_a_time(folder: Path, longest: float = LONGEST_WAIT) -> Iterator[None]:
    """Wait until nobody else is at a folder, for the moment that a look at its files and a move take.

    Whoever may enter a folder can lock it, so that nobody is waited for for ever.

    :param folder: On a disk of this machine.
    :param longest: Seconds after which to give up.
    :raises RetryLater: Somebody still is at it, or it cannot be locked.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _wait_for(descriptor, folder, longest)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, folder: Path, longest: float) -> None:
    until = time.monotonic() + longest
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                busy = gettext(
                    "another process has kept {folder} locked for {longest} seconds",
                    folder=folder,
                    longest=f"{longest:g}",
                )
                raise RetryLater(gettext("{busy}; lslocks names it", busy=busy)) from None
            time.sleep(_PAUSE)
        except OSError as error:
            raise _not_lockable(folder, error) from error
        else:
            return
