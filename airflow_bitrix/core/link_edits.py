"""What rules do to a link set: take contacts away, choose the primary one. All else stays as it is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from airflow_bitrix.core.links import LinkSet


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
