"""Link sets of a whole portal: of every lead or deal that a filter matches.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Literal

from airflow_bitrix.client.batch import MOST_COMMANDS
from airflow_bitrix.client.listing import PAGE, bare_field
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.sweep import Order, Table, sweep
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core import methods
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import ENTITY_TYPE_IDS, EntityKind, OwnerKind
from airflow_bitrix.core.states import SELECT, OwnerState, state_of

log = logging.getLogger(__name__)

Detail = Literal["ids", "full"]

HIDDEN_LINKS = (
    "The portal leaves contactIds out of crm.item.list: links are read by items.get, one command an owner"
)


def look_calls(kind: OwnerKind, ids: Sequence[int]) -> list[Call]:
    """Give the calls that read the states of the owners ``ids``, 50 a call."""
    return [_list_call(kind, {"@id": list(ids[at : at + PAGE])}) for at in range(0, len(ids), PAGE)]


def states_of(kind: OwnerKind, result: Any, also: Sequence[str] = ()) -> Iterable[OwnerState]:
    """Read the result of one call of this module."""
    return (state_of(kind, row, also) for row in result["items"])


async def check_filter(portal: AsyncPortal, kind: EntityKind, wanted: Mapping[str, Any]) -> None:
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
    portal: AsyncPortal,
    kind: OwnerKind,
    wanted: Mapping[str, Any] | None = None,
    *,
    detail: Detail = "ids",
    ordered: bool = False,
    also: Sequence[str] = (),
) -> AsyncGenerator[OwnerState, None]:
    """Give the state of every owner that the filter matches, each once.

    :param wanted: A ``crm.item.list`` filter, camelCase names.
    :param detail: ``ids`` for contacts, their order and the primary one; ``full`` for sort and role too,
        which takes one command for each owner with contacts.
    :param ordered: Whether owners come in order of id; else as they arrive.
    :param also: Further fields, camelCase names; they come in :attr:`OwnerState.fields`.
    :raises Rejected: The portal does not accept the filter.
    """
    # Closed with the scan, so that a scan that is not read to its end leaves no request behind.
    async with (
        aclosing(sweep(portal, _owners(kind, also), dict(wanted or {}), ordered=ordered)) as states,
        aclosing(exact(portal, states, full=detail == "full")) as known,
    ):
        async for state in known:
            yield state


async def exact(
    portal: AsyncPortal, states: AsyncIterator[OwnerState], *, full: bool
) -> AsyncGenerator[OwnerState, None]:
    """Ask ``items.get`` for the links that are wanted exactly, or that the portal left out of its lists.

    The order of the states stays.

    :param full: Whether sort and role of all links are wanted; else only links that are not known are read.
    """
    at_once = MOST_COMMANDS * portal.in_flight * 4
    waiting: list[OwnerState] = []
    asked = 0
    async for state in states:
        needs = not state.links_known or (full and bool(state.links.links))
        if not needs and not waiting:
            yield state
            continue
        waiting.append(state)
        asked += needs
        if asked == at_once or len(waiting) == at_once * 4:
            for known in await ask_links(portal, waiting, full=full):
                yield known
            waiting, asked = [], 0
    for known in await ask_links(portal, waiting, full=full):
        yield known


async def ask_links(portal: AsyncPortal, states: Sequence[OwnerState], *, full: bool) -> list[OwnerState]:
    """Give states with links read by ``items.get``, of those whose links are not known or wanted in full.

    :raises Bitrix24Error: The portal refused to tell the links of one of them.
    """
    hidden = sum(not state.links_known for state in states)
    if hidden and not portal.manners.meter.hidden_links:
        log.warning("%s", HIDDEN_LINKS)
    portal.manners.meter.hidden_links += hidden
    owners = [state.owner for state in states if not state.links_known or (full and state.links.links)]
    calls = [Call(methods.name(owner.kind, "items.get"), methods.items_get(owner.id)) for owner in owners]
    got = {
        owner: methods.links_of(owner, outcome.result)
        for owner, outcome in zip(owners, await portal.batch(calls), strict=True)
    }
    return [
        replace(state, links=got[state.owner].with_scalar(state.links.shown_id), links_known=True)
        if state.owner in got
        else state
        for state in states
    ]


def _owners(kind: OwnerKind, also: Sequence[str]) -> Table[OwnerState]:
    def call(wanted: Mapping[str, Any], order: Order) -> Call:
        return _list_call(kind, wanted, also=also, order=order)

    return Table(call, lambda result: list(states_of(kind, result, also)), lambda state: state.owner.id)


def _list_call(
    kind: OwnerKind, wanted: Mapping[str, Any], *, also: Sequence[str] = (), order: Order = "ASC"
) -> Call:
    return item_list(kind, [*SELECT, *(name for name in also if name not in SELECT)], wanted, order)


def item_list(kind: EntityKind, select: Sequence[str], wanted: Mapping[str, Any], order: Order) -> Call:
    """Give the call for one page of ``crm.item.list``, in order of id and without offsets."""
    params: dict[str, Any] = {"entityTypeId": ENTITY_TYPE_IDS[kind], "select": list(select)}
    if wanted:
        params["filter"] = wanted
    return Call("crm.item.list", {**params, "order": {"id": order}, "start": -1})
