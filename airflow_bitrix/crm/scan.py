"""Link sets of a whole portal: of every owner of a kind that a filter matches.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

from airflow_bitrix.client.batch import MOST_COMMANDS
from airflow_bitrix.client.exclusions import Conditions
from airflow_bitrix.client.filters import FILTER, both
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import PAGE
from airflow_bitrix.client.table_sweep import Expect, Order, Table, sweep
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput, Rejected
from airflow_bitrix.core.exact_links import exact_command, exact_links
from airflow_bitrix.core.families import FAMILIES, family_of
from airflow_bitrix.core.kind_words import named, owners_of
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import (
    EntityKind,
    LinkSet,
    Owner,
    OwnerKind,
    accepted_kinds,
    is_entity_kind,
)
from airflow_bitrix.core.owner_states import OwnerState, select_of, state_of
from airflow_bitrix.crm.pages import Read, pages

log = logging.getLogger(__name__)

Detail = Literal["ids", "full"]

HIDDEN_LINKS = gettext_noop(
    "The portal leaves contactIds out of crm.item.list: links are read by items.get, one command an owner"
)


def look_calls(
    kind: OwnerKind, ids: Sequence[int], *, wanted: Mapping[str, Any] | None = None, also: Sequence[str] = ()
) -> list[Call]:
    """Give the calls that read the states of the owners ``ids``, 50 a call.

    :param wanted: A filter that they have to match besides.
    :param also: Further fields, camelCase names.
    """
    some = (ids[at : at + PAGE] for at in range(0, len(ids), PAGE))
    return [_list_call(kind, both(wanted or {}, {"@id": list(each)}), also=also) for each in some]


async def scan_ids(
    portal: AsyncPortal,
    kind: OwnerKind,
    ids: Sequence[int],
    wanted: Mapping[str, Any] | None = None,
    *,
    also: Sequence[str] = (),
) -> AsyncGenerator[OwnerState, None]:
    """Give the states of the owners with these ids, 2,500 a request; those that are not there are left out.

    :param wanted: A filter that they have to match besides.
    :param also: Further fields, camelCase names.
    :raises Rejected: The portal does not accept the filter.
    """
    calls = look_calls(kind, ids, wanted=wanted, also=also)
    async with aclosing(pages(portal, calls, state_reader(kind, also))) as found:
        async for states in found:
            for state in await ask_links(portal, states, full=False):
                yield state


def state_reader(kind: OwnerKind, also: Sequence[str] = ()) -> Read[OwnerState]:
    """Give what reads the rows of the calls of this module."""
    return lambda row: state_of(kind, row, also)


def check_scan(wanted: object, detail: object, also: object) -> None:
    """Refuse arguments of a scan that cannot be right.

    :raises InvalidInput: Names the argument.
    """
    if wanted is not None and not isinstance(wanted, Mapping):
        raise InvalidInput("filter", wanted, gettext(FILTER))
    if detail not in get_args(Detail):
        raise InvalidInput("detail", detail, gettext("'ids' or 'full'"))
    if isinstance(also, str) or not all(isinstance(name, str) for name in cast("Iterable[object]", also)):
        raise InvalidInput("also", also, gettext("a list of field names"))


async def scan(
    portal: AsyncPortal,
    kind: OwnerKind | Sequence[OwnerKind],
    wanted: Mapping[str, Any] | None = None,
    *,
    detail: Detail = "ids",
    ordered: bool = False,
    also: Sequence[str] = (),
    expect: Expect | None = None,
) -> AsyncGenerator[OwnerState, None]:
    """Give the state of every owner that the filter matches, each once.

    :param kind: One kind; ``contact`` for the companies of contacts. Or several: these share their requests,
        and their owners come as they are read.
    :param wanted: A ``crm.item.list`` filter, camelCase names.
    :param detail: ``ids`` for contacts, their order and the primary one; ``full`` for sort and role too,
        which takes one command for each owner with contacts.
    :param ordered: Whether owners of a kind come in order of id; else as they arrive.
    :param also: Further fields, camelCase names; they come in :attr:`OwnerState.fields`.
    :param expect: Told now and then how many owners there are in all, as far as can be told yet.
    :raises InvalidInput: Another kind or detail, or a filter that is no map; nothing was sent.
    :raises Rejected: The portal does not accept the filter.
    """
    kinds = list(kind) if isinstance(kind, (list, tuple)) else [cast("OwnerKind", kind)]
    unknown = [one for one in kinds if not is_entity_kind(one)]
    if unknown or not kinds:
        raise InvalidInput("kind", unknown[0] if unknown else kind, accepted_kinds(FAMILIES))
    check_scan(wanted, detail, also)
    # Closed with the scan, so that a scan that is not read to its end leaves no request behind.
    tables = [(_owners(one, also), dict(wanted or {})) for one in dict.fromkeys(kinds)]
    found = sweep(portal, tables, ordered=ordered, expect=expect)
    async with (
        aclosing(found) as states,
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
    refused: dict[Owner, Bitrix24Error] = {}
    asked = 0
    async for state in states:
        needs = _needs_links(state, full=full)
        if not needs and not waiting:
            yield state
            continue
        waiting.append(state)
        asked += needs
        if asked == at_once or len(waiting) == at_once * 4:
            found = await read_links(portal, waiting, full=full)
            refused |= found.refused
            for known in found.states:
                yield known
            waiting, asked = [], 0
    found = await read_links(portal, waiting, full=full)
    for known in found.states:
        yield known
    _refuse(refused | found.refused)


@dataclass(frozen=True, slots=True)
class LinksRead:
    """What ``items.get`` told of some owners.

    :param states: Their states, in the order given, without those that are gone.
    :param refused: Why the links of others could not be read. They are not among the states: their links
        are not known.
    """

    states: list[OwnerState]
    refused: dict[Owner, Bitrix24Error]


async def ask_links(portal: AsyncPortal, states: Sequence[OwnerState], *, full: bool) -> list[OwnerState]:
    """Give states with links read by ``items.get``, of those whose links are not known or wanted in full.

    Owners that are gone meanwhile are left out.

    :raises Bitrix24Error: The portal refused to tell the links of some; see :func:`read_links`.
    """
    found = await read_links(portal, states, full=full)
    _refuse(found.refused)
    return found.states


async def read_links(portal: AsyncPortal, states: Sequence[OwnerState], *, full: bool) -> LinksRead:
    """Read links as :func:`ask_links` does, and give the refused beside the others.

    Where ``items.get`` refuses, tells what are no links, or none of an owner that had a contact, the owner is
    looked at and asked for again: what the portal answers for one that was deleted is no state that it had.

    :raises Bitrix24Error: The portal takes no more requests, or not this webhook.
    """
    hidden = sum(not state.links_known for state in states)
    if hidden and not portal.manners.meter.hidden_links:
        log.warning("%s", gettext(HIDDEN_LINKS))
    portal.manners.meter.hidden_links += hidden
    asked = {state.owner: state for state in states if _needs_links(state, full=full)}
    got = await _items_get(portal, asked)
    doubtful = [owner for owner, state in asked.items() if _is_doubtful(state, got[owner])]
    there = await _look_again(portal, doubtful)
    got |= await _items_get(portal, [owner for owner in there if not isinstance(got[owner], Rejected)])
    read: list[OwnerState] = []
    refused: dict[Owner, Bitrix24Error] = {}
    for state in states:
        owner = state.owner
        links = got.get(owner, state.links)
        now = there.get(owner, state)
        if isinstance(links, LinkSet) and owner in there and now.links.links and not links.links:
            text = gettext(
                "{owner}: items.get tells no links, though crm.item.list shows some", owner=named(owner)
            )
            links = Bitrix24Error(text, owner=str(owner))
        if owner in doubtful and owner not in there:
            continue
        if isinstance(links, Bitrix24Error):
            refused[owner] = links
        elif owner in got:
            read.append(replace(state, links=links.with_scalar(now.links.shown_id), links_known=True))
        else:
            read.append(state)
    return LinksRead(read, refused)


def _needs_links(state: OwnerState, *, full: bool) -> bool:
    exactly = full and not family_of(state.owner.kind).is_saved  # of those a look tells all there is
    return not state.links_known or (exactly and bool(state.links.links))


def _is_doubtful(state: OwnerState, links: LinkSet | Bitrix24Error) -> bool:
    """Whether the owner may be gone."""
    if isinstance(links, Bitrix24Error):
        return True
    return not links.links and bool(state.links.links or state.links.shown_id)


async def _items_get(portal: AsyncPortal, owners: Iterable[Owner]) -> dict[Owner, LinkSet | Bitrix24Error]:
    """Give the links of owners, or why the portal refuses to tell them.

    :raises Bitrix24Error: Any other reason.
    """
    asked = list(owners)
    calls = [Call(*exact_command(owner)) for owner in asked]
    told: dict[Owner, LinkSet | Bitrix24Error] = {}
    for owner, outcome in zip(asked, await portal.batch(calls), strict=True):
        error = outcome.error
        told[owner] = error if isinstance(error, Rejected) else _links_in(owner, outcome.result)
    return told


def _links_in(owner: Owner, result: object) -> LinkSet | Bitrix24Error:
    try:
        return exact_links(owner, result)
    except Bitrix24Error as error:
        return error


async def _look_again(portal: AsyncPortal, owners: Sequence[Owner]) -> dict[Owner, OwnerState]:
    """Give the states of those of some owners that are still there."""
    ids: dict[OwnerKind, list[int]] = {}
    for owner in owners:
        ids.setdefault(owner.kind, []).append(owner.id)
    there: dict[Owner, OwnerState] = {}
    for kind, some in ids.items():
        async with aclosing(pages(portal, look_calls(kind, some), state_reader(kind))) as found:
            async for states in found:
                there |= {state.owner: state for state in states}
    return there


def _refuse(refused: Mapping[Owner, Bitrix24Error]) -> None:
    """Raise what tells of owners whose links could not be read."""
    if not refused:
        return
    owner, first = next(iter(refused.items()))
    many = owners_of(owner.kind, len(refused))
    text = gettext(
        "the links of {many} could not be read, the others were given; first of them: {first}",
        many=many,
        first=first,
    )
    final = all(isinstance(error, Rejected) for error in refused.values())
    details: dict[str, Any] = {"answer": first.answer, "method": first.method, "owner": first.owner}
    raise (Rejected if final else Bitrix24Error)(text, **details)


def _owners(kind: OwnerKind, also: Sequence[str]) -> Table[OwnerState]:
    def call(wanted: Mapping[str, Any], order: Order) -> Call:
        return _list_call(kind, wanted, also=also, order=order)

    return Table(call, "id", state_reader(kind, also), lambda state: state.owner.id)


def _list_call(
    kind: OwnerKind, wanted: Mapping[str, Any], *, also: Sequence[str] = (), order: Order = "ASC"
) -> Call:
    return item_list(kind, tuple(dict.fromkeys([*select_of(kind), *also])), wanted, order)


def item_list(kind: EntityKind, select: Sequence[str], wanted: Mapping[str, Any], order: Order) -> Call:
    """Give the call for one page of ``crm.item.list``, in order of id, and for the number of rows.

    What the filter speaks of is asked for too: a row that it excludes is none that was asked for.
    """
    fields = dict.fromkeys([*select, *Conditions(wanted).fields])
    params: dict[str, Any] = {"entityTypeId": family_of(kind).entity_type_id, "select": list(fields)}
    if wanted:
        params["filter"] = wanted
    return Call("crm.item.list", {**params, "order": {"id": order}, "start": 0})
