"""A list by ranges of ids: what comes behind its first page, as a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_bitrix.client.batch import MOST_COMMANDS
from airflow_bitrix.client.id_ranges import Ranges
from airflow_bitrix.client.id_sweep import Ends, Sweep, check_ends, density_of
from airflow_bitrix.client.listing import Listing
from airflow_bitrix.client.wire import Answer, Call

MOST_READY = 2 * MOST_COMMANDS
"""Pages that may wait for a slower one before them: rows of a list may hold every field that there is."""


class ListSweep(Sweep[Any]):
    """What a list has left behind its first page.

    Nobody has told yet where its ids end. So the first request asks for the last page too, and reads on
    from the first one, with pieces as wide as that lets expect.

    :param listing: A list of which one page has been read.
    :param page: The rows of that page.
    """

    def __init__(self, listing: Listing, page: Sequence[Any]) -> None:
        self._first_page = [listing.position(row) for row in page]
        super().__init__(listing, Ranges(listing.left, density_of(self._first_page)), most_ready=MOST_READY)
        self._listing = listing

    def end_calls(self) -> list[Call]:
        """Give the call for the last page."""
        return [self._listing.end_call()]

    def read_ends(self, answers: Sequence[Answer]) -> Ends[Any]:
        """Read its answer; see :meth:`Sweep.read_ends`."""
        listing = self._listing
        left, rows = listing.end_rows(answers[0])
        tail = [listing.position(row) for row in rows]
        total, read_to = len(self._first_page) + left, self._first_page[-1]
        check_ends(listing.method, total, self._first_page, tail)
        # Where as many rows are left as the first page let expect, it was the first one. Where the largest
        # ids come first, those before it are taken for new ones.
        begins = listing.whole[0] if listing.grows else self._first_page[0]
        if total == listing.total:
            begins = read_to + 1
        return Ends(
            total=listing.total,
            head=(begins, read_to),
            first=frozenset(self._first_page),
            given=len(self._first_page),
            pages=[],
            tail=(tail[0] if tail else listing.left[0], listing.left[1]),
            last=rows,
        )
