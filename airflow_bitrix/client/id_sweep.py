"""All rows of a table of the portal by ranges of ids, 50 rows a command and 2,500 a request.

Ranges of ids do not overlap and do not move, so a row that exists during the whole sweep appears exactly
once, whatever others add or delete meanwhile. Offsets would skip and repeat.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from airflow_bitrix.client.batch import MOST_COMMANDS
from airflow_bitrix.client.id_ranges import Range, Ranges
from airflow_bitrix.client.listing import PAGE, both
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.wire import Call

Row = TypeVar("Row")

Order = Literal["ASC", "DESC"]

MOST_READY = 500
"""Pages that may wait for a slower one before them, where rows are wanted in order."""


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

    def range_call(self, wanted: Mapping[str, Any], piece: Range) -> Call:
        """Give the call for the rows of a range of ids."""
        return self.call(both(wanted, {">=id": piece[0], "<=id": piece[1]}), "ASC")


Expect = Callable[[int], object]
"""Takes how many rows there are in all, as far as can be told yet."""


async def sweep(
    portal: AsyncPortal,
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
    calls = [table.call(wanted, "DESC"), table.call(wanted, "ASC")]
    calls += [table.range_call(wanted, piece) for piece in pieces]
    pages = [table.rows(outcome.result) for outcome in await portal.run_batch(calls)]

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
        density = max(_density([table.id_of(row) for row in page]) for page in (tail, head) if page)
        ranges = Ranges((start, end), density)
        told.add(0, ranges.expected)
        rest = _Sweep(portal, table, wanted, ranges, told, ordered=ordered)
        async with aclosing(rest.pages()) as found:
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


class _Sweep(Generic[Row]):
    """Reads what ranges leave to read, several requests in flight.

    :param ordered: Whether pages are given in order of id; else as they arrive.
    """

    def __init__(
        self,
        portal: AsyncPortal,
        table: Table[Row],
        wanted: Mapping[str, Any],
        ranges: Ranges,
        told: _Told,
        *,
        ordered: bool,
    ) -> None:
        self._portal, self._table, self._wanted = portal, table, wanted
        self._ranges = ranges
        self._told = told
        self._ordered = ordered
        self._ready: list[tuple[int, list[Row]]] = []  # pages by first id
        self._running: set[asyncio.Task[None]] = set()

    async def pages(self) -> AsyncGenerator[list[Row], None]:
        """Give page after page."""
        try:
            while self._ready or self._ranges.lowest < math.inf:
                self._start()
                if self._running:
                    done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                    self._running -= done
                    # All are asked, else the event loop complains of errors that nobody took.
                    for error in [task.exception() for task in done]:
                        if error:
                            raise error
                while self._ready and (not self._ordered or self._ready[0][0] < self._ranges.lowest):
                    yield heapq.heappop(self._ready)[1]
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def _start(self) -> None:
        while len(self._running) < self._portal.in_flight:
            # What pieces left over lies below the pages that wait: without it they would wait for ever.
            pieces = self._ranges.take(self._portal.size, ahead=len(self._ready) < MOST_READY)
            if not pieces:
                return
            self._running.add(asyncio.ensure_future(self._read(pieces)))

    async def _read(self, pieces: Sequence[Range]) -> None:
        calls = [self._table.range_call(self._wanted, piece) for piece in pieces]
        pages = [self._table.rows(outcome.result) for outcome in await self._portal.run_batch(calls)]
        ids = [[self._table.id_of(row) for row in page] for page in pages]
        self._ranges.settle(list(zip(pieces, ids, strict=True)))
        self._told.add(sum(map(len, pages)), self._ranges.expected)
        for piece, page in zip(pieces, pages, strict=True):
            heapq.heappush(self._ready, (piece[0], page))


def _density(ids: Sequence[int]) -> float:
    return len(ids) / (abs(ids[-1] - ids[0]) + 1)
