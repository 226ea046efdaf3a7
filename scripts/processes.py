"""Child processes that never outlive the process that started them.

Airflow's components fork workers and supervisors, some of which change their session or lose their parent.
So every child carries a mark in its environment, by which all of them are found, and a keeper process stops
them as soon as its pipe to the starter closes: at the end, after Ctrl-C, and when the starter is killed.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Self

import psutil  # type: ignore[import-untyped]  # it carries no types, and its stubs would be one more package

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

MARK = "AIRFLOW_BITRIX_LOCAL"
GRACE = 5.0
"""Seconds from the polite signal to the one that cannot be ignored."""


class Processes:
    """A context in which child processes may be started; none of them is left after it.

    :param environment: Variables that every child gets.
    :param grace: Seconds that they have to end in order.
    """

    def __init__(self, environment: Mapping[str, str], *, grace: float = GRACE) -> None:
        self._grace = grace
        self._mark = secrets.token_hex(8)
        # Without SPT_NOENV Airflow's process titles are written over the environment that holds the mark.
        self.environment = {**environment, MARK: self._mark, "SPT_NOENV": "1"}
        self._keeper: subprocess.Popen[bytes] | None = None
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._keeper = subprocess.Popen(
            [sys.executable, __file__, self._mark, str(self._grace)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        with deaf_to_signals():
            self.stop()

    def start(
        self, command: Sequence[str], *, output: IO[bytes] | int, cwd: Path, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a command that hears no Ctrl-C of the terminal and that ends with this context."""
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**self.environment, **environment},
            start_new_session=True,
        )
        self._children.append(child)
        return child

    def stop(self) -> None:
        """Stop every child and whatever the children started, and wait until all are gone."""
        if self._keeper is None or self._keeper.stdin is None:
            return
        self._keeper.stdin.close()
        self._keeper.wait()
        self._keeper = None
        for child in self._children:
            child.wait()


def clean_environment() -> dict[str, str]:
    """Tell the environment of this process without what would change, or slow down, a local Airflow."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW") and name != "PYTHONDONTWRITEBYTECODE"
    }


def free_port(wanted: int = 0) -> int:
    """Tell a port of the loopback interface that nobody listens on: the wanted one, if it is free."""
    with socket.socket() as listener:
        # As servers do: a port that somebody has just left is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def deaf_to_signals() -> Iterator[None]:
    """Let a second Ctrl-C not interrupt the cleaning up after the first one."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with suppress(ValueError):  # only the main thread may set handlers, and only it hears signals
        for number in before:
            signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        with suppress(ValueError):
            for number, handler in before.items():
                signal.signal(number, handler)


def interrupt_on_signals() -> None:
    """End in the same orderly way whether the terminal closes, the process is terminated or Ctrl-C is hit."""

    def interrupt(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark:
                found.append(process)
    return found


def _stop_marked(mark: str, grace: float) -> None:
    """Ask all marked processes to end, repeat for those that were just born, and kill what stays."""
    asked: set[int] = set()
    deadline = time.monotonic() + grace
    while living := _marked(mark):
        for process in living:
            with suppress(psutil.Error):
                if time.monotonic() > deadline:
                    process.kill()
                elif process.pid not in asked:
                    asked.add(process.pid)
                    process.terminate()
        time.sleep(0.1)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdin.buffer.read()
    _stop_marked(sys.argv[1], float(sys.argv[2]))
    os._exit(0)
