"""What changed between two looks at the same owners, in words that a person can act on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.kind_words import named
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import LinkSet, Owner

What = Literal["new", "gone", "added", "removed", "order", "sort", "primary", "scalar", "role"]
WHATS: tuple[What, ...] = get_args(What)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that changed at one owner.

    :param what: ``new`` or ``gone`` owner; contacts ``added`` or ``removed``; ``order`` of the contacts that
        stayed; their ``sort`` in the same order; the ``primary`` contact; the owner's ``scalar`` contact
        though the flags are the same; the ``role`` of a contact that stayed.
    :param before: The links at the first look, ``None`` for a new owner.
    :param after: The links at the second look, ``None`` for an owner that is gone.
    :param contact_ids: The contacts that it is about.
    """

    owner: Owner
    what: What
    before: LinkSet | None
    after: LinkSet | None
    contact_ids: tuple[int, ...] = ()


def differences(old: Iterable[LinkSet], new: Iterable[LinkSet]) -> Iterator[Difference]:
    """Give all that changed between two snapshots, owner by owner.

    Both are read once, side by side, and nothing is kept: memory does not grow with the portal.

    :param old: Link sets in order of owner id, each owner once.
    :param new: The same owners later, likewise.
    :raises PlanRefused: One of them is not in order of owner id.
    """
    left, right = _in_order(old, _FIRST), _in_order(new, _SECOND)
    before, after = next(left, None), next(right, None)
    while before or after:
        if before and (after is None or before.owner.id < after.owner.id):
            yield Difference(before.owner, "gone", before, None, before.contact_ids)
            before = next(left, None)
        elif after and (before is None or after.owner.id < before.owner.id):
            yield Difference(after.owner, "new", None, after, after.contact_ids)
            after = next(right, None)
        elif before and after:
            if before != after:
                yield from compare(before, after)
            before, after = next(left, None), next(right, None)


def compare(before: LinkSet, after: LinkSet) -> Iterator[Difference]:
    """Give what changed at one owner, as far as both sides know it.

    A side that knows no sorts still knows contacts, their order and the contact that the portal shows. Links
    of equal sort have no order among them.
    """
    old = {link.contact_id: link for link in before.links}
    new = {link.contact_id: link for link in after.links}
    stayed = [contact_id for contact_id in old if contact_id in new]

    def found(what: What, contact_ids: Iterable[int]) -> Difference:
        return Difference(before.owner, what, before, after, tuple(contact_ids))

    if added := [contact_id for contact_id in new if contact_id not in old]:
        yield found("added", added)
    if removed := [contact_id for contact_id in old if contact_id not in new]:
        yield found("removed", removed)
    moved = [one for one in stayed if None not in (was := old[one].sort, now := new[one].sort) and was != now]
    if _is_reordered(before, after, stayed):
        yield found("order", (contact_id for contact_id in new if contact_id in old))
    elif moved:
        yield found("sort", moved)
    # Where one side has no links at all, a primary that comes or goes is no news.
    was_primary, is_primary = _primaries(before, after), _primaries(after, before)
    if old and new and was_primary != is_primary:
        yield found("primary", sorted(was_primary ^ is_primary))
    elif before.shown_id != after.shown_id and (old.keys() == new.keys() or _is_at_odds(before, after)):
        shown = (before.shown_id, after.shown_id)
        yield found("scalar", sorted(contact_id for contact_id in shown if contact_id))
    if roles := [
        one for one in stayed if None not in (was := old[one].role_id, now := new[one].role_id) and was != now
    ]:
        yield found("role", roles)


def _is_reordered(before: LinkSet, after: LinkSet, stayed: list[int]) -> bool:
    ranks = _ranks(before, stayed), _ranks(after, stayed)
    was = sorted(stayed, key=lambda one: (ranks[0][one], ranks[1][one], one))
    # Ties of one side take the order of the other: what has no order cannot have changed it.
    now = sorted(stayed, key=lambda one: (ranks[1][one], ranks[0][one], one))
    return was != now


def _ranks(links: LinkSet, stayed: list[int]) -> dict[int, int]:
    kept = set(stayed)
    return {
        link.contact_id: place if link.sort is None else link.sort
        for place, link in enumerate(links.links)
        if link.contact_id in kept
    }


def _primaries(links: LinkSet, other: LinkSet) -> set[int]:
    """Give the primary contacts, or only the one that the portal shows where one side knows no more."""
    if _knows_flags(links) and _knows_flags(other):
        return {link.contact_id for link in links.links if link.is_primary}
    return {links.shown_id} if links.shown_id else set()


def _knows_flags(links: LinkSet) -> bool:
    return all(link.sort is not None for link in links.links)


def _is_at_odds(before: LinkSet, after: LinkSet) -> bool:
    return before.scalar_id is not None or after.scalar_id is not None


_FIRST = gettext_noop("the first snapshot is not in order of owner id: {order}")
_SECOND = gettext_noop("the second snapshot is not in order of owner id: {order}")


def _in_order(link_sets: Iterable[LinkSet], said: str) -> Iterator[LinkSet]:
    last = 0
    for links in link_sets:
        if links.owner.id <= last:
            order = gettext(
                "{owner} stands behind {last}",
                owner=named(links.owner),
                last=named(Owner(links.owner.kind, last)),
            )
            raise PlanRefused(gettext(said, order=order))
        last = links.owner.id
        yield links
