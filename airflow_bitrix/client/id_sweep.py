"""All rows of a table of the portal by ranges of ids, 50 rows a command and 2,500 a request.

Ranges of ids do not overlap and do not move, so a row that exists during the whole sweep appears exactly
once, whatever others add or delete meanwhile. Offsets would skip and repeat.

A sweep decides what to ask for and which pages may be given; it sends nothing. A sync client drives it with
a request at a time, an async one with several in flight.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from airflow_bitrix.client.batch import MOST_COMMANDS, batch_flow
from airflow_bitrix.client.filters import both
from airflow_bitrix.client.id_ranges import Range, Ranges
from airflow_bitrix.client.listing import PAGE
from airflow_bitrix.client.stream import Lanes
from airflow_bitrix.client.wire import Call

Row = TypeVar("Row")

Order = Literal["ASC", "DESC"]

MOST_READY = 500
"""Pages that may wait for a slower one before them, where rows are wanted in order."""


class Source(Protocol[Row]):
    """Where the rows of a sweep come from. Positions are ids, or whatever else orders the rows."""

    def range_call(self, piece: Range) -> Call:
        """Give the call for the first page of a range."""

    def range_rows(self, result: Any, piece: Range) -> list[Row]:
        """Read the result of such a call."""

    def position(self, row: Row) -> int:
        """Give where a row stands."""


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """A list method, and how its rows are read.

    :param call: Gives the call for a page, of a filter and the order of ids.
    :param rows: Reads the result of such a call.
    :param id_of: Gives the id of a row.
    """

    call: Callable[[Mapping[str, Any], Order], Call]
    rows: Callable[[Any], list[Row]]
    id_of: Callable[[Row], int]


@dataclass(frozen=True, slots=True)
class _Filtered(Generic[Row]):
    """The rows of a table that a filter matches."""

    table: Table[Row]
    wanted: Mapping[str, Any]

    def range_call(self, piece: Range) -> Call:
        return self.table.call(both(self.wanted, {">=id": piece[0], "<=id": piece[1]}), "ASC")

    def range_rows(self, result: Any, _piece: Range) -> list[Row]:
        return self.table.rows(result)

    def position(self, row: Row) -> int:
        return self.table.id_of(row)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of a sweep.

    :param pieces: The ranges that it reads, the last calls of the request.
    :param calls: What to send.
    """

    pieces: Sequence[Range]
    calls: Sequence[Call]


Expect = Callable[[int], object]
"""Takes how many rows there are in all, as far as can be told yet."""


class Sweep(Generic[Row]):
    """What is read of a range of positions, what is asked for next, and which pages may be given.

    :param source: Where rows come from.
    :param ranges: What there is to read.
    :param ordered: Whether pages are given in order; else as they arrive.
    :param most_ready: Pages that may wait for one before them.
    :param told: Takes the rows that a request found, and those that are expected still.
    """

    def __init__(
        self,
        source: Source[Row],
        ranges: Ranges,
        *,
        ordered: bool = True,
        most_ready: int = MOST_READY,
        told: Callable[[int, int], object] = lambda _rows, _left: None,
    ) -> None:
        self._source, self._ranges = source, ranges
        self._ordered = ordered
        self._most_ready = most_ready
        self._told = told
        self._ready: list[tuple[int, list[Row]]] = []  # a heap of pages by first position

    @property
    def done(self) -> bool:
        """Whether every row is given."""
        return not self._ready and self._ranges.lowest == math.inf

    def next(self, size: int) -> Ask | None:
        """Give the next request, ``None`` while it is better to wait for those under way.

        :param size: Commands that it may hold.
        """
        # What pieces left over lies below the pages that wait: without it they would wait for ever.
        pieces = self._ranges.take(size, ahead=len(self._ready) < self._most_ready)
        return Ask(pieces, [self._source.range_call(piece) for piece in pieces]) if pieces else None

    def take(self, ask: Ask, results: Sequence[Any]) -> None:
        """Take what a request found.

        :param results: The result of each of its calls.
        """
        read = zip(ask.pieces, results, strict=True)
        pages = [
            (piece, self._up_to_the_end(self._source.range_rows(result, piece))) for piece, result in read
        ]
        self._ranges.settle([(piece, list(map(self._source.position, rows))) for piece, rows in pages])
        self._told(sum(len(rows) for _, rows in pages), self._ranges.expected)
        for piece, rows in pages:
            self._keep(piece[0], rows)

    def _up_to_the_end(self, rows: list[Row]) -> list[Row]:
        position, end = self._source.position, self._ranges.end
        if not rows or position(rows[-1]) <= end:
            return rows
        return [row for row in rows if position(row) <= end]

    def _keep(self, first: int, rows: list[Row]) -> None:
        if rows:
            heapq.heappush(self._ready, (first, rows))

    def pages(self) -> Iterator[list[Row]]:
        """Give the pages that may be given by now."""
        while self._ready and (not self._ordered or self._ready[0][0] < self._ranges.lowest):
            yield heapq.heappop(self._ready)[1]


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


async def sweep(
    portal: Lanes,
    table: Table[Row],
    wanted: Mapping[str, Any],
    *,
    ordered: bool,
    expect: Expect | None = None,
) -> AsyncGenerator[Row, None]:
    """Give every row that a filter matches, each once.

    The first request reads both ends of the id range and, on the chance that ids are dense from 1 on, the
    first 2,400 ids; the further ones go through what lies between, several in flight.

    :param wanted: The filter.
    :param ordered: Whether rows come in order of id; else as they arrive.
    :param expect: Told, with each answer, how many rows there are in all as far as their density tells.
    """
    pieces = [(PAGE * n + 1, PAGE * (n + 1)) for n in range(1, MOST_COMMANDS - 1)]
    source = _Filtered(table, wanted)
    calls = [table.call(wanted, "DESC"), table.call(wanted, "ASC")]
    calls += [source.range_call(piece) for piece in pieces]
    pages = [table.rows(outcome.result) for outcome in await portal.run(batch_flow(calls, portal.manners))]

    tail, head, *middle = pages
    tail.reverse()
    whole = len(tail) < PAGE  # then the last page holds everything there is
    end = 0 if whole else table.id_of(tail[0]) - 1
    done_to = min(table.id_of(head[-1]), end) if head else 0
    first = [row for row in head if table.id_of(row) <= end]
    first += [row for page in middle for row in page if done_to < table.id_of(row) <= end]
    told = _Told(expect or _unasked, len(first) + len(tail))
    if whole:
        told.add(0, 0)
    for row in first:
        yield row
    if not whole:
        # head and the pieces may overlap: what lies behind both is still to be read
        start = max(done_to, pieces[-1][1]) + 1
        density = max(density_of([table.id_of(row) for row in page]) for page in (tail, head) if page)
        ranges = Ranges((start, end), density)
        told.add(0, ranges.expected)
        rest = Sweep(source, ranges, ordered=ordered, told=told.add)
        async with aclosing(swept(portal, rest)) as found:
            async for page in found:
                for row in page:
                    yield row
    for row in tail:
        yield row


def _unasked(_total: int) -> None:
    """Nobody wants to know."""


class _Told:
    """Rows found so far, and who is told of the total that they let expect."""

    def __init__(self, expect: Expect, found: int) -> None:
        self._expect = expect
        self._found = found

    def add(self, rows: int, left: int) -> None:
        self._found += rows
        self._expect(self._found + left)


def density_of(positions: Sequence[int]) -> float:
    """Give the rows an id on a page."""
    return len(positions) / (abs(positions[-1] - positions[0]) + 1)
