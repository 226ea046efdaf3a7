"""Sweeps by ids with several requests in flight: on an event loop, or in threads of a sync client."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Protocol, TypeVar

from airflow_bitrix.client.batch import batch_flow
from airflow_bitrix.client.flow import Flow, Manners, Transport, drive
from airflow_bitrix.client.id_sweep import Ask, Row, Sweep, Sweeping
from airflow_bitrix.client.stream import Lanes, Sender
from airflow_bitrix.client.wire import Answer

T = TypeVar("T")
S = TypeVar("S")


async def swept(portal: Lanes, sweep: Sweeping[Row]) -> AsyncGenerator[list[Row], None]:
    """Give page after page of a sweep, with several requests in flight."""
    running: set[asyncio.Task[None]] = set()
    try:
        while not sweep.done:
            while len(running) < portal.in_flight and (ask := sweep.next(portal.size)):
                running.add(asyncio.ensure_future(_answer(portal, sweep, ask)))
            if running:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                # All are asked, else the event loop complains of errors that nobody took.
                for error in [task.exception() for task in done]:
                    if error:
                        raise error
            for page in sweep.pages():
                yield page
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _answer(portal: Lanes, sweep: Sweeping[Row], ask: Ask) -> None:
    flow = batch_flow(ask.calls, portal.manners)
    sweep.take(ask, [outcome.answered for outcome in await portal.run(flow)])


class Threads(Sender, Protocol):
    """What sends batches from threads."""

    @property
    def turns(self) -> Turns:
        """Whose turn it is."""

    @property
    def send(self) -> Transport:
        """Posts one request; may be called by several threads at once."""


def swept_in_threads(portal: Threads, sweep: Sweep[Row]) -> Iterator[list[Row]]:
    """Give page after page of a sweep, with several requests in flight.

    Whoever goes no further waits for nobody: requests under way are left to end, and none is sent after them.

    :raises RuntimeError: It is read on in a child of the process that began it: threads are not forked.
    """
    process, ended = os.getpid(), False

    def is_over() -> bool:
        return ended or not threading.main_thread().is_alive()

    def answer(ask: Ask) -> list[Answer]:
        flow = batch_flow(ask.calls, portal.manners)
        outcomes = portal.turns.drive(flow, portal.send, portal.manners, is_over)
        return [outcome.answered for outcome in outcomes]

    pool = ThreadPoolExecutor(portal.in_flight, thread_name_prefix="bitrix24-list")
    running: dict[Future[list[Answer]], Ask] = {}
    try:
        while not sweep.done:
            if os.getpid() != process:
                raise RuntimeError("a list cannot be read on in another process than the one that began it")
            while len(running) < portal.in_flight and (ask := sweep.next(portal.size)):
                running[pool.submit(answer, ask)] = ask
            for one in wait(running, return_when=FIRST_COMPLETED).done:
                sweep.take(running.pop(one), one.result())
            yield from sweep.pages()
    finally:
        # This may be the garbage collector, in one of these very threads: to wait for them would never end.
        ended = True
        pool.shutdown(wait=False, cancel_futures=True)


class Turns:
    """One thread works at a time, for what a client knows is no thing for several.

    Those that wait let the others go on.
    """

    def __init__(self) -> None:
        self._lock, self._process = threading.RLock(), os.getpid()

    def drive(
        self, flow: Flow[T], send: Transport, manners: Manners, is_over: Callable[[], bool] | None = None
    ) -> T:
        """Run a flow to its result.

        :param is_over: Whether nobody wants the result any more; asked before each request.
        """
        if self._process != os.getpid():  # whoever had the turn is not there in a forked child
            self._lock, self._process = threading.RLock(), os.getpid()
        sleep = manners.clock.sleep
        if is_over:
            send, sleep = _until(is_over, send), _until(is_over, partial(_nap, sleep, is_over))
        with self._lock:
            return drive(flow, self._aside(send), manners, self._aside(sleep))

    def _aside(self, work: Callable[[S], T]) -> Callable[[S], T]:
        def waiting(given: S) -> T:
            self._lock.release()
            try:
                return work(given)
            finally:
                self._lock.acquire()

        return waiting


def _until(is_over: Callable[[], bool], work: Callable[[S], T]) -> Callable[[S], T]:
    def unless_over(given: S) -> T:
        if is_over():
            raise RuntimeError("nobody wants the rows any more")
        return work(given)

    return unless_over


_NAP = 0.5
"""Seconds after which a thread that waits looks whether anybody still wants to know."""


def _nap(sleep: Callable[[float], object], is_over: Callable[[], bool], seconds: float) -> None:
    while seconds > 0 and not is_over():
        sleep(min(seconds, _NAP))
        seconds -= _NAP
