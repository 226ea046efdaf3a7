"""What somebody waits for in the contact links of an owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext, ngettext
from airflow_bitrix.core.links import LinkSet, positive_id
from airflow_bitrix.core.wording import as_rendered


@dataclass(frozen=True, slots=True)
class LinkCondition:
    """What a link set has to be; everything that is given has to hold.

    :param has: Contacts that are linked, each of them.
    :param lacks: Contacts that are not linked, none of them.
    :param exactly: All contacts that are linked, in whatever order; empty for none at all. ``None`` leaves it
        open.
    :param primary: The contact that the portal shows as the owner's client. ``None`` leaves it open.
    """

    has: frozenset[int] = frozenset()
    lacks: frozenset[int] = frozenset()
    exactly: frozenset[int] | None = None
    primary: int | None = None

    def holds(self, links: LinkSet) -> bool:
        """Whether a link set, exact or scanned, is so."""
        linked = frozenset(links.contact_ids)
        return (
            self.has <= linked
            and self.lacks.isdisjoint(linked)
            and self.exactly in (None, linked)
            and self.primary in (None, links.shown_id)
        )

    def __str__(self) -> str:
        """Say it for a log: ``has contact 7, primary 7``."""
        told = [
            (gettext("has"), self.has or None),
            (gettext("lacks"), self.lacks or None),
            (gettext("has exactly"), self.exactly),
        ]
        said = [f"{how} {_named(which)}" for how, which in told if which is not None]
        return ", ".join(
            [*said, *([gettext("primary {primary}", primary=str(self.primary))] if self.primary else [])]
        )


def _named(contact_ids: frozenset[int]) -> str:
    ids = ", ".join(map(str, sorted(contact_ids)))
    return (
        ngettext("contact {ids}", "contacts {ids}", len(contact_ids), ids=ids)
        if ids
        else gettext("no contact")
    )


def link_condition(
    *, has: object = None, lacks: object = None, exactly: object = None, primary: object = None
) -> LinkCondition:
    """Read a condition that somebody gave; ``None``, as a template renders it too, leaves a part open.

    :param has: One id of a contact, or a list of them that is not empty. Likewise ``lacks``.
    :param exactly: The same; an empty list for no contact at all.
    :param primary: The id of a contact.
    :raises InvalidInput: Something is none of that; nothing is given; or it can never hold.
    """
    found = LinkCondition(
        has=_ids("has", has) or frozenset(),
        lacks=_ids("lacks", lacks) or frozenset(),
        exactly=_ids("exactly", exactly, none_at_all=True),
        primary=None if _is_open(primary) else positive_id("primary", primary),
    )
    if found == LinkCondition():
        raise InvalidInput("has", has, gettext("a contact to wait for, here or as lacks, exactly or primary"))
    _refuse_contradictions(found)
    return found


def _is_open(value: object) -> bool:
    return value is None or value == "None"


def _ids(argument: str, value: Any, *, none_at_all: bool = False) -> frozenset[int] | None:
    if _is_open(value):
        return None
    if isinstance(value, (list, tuple, set, frozenset)):
        if value or none_at_all:
            return frozenset(positive_id(argument, one) for one in value)
        raise InvalidInput(
            argument, value, gettext("a list with at least one id of a contact; None leaves it open")
        )
    try:
        return frozenset([positive_id(argument, value)])
    except InvalidInput:
        accepted = gettext("the id of a contact, or a list of such ids{hint}", hint=as_rendered(value))
        raise InvalidInput(argument, value, accepted) from None


def _refuse_contradictions(found: LinkCondition) -> None:
    exactly, primary = found.exactly, found.primary
    if exactly is not None and (found.has or found.lacks):
        raise InvalidInput(
            "exactly", sorted(exactly), gettext("no has and no lacks beside it, as it says it all")
        )
    if both := found.has & found.lacks:
        raise InvalidInput(
            "lacks",
            sorted(found.lacks),
            gettext("no contact of has, as {contact_id} is", contact_id=str(min(both))),
        )
    if primary and (primary in found.lacks or (exactly is not None and primary not in exactly)):
        raise InvalidInput(
            "primary", primary, gettext("a contact that may be linked, by what lacks and exactly say")
        )
