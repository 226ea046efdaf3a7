"""A list by ranges of ids: what comes behind its first page, as a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_bitrix.client.batch import MOST_COMMANDS
from airflow_bitrix.client.id_ranges import Ranges
from airflow_bitrix.client.id_sweep import Ask, Sweep, density_of
from airflow_bitrix.client.listing import PAGE, Listing

MOST_READY = 2 * MOST_COMMANDS
"""Pages that may wait for a slower one before them: rows of a list may hold every field that there is."""


class ListSweep(Sweep[Any]):
    """What a list has left behind its first page.

    Nobody has told yet where its ids end. So the first request asks for the last page too, and reads on
    from the first one, with pieces as wide as that lets expect.

    :param listing: A list that has been read up to some page.
    :param page: The rows of that page.
    """

    def __init__(self, listing: Listing, page: Sequence[Any]) -> None:
        ranges = Ranges(listing.left, density_of([listing.position(row) for row in page]))
        super().__init__(listing, ranges, most_ready=MOST_READY)
        self._listing = listing
        self._list_ranges = ranges
        self._end: Ask | None = None
        self._ends = False

    def next(self, size: int) -> Ask | None:
        """Give the next request; see :meth:`Sweep.next`."""
        if self._ends:
            return super().next(size)
        if self._end:
            return None
        pieces = self._list_ranges.take(size - 1) if size > 1 else []
        calls = [self._listing.end_call(), *map(self._listing.range_call, pieces)]
        self._end = Ask(pieces, calls)
        return self._end

    def take(self, ask: Ask, results: Sequence[Any]) -> None:
        """Take what a request found; see :meth:`Sweep.take`."""
        if ask is self._end:
            last, *results = results
            self._ends = True
            rows = self._listing.end_rows(last)
            first = self._listing.position(rows[0]) if rows else self._listing.left[0]
            whole = len(rows) < PAGE  # then the last page holds all that is left
            self._list_ranges.end_at(self._listing.left[0] - 1 if whole else first - 1)
            self._keep(first, rows)
        super().take(ask, results)
