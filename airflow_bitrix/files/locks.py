"""One task at a time: locks on open files, which the kernel drops with the process that holds them."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from airflow_bitrix.core.errors import RetryLater


def take(file: IO[Any], busy: str) -> None:
    """Lock a file until it is closed.

    On a file system without locks nothing is locked: then nobody can tell.

    :param busy: What to say where somebody else holds the lock.
    :raises RetryLater: Somebody else holds it.
    """
    is_taken = False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        is_taken = True
    except OSError:
        return
    if is_taken:
        raise RetryLater(busy)


@contextmanager
def held(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock of a file that exists; object storage has none.

    :raises RetryLater: Somebody else holds it.
    """
    if not isinstance(path, Path):
        yield
        return
    with path.open("rb") as file:
        take(file, busy)
        yield
