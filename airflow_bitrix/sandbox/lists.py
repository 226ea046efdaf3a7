"""One page of records: what ``crm.lead.list`` and ``crm.item.list`` have in common."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bitrix.sandbox import php
from airflow_bitrix.sandbox.fields import Field
from airflow_bitrix.sandbox.schema import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_bitrix.sandbox.filters import Selection
    from airflow_bitrix.sandbox.state import State

PAGE = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Ids of one page; total and next are None where the request asked for no count."""

    ids: list[int]
    total: int | None = None
    next: int | None = None


def _matching(
    state: State, kind: Kind, selection: Selection, readable: Callable[[int], bool], *, backwards: bool
) -> Iterator[int]:
    table = state.tables[kind]
    if selection.candidates is None:
        ids = table.between(selection.low, selection.high)
    else:
        bounded = (one for one in selection.candidates if selection.low <= one <= selection.high)
        ids = sorted(one for one in bounded if one in table.rows)
    for record_id in reversed(ids) if backwards else ids:
        if selection.matches(table.rows[record_id]) and readable(record_id):
            times = 1
            if selection.joined:
                links = state.links(kind, record_id)
                times = sum(link.contact_id in selection.joined for link in links)
            yield from itertools.repeat(record_id, times)


def _sorted(state: State, kind: Kind, ids: Iterator[int], order: list[tuple[Field, bool]]) -> list[int]:
    rows = state.tables[kind].rows
    result = list(ids)
    for field, backwards in reversed(order):

        def key(record_id: int, field: Field = field) -> tuple[bool, Any]:
            kept = rows[record_id].get(field.name)
            kept = field.default if kept is None else kept
            return (kept is not None, kept.lower() if isinstance(kept, str) else kept)

        result.sort(key=key, reverse=backwards)
    return result


def count(state: State, kind: Kind, selection: Selection) -> int:
    """How many records a selection finds, whoever may read them."""
    return sum(1 for _ in _matching(state, kind, selection, lambda _: True, backwards=False))


def read(
    state: State,
    kind: Kind,
    selection: Selection,
    *,
    order: list[tuple[Field, bool]],
    start: object,
    readable: Callable[[int], bool],
    begins_again: bool = False,
) -> Page:
    """The page that ``start`` asks for. A negative start means the first page, uncounted.

    :param begins_again: Whether a start behind the last record gives the first page, as the older methods do.
    """
    offset = php.to_int(start)
    by_id = not order or order[0][0].name == "ID"
    found = _matching(state, kind, selection, readable, backwards=bool(by_id and order and order[0][1]))
    if offset < 0 and by_id:
        return Page(list(dict.fromkeys(itertools.islice(found, PAGE))))
    ids = list(found) if by_id else _sorted(state, kind, found, order)
    if offset < 0:
        return Page(list(dict.fromkeys(ids[:PAGE])))
    offset -= offset % PAGE
    if begins_again and offset >= len(ids):
        offset = 0
    shown = list(dict.fromkeys(ids[offset : offset + PAGE]))
    # Where doubles were taken out, the next page begins within this one.
    following = offset + len(shown)
    return Page(shown, len(ids), following if following < len(ids) else None)
