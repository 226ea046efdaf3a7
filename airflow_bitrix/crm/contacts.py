"""Contacts of a portal: all that a filter matches, or those with certain ids.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html and
https://apidocs.bitrix24.com/api-reference/crm/contacts/crm-contact-list.html. Only the latter tells phones
and e-mails, and only the former refuses a filter that it does not understand, so a scan with both asks one
for ids and the other for what belongs to them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import PAGE, id_in
from airflow_bitrix.client.table_sweep import Expect, Order, Table, sweep
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.contacts import ITEM_SELECT, LIST_SELECT, Contact, contact_of_item, contact_of_list
from airflow_bitrix.core.errors import Rejected
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import OWNER_KINDS, EntityKind, OwnerKind, owner_kind, positive_id
from airflow_bitrix.crm.pages import pages
from airflow_bitrix.crm.scan import Detail, check_scan, item_list


async def scan_contacts(
    portal: AsyncPortal,
    wanted: Mapping[str, Any] | None = None,
    *,
    detail: Detail = "ids",
    ordered: bool = False,
    also: Sequence[str] = (),
    expect: Expect | None = None,
) -> AsyncGenerator[Contact, None]:
    """Give every contact that a filter matches, each once, 2,500 a request.

    :param wanted: A ``crm.item.list`` filter, camelCase names.
    :param detail: ``ids`` for company and origin; ``full`` for name, phones and e-mails too, which takes
        twice the requests.
    :param ordered: Whether contacts come in order of id; else as they arrive.
    :param also: Further fields, camelCase names; with ``ids`` only.
    :param expect: Told now and then how many contacts there are in all, as far as can be told yet.
    :raises InvalidInput: Another detail, or a filter that is no map; nothing was sent.
    :raises Rejected: The portal does not accept the filter.
    """
    check_scan(wanted, detail, also)
    select = [*ITEM_SELECT, *(name for name in also if name not in ITEM_SELECT)]

    def call(wanted: Mapping[str, Any], order: Order) -> Call:
        return item_list("contact", select, wanted, order)

    table = Table(call, "id", lambda row: contact_of_item(row, also), lambda contact: contact.id)
    async with aclosing(
        sweep(portal, [(table, dict(wanted or {}))], ordered=ordered, expect=expect)
    ) as found:
        if detail == "ids":
            async for contact in found:
                yield contact
            return
        async with aclosing(_in_full(portal, found)) as known:
            async for contact in known:
                yield contact


async def read_contacts(
    portal: AsyncPortal, ids: Iterable[int], phone: Callable[[str], str] | None = None
) -> AsyncGenerator[Contact, None]:
    """Give the contacts with these ids in full, 2,500 a request; those that are gone are left out.

    :param phone: What brings phones into one form, see
        :func:`~airflow_bitrix.core.contacts.contact_of_list`.
    """
    numbers = list(ids)
    calls = (_by_ids(numbers[at : at + PAGE]) for at in range(0, len(numbers), PAGE))
    async with aclosing(pages(portal, calls, partial(contact_of_list, phone=phone))) as found:
        async for contacts in found:
            for contact in contacts:
                yield contact


async def missing_contacts(portal: AsyncPortal, ids: Iterable[int]) -> set[int]:
    """Give those of some ids that belong to no contact, or to one that the user may not read."""
    return await missing_records(portal, "contact", ids)


async def missing_records(portal: AsyncPortal, kind: EntityKind, ids: Iterable[int]) -> set[int]:
    """Give those of some ids that belong to no record of a kind, or to one that the user may not read."""
    numbers = list(ids)
    missing = set(numbers)
    calls = (
        item_list(kind, ["id"], {"@id": numbers[at : at + PAGE]}, "ASC")
        for at in range(0, len(numbers), PAGE)
    )
    async with aclosing(pages(portal, calls, _id_of)) as found:
        async for ids_there in found:
            missing.difference_update(ids_there)
    return missing


@dataclass(frozen=True, slots=True)
class Absent:
    """Contacts that a list does not show.

    :param gone: Those of which the portal says that there are none.
    :param unread: The others, with the portal's own words: they may well be there.
    """

    gone: frozenset[int]
    unread: Mapping[int, str]


async def absent_contacts(portal: AsyncPortal, ids: Iterable[int]) -> Absent:
    """Tell contacts that are gone from those that the user may not read; no list tells them apart.

    Each that is not listed takes a command. Follows
    https://apidocs.bitrix24.com/api-reference/crm/contacts/crm-contact-get.html.

    :raises Bitrix24Error: The portal takes no more requests, or not this webhook.
    """
    numbers = sorted(await missing_contacts(portal, ids))
    outcomes = await portal.batch(Call("crm.contact.get", {"id": one}) for one in numbers)
    gone: set[int] = set()
    unread: dict[int, str] = {}
    for one, outcome in zip(numbers, outcomes, strict=True):
        error = outcome.error
        if error is None:
            unread[one] = gettext("crm.contact.get shows it, crm.item.list does not")
        elif not isinstance(error, Rejected):
            raise error
        elif error.answer.text.strip(" .").lower() == "not found":
            gone.add(one)
        else:
            unread[one] = str(error.answer)
    return Absent(frozenset(gone), unread)


def owners_params(contact_id: object, kind: object = None) -> list[tuple[OwnerKind, dict[str, Any]]]:
    """Give the parameters of ``crm.item.list`` for the owners that a contact is linked to, primary or not.

    The legacy filter by ``CONTACT_ID`` finds only those where it is primary.

    :param kind: The kind of owners; ``None`` for each that every portal has.
    :return: They with the kind of owners, one after the other.
    :raises InvalidInput: No id, or no kind of owners.
    """
    wanted = {"contactIds": positive_id("contact_id", contact_id)}
    kinds = OWNER_KINDS if kind is None else (owner_kind(kind),)
    return [
        (one, {"entityTypeId": family_of(one).entity_type_id, "filter": wanted, "select": ["id"]})
        for one in kinds
    ]


async def _in_full(portal: AsyncPortal, found: AsyncIterator[Contact]) -> AsyncGenerator[Contact, None]:
    async def calls() -> AsyncIterator[Call]:
        waiting: list[int] = []
        async for contact in found:
            waiting.append(contact.id)
            if len(waiting) == PAGE:
                yield _by_ids(waiting)
                waiting = []
        if waiting:
            yield _by_ids(waiting)

    async with aclosing(pages(portal, calls(), contact_of_list)) as known:
        async for contacts in known:
            for contact in contacts:
                yield contact


def _by_ids(ids: Sequence[int]) -> Call:
    wanted = {"@ID": list(ids)}
    return Call(
        "crm.contact.list",
        {"filter": wanted, "select": list(LIST_SELECT), "order": {"ID": "ASC"}, "start": 0},
    )


def _id_of(row: Mapping[str, Any]) -> int:
    return id_in("crm.item.list", "id", row)
