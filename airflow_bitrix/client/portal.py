"""The two clients of a portal, sync and async, over the same flows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from airflow_bitrix.client.batch import (
    MOST_COMMANDS,
    CommandOutcome,
    batch_flow,
    command_of,
    failed,
    is_rest,
)
from airflow_bitrix.client.flow import AsyncTransport, Manners, Transport, call_flow, drive, drive_async
from airflow_bitrix.client.listing import Listing
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.errors import Bitrix24Error

T = TypeVar("T")

# The clients have a method named list, which hides the type of that name inside their bodies.
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

    def __init__(self, send: AsyncTransport, manners: Manners, in_flight: int = 5) -> None:
        self._send = send
        self.manners = manners
        self.in_flight = in_flight

    async def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Call a REST method and give its result; see :meth:`Portal.call`."""
        flow = call_flow(Call(method, params or {}), self.manners)
        return (await drive_async(flow, self._send, self.manners)).result

    async def run_batch(self, calls: Sequence[Call], *, repeat: bool = True) -> Outcomes:
        """Run at most 50 calls as one batch; see :func:`~airflow_bitrix.client.batch.batch_flow`."""
        flow = batch_flow(calls, self.manners, repeat=repeat)
        return await drive_async(flow, self._send, self.manners)

    async def batch(self, calls: Iterable[Call | tuple[str, Mapping[str, Any]]]) -> Outcomes:
        """Run any number of calls, several batches in flight; see :meth:`Portal.batch`."""
        gate = asyncio.Semaphore(self.in_flight)
        ended: list[Bitrix24Error] = []
        batches = list(_in_batches(calls_of(calls)))

        async def one(some: Sequence[Call], commands: Sequence[str]) -> Outcomes:
            async with gate:
                if ended:
                    return [failed(call, ended[0]) for call in some]
                try:
                    flow = batch_flow(some, self.manners, commands=commands)
                    outcomes = await drive_async(flow, self._send, self.manners)
                except Bitrix24Error as error:
                    (rests if is_rest(error) else ended).append(error)
                    return [failed(call, error) for call in some]
                taken.append(outcomes)
                return outcomes

        taken: list[Outcomes] = []
        rests: list[Bitrix24Error] = []
        done = await together([one(*batch) for batch in batches])
        if (ended or rests) and not taken:
            raise (ended or rests)[0]
        return [outcome for some in done for outcome in some]

    async def list(self, method: str, params: Mapping[str, Any] | None = None) -> AsyncIterator[Any]:
        """Give every row of a list method, in order of id; see :meth:`Portal.list`."""
        listing = Listing(method, params or {})
        if listing.fields_call:
            listing.check_filter(await self.call(listing.fields_call.method))
        while not listing.done:
            flow = call_flow(listing.call(), self.manners)
            for row in listing.take(await drive_async(flow, self._send, self.manners)):
                yield row
