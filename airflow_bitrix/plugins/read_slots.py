"""Letting few requests read files at a time: Airflow's own need the machine, and their threads, too."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from contextlib import AsyncExitStack
from typing import TypeVar
from weakref import WeakSet, WeakValueDictionary

import anyio
import anyio.to_thread

AT_ONCE = 4
"""Requests that read files at a time."""

PATIENCE = 30.0
"""Seconds that a request waits for its turn; its own work then takes as long as it takes."""

MOST_DOWNLOADS = 4
"""Downloads that one user may have begun and not ended: each keeps a part of a plan in memory."""

_Found = TypeVar("_Found")


class Busy(Exception):  # noqa: N818 (it says how things stand)
    """It was no request's turn in time, or its user has too many under way."""


class Download:
    """One that has begun; it counts for as long as anything refers to this.

    :param who: Whose it is.
    """

    def __init__(self, who: Hashable) -> None:
        self.who = who


class ReadSlots:
    """Gives each request its turn: few at a time, and never two of one run.

    A file may hang, as one on a network does whose server is gone. Then the thread that reads it hangs; it
    cannot be ended. So a run has one thread at most, and who waits for that run, or for a thread, waits
    without one. None of them is taken from the limited number that Airflow's own routes share.

    :param at_once: Requests that work at a time.
    :param patience: Seconds that a request waits.
    """

    def __init__(self, at_once: int = AT_ONCE, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._places = anyio.Semaphore(at_once)
        self._threads = anyio.CapacityLimiter(math.inf)  # the places are counted already
        self._downloads: WeakSet[Download] = WeakSet()
        self._runs: WeakValueDictionary[Hashable, anyio.Lock] = WeakValueDictionary()

    async def take(self, run: Hashable, work: Callable[[], _Found], *, is_patient: bool = False) -> _Found:
        """Do a request's work in a thread once it is its turn.

        :param run: What the request is about.
        :param is_patient: Whether the request waits as long as it takes.
        :raises Busy: It was not its turn in time.
        """
        lock = self._runs.setdefault(run, anyio.Lock())
        async with AsyncExitStack() as held:
            try:
                with anyio.fail_after(None if is_patient else self._patience):
                    await held.enter_async_context(lock)
                    await held.enter_async_context(self._places)
            except TimeoutError:
                raise Busy from None
            return await anyio.to_thread.run_sync(work, limiter=self._threads)

    def begin_download(self, who: Hashable) -> Download:
        """Count one more download of a user; an answer that nobody takes any more counts no longer.

        :raises Busy: That user has :data:`MOST_DOWNLOADS` under way.
        """
        if sum(one.who == who for one in self._downloads) >= MOST_DOWNLOADS:
            raise Busy
        begun = Download(who)
        self._downloads.add(begun)
        return begun
