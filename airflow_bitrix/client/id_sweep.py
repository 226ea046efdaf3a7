"""What lies between two ids, read by ranges of ids: 50 rows a command and 2,500 a request.

Ranges of ids do not overlap and do not move, so a row that exists during the whole sweep appears exactly
once, whatever others add or delete meanwhile. Offsets would skip and repeat.

Each range tells how many rows it holds, so a page that lacks some is asked for again. What no range tells is
whether the first page and the last one were those: the ends of the ids. So the rows are counted in the end,
and where they are not as many as the portal counted at first, both ends are looked at once more.

A sweep decides what to ask for and which pages may be given; it sends nothing, and does not wait.
"""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from airflow_bitrix.client.id_ranges import Range, Ranges
from airflow_bitrix.client.row_pages import OddAnswer, Tries, odd
from airflow_bitrix.client.wire import Answer, Call
from airflow_bitrix.core.languages import gettext

Row = TypeVar("Row")

MOST_READY = 500
"""Pages that may wait for a slower one before them, where rows are wanted in order."""


class Source(Protocol[Row]):
    """Where the rows of a sweep come from. Positions are ids, or whatever else orders the rows."""

    @property
    def method(self) -> str:
        """The list method."""

    def range_call(self, piece: Range) -> Call:
        """Give the call for the first page of a range, and for the number of rows in it."""

    def range_rows(self, answer: Answer, piece: Range) -> list[Row]:
        """Read the answer of such a call.

        :raises OddAnswer: It cannot be right.
        """

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


@dataclass(frozen=True, slots=True)
class Ends(Generic[Row]):
    """The first page and the last one of a list.

    :param total: Rows that the portal counts.
    :param head: From where the list begins to the last row of its first page.
    :param first: Positions of the rows on the first page.
    :param given: How many rows were given before the sweep.
    :param pages: What is to be given of the first page.
    :param tail: From the first row of the last page to where no row can be.
    :param last: The last page.
    :param density: Rows an id that are expected between both pages, where they tell.
    """

    total: int
    head: Range
    first: frozenset[int]
    given: int
    pages: Sequence[list[Row]]
    tail: Range
    last: list[Row]
    density: float | None = None


class Sweeping(Protocol[Row]):
    """What decides what to ask for, as a :class:`Sweep` does, or several of them together."""

    @property
    def done(self) -> bool:
        """Whether every row is given."""

    def next(self, size: int) -> Ask | None:
        """Give the next request, ``None`` while it is better to wait for those under way."""

    def take(self, ask: Ask, answers: Sequence[Answer]) -> None:
        """Take what a request found."""

    def pages(self) -> Iterator[list[Row]]:
        """Give the pages that may be given by now."""


class Sweep(ABC, Generic[Row]):
    """What is read of a range of positions, what is asked for next, and which pages may be given.

    :param source: Where rows come from.
    :param ranges: What there is to read; where it ends is not known before the last page is.
    :param ordered: Whether pages are given in order; else as they arrive.
    :param most_ready: Pages that may wait for one before them.
    """

    def __init__(
        self, source: Source[Row], ranges: Ranges, *, ordered: bool = True, most_ready: int = MOST_READY
    ) -> None:
        self._source, self._ranges = source, ranges
        self._ordered = ordered
        self._most_ready = most_ready
        self._ready: list[tuple[int, list[Row]]] = []  # a heap of pages by first position
        self._asked_first: Ask | None = None
        self._ends: Ends[Row] | None = None
        self._closed = False
        self._found = 0
        self._given_to: float = -math.inf
        self._tries = Tries()

    # -- the ends ------------------------------------------------------------------------------------------

    @abstractmethod
    def end_calls(self) -> list[Call]:
        """Give the calls for the ends, sent beside the first ranges."""

    @abstractmethod
    def read_ends(self, answers: Sequence[Answer]) -> Ends[Row]:
        """Read the answers of :meth:`end_calls`, and leave out of the ranges what they hold.

        :raises OddAnswer: They cannot be right.
        """

    # -- what is asked -------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether every row is given."""
        return self._closed and not self._ready and self._ranges.lowest == math.inf

    def next(self, size: int) -> Ask | None:
        """Give the next request, ``None`` while it is better to wait for those under way.

        :param size: Commands that it may hold.
        """
        if self._ends is None:
            return None if self._asked_first else self._begin(size)
        # What pieces left over lies below the pages that wait: without it they would wait for ever.
        pieces = self._ranges.take(size, ahead=len(self._ready) < self._most_ready)
        return Ask(pieces, [self._source.range_call(piece) for piece in pieces]) if pieces else None

    def _begin(self, size: int) -> Ask:
        ends = self.end_calls()
        pieces = self._ranges.take(size - len(ends)) if size > len(ends) else []
        self._asked_first = Ask(pieces, [*ends, *map(self._source.range_call, pieces)])
        return self._asked_first

    # -- what is answered ----------------------------------------------------------------------------------

    def take(self, ask: Ask, answers: Sequence[Answer]) -> None:
        """Take what a request found.

        :param answers: The answer of each of its calls.
        :raises OddAnswer: One that cannot be right came as often as may be.
        """
        beside = len(answers) - len(ask.pieces)
        is_first = ask is self._asked_first
        if is_first and not self._take_ends(ask, answers[:beside]):
            return
        pages: list[tuple[Range, list[Row]]] = []
        for piece, answer in zip(ask.pieces, answers[beside:], strict=True):
            try:
                rows = self._source.range_rows(answer, piece)
            except OddAnswer as error:
                self._tries.again(piece, error)
                self._ranges.put_back(piece)
            else:
                self._tries.settled(piece)
                pages.append((piece, self._up_to_the_end(rows)))
        position = self._source.position
        self._ranges.settle(
            [(piece, len(rows), position(rows[-1]) if rows else piece[0]) for piece, rows in pages]
        )
        if is_first and self._ends and self._ends.density:
            self._ranges.expect(self._ends.density)
        for _, rows in pages:
            self._keep(self._new(rows))
        self._close()

    def _take_ends(self, ask: Ask, answers: Sequence[Answer]) -> bool:
        try:
            self._ends = self.read_ends(answers)
        except OddAnswer as error:
            self._tries.again("the ends", error)
            # It is not known where the ranges end, and so not how much of them may be given.
            self._asked_first = None
            for piece in ask.pieces:
                self._ranges.put_back(piece)
            return False
        self._found = self._ends.given
        self._ranges.end_at(self._ends.tail[0] - 1)
        for page in self._ends.pages:
            self._keep(page)
        return True

    def _up_to_the_end(self, rows: list[Row]) -> list[Row]:
        position, end = self._source.position, self._ranges.end
        if not rows or position(rows[-1]) <= end:
            return rows
        return [row for row in rows if position(row) <= end]

    def _new(self, rows: list[Row]) -> list[Row]:
        """Leave out what lies on the first page, or came there after it was read."""
        position, ends = self._source.position, self._ends
        if not rows or ends is None or position(rows[0]) > ends.head[1]:
            return rows
        if self._closed:
            return [row for row in rows if position(row) not in ends.first]
        return [row for row in rows if position(row) > ends.head[1]]

    def _keep(self, rows: list[Row]) -> None:
        if rows:
            self._found += len(rows)
            heapq.heappush(self._ready, (self._source.position(rows[0]), rows))

    def _close(self) -> None:
        """Once all between the ends is read: give the last page too, or look at both ends once more.

        Rows that were added, deleted or changed meanwhile make another number of them; so does a page that
        held others than the first or the last ones. What is there now is given either way.
        """
        ends = self._ends
        if self._closed or ends is None or self._ranges.lowest != math.inf:
            return
        self._closed = True
        if self._found + len(ends.last) == ends.total:
            self._keep(ends.last)
            return
        self._ranges.reopen(ends.head)
        self._ranges.reopen(ends.tail)

    def pages(self) -> Iterator[list[Row]]:
        """Give the pages that may be given by now.

        :raises OddAnswer: Rows were found where all were given already, and they are wanted in order.
        """
        while self._ready and (not self._ordered or self._ready[0][0] < self._ranges.lowest):
            first, rows = heapq.heappop(self._ready)
            if self._ordered and first <= self._given_to:
                total = self._ends.total if self._ends else 0
                what = gettext(
                    "of {total} rows that the portal counts, some came behind others that follow them",
                    total=total,
                )
                raise odd(self._source.method, what)
            self._given_to = max(self._given_to, self._source.position(rows[-1]))
            yield rows


def density_of(positions: Sequence[int]) -> float:
    """Give the rows an id on a page."""
    return len(positions) / (abs(positions[-1] - positions[0]) + 1)


def check_ends(method: str, total: int, head: Sequence[int], tail: Sequence[int]) -> None:
    """Refuse a first and a last page that cannot be those of one list.

    :param total: Rows of the list.
    :param head: Positions on the first page.
    :param tail: Positions on the last one.
    :raises OddAnswer: It says what does not fit.
    """
    both = sorted({*head, *tail})
    fit = len(both) == min(total, len(head) + len(tail))
    if not fit or list(head) != both[: len(head)] or list(tail) != both[len(both) - len(tail) :]:
        raise odd(
            method,
            gettext("the first and the last page are not those of one list of {total} rows", total=total),
        )
    if both and both[-1] - both[0] + 1 < total:
        ids = " to ".join(str(abs(one)) for one in (both[0], both[-1]))
        raise odd(
            method,
            gettext(
                "the portal counts {total} rows, more than there are ids from {ids}",
                total=total,
                ids=str(ids),
            ),
        )
