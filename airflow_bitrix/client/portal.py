"""The two clients of a portal, sync and async, over the same flows."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from itertools import islice
from typing import Any, TypeVar

from airflow_bitrix.client.batch import (
    MOST_COMMANDS,
    CommandOutcome,
    batch_flow,
    command_of,
    failed,
    is_rest,
)
from airflow_bitrix.client.flow import AsyncTransport, Flow, Manners, Transport, call_flow, drive, drive_async
from airflow_bitrix.client.listing import Listing
from airflow_bitrix.client.pacing import batch_size
from airflow_bitrix.client.wire import Call, Lost, Reply, Request
from airflow_bitrix.core.errors import Bitrix24Error

T = TypeVar("T")

# The clients have a method named list, which hides the type of that name inside their bodies.
list_of = list
Outcomes = list[CommandOutcome]


def calls_of(calls: Iterable[Call | tuple[str, Mapping[str, Any]]]) -> list[Call]:
    """Read calls given as :class:`~airflow_bitrix.client.wire.Call` or as ``(method, params)``."""
    return [call if isinstance(call, Call) else Call(*call) for call in calls]


def _in_batches(calls: Sequence[Call]) -> Iterator[tuple[Sequence[Call], Sequence[str]]]:
    # All commands are written before any is sent: one that cannot be said shall stop them all.
    commands = [command_of(call) for call in calls]
    for at in range(0, len(calls), MOST_COMMANDS):
        yield calls[at : at + MOST_COMMANDS], commands[at : at + MOST_COMMANDS]


async def together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines at the same time; the first error ends the others and is raised as it is."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


class Portal:
    """A portal, asked one request at a time.

    :param send: Posts one request.
    :param manners: Pacing, repeats and counts.
    """

    def __init__(self, send: Transport, manners: Manners) -> None:
        self._send = send
        self.manners = manners

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Call a REST method and give its result.

        :raises Bitrix24Error: See :mod:`airflow_bitrix.core.errors` for what each kind asks of the caller.
        """
        return drive(call_flow(Call(method, params or {}), self.manners), self._send, self.manners).result

    def batch(self, calls: Iterable[Call | tuple[str, Mapping[str, Any]]]) -> Outcomes:
        """Run any number of calls in batches of 50, and give one outcome for each, in the same order.

        A failed command does not raise and does not hide the others: look at ``outcome.ok``.

        Once the portal takes no more batches, the calls that are left fail for the same reason.

        :raises InvalidInput: A call that a batch cannot express; nothing was sent.
        :raises Bitrix24Error: The portal took not even the first batch.
        """
        outcomes: Outcomes = []
        ended: Bitrix24Error | None = None
        rests: Bitrix24Error | None = None
        taken = False
        for some, commands in _in_batches(calls_of(calls)):
            if ended is None:
                try:
                    flow = batch_flow(some, self.manners, commands=commands)
                    outcomes += drive(flow, self._send, self.manners)
                    taken = True
                    continue
                except Bitrix24Error as error:
                    if is_rest(error):
                        rests = rests or error
                        outcomes += [failed(call, error) for call in some]
                        continue
                    if not taken:
                        raise
                    ended = error
            outcomes += [failed(call, ended) for call in some]
        if rests and not taken:
            raise rests
        return outcomes

    def list(self, method: str, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """Give every row of a list method, in order of id, 50 a request.

        :param params: ``filter``, ``select`` and the like; not ``order`` or ``start``.
        :raises InvalidInput: A filter field that the portal would silently drop.
        """
        listing = Listing(method, params or {})
        if listing.fields_call:
            listing.check_filter(self.call(listing.fields_call.method))
        while not listing.done:
            call = listing.call()
            yield from listing.take(drive(call_flow(call, self.manners), self._send, self.manners))


class AsyncPortal:
    """A portal, asked on an event loop with several requests in flight.

    :param send: Posts one request.
    :param manners: Pacing, repeats and counts.
    :param in_flight: Requests under way at once; a portal answers slower than it admits.
    """

    def __init__(
        self,
        send: AsyncTransport,
        manners: Manners,
        in_flight: int = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._post = send
        self._clock = clock
        self.manners = manners
        self.in_flight = in_flight
        self.size = MOST_COMMANDS
        """Commands that the next batch should hold: fewer after slow ones."""

    async def _send(self, request: Request) -> Reply | Lost:
        began = self._clock()
        reply = await self._post(request)
        if request.method == "batch":
            self.size = batch_size(self.size, self._clock() - began, most=MOST_COMMANDS)
        return reply

    async def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Call a REST method and give its result; see :meth:`Portal.call`."""
        return (await self.run(call_flow(Call(method, params or {}), self.manners))).result

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow to its result."""
        return await drive_async(flow, self._send, self.manners)

    async def run_batch(self, calls: Sequence[Call], *, repeat: bool = True) -> Outcomes:
        """Run at most 50 calls as one batch; see :func:`~airflow_bitrix.client.batch.batch_flow`."""
        return await self.run(batch_flow(calls, self.manners, repeat=repeat))

    async def batch(self, calls: Iterable[Call | tuple[str, Mapping[str, Any]]]) -> Outcomes:
        """Run any number of calls, several batches in flight; see :meth:`Portal.batch`."""
        # All commands are written before any is sent: one that cannot be said shall stop them all.
        written = iter([(call, command_of(call)) for call in calls_of(calls)])

        async def take(most: int) -> list_of[Written]:
            return list_of(islice(written, most))

        run = _Stream(self, take)
        outcomes = [outcome async for outcome in run.outcomes()]
        if error := run.nothing_but_an_error:
            raise error
        return outcomes

    def stream(self, calls: Iterable[Call] | AsyncIterable[Call]) -> AsyncGenerator[CommandOutcome, None]:
        """Run calls while they are still being produced, and give one outcome for each, in the same order.

        At most twice as many batches as may be in flight are held at a time, however many calls there are.
        Once the portal takes no more batches, the calls that are left fail for the same reason.

        :raises InvalidInput: A call that a batch cannot express; those before it were sent.
        """
        source = aiter(calls) if isinstance(calls, AsyncIterable) else iter(calls)
        return _Stream(self, lambda most: _some(source, most)).outcomes()

    async def list(self, method: str, params: Mapping[str, Any] | None = None) -> AsyncIterator[Any]:
        """Give every row of a list method, in order of id; see :meth:`Portal.list`."""
        listing = Listing(method, params or {})
        if listing.fields_call:
            listing.check_filter(await self.call(listing.fields_call.method))
        while not listing.done:
            for row in listing.take(await self.run(call_flow(listing.call(), self.manners))):
                yield row


class _Stream:
    """Calls on their way: batches in flight, and outcomes that wait for those before them.

    :param portal: Where they go.
    :param take: Gives the next calls, so many at most; asked as batches are made.
    """

    def __init__(self, portal: AsyncPortal, take: Callable[[int], Awaitable[list[Written]]]) -> None:
        self._portal = portal
        self._take = take
        self._gate = asyncio.Semaphore(portal.in_flight)
        self._ended: Bitrix24Error | None = None
        self._rests: Bitrix24Error | None = None
        self._taken = False

    @property
    def nothing_but_an_error(self) -> Bitrix24Error | None:
        """The error to raise where the portal took not one batch."""
        return None if self._taken else self._ended or self._rests

    async def outcomes(self) -> AsyncGenerator[CommandOutcome, None]:
        """Give the outcomes in the order of the calls."""
        batches: deque[asyncio.Task[Outcomes]] = deque()
        more = True
        try:
            while more or batches:
                while more and len(batches) < 2 * self._portal.in_flight:
                    some = await self._take(self._portal.size)
                    more = bool(some)
                    if some:
                        batches.append(asyncio.ensure_future(self._run(some)))
                if batches:
                    for outcome in await batches.popleft():
                        yield outcome
        finally:
            for task in batches:
                task.cancel()
            await asyncio.gather(*batches, return_exceptions=True)

    async def _run(self, some: Sequence[Written]) -> Outcomes:
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


Written = tuple[Call, str]
"""A call, and how a batch says it."""


async def _some(calls: Iterator[Call] | AsyncIterator[Call], most: int) -> list[Written]:
    """Take the next calls, ``most`` at most, and write each as a command."""
    if isinstance(calls, Iterator):
        return [(call, command_of(call)) for call in islice(calls, most)]
    taken: list[Written] = []
    async for call in calls:
        taken.append((call, command_of(call)))
        if len(taken) == most:
            break
    return taken
