"""What lies between two ids, read by ranges of ids: 50 rows a command and 2,500 a request.

Ranges of ids do not overlap and do not move, so a row that exists during the whole sweep appears exactly
once, whatever others add or delete meanwhile. Offsets would skip and repeat.

A sweep decides what to ask for and which pages may be given; it sends nothing, and does not wait.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from airflow_bitrix.client.id_ranges import Range, Ranges
from airflow_bitrix.client.wire import Call

Row = TypeVar("Row")

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
class Ask:
    """A request of a sweep.

    :param pieces: The ranges that it reads, the last calls of the request.
    :param calls: What to send.
    """

    pieces: Sequence[Range]
    calls: Sequence[Call]


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


def density_of(positions: Sequence[int]) -> float:
    """Give the rows an id on a page."""
    return len(positions) / (abs(positions[-1] - positions[0]) + 1)
