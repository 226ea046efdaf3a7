"""What a change does to the contacts of an owner, as one list: removed, added, another one primary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from airflow_bitrix.core.kind_words import linked_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import ContactLink, LinkSet

MOST_PIECES = 300
"""Contacts of one owner that are shown."""

Mark = Literal["", "-", "+"]

Primary = Literal["", "is", "was", "now"]
"""Whether a contact is the primary one: not; before and after; before only; after only."""


class Piece(NamedTuple):
    """One contact in such a list.

    :param mark: ``-`` for one that is removed, ``+`` for one that is added.
    """

    contact_id: int
    mark: Mark = ""
    primary: Primary = ""


@dataclass(frozen=True, slots=True)
class Contacts:
    """The contacts of an owner, with what becomes of each.

    :param pieces: In the order that they have, those that are added behind; the first of them.
    :param notes: What pieces cannot show, as sentences: another order, other sorts.
    """

    pieces: Sequence[Piece] = ()
    notes: Sequence[str] = ()

    @property
    def is_without_marks(self) -> bool:
        """Whether nothing of it is removed or added, and no primary contact moves."""
        return not any(piece.mark or piece.primary in ("was", "now") for piece in self.pieces)


def difference(before: LinkSet | None, after: LinkSet | None) -> Contacts:
    """Give the contacts of an owner with what becomes of each.

    :param before: What was there, ``None`` where that is not known.
    :param after: What is wanted, ``None`` where nothing is.
    """
    old = _by_id(before)
    new = old if after is None else _by_id(after)
    pieces = [
        *(Piece(one, "" if one in new else "-", _primary(link, new.get(one))) for one, link in old.items()),
        *(Piece(one, "+", "is" if link.is_primary else "") for one, link in new.items() if one not in old),
    ]
    found = Contacts(pieces)
    notes = []
    if before and before.scalar_id is not None:
        notes.append(_shown_first(before, before.scalar_id))
    if (order := [one for one in new if one in old]) != [one for one in old if one in new]:
        notes.append(gettext("new order: {contacts}", contacts=_list(order)))
    elif found.is_without_marks and before and after and (sorts := _sorts(before)) != _sorts(after):
        notes.append(gettext("sorts: {before} → {after}", before=sorts, after=_sorts(after)))
    if (rest := len(pieces) - MOST_PIECES) > 0:
        notes.append(gettext("and {count} more", count=rest))
    return Contacts(pieces[:MOST_PIECES], notes)


def company_note(companies: tuple[int, int], names: Mapping[int, str]) -> str:
    """Say which company an owner had, and which it gets, 0 for none.

    :param names: What companies are called, by id.
    """
    was, becomes = (f"{one} {names.get(one, '')}".strip() if one else gettext("none") for one in companies)
    return gettext("company: {before} → {after}", before=was, after=becomes)


def _by_id(links: LinkSet | None) -> Mapping[int, ContactLink]:
    return {link.contact_id: link for link in links.links} if links else {}


def _primary(before: ContactLink, after: ContactLink | None) -> Primary:
    if after is None or before.is_primary == after.is_primary:
        return "is" if before.is_primary else ""
    return "was" if before.is_primary else "now"


def _shown_first(links: LinkSet, linked_id: int) -> str:
    words = linked_words(links.owner.kind)
    if not linked_id:
        return gettext("its card shows no {kind} first", **words)
    return gettext("its card shows {kind} {id} first, whatever the links say", id=str(linked_id), **words)


def _sorts(links: LinkSet) -> str:
    return _list(link.sort for link in links.links if link.sort is not None)


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
