"""All rows of a list method: by id where that is possible, else with the portal's ``next``.

Follows https://apidocs.bitrix24.com/settings/performance/huge-data.html. An offset skips or repeats rows as
soon as somebody adds or deletes one; an id does not. So ``next`` is left to methods whose rows have no id to
go by, and to callers who want another order than that of the ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast, get_args

from airflow_bitrix.client.commands import command_of
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
from airflow_bitrix.client.wire import Answer, Call
from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput

PAGE = 50
"""Rows on a full page."""

_OURS = ("filter", "select", "order")
_FURTHEST = 2**40  # behind any id, and exact where ids are divided


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
            raise InvalidInput("params", params, "a map of parameter to value")
        for key in params:
            if str(key).lower() == "start":
                raise InvalidInput("params", key, "parameters other than start: rows of all pages come")
            if str(key).lower() in _OURS and key not in _OURS:
                raise InvalidInput("params", key, f"{str(key).lower()!r}, in small letters")
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
        self._short_pages = joins_links(self.filter)

    def _shaped(self, name: str, shape: type | tuple[type, ...], default: Any) -> Any:
        value = self._params.pop(name, None)
        if value is None:
            return default
        if not isinstance(value, shape):
            kind = "a map of field to value" if shape is Mapping else "a list of field names"
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
            raise InvalidInput("order", self._order, f"{ids.order('ASC')['order']!r}, or with 'DESC'")
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

    def check_filter(self, known: Iterable[str]) -> None:
        """Refuse a filter or an order with a field that the portal would drop.

        :param known: Names of the fields of the record.
        :raises InvalidInput: Names the first such field.
        """
        names = set(known)
        for where, key in self._named():
            if bare_field(key) not in names:
                raise InvalidInput(where, key, "fields of " + self.method + ": " + ", ".join(sorted(names)))

    def _named(self) -> list[tuple[str, str]]:
        order = [] if self._way or not isinstance(self._order, Mapping) else list(self._order)
        return [("filter", key) for key in self.filter] + [("order", str(key)) for key in order]

    # -- page after page -----------------------------------------------------------------------------------

    def call(self) -> Call:
        """Give the call for the next page."""
        if self._ids and self._way:
            return self._by_id(self._ids, self._bounds(self._ids), self._way)
        ours = {"filter": self.filter, "order": self._order, "select": self._select}
        given = {name: value for name, value in ours.items() if value}
        return Call(self.method, {**self._params, **given, "start": self._start})

    def take(self, answer: Answer) -> list[Any]:
        """Take the answer of :meth:`call`: give its rows and note where to go on."""
        rows = self._rows(answer.result)
        if not self._way:
            return self._turned(rows, answer)
        self._check(rows, self.left)
        if rows and self._way == "ASC":
            self._low = self.position(rows[-1]) + 1
        elif rows:
            self._high = -self.position(rows[-1]) - 1
        last = not rows if self._short_pages else len(rows) < PAGE
        self.done = last or self.left[0] > self.left[1]
        return rows

    def _turned(self, rows: list[Any], answer: Answer) -> list[Any]:
        behind = self._ids is not None and 0 < (answer.total or 0) <= self._start
        if self._start and (behind or 0 < (answer.next or 0) <= self._start):
            # Rows were deleted meanwhile: behind the last one the portal gives the first page again.
            self.done = True
            return []
        self.done = answer.next is None
        self._start = answer.next or 0
        return rows

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
    def left(self) -> tuple[int, int]:
        """First and last position of what is not read yet; the last may be far behind the last row."""
        high = self._low + _FURTHEST if self._high is None else self._high
        return (-high, -self._low) if self._way == "DESC" else (self._low, high)

    def range_call(self, piece: tuple[int, int]) -> Call:
        """Give the call for the first page of a range of positions."""
        if not self._ids or not self._way:
            raise TypeError("rows of this list are not read by id")
        low, high = sorted(abs(end) for end in piece)
        bounds = {f">={self._ids.field}": low, f"<={self._ids.field}": high}
        return self._by_id(self._ids, bounds, self._way)

    def range_rows(self, result: Any, piece: tuple[int, int]) -> list[Any]:
        """Read the result of :meth:`range_call`."""
        return self._check(self._rows(result), piece)

    def end_call(self) -> Call:
        """Give the call for the last page of what is left."""
        if not self._ids or not self._way:
            raise TypeError("rows of this list are not read by id")
        return self._by_id(self._ids, self._bounds(self._ids), "DESC" if self._way == "ASC" else "ASC")

    def end_rows(self, result: Any) -> list[Any]:
        """Read the result of :meth:`end_call`, in the order of all rows."""
        return self._check(self._rows(result)[::-1], self.left)

    def position(self, row: Any) -> int:
        """Give where a row stands in the order of rows."""
        if self._ids is None:
            raise TypeError("rows of this list are not read by id")
        number = int(row[self._ids.row])
        return -number if self._way == "DESC" else number

    def _bounds(self, ids: IdMethod) -> dict[str, int]:
        bounds = {f">{ids.field}": self._low - 1}
        return bounds if self._high is None else {**bounds, f"<{ids.field}": self._high + 1}

    def _by_id(self, ids: IdMethod, bounds: Mapping[str, int], way: Direction) -> Call:
        params = {**self._params, "filter": both(self.filter, bounds), **ids.order(way), "start": -1}
        if self._select:
            there = any(ids.is_id(name) or name == "*" for name in self._select)
            params["select"] = self._select if there else [ids.field, *self._select]
        return Call(self.method, params)

    def _rows(self, result: Any) -> list[Any]:
        rows = result
        if isinstance(rows, Mapping):
            # crm.item.list keeps its rows under "items", others under a name of their own
            lists = [value for value in rows.values() if isinstance(value, list)]
            rows = rows.get("items") if "items" in rows else lists[0] if len(lists) == 1 else None
        try:
            for row in rows or () if self._way else ():
                self.position(row)
        except (KeyError, TypeError, ValueError):
            rows = None
        if not isinstance(rows, list):
            raise Bitrix24Error(f"{self.method}: the portal answered no list of rows", method=self.method)
        return rows

    def _check(self, rows: list[Any], span: tuple[int, int]) -> list[Any]:
        """Refuse rows that were not asked for: a portal that reads no bounds would be asked for ever."""
        positions = [self.position(row) for row in rows]
        if positions and (
            positions[0] < span[0] or positions[-1] > span[1] or positions != sorted(positions)
        ):
            text = (
                f"{self.method}: the portal gave rows that were not asked for, up to id {abs(positions[-1])}"
            )
            raise Bitrix24Error(text, method=self.method)
        return rows


def _direction(value: object) -> Direction | None:
    for one in get_args(Direction):
        if str(value).upper() == one:
            return cast("Direction", one)
    return None
