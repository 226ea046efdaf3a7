"""What rules do to a link set: add or take away contacts, choose the primary one. All else stays as it is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from airflow_bitrix.core.link_writes import STEP
from airflow_bitrix.core.links import ContactLink, LinkSet


def primary_of(links: LinkSet) -> int | None:
    """Give the contact that counts as the primary one: as shown, else as flagged, else the first."""
    if links.shown_id in links.contact_ids:
        return links.shown_id
    return links.primary_id or next(iter(links.contact_ids), None)


def with_primary(links: LinkSet, contact_id: int | None) -> LinkSet:
    """Make one contact primary, and the only one."""
    return LinkSet(
        links.owner, tuple(replace(link, is_primary=link.contact_id == contact_id) for link in links.links)
    )


def with_added(links: LinkSet, contact_ids: Collection[int]) -> LinkSet:
    """Add contacts behind those that are there, in the order given; one that is there stays where it is.

    The primary contact stays what it is; where there is none, the first contact becomes it.
    """
    new = [one for one in dict.fromkeys(contact_ids) if one not in links.contact_ids]
    last = max((link.sort or 0 for link in links.links), default=0)
    added = [ContactLink(one, last + STEP * place, role_id=0) for place, one in enumerate(new, start=1)]
    if not links.is_exact:  # beside sorts that are not known a sort says nothing
        added = [ContactLink(one) for one in new]
    after = LinkSet(links.owner, (*links.links, *added))
    if links.shown_id in after.contact_ids or links.primary_id:
        return after.with_scalar(links.shown_id)
    return with_primary(after, next(iter(after.contact_ids), None))


def without(links: LinkSet, contact_ids: Collection[int], heir: int | None = None) -> LinkSet:
    """Take contacts away. Where the primary one goes, the heir takes its place, or the first that is left.

    What is wrong with the primary contact otherwise stays wrong: that is another rule's business.
    """
    rest = LinkSet(links.owner, tuple(one for one in links.links if one.contact_id not in contact_ids))
    if not rest.links:
        return rest
    primary = links.shown_id if links.shown_id in links.contact_ids else links.primary_id
    if primary in contact_ids:
        return with_primary(rest, heir or primary_of(rest))
    return rest.with_scalar(links.shown_id)
