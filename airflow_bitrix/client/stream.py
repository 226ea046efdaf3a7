"""Calls on their way while further ones are still being made: batches in flight, outcomes in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from typing import Protocol, TypeVar

from airflow_bitrix.client.batch import batch_flow
from airflow_bitrix.client.flow import Flow, Manners
from airflow_bitrix.client.outcomes import CommandOutcome, failed, is_rest
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.errors import Bitrix24Error

_Result = TypeVar("_Result")

Written = tuple[Call, str]
"""A call, and how a batch says it."""

LINGER = 0.2
"""Seconds that a batch which is not full waits for further calls while nothing is under way."""


class Sender(Protocol):
    """What sends batches, several at once."""

    @property
    def in_flight(self) -> int:
        """Requests that may be under way at once."""

    @property
    def size(self) -> int:
        """Commands that a batch may hold now."""

    @property
    def manners(self) -> Manners:
        """How it goes about its requests."""


class Lanes(Sender, Protocol):
    """What sends batches on an event loop."""

    async def run(self, flow: Flow[_Result]) -> _Result:
        """Carry out a flow."""


class Stream:
    """Runs calls, and gives one outcome for each in their order.

    Calls are taken in a task of their own, so whoever makes them may wait, also for outcomes of earlier ones.
    A batch is sent when it is full, when no more calls will come, or when nothing is under way and nobody
    has anything to do until it is sent.

    :param portal: Where they go.
    :param source: The calls; at most twice as many batches as may be in flight are held at a time.
    """

    def __init__(self, portal: Lanes, source: Iterable[Written] | AsyncIterable[Written]) -> None:
        self._portal = portal
        self._source = source
        self._most = max(2 * portal.in_flight - 1, 1)  # and one that is being filled
        self._gate = asyncio.Semaphore(portal.in_flight)
        self._batches: deque[asyncio.Task[list[CommandOutcome]]] = deque()
        self._filling: list[Written] = []
        self._since = 0.0
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._ended: Bitrix24Error | None = None
        self._rests: Bitrix24Error | None = None
        self._taken = False

    @property
    def nothing_but_an_error(self) -> Bitrix24Error | None:
        """The error to raise where the portal took not one batch."""
        return None if self._taken else self._ended or self._rests

    async def outcomes(self) -> AsyncGenerator[CommandOutcome, None]:
        """Give the outcomes in the order of the calls.

        An error of whoever makes the calls is raised after the outcomes of those that were made before.
        """
        source = asyncio.ensure_future(self._take())
        source.add_done_callback(lambda _: self._news.set())
        try:
            while not source.done() or self._filling or self._batches:
                self._news.clear()
                self._start(made=source.done())
                while self._batches and self._batches[0].done():
                    for outcome in self._batches.popleft().result():
                        yield outcome
                    self._start(made=source.done())
                await self._wait(made=source.done())
            source.result()
        finally:
            tasks = [source, *self._batches]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if isinstance(self._source, AsyncGenerator):
                await self._source.aclose()

    async def _take(self) -> None:
        """Take the calls as there is room for them."""
        if isinstance(self._source, AsyncIterable):
            async for written in self._source:
                if self._add(written):
                    await self._room.wait()
        else:
            for written in self._source:
                if self._add(written):
                    await self._room.wait()

    def _add(self, written: Written) -> bool:
        """Take a call, and tell whether there is no room for a further one yet."""
        if not self._filling:
            self._since = asyncio.get_running_loop().time()
            self._news.set()
        self._filling.append(written)
        if len(self._filling) < self._portal.size:
            return False
        self._news.set()
        self._room.clear()
        return True

    def _start(self, *, made: bool) -> None:
        """Send what is to be sent now.

        :param made: Whether no more calls will come.
        """
        size = self._portal.size
        while self._filling and len(self._batches) < self._most:
            if not (made or len(self._filling) >= size or self._linger() <= 0):
                return
            some, self._filling = self._filling[:size], self._filling[size:]
            batch = asyncio.ensure_future(self._run(some))
            batch.add_done_callback(lambda _: self._news.set())
            self._batches.append(batch)
        if len(self._filling) < size:
            self._room.set()

    def _linger(self) -> float:
        """Give the seconds until a batch that is not full is sent; it waits for those under way."""
        if self._batches:
            return LINGER
        return self._since + LINGER - asyncio.get_running_loop().time()

    async def _wait(self, *, made: bool) -> None:
        """Wait until there is something to do."""
        if self._batches and self._batches[0].done():
            return
        if not self._batches and self._filling and not made:
            try:
                async with asyncio.timeout(max(self._linger(), 0)):
                    await self._news.wait()
            except TimeoutError:
                pass
        elif self._batches or not made:
            await self._news.wait()

    async def _run(self, some: Sequence[Written]) -> list[CommandOutcome]:
        calls, commands = [call for call, _ in some], [command for _, command in some]
        async with self._gate:
            error = self._ended
            if error is None:
                try:
                    flow = batch_flow(calls, self._portal.manners, commands=commands)
                    outcomes = await self._portal.run(flow)
                except Bitrix24Error as caught:
                    error = caught
                else:
                    self._taken = True
                    return outcomes
                if is_rest(error):
                    self._rests = self._rests or error  # other methods may be called all the same
                else:
                    self._ended = error
        return [failed(call, error) for call in calls]
