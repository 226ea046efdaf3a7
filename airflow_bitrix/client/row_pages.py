"""What can be known of a page of rows: how many there are, in which order, and that they were asked for.

A portal that is overloaded, or a proxy before it, gives pages that lack rows, or that are those of another
question, and calls them right. So each page of a list by ids comes with the number of rows that its filter
matches, counted by the same command. What does not fit is asked for again, and then an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_bitrix.client.exclusions import Conditions
from airflow_bitrix.client.id_methods import id_method
from airflow_bitrix.client.wire import Answer, Call
from airflow_bitrix.core.errors import Bitrix24Error, RetryLater
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.numbers import as_number

T = TypeVar("T")

PAGE = 50
"""Rows on a full page."""

FURTHEST = 2**40
"""A place behind any id, and exact where ids are divided."""

TIMES = 4
"""How often a page is asked for before what is wrong with it is told."""


class OddAnswer(RetryLater):
    """A page that cannot be right. It is asked for again before anybody hears of it."""


def odd(method: str, what: str) -> OddAnswer:
    """Give the error that says what is wrong with a page."""
    return OddAnswer(f"{method}: {what}", method=method)


def list_in(method: str, result: Any) -> list[Any]:
    """Give the list of rows in a result, wherever the method keeps it.

    :raises OddAnswer: There is none.
    """
    rows = result
    if isinstance(rows, Mapping):
        # crm.item.list keeps its rows under "items", others under a name of their own
        lists = [value for value in rows.values() if isinstance(value, list)]
        rows = rows.get("items") if "items" in rows else lists[0] if len(lists) == 1 else None
    if not isinstance(rows, list):
        raise odd(method, gettext("the portal answered no list of rows"))
    return rows


def fields_in(method: str, result: Any) -> Mapping[str, Any]:
    """Give the fields that a method such as ``crm.lead.fields`` tells, by name; for items they lie deeper.

    :raises OddAnswer: There are none.
    """
    fields = result.get("fields") if method == "crm.item.fields" and isinstance(result, Mapping) else result
    if not isinstance(fields, Mapping):
        raise odd(method, gettext("the portal answered no fields"))
    return fields


def id_in(method: str, field: str, row: Any) -> int:
    """Give the id of a row: a number above 0, or its digits.

    :raises OddAnswer: The row has none.
    """
    number = as_number(row.get(field)) if isinstance(row, Mapping) else None
    if number is None or number < 1:
        raise odd(method, gettext("the portal answered a row without an id in {field}", field=repr(field)))
    return number


def ids_in(method: str, field: str, rows: Sequence[Any]) -> list[int]:
    """Give the ids of rows, each as :func:`id_in` does.

    :raises OddAnswer: A row has none.
    """
    with suppress(KeyError, TypeError, ValueError, OverflowError):
        told = [row[field] for row in rows]
        numbers = list(map(int, told))
        # Most pages are read here: all numbers, or all digits that are written again as they came.
        plain = set(map(type, told)) == {int} or list(map(str, numbers)) == told
        if plain and min(numbers) > 0 and max(numbers) < FURTHEST:
            return numbers
    return [id_in(method, field, row) for row in rows]


def total_of(method: str, answer: Answer) -> int:
    """Give the number of rows that a filter matches.

    :raises OddAnswer: The portal does not tell it.
    """
    number = as_number(answer.total)
    if number is None or number < 0:
        raise odd(method, gettext("the portal does not tell how many rows there are ('total')"))
    return number


def count_in(answer: Answer) -> int | None:
    """Give the number of rows as far as a method of which nothing is known tells it; 0 may tell nothing."""
    number = as_number(answer.total)
    return number if number and number > 0 else None


def offset_in(method: str, answer: Answer) -> int | None:
    """Give where the next page begins, ``None`` where there is none.

    :raises OddAnswer: The portal tells it in another way than by a number.
    """
    number = as_number(answer.next)
    if number is None and answer.next is not None:
        raise odd(method, gettext("the portal does not tell where the next page begins ('next')"))
    return number


def check_count(method: str, rows: Sequence[Any], total: int) -> None:
    """Refuse a page that holds fewer rows than there are, or more.

    :param total: Rows from the first of this page on.
    :raises OddAnswer: It names both numbers.
    """
    if len(rows) != min(PAGE, total):
        page = gettext(", {page} to a page", page=PAGE) if total > PAGE else ""
        raise odd(
            method,
            gettext(
                "{rows} rows came where the portal counts {total}{page}",
                rows=len(rows),
                total=total,
                page=page,
            ),
        )


def check_joined(method: str, rows: Sequence[Any], total: int) -> None:
    """Refuse a page that cannot be right where the portal may count a row several times.

    :param total: How often it counts rows, from the first of this page on.
    :raises OddAnswer: None came though there are some, or more than it counts.
    """
    if not min(total, 1) <= len(rows) <= min(total, PAGE):
        raise odd(
            method, gettext("{rows} rows came where the portal counts {total}", rows=len(rows), total=total)
        )


def check_places(method: str, positions: Sequence[int], span: tuple[int, int]) -> None:
    """Refuse rows that were not asked for, that come twice, or that stand in another order.

    A portal that reads no bounds of ids would be asked for ever.

    :param positions: Ids, below zero where the largest come first.
    :param span: First and last position that was asked for.
    :raises OddAnswer: It names an id.
    """
    before = span[0] - 1
    for position in positions:
        if not span[0] <= position <= span[1]:
            raise odd(
                method,
                gettext(
                    "the portal gave rows that were not asked for, such as id {row}", row=str(abs(position))
                ),
            )
        if position <= before:
            how = gettext("twice") if position == before else gettext("out of order")
            raise odd(
                method,
                gettext("the portal gave rows {how}, such as id {row}", how=how, row=str(abs(position))),
            )
        before = position


def check_matches(method: str, field: str, rows: Iterable[Mapping[str, Any]], conditions: Conditions) -> None:
    """Refuse rows that the filter excludes, as far as they tell themselves.

    :raises OddAnswer: It names the condition and a row.
    """
    for row in rows if conditions else ():
        if key := conditions.broken_by(row):
            raise odd(
                method,
                gettext(
                    "the portal gave rows that the filter excludes by {key}, such as id {row}",
                    key=repr(key),
                    row=str(row.get(field)),
                ),
            )


def read_rows(
    method: str, read: Callable[[Mapping[str, Any]], T], rows: Iterable[Mapping[str, Any]]
) -> list[T]:
    """Read rows one by one.

    :raises OddAnswer: One cannot be read; in the words of ``read``.
    """
    try:
        return [read(row) for row in rows]
    except Bitrix24Error as error:
        raise OddAnswer(str(error), method=method) from error


@dataclass(frozen=True, slots=True)
class Asked:
    """A question for rows by their ids, and what its answers are checked against.

    :param method: The list method.
    :param field: Where a row keeps its id.
    :param conditions: Those of the filter, as far as a row may be asked about them.
    :param sign: 1 where ids grow from row to row, -1 where the largest come first.
    """

    method: str
    field: str
    conditions: Conditions
    sign: int = 1

    def rows(self, result: Any) -> list[Any]:
        """Give the rows of a result, each with an id.

        :raises OddAnswer: There are none, or one has no id.
        """
        rows = list_in(self.method, result)
        ids_in(self.method, self.field, rows)
        return rows

    def position(self, row: Any) -> int:
        """Give where a row stands."""
        return self.sign * id_in(self.method, self.field, row)

    def positions(self, rows: Sequence[Any]) -> list[int]:
        """Give where rows stand."""
        return [self.sign * one for one in ids_in(self.method, self.field, rows)]

    def check(self, rows: Sequence[Any], span: tuple[int, int]) -> None:
        """Refuse rows that do not lie in a span, in order, or that the filter excludes.

        :raises OddAnswer: It says which.
        """
        check_places(self.method, self.positions(rows), span)
        check_matches(self.method, self.field, rows, self.conditions)

    def read(
        self, rows: Sequence[Any], span: tuple[int, int], read: Callable[[Mapping[str, Any]], T]
    ) -> list[T]:
        """Check rows and read them one by one.

        :raises OddAnswer: One is wrong, or cannot be read; then in the words of ``read``.
        """
        self.check(rows, span)
        return read_rows(self.method, read, rows)

    def check_turned(self, rows: Sequence[Any]) -> None:
        """Refuse rows of a page by offset: some may come without an id, where none was asked for.

        :raises OddAnswer: One is none, comes twice, or is excluded by the filter.
        """
        if not all(isinstance(row, Mapping) for row in rows):
            raise odd(self.method, gettext("the portal answered a row that is none"))
        ids = [str(row[self.field]) for row in rows if self.field in row]
        if len(set(ids)) < len(ids):
            raise odd(self.method, gettext("the portal gave rows twice"))
        check_matches(self.method, self.field, rows, self.conditions)

    def page(self, answer: Answer, span: tuple[int, int]) -> list[Any]:
        """Give the rows on the first page of a span, which tells how many there are in it.

        :raises OddAnswer: Something is wrong with it.
        """
        rows = list_in(self.method, answer.result)  # the check reads their ids
        check_count(self.method, rows, total_of(self.method, answer))
        self.check(rows, span)
        return rows

    def read_page(
        self, answer: Answer, span: tuple[int, int], read: Callable[[Mapping[str, Any]], T]
    ) -> list[T]:
        """Read such a page row by row; ``read`` may raise for a row that it cannot read.

        :raises OddAnswer: Something is wrong with the page, or with a row.
        """
        return read_rows(self.method, read, self.page(answer, span))


def page_of(call: Call, answer: Answer, read: Callable[[Mapping[str, Any]], T]) -> list[T]:
    """Read the answer of a call for a page in order of ids, and for the number of rows.

    :param call: A call of a method that can be listed by id, without references to other calls.
    :raises OddAnswer: Something is wrong with the page, or with a row.
    """
    return _asked(call).read_page(answer, (1, FURTHEST), read)


def rows_told(call: Call, answer: Answer) -> list[tuple[int, Mapping[str, Any]]]:
    """Give the rows of such an answer that have an id, by their ids, whatever else is wrong with it."""
    asked = _asked(call)
    try:
        rows = list_in(asked.method, answer.result)
    except OddAnswer:
        return []
    told: list[tuple[int, Mapping[str, Any]]] = []
    for row in rows:
        with suppress(OddAnswer):
            told.append((asked.position(row), row))
    return told


def _asked(call: Call) -> Asked:
    ids = id_method(call.method)
    if ids is None:
        raise TypeError(f"{call.method} is not listed by id")
    return Asked(call.method, ids.row, Conditions(call.params.get("filter", {})))


class Tries:
    """How often each question was asked so far."""

    def __init__(self) -> None:
        self._tries: dict[Any, int] = {}

    def again(self, question: Any, error: OddAnswer) -> None:
        """Note that a question was answered oddly.

        :raises OddAnswer: It is not to be asked again.
        """
        self._tries[question] = self._tries.get(question, 0) + 1
        if self._tries[question] >= TIMES:
            raise error

    def settled(self, question: Any) -> None:
        """Note that a question was answered."""
        self._tries.pop(question, None)
