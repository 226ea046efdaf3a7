"""Migrations within a portal: what each owner's links are, and what they are to be.

Each gives a step an owner that it is about, right already or not, and changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from airflow_bitrix.client.filters import both
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import PAGE
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.kind_words import named
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.migrations import Aim, Left, Step, joined, released, remapped
from airflow_bitrix.core.numbers import told_id
from airflow_bitrix.core.owner_states import OwnerState, select_of
from airflow_bitrix.crm.contacts import missing_contacts
from airflow_bitrix.crm.owners import CHUNK, in_chunks, look_up, owners_linked_to
from airflow_bitrix.crm.pages import pages
from airflow_bitrix.crm.scan import ask_links, item_list, scan, state_reader

LEAD_GONE = gettext_noop("lead is gone")
CONTACT_GONE = gettext_noop("contact is gone")

LEADS = PAGE - 10
"""Leads in one command: as a rule their deals fit on a page."""

Steps = AsyncGenerator[Step, None]
Read = Callable[[int], None]
"""Called with the number of owners that have just been read."""


async def replace_linked(
    portal: AsyncPortal,
    kind: OwnerKind,
    new: Mapping[int, int],
    wanted: Mapping[str, Any],
    read: Read,
) -> Steps:
    """Give each owner that an old contact is linked to, with the new contact in its place.

    :param kind: The kind of owners; of contacts, companies are replaced.
    :param new: The new contact, or company, of each old one, chains followed.
    :param wanted: A ``crm.item.list`` filter for the owners.
    """
    async with (
        aclosing(owners_linked_to(portal, kind, list(new), wanted)) as found,
        aclosing(in_chunks(found)) as chunks,
    ):
        async for chunk in chunks:
            for state in await ask_links(portal, chunk, full=True):
                read(1)
                before = state.links
                old = [one for one in before.contact_ids if one in new]
                if old:
                    moves = ", ".join(f"{one} -> {new[one]}" for one in old)
                    came_from = {new[one]: one for one in reversed(old)}
                    yield Aim(before, remapped(before, new), moves, came_from=came_from)


async def lead_to_deal(portal: AsyncPortal, wanted: Mapping[str, Any], read: Read) -> Steps:
    """Give each deal that was made from a lead, with the contacts of its lead behind its own.

    Contacts of the lead that are no contacts any more are not taken along. Links are read exactly only
    where a contact is missing.

    :param wanted: A ``crm.item.list`` filter for the deals.
    """
    async with aclosing(_deals(portal, wanted)) as chunks:
        async for deals in chunks:
            leads = await look_up(portal, "lead", (_lead_of(deal) for deal in deals))
            short = []
            for deal in deals:
                read(1)
                lead = leads.get(_lead_of(deal))
                if lead is None:
                    yield _lead_gone(deal)
                elif set(lead.links.contact_ids) <= set(deal.links.contact_ids):
                    yield Aim(deal.links, deal.links, gettext("it has all contacts of its lead"), lead.owner)
                else:
                    short.append(deal)
            async with aclosing(_joined(portal, short)) as steps:
                async for step in steps:
                    yield step


async def _joined(portal: AsyncPortal, deals: Sequence[OwnerState]) -> Steps:
    exact = await ask_links(portal, deals, full=True)
    leads = await look_up(portal, "lead", (_lead_of(deal) for deal in deals), full=True)
    missing = {
        deal.owner: [one for one in lead.links.contact_ids if one not in deal.links.contact_ids]
        for deal in exact
        if (lead := leads.get(_lead_of(deal)))
    }
    gone = await missing_contacts(portal, {one for ids in missing.values() for one in ids})
    for deal in exact:
        lead = leads.get(_lead_of(deal))
        if lead is None:
            yield _lead_gone(deal)
            continue
        if lost := tuple(one for one in missing[deal.owner] if one in gone):
            shown = ", ".join(map(str, lost))
            reason = gettext(
                "{owner} is linked to {shown}, which is not there or may not be read",
                owner=named(lead.owner),
                shown=shown,
            )
            yield Left(deal.owner, CONTACT_GONE, reason, contact_ids=lost)
        new = [one for one in missing[deal.owner] if one not in gone]
        wanted = joined(deal.links, released(lead.links, lost)) if new else deal.links
        reason = gettext(
            "contacts of {owner}: {contacts}",
            owner=named(lead.owner),
            contacts=", ".join(map(str, new)) or gettext("none to add"),
        )
        yield Aim(deal.links, wanted, reason, lead.owner)


async def release_moved_leads(
    portal: AsyncPortal, wanted: Mapping[str, Any], read: Read, *, save: bool
) -> Steps:
    """Give each lead that deals were made from, without the contacts that all its deals hold.

    :param wanted: A ``crm.item.list`` filter for deals: only leads are concerned that one of them was made
        from. What such a lead may lose is told by all its deals.
    :param save: Whether the leads are to be saved, so that they stop being repeat leads.
    """
    held: dict[int, Held] = {}
    async with aclosing(_deals(portal, wanted)) as chunks:
        async for deals in chunks:
            _hold(held, deals)
    numbers = sorted(held)
    for at in range(0, len(numbers), CHUNK):
        some = numbers[at : at + CHUNK]
        if wanted:  # else all their deals have been read
            held = {}
            _hold(held, await _deals_of(portal, some))
        leads = await look_up(portal, "lead", some)
        read(len(leads))
        none: Held = frozenset(), ()
        moved = {lead.owner: held.get(lead.owner.id, none) for lead in leads.values()}
        concerned = [lead for lead in leads.values() if moved[lead.owner][0] & set(lead.links.contact_ids)]
        # What is emptied needs no sorts.
        staying = [lead for lead in concerned if not set(lead.links.contact_ids) <= moved[lead.owner][0]]
        known = {lead.owner: lead for lead in await ask_links(portal, staying, full=True)}
        for lead in concerned:
            yield _release(known.get(lead.owner, lead), moved[lead.owner], save=save)


Held = tuple[frozenset[int], tuple[int, ...]]
"""Contacts that all deals of a lead hold, and the ids of these deals."""


def _hold(held: dict[int, Held], deals: Iterable[OwnerState]) -> None:
    """Note by lead the contacts that all its deals hold."""
    for deal in deals:
        lead_id, contacts = _lead_of(deal), frozenset(deal.links.contact_ids)
        so_far, by = held.get(lead_id, (contacts, ()))
        held[lead_id] = so_far & contacts, (*by, deal.owner.id)


def _release(lead: OwnerState, moved_to: Held, *, save: bool) -> Aim:
    held, deals = moved_to
    wanted = released(lead.links, held)
    moved = [str(one) for one in lead.links.contact_ids if one in held]
    ends_repeat = save and lead.is_repeat and not (wanted.links or lead.company_id or lead.is_success)
    return Aim(
        lead.links,
        wanted,
        gettext("its deals hold {moved}", moved=", ".join(moved)),
        save=save,
        ends_repeat=ends_repeat,
        may_empty=True,
        kept_by=deals,
    )


def _lead_of(deal: OwnerState) -> int:
    number = told_id(deal.fields["leadId"])
    if number is None:
        text = gettext(
            "crm.item.list: the portal answered a 'leadId' of {owner} that is no id", owner=named(deal.owner)
        )
        raise Bitrix24Error(text, method="crm.item.list")
    return number


def _lead_gone(deal: OwnerState) -> Left:
    reason = gettext(
        "lead {lead} is not there, or the webhook's user may not read it", lead=str(_lead_of(deal))
    )
    return Left(deal.owner, LEAD_GONE, reason)


async def _deals(portal: AsyncPortal, wanted: Mapping[str, Any]) -> AsyncGenerator[list[OwnerState], None]:
    """Give the deals that were made from leads, in chunks."""
    from_leads = both(wanted, {">leadId": 0})
    async with (
        aclosing(scan(portal, "deal", from_leads, also=("leadId",))) as states,
        aclosing(in_chunks(states)) as chunks,
    ):
        async for chunk in chunks:
            yield chunk


async def _deals_of(portal: AsyncPortal, lead_ids: Sequence[int]) -> list[OwnerState]:
    """Give all deals that were made from some leads, which are asked for 40 a command."""
    after = {tuple(lead_ids[at : at + LEADS]): 0 for at in range(0, len(lead_ids), LEADS)}
    found: list[OwnerState] = []
    while after:
        calls = [
            item_list("deal", [*select_of("deal"), "leadId"], {"@leadId": list(some), ">id": last}, "ASC")
            for some, last in after.items()
        ]
        further: dict[tuple[int, ...], int] = {}
        async with aclosing(pages(portal, calls, state_reader("deal", ("leadId",)))) as known:
            for some in after:
                page = await anext(known)
                found += page
                if len(page) == PAGE:
                    further[some] = page[-1].owner.id
        after = further
    return await ask_links(portal, found, full=False)
