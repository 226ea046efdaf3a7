"""Migrations: from link sets and maps to the link sets that are wanted, and how two link sets differ.

Pure functions. A wanted link set says order, sorts and primary; what the portal can be brought to is told by
:func:`airflow_bitrix.core.link_writes.attainable`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.link_writes import STEP, attainable
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change, shown_contacts

MigrationName = Literal[
    "contact_map", "company_map", "lead_to_deal", "release_moved_leads", "portal_to_portal"
]
MIGRATIONS: tuple[MigrationName, ...] = get_args(MigrationName)

Extra = Literal["keep", "remove"]
EXTRAS: tuple[Extra, ...] = get_args(Extra)

MapRow = tuple[object, int, int]
"""Where a row of a map stands, such as ``line 7``, the old id and the new one."""


def main_contact(links: LinkSet) -> int | None:
    """Give the contact that the portal shows first, as far as it is linked; ``None`` where there is none."""
    return links.shown_id if links.shown_id in links.contact_ids else links.primary_id


def chained(rows: Iterable[MapRow], argument: str) -> dict[int, int]:
    """Read a map of records of one portal: old, to the one in the place of which nothing else stands.

    Chains are followed: with ``5,6`` and ``6,7``, contact 5 becomes 7. One that is mapped onto itself is
    ignored.

    :raises InvalidInput: One is mapped to two new ones, or a chain comes back to where it began.
    """
    given = single((row for row in rows if row[1] != row[2]), argument)
    for start in given:
        path: dict[int, None] = {}
        at = start
        while at in given and at not in path:
            path[at] = None
            at = given[at]
        if at in path:
            circle = [*list(path)[list(path).index(at) :], at]
            raise InvalidInput(argument, " -> ".join(map(str, circle)), gettext("chains that end somewhere"))
        given |= dict.fromkeys(path, at)
    return given


def single(rows: Iterable[MapRow], argument: str) -> dict[int, int]:
    """Read a map of ids, each as it stands: of one portal to those of another.

    :raises InvalidInput: An id is mapped to two others.
    """
    given: dict[int, int] = {}
    for place, old, new in rows:
        if given.setdefault(old, new) != new:
            accepted = gettext(
                "one new id for {old}, which was mapped to {given} before",
                old=str(old),
                given=str(given[old]),
            )
            raise InvalidInput(argument, f"{place}: {old},{new}", accepted)
    return given


def one_to_one(owner_map: Mapping[int, int], argument: str) -> None:
    """Refuse a map of owners in which two come to the same.

    :raises InvalidInput: Names them.
    """
    came_from: dict[int, int] = {}
    for old, new in owner_map.items():
        if (other := came_from.setdefault(new, old)) != old:
            raise InvalidInput(
                argument,
                gettext("{one} and {other}", one=f"{other},{new}", other=f"{old},{new}"),
                gettext("another owner for each owner"),
            )


def remapped(links: LinkSet, contact_map: Mapping[int, int]) -> LinkSet:
    """Give the links with each old contact's place taken by the new one: order, sort and primary stay.

    Of a contact, so are the places of its old companies.

    Where both are linked they become one link, in the earlier place, and primary if either was.

    :param contact_map: What :func:`chained` gave.
    """
    if not any(contact_id in contact_map for contact_id in links.contact_ids):
        return links
    first = main_contact(links)
    primary = None if first is None else contact_map.get(first, first)
    kept: dict[int, ContactLink] = {}
    for link in links.links:
        new = contact_map.get(link.contact_id, link.contact_id)
        kept.setdefault(new, replace(link, contact_id=new, is_primary=new == primary))
    return LinkSet(links.owner, tuple(kept.values()))


def translated(source: LinkSet, owner: Owner, contact_map: Mapping[int, int]) -> LinkSet:
    """Give an owner of another portal the links of a source: the same order, sorts and primary.

    :param contact_map: A contact of the owner's portal for each contact of the source. Where two become
        one, it takes the earlier place.
    """
    there = remapped(source, {contact_id: contact_map[contact_id] for contact_id in source.contact_ids})
    # A role is a number of its own portal, and no link method can set one.
    return LinkSet(owner, tuple(replace(link, role_id=0) for link in there.links))


def joined(first: LinkSet, further: LinkSet) -> LinkSet:
    """Give the links of ``first``, in their order, and behind them those that only ``further`` has.

    Primary is the primary of ``first``; where it has none, that of ``further``.
    """
    links = list(first.links)
    sorts_known = all(link.sort is not None for link in (*links, *further.links))
    last = max((link.sort or 0 for link in links), default=0)
    for link in further.links:
        if link.contact_id not in first.contact_ids:
            own = link.sort or 0
            last = own if own > last else last + STEP
            links.append(replace(link, sort=last if sorts_known else None, role_id=0))
    primary = main_contact(first) or main_contact(further)
    return LinkSet(first.owner, tuple(replace(link, is_primary=link.contact_id == primary) for link in links))


def carried_over(source: LinkSet, target: LinkSet, contact_map: Mapping[int, int], extra: Extra) -> LinkSet:
    """Give a target the links of its source, and say what becomes of those that only the target has.

    :param extra: ``keep``: they follow behind those of the source. ``remove``: they go.
    """
    wanted = translated(source, target.owner, contact_map)
    both = joined(wanted, target)
    if extra == "keep":
        return both
    kept = [link for link in both.links if link.contact_id in wanted.contact_ids]
    return LinkSet(target.owner, tuple(kept))


def released(links: LinkSet, held: Iterable[int]) -> LinkSet:
    """Give the links without those contacts that are held elsewhere."""
    gone = set(held)
    scalar = None if links.scalar_id in gone else links.scalar_id
    return LinkSet(links.owner, tuple(link for link in links.links if link.contact_id not in gone), scalar)


Differing = Literal["missing", "extra", "primary", "order", "sort"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which links are not as they are wanted.

    :param what: ``missing`` (not linked), ``extra`` (linked, not wanted), ``primary`` (another contact is
        shown first), ``order`` or ``sort`` (the right order by other numbers).
    :param contact_id: The contact: with ``primary`` the wanted one, with ``order`` the first that comes too
        early.
    :param detail: For a person.
    """

    what: Differing
    contact_id: int
    detail: str


def differences(now: LinkSet, wanted: LinkSet) -> list[Difference]:
    """Say how links differ from those that are wanted.

    Sorts are compared where both sides know them, else positions. Contacts of equal sort have no order.
    """
    mine = {link.contact_id: link.sort for link in now.links}
    theirs = {link.contact_id: link.sort for link in wanted.links}
    shown = gettext("is {now}, wanted {wanted}", now=shown_contacts(now), wanted=shown_contacts(wanted))
    found = [Difference("missing", one, shown) for one in theirs if one not in mine]
    found += [Difference("extra", one, shown) for one in mine if one not in theirs]
    first = main_contact(wanted)
    if first is not None and first in mine and first != main_contact(now):
        found.append(Difference("primary", first, shown))
    common = [one for one in theirs if one in mine]
    if (early := _too_early(common, _places(now), _places(wanted))) is not None:
        found.append(Difference("order", early, shown))
    elif all(mine[one] is not None and theirs[one] is not None for one in common):
        found += [
            Difference(
                "sort", one, gettext("is {now}, wanted {wanted}", now=str(mine[one]), wanted=str(theirs[one]))
            )
            for one in common
            if mine[one] != theirs[one]
        ]
    if not found and first is not None and not now.agrees_with(wanted):
        # Several flags, or a CONTACT_ID that is not what they say.
        found.append(Difference("primary", first, shown))
    return found


def _places(links: LinkSet) -> dict[int, int]:
    if all(link.sort is not None for link in links.links):
        return {link.contact_id: link.sort or 0 for link in links.links}
    return {link.contact_id: place for place, link in enumerate(links.links)}


def _too_early(contact_ids: Iterable[int], now: Mapping[int, int], wanted: Mapping[int, int]) -> int | None:
    """Give the first contact that does not come behind all that are to come before it."""
    earlier: int | None = None  # the highest place of those that come before the group of equals at hand
    seen: int | None = None
    group: int | None = None
    for one in sorted(contact_ids, key=lambda one: wanted[one]):
        if wanted[one] != group:
            group, earlier = wanted[one], seen
        if earlier is not None and now[one] <= earlier:
            return one
        seen = now[one] if seen is None else max(seen, now[one])
    return None


@dataclass(frozen=True, slots=True)
class Aim:
    """What an owner's links are, and what a migration wants them to be.

    :param before: The links as they are. Exact where a change keeps any.
    :param wanted: The links as they are to be.
    :param reason: Why, for a person.
    :param source: The owner whose links these come from; ``None`` where it is the owner itself.
    :param came_from: For contacts that had another id where they come from: that id.
    :param save: Whether the owner is to be saved after the write.
    :param ends_repeat: Whether that save is to end a repeat lead.
    :param may_empty: Whether the owner may be left without contacts.
    :param kept_by: Ids of deals that hold what the lead is to lose, and have to hold it still then.
    """

    before: LinkSet
    wanted: LinkSet
    reason: str
    source: Owner | None = None
    came_from: Mapping[int, int] = field(default_factory=dict)
    save: bool = False
    ends_repeat: bool = False
    may_empty: bool = False
    kept_by: tuple[int, ...] = ()

    @property
    def owner(self) -> Owner:
        """The owner whose links are to change."""
        return self.before.owner

    @property
    def after(self) -> LinkSet:
        """The link set nearest to the wanted one that the portal can hold."""
        return attainable(self.before, self.wanted)

    @property
    def differences(self) -> list[Difference]:
        """What is still to be done; empty where the links are right."""
        # What is odd about links that are wanted as they are is not for a migration to mend.
        return [] if self.wanted == self.before else differences(self.before, self.after)

    def change(self, migration: MigrationName) -> Change | None:
        """Give the change that brings it about, ``None`` where nothing is to be done."""
        if not self.differences:
            return None
        return Change(
            self.before,
            self.after,
            (f"{migration}: {self.reason}",),
            (migration,),
            save=self.save,
            ends_repeat=self.ends_repeat,
            may_empty=self.may_empty,
            kept_by=self.kept_by,
        )


@dataclass(frozen=True, slots=True)
class Left:
    """An owner, or a part of its links, that a migration is about and cannot do.

    :param owner: The owner; with ``portal_to_portal`` that of the source.
    :param why: The group that it is counted under.
    :param reason: Why, for a person.
    :param is_parked: Whether the next run is to try again.
    :param contact_ids: The contacts that it is about, of the same portal as the owner.
    """

    owner: Owner
    why: str
    reason: str
    is_parked: bool = False
    contact_ids: tuple[int, ...] = ()


Step = Aim | Left
