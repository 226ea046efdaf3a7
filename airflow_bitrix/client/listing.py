"""All rows of a list method, page by page, by id and never by offset.

Follows https://apidocs.bitrix24.com/settings/performance/huge-data.html. An offset skips or repeats rows as
soon as somebody adds or deletes one; an id does not. Methods whose rows have no id to go by are read with the
``next`` that the portal gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_bitrix.client.wire import Answer, Call
from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput
from airflow_bitrix.core.numbers import whole_number

PAGE = 50
"""Rows on a full page."""

_LEGACY = re.compile(r"crm\.(lead|deal|contact|company|quote)\.list", re.IGNORECASE)
_PREFIX = re.compile(r"^(?:!=%|!%=|!><|><|!=|!%|!@|>=|<=|=%|%=|=|!|>|<|@|%)")


def bare_field(key: str) -> str:
    """Give the field that a filter key speaks of: ``>=ID`` is about ``ID``."""
    return _PREFIX.sub("", key)


def check_keys(wanted: Mapping[Any, Any]) -> None:
    """Refuse a filter with keys that are no names.

    :raises InvalidInput: Names the filter.
    """
    for key, value in wanted.items():
        if not isinstance(key, str):
            raise InvalidInput("filter", wanted, "field names as keys")
        if isinstance(value, Mapping):
            check_keys(value)


def joins_links(wanted: Mapping[Any, Any]) -> bool:
    """Whether a filter asks for more than one contact of an owner.

    Then the portal joins links before it cuts a page: an owner comes once for each of them, and a page that
    is short is not the last.
    """
    asked = list(_contact_conditions(wanted))
    return len(asked) > 1 or any(sign not in ("", "=", "@") or not _is_one(value) for sign, value in asked)


def _contact_conditions(wanted: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in wanted.items():
        name = str(key)
        if bare_field(name) == "contactIds":
            yield name.removesuffix("contactIds"), value
        elif isinstance(value, Mapping):
            yield from _contact_conditions(value)


def _is_one(value: object) -> bool:
    return isinstance(value, (int, str))


def both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Give a filter that asks for both: ``one``, which may be anything, and ``other``, plain conditions.

    Where ``one`` has an OR at its top, or speaks of the same keys, it becomes a group of its own: else it
    would set the other conditions aside.
    """
    if any(str(key).lower() == "logic" or key in other for key in one):
        return {**other, "0": dict(one) if _has_logic(one) else {"logic": "AND", **one}}
    return {**one, **other}


def _bound(key: str, value: object) -> int:
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str):
        number = whole_number(value)
    if number is None:
        raise InvalidInput("filter", {key: value}, "an id, a whole number, as the bound of the ids")
    return number


def _has_logic(wanted: Mapping[str, Any]) -> bool:
    return any(str(key).lower() == "logic" for key in wanted)


class Listing:
    """Where a list method has got to: gives the next call, takes its answer.

    :param method: A list method, for example ``crm.lead.list`` or ``crm.item.list``.
    :param params: Its parameters; ``order`` and ``start`` are the listing's own.
    :raises InvalidInput: ``order`` or ``start`` is given, or ``filter`` or ``select`` has the wrong shape.
    """

    def __init__(self, method: str, params: Mapping[str, Any]) -> None:
        if not isinstance(params, Mapping):
            raise InvalidInput("params", params, "a map of parameter to value")
        for key in params:
            if str(key).lower() in ("order", "start"):
                raise InvalidInput("params", key, "parameters other than order and start: rows come by id")
            if str(key).lower() in ("filter", "select") and key not in ("filter", "select"):
                raise InvalidInput("params", key, f"{str(key).lower()!r}, in small letters")
        self.method = method
        self._params = dict(params)
        self.legacy = bool(_LEGACY.fullmatch(method))
        self._id = "ID" if self.legacy else "id"
        self._by_id = self.legacy or method.lower() == "crm.item.list"
        self.filter: dict[str, Any] = dict(self._shaped("filter", Mapping, {}))
        self._select = list(self._shaped("select", (list, tuple), ()))
        self._after = 0
        if self._by_id and f">{self._id}" in self.filter:
            self._after = _bound(f">{self._id}", self.filter.pop(f">{self._id}"))
        self._start = 0
        self._short_pages = joins_links(self.filter)
        self.done = False

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

    @property
    def fields_call(self) -> Call | None:
        """The call that tells which fields may stand in the filter, where the portal does not check.

        The legacy lists drop a filter field that they do not know, and answer with every row.
        """
        if not self.legacy or not self.filter:
            return None
        return Call(re.sub(r"list$", "fields", self.method, flags=re.IGNORECASE))

    def check_filter(self, known: Iterable[str]) -> None:
        """Refuse a filter with a field that the portal would drop.

        :param known: Names of the fields of the record.
        :raises InvalidInput: Names the first such field.
        """
        names = set(known)
        for key in self.filter:
            if bare_field(key) not in names:
                raise InvalidInput(
                    "filter", key, "fields of " + self.method + ": " + ", ".join(sorted(names))
                )

    def call(self) -> Call:
        """Give the call for the next page."""
        params: dict[str, Any] = dict(self._params)
        if self._by_id:
            wanted = both(self.filter, {f">{self._id}": self._after})
            params |= {"filter": wanted, "order": {self._id: "ASC"}}
            params["start"] = -1
        else:
            if self.filter:
                params["filter"] = self.filter
            params["start"] = self._start
        if self._select:
            select = [*self._select]
            if self._by_id and not {self._id, "*"} & set(select):
                select.insert(0, self._id)
            params["select"] = select
        return Call(self.method, params)

    def take(self, answer: Answer) -> list[Any]:
        """Take the answer of :meth:`call`: give its rows and note where to go on."""
        rows = answer.result
        if isinstance(rows, Mapping):
            # crm.item.list keeps its rows under "items", others under a name of their own
            lists = [value for value in rows.values() if isinstance(value, list)]
            rows = rows.get("items") if "items" in rows else lists[0] if len(lists) == 1 else None
        try:
            last = int(rows[-1][self._id]) if rows and self._by_id else 0
        except (KeyError, TypeError, ValueError):
            rows = None
        if not isinstance(rows, list):
            raise Bitrix24Error(f"{self.method}: the portal answered no list of rows", method=self.method)
        if self._by_id:
            if rows and last <= self._after:
                text = f"{self.method}: the portal gave rows that were not asked for, up to id {last}"
                raise Bitrix24Error(text, method=self.method)
            self.done = not rows if self._short_pages else len(rows) < PAGE
            self._after = last or self._after
        else:
            self.done = answer.next is None
            self._start = answer.next or 0
        return rows
