"""All rows of a table of the portal, by ranges of ids."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Literal

from airflow_bitrix.client.exclusions import Conditions
from airflow_bitrix.client.filters import both
from airflow_bitrix.client.id_ranges import Range, Ranges
from airflow_bitrix.client.id_sweep import Ends, Row, Sweep, check_ends, density_of
from airflow_bitrix.client.row_pages import FURTHEST, PAGE, Asked, check_count, total_of
from airflow_bitrix.client.several_sweeps import SeveralSweeps
from airflow_bitrix.client.stream import Lanes
from airflow_bitrix.client.sweep_drivers import swept
from airflow_bitrix.client.wire import Answer, Call

Order = Literal["ASC", "DESC"]


Expect = Callable[[int], object]
"""Takes how many rows there are in all."""


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """A list method, and how its rows are read.

    :param call: Gives the call for a page and for the number of all rows, of a filter and the order of ids.
    :param id_field: Where a row keeps its id.
    :param read: Reads a row.
    :param id_of: Gives the id of what was read.
    """

    call: Callable[[Mapping[str, Any], Order], Call]
    id_field: str
    read: Callable[[Mapping[str, Any]], Row]
    id_of: Callable[[Row], int]


class _Filtered(Generic[Row]):
    """The rows of a table that a filter matches."""

    def __init__(self, table: Table[Row], wanted: Mapping[str, Any]) -> None:
        self._table, self._wanted = table, wanted
        self._asked = Asked(table.call(wanted, "ASC").method, table.id_field, Conditions(wanted))
        self.position = table.id_of

    @property
    def method(self) -> str:
        return self._asked.method

    def range_call(self, piece: Range) -> Call:
        return self._table.call(both(self._wanted, {">=id": piece[0], "<=id": piece[1]}), "ASC")

    def range_rows(self, answer: Answer, piece: Range) -> list[Row]:
        return self._asked.read_page(answer, piece, self._table.read)

    def head_call(self) -> Call:
        call = self._table.call(self._wanted, "ASC")
        return Call(
            call.method, {**call.params, "start": -1}
        )  # the other end's page tells the number of rows

    def tail_call(self) -> Call:
        return self._table.call(self._wanted, "DESC")

    def end_rows(self, answer: Answer, total: int, order: Order) -> list[Row]:
        rows = self._asked.rows(answer.result)
        check_count(self.method, rows, total)
        return self._asked.read(rows if order == "ASC" else rows[::-1], (1, FURTHEST), self._table.read)


class TableSweep(Sweep[Row]):
    """All rows of a table that a filter matches.

    The first request reads both ends of the id range and, on the chance that ids are dense from 1 on, the
    first 2,400 ids.

    :param wanted: The filter.
    :param ordered: Whether rows come in order of id; else as they arrive.
    :param expect: Told how many rows there are in all.
    """

    def __init__(
        self, table: Table[Row], wanted: Mapping[str, Any], *, ordered: bool, expect: Expect | None = None
    ) -> None:
        self._rows = _Filtered(table, wanted)
        self._between = Ranges((PAGE + 1, FURTHEST), 1.0)
        super().__init__(self._rows, self._between, ordered=ordered)
        self._expect = expect

    def end_calls(self) -> list[Call]:
        """Give the calls for the last page and the first."""
        return [self._rows.tail_call(), self._rows.head_call()]

    def read_ends(self, answers: Sequence[Answer]) -> Ends[Row]:
        """Read their answers; see :meth:`Sweep.read_ends`."""
        rows = self._rows
        total = total_of(rows.method, answers[0])
        tail = rows.end_rows(answers[0], total, "DESC")
        head = rows.end_rows(answers[1], total, "ASC")
        first, last = ([rows.position(row) for row in page] for page in (head, tail))
        check_ends(rows.method, total, first, last)
        if self._expect:
            self._expect(total)
        behind = last[0] if total >= PAGE else 1  # a last page that is not full holds all there is
        page = [row for row in head if rows.position(row) < behind]
        head_end = rows.position(page[-1]) if page else behind - 1
        self._between.begin_at(head_end + 1)
        return Ends(
            total=total,
            head=(1, head_end),
            first=frozenset(map(rows.position, page)),
            given=0,
            pages=[page],
            tail=(behind, FURTHEST),
            last=tail,
            density=max(map(density_of, (first, last))) if total else None,
        )


async def sweep(
    portal: Lanes,
    tables: Sequence[tuple[Table[Row], Mapping[str, Any]]],
    *,
    ordered: bool,
    expect: Expect | None = None,
) -> AsyncGenerator[Row, None]:
    """Give every row that a filter matches, each once; several requests are in flight.

    :param tables: Tables, and the filter of each. Several of them share their requests.
    :param ordered: Whether rows of a table come in order of id; else as they arrive.
    :param expect: Told how many rows there are in all, of the tables that are known so far.
    :raises OddAnswer: The portal gave pages that cannot be right, and gave them again.
    """
    known: dict[int, int] = {}

    def tell(place: int, total: int) -> None:
        known[place] = total
        if expect:
            expect(sum(known.values()))

    sweeps = [
        TableSweep(table, wanted, ordered=ordered, expect=partial(tell, place))
        for place, (table, wanted) in enumerate(tables)
    ]
    async with aclosing(swept(portal, SeveralSweeps(sweeps))) as pages:
        async for page in pages:
            for row in page:
                yield row
