"""Sweeps by ids with several requests in flight: on an event loop, or in threads of a sync client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, ParamSpec, Protocol, TypeVar

from airflow_bitrix.client.batch import batch_flow
from airflow_bitrix.client.flow import Transport, drive
from airflow_bitrix.client.id_sweep import Ask, Row, Sweep
from airflow_bitrix.client.stream import Lanes, Sender

T = TypeVar("T")
P = ParamSpec("P")


async def swept(portal: Lanes, sweep: Sweep[Row]) -> AsyncGenerator[list[Row], None]:
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


async def _answer(portal: Lanes, sweep: Sweep[Row], ask: Ask) -> None:
    flow = batch_flow(ask.calls, portal.manners)
    sweep.take(ask, [outcome.result for outcome in await portal.run(flow)])


class Threads(Sender, Protocol):
    """What sends batches from threads."""

    @property
    def send(self) -> Transport:
        """Posts one request; may be called by several threads at once."""


def swept_in_threads(portal: Threads, sweep: Sweep[Row]) -> Iterator[list[Row]]:
    """Give page after page of a sweep, with several requests in flight.

    Whoever goes no further waits for the requests under way; none is sent after that.
    """
    turns = _Turns()
    with ThreadPoolExecutor(portal.in_flight, thread_name_prefix="bitrix24-list") as pool:
        running: dict[Future[list[Any]], Ask] = {}
        try:
            while not sweep.done:
                while len(running) < portal.in_flight and (ask := sweep.next(portal.size)):
                    running[pool.submit(_answer_in_thread, portal, ask, turns)] = ask
                for one in wait(running, return_when=FIRST_COMPLETED).done:
                    sweep.take(running.pop(one), one.result())
                yield from sweep.pages()
        finally:
            turns.ended = True
            pool.shutdown(cancel_futures=True)


def _answer_in_thread(portal: Threads, ask: Ask, turns: _Turns) -> list[Any]:
    send, sleep = turns.aside(portal.send), turns.aside(portal.manners.clock.sleep)
    with turns.lock:
        flow = batch_flow(ask.calls, portal.manners)
        return [outcome.result for outcome in drive(flow, send, portal.manners, sleep)]


class _Turns:
    """One thread works at a time, for what a client knows is no thing for several.

    Those that wait let the others go on.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ended = False

    def aside(self, work: Callable[P, T]) -> Callable[P, T]:
        """Let the others work while this waits."""

        def waiting(*args: P.args, **kwargs: P.kwargs) -> T:
            if self.ended:
                raise RuntimeError("nobody wants the rows any more")
            self.lock.release()
            try:
                return work(*args, **kwargs)
            finally:
                self.lock.acquire()

        return waiting
