"""The two clients of a portal, sync and async, over the same flows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from typing import Any, TypeVar

from airflow_bitrix.client.batch import (
    MOST_COMMANDS,
    CommandOutcome,
    batch_flow,
    command_of,
    failed,
    is_rest,
)
from airflow_bitrix.client.flow import AsyncTransport, Flow, Manners, Transport, call_flow, drive_async
from airflow_bitrix.client.list_sweep import ListSweep
from airflow_bitrix.client.listing import Listing
from airflow_bitrix.client.pacing import batch_size
from airflow_bitrix.client.stream import Stream, Written
from airflow_bitrix.client.sweep_drivers import Turns, swept, swept_in_threads
from airflow_bitrix.client.wire import Call, Lost, Reply, Request
from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput
from airflow_bitrix.core.languages import gettext

T = TypeVar("T")

# The clients have a method named list, which hides the type of that name inside their bodies.
list_of = list
Outcomes = list[CommandOutcome]
Given = Call | tuple[str, Mapping[str, Any]]
"""A call, as it is or as ``(method, params)``."""
Calls = Iterable[Given] | AsyncIterable[Given]
Check = Callable[[str, Mapping[str, Any]], object]
"""Refuses a call, given as method and parameters, by raising ``InvalidInput``."""


def unchecked(method: str, params: Mapping[str, Any]) -> None:
    """Refuse no call."""


def call_of(one: Given, check: Check) -> Call:
    """Read a call given as :class:`~airflow_bitrix.client.wire.Call` or as ``(method, params)``.

    Every call that comes from outside is read here.

    :raises InvalidInput: It is neither, or ``check`` refuses it.
    """
    if not isinstance(one, Call):
        if not isinstance(one, (tuple, list_of)) or len(one) not in (1, 2):
            raise InvalidInput("calls", one, gettext("(method, params) pairs"))
        one = Call(*one)
    check(one.method, one.params)
    return one


def _check_calls(calls: object) -> None:
    text_or_map = isinstance(calls, (str, bytes, Mapping, Call))
    if text_or_map or not isinstance(calls, (Iterable, AsyncIterable)):
        raise InvalidInput("calls", calls, gettext("a list of (method, params) pairs"))


def _written(call: Given, check: Check) -> Written:
    found = call_of(call, check)
    return found, command_of(found)


def _all_written(calls: Iterable[Given], check: Check) -> list[Written]:
    # All commands are written before any is sent: one that cannot be said shall stop them all.
    _check_calls(calls)
    return [_written(call, check) for call in calls]


async def _written_later(calls: AsyncIterable[Given], check: Check) -> AsyncGenerator[Written, None]:
    async for call in calls:
        yield _written(call, check)


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
    """A portal, asked one request at a time; for a list several, each in a thread.

    :param send: Posts one request; several threads may do so at once.
    :param manners: Pacing, repeats and counts.
    :param in_flight: Requests of a list under way at once; a portal answers slower than it admits.
    :param check: Looks at every call that is given, before anything is sent.
    """

    def __init__(
        self,
        send: Transport,
        manners: Manners,
        in_flight: int = 5,
        clock: Callable[[], float] = time.monotonic,
        check: Check = unchecked,
    ) -> None:
        self._post = send
        self._clock = clock
        self._check = check
        self.manners = manners
        self.in_flight = in_flight
        self.size = MOST_COMMANDS
        """Commands that the next batch should hold: fewer after slow ones."""
        self.turns = Turns()
        """Whose turn it is, where threads of a list work beside the caller."""

    def _drive(self, flow: Flow[T]) -> T:
        return self.turns.drive(flow, self.send, self.manners)

    def send(self, request: Request) -> Reply | Lost:
        """Post one request, and note how long a batch took."""
        began = self._clock()
        reply = self._post(request)
        if request.method == "batch":
            self.size = batch_size(self.size, self._clock() - began, most=MOST_COMMANDS)
        return reply

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Call a REST method and give its result.

        :raises InvalidInput: ``check`` refuses the call; nothing was sent.
        :raises Bitrix24Error: See :mod:`airflow_bitrix.core.errors` for what each kind asks of the caller.
        """
        call = call_of((method, params or {}), self._check)
        return self._drive(call_flow(call, self.manners)).result

    def batch(self, calls: Iterable[Given]) -> Outcomes:
        """Run any number of calls in batches of 50, and give one outcome for each, in the same order.

        After slow batches there are fewer in one.

        A failed command does not raise and does not hide the others: look at ``outcome.ok``.

        Once the portal takes no more batches, the calls that are left fail for the same reason.

        :raises InvalidInput: A call that a batch cannot express; nothing was sent.
        :raises Bitrix24Error: The portal took not even the first batch.
        """
        outcomes: Outcomes = []
        ended: Bitrix24Error | None = None
        rests: Bitrix24Error | None = None
        taken = False
        left = _all_written(calls, self._check)
        while left:
            some, commands = zip(*left[: self.size], strict=True)
            left = left[len(some) :]
            if ended is None:
                try:
                    flow = batch_flow(some, self.manners, commands=commands)
                    outcomes += self._drive(flow)
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
        """Give every row of a list method, in order of id where that is possible, up to 2,500 a request.

        Behind the first page, rows of a method that can be listed by id are read by ranges of ids, several
        batches at a time; or by the last id where a batch cannot say what is asked. Others, and those that
        are wanted in another order, are read page by page, by offset: they may be missed or come twice while
        somebody adds or deletes some.

        :param params: ``filter``, ``select``, ``order`` and the like; not ``start``.
        :raises InvalidInput: A field of the filter or the order that the portal would silently drop.
        """
        call_of((method, params or {}), self._check)
        listing = Listing(method, params or {})
        if listing.fields_call:
            listing.check_filter(self.call(listing.fields_call.method))
        while not listing.done:
            call = listing.call()
            rows = listing.take(self._drive(call_flow(call, self.manners)))
            yield from rows
            if rows and not listing.done and listing.in_ranges:
                for page in swept_in_threads(self, ListSweep(listing, rows)):
                    yield from page
                return


class AsyncPortal:
    """A portal, asked on an event loop with several requests in flight.

    :param send: Posts one request.
    :param manners: Pacing, repeats and counts.
    :param in_flight: Requests under way at once; a portal answers slower than it admits.
    :param check: Looks at every call that is given, before anything is sent; not at flows.
    """

    def __init__(
        self,
        send: AsyncTransport,
        manners: Manners,
        in_flight: int = 5,
        clock: Callable[[], float] = time.monotonic,
        check: Check = unchecked,
    ) -> None:
        self._post = send
        self._clock = clock
        self._check = check
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
        call = call_of((method, params or {}), self._check)
        return (await self.run(call_flow(call, self.manners))).result

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow to its result."""
        return await drive_async(flow, self._send, self.manners)

    async def run_batch(
        self,
        calls: Sequence[Call],
        *,
        repeat: bool = True,
        leaves: Callable[[], Awaitable[object]] | None = None,
    ) -> Outcomes:
        """Run at most 50 calls as one batch; see :func:`~airflow_bitrix.client.batch.batch_flow`.

        :param leaves: Awaited each time that a request of it is about to leave, behind every wait; with an
            error of its own it does not.
        """

        async def send(request: Request) -> Reply | Lost:
            if leaves:
                await leaves()
            return await self._send(request)

        return await drive_async(batch_flow(calls, self.manners, repeat=repeat), send, self.manners)

    async def batch(self, calls: Iterable[Given]) -> Outcomes:
        """Run any number of calls, several batches in flight; see :meth:`Portal.batch`."""
        run = Stream(self, _all_written(calls, self._check))
        outcomes = [outcome async for outcome in run.outcomes()]
        if error := run.nothing_but_an_error:
            raise error
        return outcomes

    def stream(
        self,
        calls: Calls,
    ) -> AsyncGenerator[CommandOutcome, None]:
        """Run calls while they are still being made, and give one outcome for each, in the same order.

        At most twice as many batches as may be in flight are held at a time, however many calls there are.
        Once the portal takes no more batches, the calls that are left fail for the same reason.

        :param calls: ``(method, params)`` pairs; they may be made from outcomes that were given before.
        :raises InvalidInput: A call that a batch cannot express; those before it were sent, and their
            outcomes given. So it is with any error of whoever makes the calls.
        """
        _check_calls(calls)
        written = (
            _written_later(calls, self._check)
            if isinstance(calls, AsyncIterable)
            else (_written(call, self._check) for call in calls)
        )
        return Stream(self, written).outcomes()

    async def list(self, method: str, params: Mapping[str, Any] | None = None) -> AsyncGenerator[Any, None]:
        """Give every row of a list method, several batches in flight; see :meth:`Portal.list`."""
        call_of((method, params or {}), self._check)
        listing = Listing(method, params or {})
        if listing.fields_call:
            listing.check_filter(await self.call(listing.fields_call.method))
        while not listing.done:
            rows = listing.take(await self.run(call_flow(listing.call(), self.manners)))
            for row in rows:
                yield row
            if rows and not listing.done and listing.in_ranges:
                async with aclosing(swept(self, ListSweep(listing, rows))) as pages:
                    async for page in pages:
                        for row in page:
                            yield row
                return
