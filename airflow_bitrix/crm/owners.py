"""Owners by what is known of them: their ids, or a contact or company that they are linked to.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from airflow_bitrix.client.batch import MOST_COMMANDS
from airflow_bitrix.client.filters import both
from airflow_bitrix.client.flow import call_flow
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import PAGE, OddAnswer, Tries, total_of
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.owner_states import OwnerState, select_of
from airflow_bitrix.crm.pages import pages
from airflow_bitrix.crm.scan import ask_links, item_list, look_calls, scan, scan_ids, state_reader

T = TypeVar("T")

CHUNK = PAGE * MOST_COMMANDS
"""Owners that are worked on at a time: what one request reads."""

FEW = 2 * MOST_COMMANDS
"""Contacts or companies whose owners are looked up without asking how large the portal is: two requests."""


async def in_chunks(rows: AsyncIterator[T], size: int = CHUNK) -> AsyncGenerator[list[T], None]:
    """Give rows in lists of a size; the last one may be shorter."""
    chunk: list[T] = []
    async for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def look_up(
    portal: AsyncPortal, kind: OwnerKind, ids: Iterable[int], *, also: Sequence[str] = (), full: bool = False
) -> dict[int, OwnerState]:
    """Give the states of owners by id, 2,500 a request; those that are not there are left out.

    :param also: Further fields; they come in :attr:`OwnerState.fields`.
    :param full: Whether sort and role are wanted too, which takes one command more for each with contacts.
    """
    numbers = sorted(set(ids))
    states: list[OwnerState] = []
    async with aclosing(
        pages(portal, look_calls(kind, numbers, also=also), state_reader(kind, also))
    ) as found:
        async for page in found:
            states += page
    return {state.owner.id: state for state in await ask_links(portal, states, full=full)}


async def owners_linked_to(
    portal: AsyncPortal, kind: OwnerKind, linked_ids: Sequence[int], wanted: Mapping[str, Any]
) -> AsyncGenerator[OwnerState, None]:
    """Give the state of every owner that is linked to one of some contacts, or companies, each once.

    Where the portal leaves links out of its lists, those of the states may not be known.

    A few contacts are looked up, 50 a request, and companies 2,500 a request; for many, all owners are read,
    2,500 a request, and compared here. What takes fewer requests is chosen by the number of owners that the
    portal tells.

    :param linked_ids: Ids of contacts; where the owners are contacts, of companies.
    :param wanted: A ``crm.item.list`` filter for the owners.
    """
    of_companies = family_of(kind).linked == "company"
    by_linked = len(linked_ids) <= FEW
    if not by_linked:
        owners = await count_owners(portal, kind, wanted)
        at_once = CHUNK if of_companies else MOST_COMMANDS
        by_linked = len(linked_ids) / at_once < math.ceil(owners / CHUNK)
    if not by_linked:
        found = _among_all(portal, kind, linked_ids, wanted)
    elif of_companies:
        found = _by_company(portal, linked_ids, wanted)
    else:
        found = _by_contact(portal, kind, linked_ids, wanted)
    async with aclosing(found) as states:
        async for state in states:
            yield state


async def count_owners(portal: AsyncPortal, kind: OwnerKind, wanted: Mapping[str, Any]) -> int:
    """Give the number of owners that a filter matches."""
    params = {
        "entityTypeId": family_of(kind).entity_type_id,
        "select": ["id"],
        "filter": dict(wanted),
        "start": 0,
    }
    tries = Tries()
    while True:
        answer = await portal.run(call_flow(Call("crm.item.list", params), portal.manners))
        try:
            return total_of("crm.item.list", answer)
        except OddAnswer as error:
            tries.again("the number", error)


async def _among_all(
    portal: AsyncPortal, kind: OwnerKind, linked_ids: Sequence[int], wanted: Mapping[str, Any]
) -> AsyncGenerator[OwnerState, None]:
    those = frozenset(linked_ids)
    async with aclosing(scan(portal, kind, wanted)) as states:
        async for state in states:
            if not those.isdisjoint(state.links.contact_ids):
                yield state


async def _by_company(
    portal: AsyncPortal, company_ids: Sequence[int], wanted: Mapping[str, Any]
) -> AsyncGenerator[OwnerState, None]:
    """Give the contacts of companies: no list of contacts is filtered by those that are not primary."""
    companies = await look_up(portal, "company", company_ids)
    if len(companies) < len(set(company_ids)):
        # Of one that is gone, or that the user does not see, only contacts tell.
        found = _among_all(portal, "contact", company_ids, wanted)
    else:
        linked = sorted({one for state in companies.values() for one in state.links.contact_ids})
        found = scan_ids(portal, "contact", linked, wanted)
    async with aclosing(found) as states:
        async for state in states:
            yield state


async def _by_contact(
    portal: AsyncPortal, kind: OwnerKind, contact_ids: Sequence[int], wanted: Mapping[str, Any]
) -> AsyncGenerator[OwnerState, None]:
    given: set[int] = set()
    # One contact a filter: with several, the portal joins links before it cuts a page.
    after = dict.fromkeys(contact_ids, 0)
    while after:
        calls = (
            item_list(kind, select_of(kind), both(wanted, {"contactIds": contact_id, ">id": last}), "ASC")
            for contact_id, last in after.items()
        )
        further: dict[int, int] = {}
        async with aclosing(pages(portal, calls, state_reader(kind))) as found:
            for contact_id in after:
                page = await anext(found)
                if len(page) == PAGE:
                    further[contact_id] = page[-1].owner.id
                new = [state for state in page if state.owner.id not in given]
                given.update(state.owner.id for state in new)
                for state in new:
                    yield state
        after = further
