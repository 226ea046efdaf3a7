"""What may lie in a file's place: who opens or reads it naively waits for ever, or takes all there is."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

HUGE = 20 * 2**30

SOON = 10.0


@contextmanager
def soon() -> Iterator[None]:
    """Let an error be raised where something takes more than :data:`SOON`."""

    def too_late(_: int, __: FrameType | None) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, SOON)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def listener(path: Path) -> None:
    """A socket, whose name may have few letters only."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def linked_pipe(path: Path) -> None:
    os.mkfifo(path.with_name(f"{path.name}.pipe"))
    path.symlink_to(path.with_name(f"{path.name}.pipe"))


def huge(path: Path) -> None:
    """A file of 20 GB without a line break, which takes no room on the disk."""
    path.touch()
    os.truncate(path, HUGE)


NO_PLAIN: list[Callable[[Path], None]] = [pipe, folder, listener, device, linked_pipe]
OBSTACLES = [*NO_PLAIN, huge]
