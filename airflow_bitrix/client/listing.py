"""All rows of a list method: by id where that is possible, else with the portal's ``next``.

Follows https://apidocs.bitrix24.com/settings/performance/huge-data.html. An offset skips or repeats rows as
soon as somebody adds or deletes one; an id does not. So ``next`` is left to methods whose rows have no id to
go by, and to callers who want another order than that of the ids.

The portal tells with the first page how many rows there are, and what comes is checked against that; see
:mod:`~airflow_bitrix.client.row_pages`. Where a filter joins links, it counts an owner once for each of them:
then it can only be told that rows are left where none came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from airflow_bitrix.client.commands import command_of
from airflow_bitrix.client.exclusions import Conditions
from airflow_bitrix.client.filters import (
    bare_field,
    both,
    check_keys,
    has_groups,
    has_logic,
    holds_truth,
    id_bound,
    joins_links,
)
from airflow_bitrix.client.id_methods import Direction, IdMethod, fields_method, id_method
from airflow_bitrix.client.row_pages import (
    FURTHEST,
    PAGE,
    Asked,
    OddAnswer,
    Tries,
    check_count,
    check_joined,
    count_in,
    fields_in,
    list_in,
    odd,
    offset_in,
    total_of,
)
from airflow_bitrix.client.wire import Answer, Call
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext

_OURS = ("filter", "select", "order")


class Listing:
    """Where a list method has got to: gives the next call, takes its answer.

    By id it reads what lies between two ids, and moves the one or the other with each page; the same bounds
    cut what is left into ranges, see :mod:`~airflow_bitrix.client.id_sweep`. There a row is known by its
    *position*: its id, or its id below zero where the largest comes first.

    :param method: A list method, for example ``crm.lead.list`` or ``crm.item.list``.
    :param params: Its parameters; ``start`` is the listing's own.
    :raises InvalidInput: ``start`` is given, or ``filter``, ``select`` or ``order`` has the wrong shape.
    """

    def __init__(self, method: str, params: Mapping[str, Any]) -> None:
        if not isinstance(params, Mapping):
            raise InvalidInput("params", params, gettext("a map of parameter to value"))
        for key in params:
            if str(key).lower() == "start":
                raise InvalidInput(
                    "params", key, gettext("parameters other than start: rows of all pages come")
                )
            if str(key).lower() in _OURS and key not in _OURS:
                raise InvalidInput(
                    "params", key, gettext("{name}, in small letters", name=repr(str(key).lower()))
                )
        self.method = method
        self.done = False
        self._params = dict(params)
        self.filter: dict[str, Any] = dict(self._shaped("filter", Mapping, {}))
        self._select = list(self._shaped("select", (list, tuple), ()))
        self._order = self._params.pop("order", None)
        self._ids = id_method(method)
        self._way = self._read_order(self._ids) if self._ids else None
        self._low = 1
        self._high: int | None = None
        if self._ids and self._way:
            self._take_bounds(self._ids)
        self._start = 0
        self._page_before: list[Any] | None = None
        self._short_pages = joins_links(self.filter)
        is_crm = self._ids is not None and (self._ids.groups or self._ids.drops)
        conditions = Conditions(self.filter if is_crm else {})  # others compare in ways of their own
        sign = -1 if self._way == "DESC" else 1
        self._asked = Asked(method, self._ids.row if self._ids else "", conditions, sign)
        self._tries = Tries()
        self.whole = self.left
        """First and last position of all that there is to read."""
        self.total = 0
        """Rows that the portal counted with the first page."""
        self._left: int | None = None  # of them, or of those counted since; None where they are to be counted
        self._given = self._last_read = 0
        self._recounts = False

    def _shaped(self, name: str, shape: type | tuple[type, ...], default: Any) -> Any:
        value = self._params.pop(name, None)
        if value is None:
            return default
        if not isinstance(value, shape):
            kind = (
                gettext("a map of field to value") if shape is Mapping else gettext("a list of field names")
            )
            raise InvalidInput(name, value, kind)
        if isinstance(value, Mapping):
            check_keys(value)
        return value

    def _read_order(self, ids: IdMethod) -> Direction | None:
        """Give the order of ids to read in, ``None`` where rows are read as the portal pages them."""
        order = self._order or {}
        if ids.words:
            order = {self._params.get("sort") or ids.field: self._order or "ASC"}
        if not isinstance(order, Mapping) or any(_direction(one) is None for one in order.values()):
            raise InvalidInput(
                "order",
                self._order,
                gettext("{order}, or with 'DESC'", order=repr(ids.order("ASC")["order"])),
            )
        if ids.beside is not None and not self._params.keys() <= ids.beside:
            return None
        if not (ids.groups or ids.drops) and has_groups(self.filter):
            return None
        field, direction = next(iter(order.items()), (ids.field, "ASC"))
        return _direction(direction) if ids.is_id(field) else None

    def _take_bounds(self, ids: IdMethod) -> None:
        """Take the bounds of ids out of the filter: those of a page or a range stand in their place."""
        if has_logic(self.filter):
            return  # it stands in every call as a group of its own
        for key in list(self.filter):
            sign = key.removesuffix(bare_field(key))
            if not ids.is_id(bare_field(key)) or sign not in (">", ">=", "<", "<="):
                continue
            bound = id_bound(key, self.filter.pop(key))
            if sign.startswith(">"):
                self._low = max(self._low, bound + (sign == ">"))
            else:
                bound -= sign == "<"
                self._high = bound if self._high is None else min(self._high, bound)

    # -- what the filter may hold --------------------------------------------------------------------------

    @property
    def fields_call(self) -> Call | None:
        """The call that tells which fields may stand in filter and order, where the portal does not check.

        The older lists drop a filter field that they do not know, and answer with every row.
        """
        if self._ids is None or not self._ids.drops or not self._named():
            return None
        return Call(fields_method(self.method))

    def check_filter(self, told: object) -> None:
        """Refuse a filter or an order with a field that the portal would drop.

        :param told: The result of :attr:`fields_call`.
        :raises InvalidInput: Names the first such field.
        :raises OddAnswer: The portal told no fields.
        """
        names = set(fields_in(fields_method(self.method), told))
        for where, key in self._named():
            if bare_field(key) not in names:
                raise InvalidInput(
                    where,
                    key,
                    gettext(
                        "fields of {method}: {names}", method=self.method, names=", ".join(sorted(names))
                    ),
                )

    def _named(self) -> list[tuple[str, str]]:
        order = [] if self._way or not isinstance(self._order, Mapping) else list(self._order)
        return [("filter", key) for key in self.filter] + [("order", str(key)) for key in order]

    # -- page after page -----------------------------------------------------------------------------------

    def call(self) -> Call:
        """Give the call for the next page."""
        if self._ids and self._way:
            if self._recounts:
                return self.range_call((self.whole[0], self._last_read))
            counted = self._left is None or self._short_pages
            return self._by_id(self._ids, self._bounds(self._ids), self._way, start=0 if counted else -1)
        ours = {"filter": self.filter, "order": self._order, "select": self._select}
        given = {name: value for name, value in ours.items() if value}
        return Call(self.method, {**self._params, **given, "start": self._start})

    def take(self, answer: Answer) -> list[Any]:
        """Take the answer of :meth:`call`: give its rows and note where to go on.

        No rows are given, and the list is not done, where the same page is to be asked for again.

        :raises OddAnswer: The page cannot be right, and was asked for as often as may be.
        """
        try:
            rows = self._by_ids(answer) if self._way else self._turned(answer)
        except OddAnswer as error:
            self._left = None
            self._tries.again("the page", error)
            return []
        self._tries.settled("the page")
        return rows

    def _by_ids(self, answer: Answer) -> list[Any]:
        if self._recounts:
            return self._recounted(answer)
        rows = self._asked.rows(answer.result)
        self._asked.check(rows, self.left)
        if self._short_pages:
            check_joined(self.method, rows, total_of(self.method, answer))
            self.done = not rows
        elif self._left is None:
            left = total_of(self.method, answer)
            check_count(self.method, rows, left)
            self._left, self.done = left, left <= PAGE
            self.total = self.total if self._given else left
        else:
            check_count(self.method, rows, max(self._left, len(rows)))
            self.done = len(rows) < PAGE
        self._move_on(rows)
        return rows

    def _move_on(self, rows: list[Any]) -> None:
        self._given += len(rows)
        if self._left is not None:
            self._left -= len(rows)
        if rows:
            self._last_read = self.position(rows[-1])
            if self._way == "ASC":
                self._low = self._last_read + 1
            else:
                self._high = -self._last_read - 1
        self.done = self.done or self.left[0] > self.left[1]
        if self.done and not self._short_pages and self._given != self.total:
            # Rows came and went meanwhile, or a page was full of others than those that came next.
            self._recounts, self.done = True, False

    def _recounted(self, answer: Answer) -> list[Any]:
        """Compare what was given with what the portal counts there now."""
        total = total_of(self.method, answer)
        if total > self._given:
            raise odd(
                self.method,
                gettext("{given} rows came where the portal counts {total}", given=self._given, total=total),
            )
        self.done = True
        return []

    def _turned(self, answer: Answer) -> list[Any]:
        rows, following = list_in(self.method, answer.result), offset_in(self.method, answer)
        is_known = self._ids is not None and not self._short_pages
        total = total_of(self.method, answer) if is_known else count_in(answer)
        if self._start and total is not None and total <= self._start:
            # Rows were deleted meanwhile: behind the last one the portal gives the first page again.
            self.done = True
            return []
        self._check_following(rows, total, following)
        if is_known and total is not None:
            self._check_turned(rows, total, total if following is None else following)
        self.done = following is None
        self._start = following or 0
        self._page_before = rows
        return rows

    def _check_following(self, rows: list[Any], total: int | None, following: int | None) -> None:
        """Refuse a page behind which the list would begin again, or go on for ever."""
        if following is not None and following < self._start + max(len(rows), 1):
            pages = gettext(
                "a page of {rows} rows begins at row {start}", rows=len(rows), start=self._start + 1
            )
            raise odd(
                self.method,
                gettext(
                    "{pages}, and the next one at row {following} ('next')",
                    pages=pages,
                    following=following + 1,
                ),
            )
        if total is None and rows == self._page_before:
            raise odd(
                self.method,
                gettext("the portal gives the page before again, from row {start} on", start=self._start + 1),
            )

    def _check_turned(self, rows: list[Any], total: int, following: int) -> None:
        """Refuse a page by offset that lacks rows, or holds some twice or others than the filter asks for."""
        if len(rows) != following - self._start or following > total:
            what = gettext(
                "{rows} rows came from the {start}th on, where the portal counts {total}",
                rows=len(rows),
                start=self._start + 1,
                total=total,
            )
            raise odd(self.method, what)
        self._asked.check_turned(rows)

    # -- by ranges of ids ----------------------------------------------------------------------------------

    @property
    def in_ranges(self) -> bool:
        """Whether what is left can be read in ranges of ids, many in a request.

        Not where a batch cannot say the parameters, or would say them otherwise than a call of its own:
        there ``True`` is a ``1``, which not every field takes for the same. Nor where pages come out short.
        """
        if not self._way or self._short_pages or holds_truth([self.filter, self._params]):
            return False
        try:
            command_of(self.range_call(self.left))
        except InvalidInput:
            return False
        return True

    @property
    def grows(self) -> bool:
        """Whether rows that are added come last."""
        return self._way != "DESC"

    @property
    def left(self) -> tuple[int, int]:
        """First and last position of what is not read yet; the last may be far behind the last row."""
        high = self._low + FURTHEST if self._high is None else self._high
        return (-high, -self._low) if self._way == "DESC" else (self._low, high)

    def range_call(self, piece: tuple[int, int]) -> Call:
        """Give the call for the first page of a range of positions, and for the number of rows in it."""
        if not self._ids or not self._way:
            raise TypeError("rows of this list are not read by id")
        low, high = sorted(abs(end) for end in piece)
        bounds = {f">={self._ids.field}": low, f"<={self._ids.field}": high}
        return self._by_id(self._ids, bounds, self._way)

    def range_rows(self, answer: Answer, piece: tuple[int, int]) -> list[Any]:
        """Read the answer of :meth:`range_call`.

        :raises OddAnswer: It cannot be right.
        """
        return self._asked.page(answer, piece)

    def end_call(self) -> Call:
        """Give the call for the last page of what is left, and for the number of rows that are left."""
        if not self._ids or not self._way:
            raise TypeError("rows of this list are not read by id")
        return self._by_id(self._ids, self._bounds(self._ids), "DESC" if self._way == "ASC" else "ASC")

    def end_rows(self, answer: Answer) -> tuple[int, list[Any]]:
        """Read the answer of :meth:`end_call`: the number of rows, and the page in the order of all rows.

        :raises OddAnswer: It cannot be right.
        """
        rows, left = self._asked.rows(answer.result)[::-1], total_of(self.method, answer)
        check_count(self.method, rows, left)
        self._asked.check(rows, self.left)
        return left, rows

    def position(self, row: Any) -> int:
        """Give where a row stands in the order of rows."""
        return self._asked.position(row)

    def _bounds(self, ids: IdMethod) -> dict[str, int]:
        bounds = {f">{ids.field}": self._low - 1}
        return bounds if self._high is None else {**bounds, f"<{ids.field}": self._high + 1}

    def _by_id(self, ids: IdMethod, bounds: Mapping[str, int], way: Direction, start: int = 0) -> Call:
        params = {**self._params, "filter": both(self.filter, bounds), **ids.order(way), "start": start}
        if self._select:
            there = any(ids.is_id(name) or name == "*" for name in self._select)
            params["select"] = self._select if there else [ids.field, *self._select]
        return Call(self.method, params)


def _direction(value: object) -> Direction | None:
    for one in get_args(Direction):
        if str(value).upper() == one:
            return cast("Direction", one)
    return None
