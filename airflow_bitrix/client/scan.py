"""Link sets of a whole portal by ranges of ids, 50 owners a command and 2,500 a request.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html. Ranges of ids do not
overlap and do not move, so an owner that exists during the whole scan appears exactly once, whatever others
add or delete meanwhile. Offsets would skip and repeat.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from airflow_bitrix.client.batch import MOST_COMMANDS
from airflow_bitrix.client.listing import PAGE, bare_field, both
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import ENTITY_TYPE_IDS, OwnerKind
from airflow_bitrix.core.states import SELECT, OwnerState, state_of

Range = tuple[int, int]
"""First and last id."""

_FILL = 0.8
"""How full pieces of sparse ids are meant to be: a piece that overflows costs a further command."""

_WIDEST = 1 << 40


def look_calls(kind: OwnerKind, ids: Sequence[int]) -> list[Call]:
    """Give the calls that read the states of the owners ``ids``, 50 a call."""
    return [_list_call(kind, {"@id": list(ids[at : at + PAGE])}) for at in range(0, len(ids), PAGE)]


def states_of(kind: OwnerKind, result: Any) -> Iterable[OwnerState]:
    """Read the result of one call of this module."""
    return (state_of(kind, row) for row in result["items"])


async def check_filter(portal: AsyncPortal, kind: OwnerKind, wanted: Mapping[str, Any]) -> None:
    """Refuse a filter that names a field the portal does not have.

    :raises InvalidInput: Names the field and those that there are.
    """
    if not isinstance(wanted, Mapping):
        raise InvalidInput(
            "filter", wanted, "a map of crm.item.list field to value, such as {'stageId': 'NEW'}"
        )
    for key, value in wanted.items():
        if not isinstance(key, str):
            raise InvalidInput("filter", wanted, "field names as keys")
        if bare_field(key) == "contactIds" and isinstance(value, (list, tuple)):
            # With several, the portal joins links before it cuts a page, and a short page is not the last.
            raise InvalidInput("filter", {key: value}, "one contact id with contactIds")
    names = list(_filter_fields(wanted))
    if names:
        fields = await portal.call("crm.item.fields", {"entityTypeId": ENTITY_TYPE_IDS[kind]})
        known = set(fields["fields"])
        for name in names:
            if name not in known:
                raise InvalidInput("filter", name, f"fields of a {kind}: " + ", ".join(sorted(known)))


def _filter_fields(wanted: Mapping[str, Any]) -> Iterable[str]:
    for key, value in wanted.items():
        if isinstance(value, Mapping) and str(key).isdigit():
            yield from _filter_fields(value)
        elif str(key).lower() != "logic":
            yield bare_field(str(key))


async def scan(
    portal: AsyncPortal, kind: OwnerKind, wanted: Mapping[str, Any] | None = None
) -> AsyncIterator[OwnerState]:
    """Give the state of every owner that the filter matches, each once, in no particular order.

    The first request reads both ends of the id range and, on the chance that ids are dense from 1 on, the
    first 2,400 ids; the further ones go through what lies between.

    :param wanted: A ``crm.item.list`` filter, camelCase names.
    :raises Rejected: The portal does not accept the filter.
    """
    base = dict(wanted or {})
    pieces = [(PAGE * n + 1, PAGE * (n + 1)) for n in range(1, MOST_COMMANDS - 1)]
    calls = [_list_call(kind, base, order="DESC"), _list_call(kind, base)]
    calls += [_range_call(kind, base, piece) for piece in pieces]
    pages = [list(states_of(kind, outcome.result)) for outcome in await portal.run_batch(calls)]

    tail, head, *middle = pages
    for state in tail:
        yield state
    if len(tail) < PAGE:
        return  # the last page holds everything there is
    end = tail[-1].owner.id - 1
    done_to = min(head[-1].owner.id, end) if head else 0
    for state in head:
        if state.owner.id <= end:
            yield state
    for page in middle:
        for state in page:
            if done_to < state.owner.id <= end:
                yield state
    density = max(_density(page) for page in (tail, head) if page)
    async for state in _sweep(portal, kind, base, (max(done_to, pieces[-1][1]) + 1, end), density):
        yield state


async def _sweep(
    portal: AsyncPortal, kind: OwnerKind, base: dict[str, Any], span: Range, density: float
) -> AsyncIterator[OwnerState]:
    start, end = span
    left: deque[Range] = deque()
    while left or start <= end:
        pieces = [left.popleft() for _ in range(min(len(left), MOST_COMMANDS))]
        width = _width(density)
        while len(pieces) < MOST_COMMANDS and start <= end:
            pieces.append((start, min(start + width - 1, end)))
            start += width
        outcomes = await portal.run_batch([_range_call(kind, base, piece) for piece in pieces])
        rows = ids = 0
        for (first, last), outcome in zip(pieces, outcomes, strict=True):
            states = list(states_of(kind, outcome.result))
            for state in states:
                yield state
            reached = states[-1].owner.id if len(states) == PAGE else last
            if reached < last:
                left.append((reached + 1, last))
            rows, ids = rows + len(states), ids + reached - first + 1
        # Without a row the true density is unknown, but it is less than one row in all that was read.
        density = max(rows, 0.5) / ids


def _width(density: float) -> int:
    # 50 ids can never hold more than 50 rows, so a piece of dense ids is never too wide.
    return max(PAGE, min(int(PAGE * _FILL / density), _WIDEST))


def _density(page: Sequence[OwnerState]) -> float:
    return len(page) / (abs(page[-1].owner.id - page[0].owner.id) + 1)


def _range_call(kind: OwnerKind, base: Mapping[str, Any], piece: Range) -> Call:
    bounds = {">=id": piece[0], "<=id": piece[1]}
    return _list_call(kind, both(base, bounds))


def _list_call(kind: OwnerKind, wanted: Mapping[str, Any], order: str = "ASC") -> Call:
    params: dict[str, Any] = {"entityTypeId": ENTITY_TYPE_IDS[kind], "select": list(SELECT)}
    if wanted:
        params["filter"] = wanted
    return Call("crm.item.list", {**params, "order": {"id": order}, "start": -1})
