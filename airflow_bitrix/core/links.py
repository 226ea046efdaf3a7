"""Owners, contact links and link sets: the values that everything else speaks of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.families import FAMILIES, SMART_PROCESS, family_of
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.numbers import LARGEST, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable

OwnerKind = str
"""A kind of owners, one of :mod:`~airflow_bitrix.core.families`: contacts are linked to them, or to a contact
its companies."""

OWNER_KINDS: tuple[OwnerKind, ...] = tuple(one.kind for one in FAMILIES.values() if one.linked == "contact")
"""The kinds of owners of contacts that every portal has; each smart process is another, ``dynamic_1036``."""

OWNER_ROWS: tuple[str, ...] = (*OWNER_KINDS, SMART_PROCESS)
"""What tables hold that say something of each kind of owners of contacts; see :func:`.families.row_of`."""

LINK_ROWS: tuple[str, ...] = (*FAMILIES, SMART_PROCESS)
"""The same of each kind that anything is linked to: contacts have companies."""

OF_A_COMPANY = frozenset(OWNER_ROWS) - {"company"}
"""Those of them that may belong to a company."""

EntityKind = str
"""A kind of records; each is one of owners: of contacts, or ``contact``, to which companies are linked."""


def owner_kind(value: object, argument: str = "kind") -> OwnerKind:
    """Give ``value`` back as a kind of owners of contacts.

    :raises InvalidInput: There is no such kind.
    """
    if is_owner_kind(value):
        return str(value)
    raise InvalidInput(argument, value, accepted_kinds())


def is_owner_kind(value: object) -> bool:
    """Whether this names a kind of owners of contacts."""
    return is_entity_kind(value) and family_of(str(value)).linked == "contact"


def entity_kind(value: object) -> EntityKind:
    """Give ``value`` back as a kind of records.

    :raises InvalidInput: There is no such kind.
    """
    if is_entity_kind(value):
        return str(value)
    raise InvalidInput("kind", value, accepted_kinds(FAMILIES))


def is_entity_kind(value: object) -> bool:
    """Whether this names a kind of records."""
    if not isinstance(value, str):
        return False
    try:
        family_of(value)
    except KeyError:
        return False
    return True


def accepted_kinds(kinds: Iterable[str] = OWNER_KINDS) -> str:
    """Say what a kind is, as the end of a sentence."""
    shown = ", ".join(map(repr, kinds))
    return gettext("{kinds}, or 'dynamic_1036' for the smart process 1036", kinds=shown)


def accepted_id() -> str:
    """Say what an id is, as the end of a sentence."""
    return gettext("a whole number from 1 to {largest}", largest=str(LARGEST))


def positive_id(argument: str, value: object) -> int:
    """Give ``value`` back as a record id.

    Rendered templates hold text, so digits are as good as a number; the portal reads anything else as 0.

    :raises InvalidInput: It is not a whole number from 1 to 2,147,483,647.
    """
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str):
        number = whole_number(value)
    if number is None or not 0 < number <= LARGEST:
        raise InvalidInput(argument, value, accepted_id())
    return number


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """The record that links hang on: a lead, a deal, a quote; a contact, where they are its companies."""

    kind: OwnerKind
    id: int

    def __str__(self) -> str:
        """Give the form that logs and reports use: ``lead 5``."""
        return f"{self.kind} {self.id}"


@dataclass(frozen=True, slots=True)
class ContactLink:
    """One contact of one owner; of a contact, one of its companies.

    :param contact_id: Id of the contact, or of what else is linked.
    :param sort: Place in the order, usually 10, 20, 30; ``None`` where only the order is known.
    :param is_primary: Whether the portal shows this contact first, as the client of the owner.
    :param role_id: Role of the contact; ``None`` where it is not known.
    """

    contact_id: int
    sort: int | None = None
    is_primary: bool = False
    role_id: int | None = None


@dataclass(frozen=True, slots=True)
class LinkSet:
    """All contact links of one owner, in order.

    A link set read by ``items.get`` is exact. One read by a scan knows ids, order and the owner's scalar
    contact, but neither sort nor role.

    :param scalar_id: The owner's ``CONTACT_ID`` where it is not what the flags of the links say, 0 for none;
        ``None`` where it follows from them.
    """

    owner: Owner
    links: tuple[ContactLink, ...] = ()
    scalar_id: int | None = None

    @property
    def contact_ids(self) -> tuple[int, ...]:
        """Ids of the linked contacts, in order."""
        return tuple(link.contact_id for link in self.links)

    @property
    def primary_id(self) -> int | None:
        """Id of the primary contact, ``None`` where no link is primary.

        A portal can hold several; then its scalar contact is the one with the smallest id, and so is this.
        """
        return min((link.contact_id for link in self.links if link.is_primary), default=None)

    @property
    def shown_id(self) -> int | None:
        """Id of the contact that the portal shows as the client of the owner: its scalar ``CONTACT_ID``."""
        return self.primary_id if self.scalar_id is None else self.scalar_id or None

    @property
    def is_exact(self) -> bool:
        """Whether sort and role of every link are known."""
        return all(link.sort is not None and link.role_id is not None for link in self.links)

    @property
    def is_in_one_order(self) -> bool:
        """Whether sorts are known and all different: links of equal sort come back in any order."""
        sorts = {link.sort for link in self.links}
        return len(sorts) == len(self.links) and None not in sorts

    def agrees_with(self, other: LinkSet) -> bool:
        """Whether both say the same, as far as both know it.

        Contacts and scalar contact must be the same. Where both sides know sorts, these and the flags are
        compared too; else the order, where one side knows that there is but one. A scan knows neither sorts
        nor more than one primary. Sorts and flags of a company's contacts are theirs, and say nothing here;
        those that a save numbers have one order.
        """
        mine = {link.contact_id: link for link in self.links}
        theirs = {link.contact_id: link for link in other.links}
        if self.owner != other.owner or mine.keys() != theirs.keys() or self.shown_id != other.shown_id:
            return False
        family = family_of(self.owner.kind)
        if family.is_shared:
            return True
        both_know = all(
            mine[contact_id].sort is not None and theirs[contact_id].sort is not None for contact_id in mine
        )
        if both_know:
            return all(
                (link.sort, link.is_primary) == (theirs[contact_id].sort, theirs[contact_id].is_primary)
                for contact_id, link in mine.items()
            )
        in_order = self.is_in_one_order or other.is_in_one_order or family.is_saved
        return not in_order or self.contact_ids == other.contact_ids

    def as_scanned(self) -> LinkSet:
        """Give what a scan shows of it: ids, order and the scalar contact."""
        return self.of_ids(self.owner, self.contact_ids, self.shown_id)

    def with_scalar(self, contact_id: int | None) -> LinkSet:
        """Give the same links with the owner's ``CONTACT_ID``, as it was read beside them."""
        scalar = contact_id or 0
        return replace(self, scalar_id=None if scalar == (self.primary_id or 0) else scalar)

    @classmethod
    def of_ids(cls, owner: Owner, contact_ids: Iterable[int], primary_id: int | None = None) -> LinkSet:
        """Make the link set that a scan sees: ids in order and the owner's scalar contact."""
        ids = list(contact_ids)
        links = tuple([ContactLink(one, None, one == primary_id) for one in ids])
        return cls(owner, links, None if not primary_id or primary_id in ids else primary_id)

    def as_json(self) -> list[list[Any]]:
        """Give the links as short rows ``[contact_id, sort, is_primary, role_id]`` for files."""
        return [[link.contact_id, link.sort, link.is_primary, link.role_id] for link in self.links]

    @classmethod
    def from_json(cls, owner: Owner, rows: list[list[Any]], scalar_id: int | None = None) -> LinkSet:
        """Read what :meth:`as_json` wrote; whoever hands in a file may have written something else.

        :raises ValueError: It is nothing that an owner can have: ids above 0, each contact once, numbers for
            sorts and roles. Likewise ``TypeError``.
        """
        links = tuple(map(_read_link, rows))
        if not _is_id(owner.id) or len({link.contact_id for link in links}) < len(links):
            raise ValueError(rows)
        if scalar_id is not None and scalar_id != 0 and not _is_id(scalar_id):
            raise ValueError(scalar_id)
        return cls(owner, links, scalar_id)


def _read_link(row: Iterable[Any]) -> ContactLink:
    link = ContactLink(*row)
    numbers = _is_number(link.sort) and _is_number(link.role_id)
    if not (_is_id(link.contact_id) and numbers and type(link.is_primary) is bool):
        raise ValueError(row)
    return link


def _is_number(value: object) -> bool:
    return value is None or type(value) is int


def _is_id(value: object) -> bool:
    return type(value) is int and value > 0


def owner_address(portal: str, owner: Owner) -> str:
    """Give the address of an owner's page on the portal."""
    return card_address(portal, owner.kind, owner.id)


def card_address(portal: str, kind: EntityKind, record_id: int) -> str:
    """Give the address of the card of a record on the portal."""
    return f"{portal}/{family_of(kind).card}/{record_id}/"


def list_address(portal: str, kind: EntityKind) -> str:
    """Give the address of the list of all records of a kind that has link methods."""
    return f"{portal}/crm/{kind}/list/"
