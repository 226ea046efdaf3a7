"""All rows of a table of the portal, by ranges of ids."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, Literal

from airflow_bitrix.client.batch import MOST_COMMANDS, batch_flow
from airflow_bitrix.client.filters import both
from airflow_bitrix.client.id_ranges import Range, Ranges
from airflow_bitrix.client.id_sweep import Row, Sweep, density_of
from airflow_bitrix.client.listing import PAGE
from airflow_bitrix.client.stream import Lanes
from airflow_bitrix.client.sweep_drivers import swept
from airflow_bitrix.client.wire import Call

Order = Literal["ASC", "DESC"]


Expect = Callable[[int], object]
"""Takes how many rows there are in all, as far as can be told yet."""


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
