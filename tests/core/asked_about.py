"""Deals and contacts that rules are asked about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow_bitrix.core.contacts import Contact
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.owner_states import OwnerState

LEAD, DEAL = Owner("lead", 5), Owner("deal", 5)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def exact(
    *contact_ids: int, primary: int | None = None, scalar: int | None = None, **facts: Any
) -> OwnerState:
    """A deal with sorts 10, 20, 30 and a role; the first contact is primary unless said otherwise."""
    first = next(iter(contact_ids), None) if primary is None else primary
    links = [ContactLink(one, 10 * at, one == first, 2) for at, one in enumerate(contact_ids, start=1)]
    return OwnerState(LinkSet(DEAL, tuple(links), scalar), **facts)


def scanned(*contact_ids: int, **facts: Any) -> OwnerState:
    return OwnerState(LinkSet.of_ids(DEAL, contact_ids, next(iter(contact_ids), None)), **facts)


def rows(links: LinkSet) -> list[tuple[int, int | None, bool]]:
    return [(link.contact_id, link.sort, link.is_primary) for link in links.links]


def contact(number: int, *ways: str, **facts: Any) -> Contact:
    phones, emails = [way for way in ways if "@" not in way], [way for way in ways if "@" in way]
    created = facts.pop("created", f"2026-01-{number:02d}T10:00:00+03:00")
    return Contact(number, phones=tuple(phones), emails=tuple(emails), created=created, **facts)


def known(*contacts: Contact) -> dict[int, Contact]:
    return {one.id: one for one in contacts}
