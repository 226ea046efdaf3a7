"""Cutting a range of ids into pieces that fit on a page each. No portal, no waiting."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from airflow_bitrix.client.batch import MOST_COMMANDS
from airflow_bitrix.client.row_pages import PAGE

Range = tuple[int, int]
"""First and last id."""

_FILL = 0.8
"""How full pieces of sparse ids are meant to be: a piece that overflows costs a further command."""


class Ranges:
    """What is left of a range of ids, cut into pieces as wide as the density seen so far allows.

    :param span: The range; nothing is left of one that ends before it begins.
    :param density: Rows an id that are expected, above 0.
    """

    def __init__(self, span: Range, density: float) -> None:
        self._next, self._end = span
        self._density = density
        self._over: list[Range] = []  # a heap: the lowest first
        self._out: set[Range] = set()

    @property
    def end(self) -> int:
        """The last id of the range."""
        return self._end

    def end_at(self, last: int) -> None:
        """Leave out what lies behind an id: where ids end was not known before, or it is read already."""
        self._end = min(self._end, last)

    def begin_at(self, first: int) -> None:
        """Leave out what lies before an id and was not asked for yet."""
        self._next = max(self._next, first)

    def expect(self, density: float) -> None:
        """Take another density for what is left."""
        self._density = density

    def put_back(self, piece: Range) -> None:
        """Let a piece be read once more."""
        self._out.discard(piece)
        if piece[0] <= self._end:
            heapq.heappush(self._over, (piece[0], min(piece[1], self._end)))

    def reopen(self, piece: Range) -> None:
        """Let a range be read where all is read already, and where it lies behind the end."""
        self._end = max(self._end, piece[1])
        self._next = self._end + 1
        if piece[0] <= piece[1]:
            heapq.heappush(self._over, piece)

    @property
    def lowest(self) -> float:
        """The lowest id that is not read yet; infinity where all are."""
        waiting = [first for first, _ in (*self._over, *self._out)]
        if self._next <= self._end:
            waiting.append(self._next)
        return min(waiting, default=math.inf)

    def take(self, most: int = MOST_COMMANDS, *, ahead: bool = True) -> list[Range]:
        """Give the pieces of the next request, ``most`` at most.

        While others are under way, a request that would not be full is put off: they may leave more to read.

        :param ahead: Whether ids may be read that nothing was read of yet; else only what pieces left over.
        """
        width = self._width(most)
        fresh = math.ceil(max(self._end - self._next + 1, 0) / width) if ahead else 0
        if len(self._over) + fresh < most and self._out:
            return []
        pieces = [heapq.heappop(self._over) for _ in range(min(len(self._over), most))]
        while ahead and len(pieces) < most and self._next <= self._end:
            last = min(self._next + width - 1, self._end)
            pieces.append((self._next, last))
            self._next = last + 1
        self._out.update(pieces)
        return pieces

    def settle(self, pages: Sequence[tuple[Range, int, int]]) -> None:
        """Take what a request found.

        :param pages: Each piece, how many ids there are on its page, none behind the end, and the last one.
        """
        rows = ids = 0
        for piece, found, last_found in pages:
            self._out.discard(piece)
            first, last = piece[0], min(piece[1], self._end)
            if last < first:
                continue
            # A full page ends before its piece does, unless the piece has no more ids than that.
            reached = last_found if found >= PAGE else last
            if reached < last:
                self._leave((reached + 1, last), found / (reached - first + 1))
            rows, ids = rows + found, ids + reached - first + 1
        if ids:
            # Without a row the true density is unknown, but it is less than one row in all that was read.
            self._density = max(rows, 0.5) / ids

    def _leave(self, left: Range, density: float) -> None:
        """Keep what a full page left of its piece: in several pieces where that is much.

        Ids that come in clusters may all lie in one piece, and would be read a page a request.

        :param density: Rows an id on the page.
        """
        first, last = left
        expected = math.ceil((last - first + 1) * density / PAGE)
        width = math.ceil((last - first + 1) / min(expected, MOST_COMMANDS))
        for start in range(first, last + 1, width):
            heapq.heappush(self._over, (start, min(start + width - 1, last)))

    def _width(self, most: int) -> int:
        # 50 ids can never hold more than 50 rows, so a piece of dense ids is never too wide. Requests that
        # are needed anyway are filled with narrower pieces: they overflow less often.
        widest = max(PAGE, int(PAGE * _FILL / self._density))
        left = max(self._end - self._next + 1, 1)
        # Whoever has but a share of each request goes by that; one that holds the ends, too, is a whole one.
        commands = most if most <= MOST_COMMANDS // 2 else MOST_COMMANDS
        requests = math.ceil(left / (widest * commands))
        return max(math.ceil(left / (requests * commands)), 1)
