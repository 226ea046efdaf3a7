"""Where the portal keeps links: a table for each pair of kinds, which is read from either side.

Contacts and companies are the one pair of which both are owners: the companies of a contact and the contacts
of a company are the same rows.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from airflow_bitrix.sandbox import links as link_rules

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.links import LinkSet

_NOBODY: frozenset[int] = frozenset()


class LinkTable:
    """The links of one pair of kinds."""

    def __init__(self) -> None:
        self._sets: dict[int, LinkSet] = {}
        self._owners: dict[int, set[int]] = defaultdict(set)

    def of(self, owner_id: int) -> LinkSet:
        """The link set of an owner, in order."""
        return self._sets.get(owner_id, ())

    def owners(self, linked_id: int) -> set[int] | frozenset[int]:
        """The owners that something is linked to."""
        return self._owners.get(linked_id, _NOBODY)

    def place(self, owner_id: int, after: LinkSet) -> None:
        """Store the link set of an owner."""
        for link in self.of(owner_id):
            self._owners[link.contact_id].discard(owner_id)
        for link in after:
            self._owners[link.contact_id].add(owner_id)
        if after:
            self._sets[owner_id] = tuple(sorted(after))
        else:
            self._sets.pop(owner_id, None)


class MirroredTable:
    """The same links, seen by those that are linked."""

    def __init__(self, table: LinkTable) -> None:
        self._table = table

    def of(self, owner_id: int) -> LinkSet:
        """The link set of one of them, in order: the owners that it is linked to."""
        found = (
            (other, link_rules.find(self._table.of(other), owner_id))
            for other in self._table.owners(owner_id)
        )
        return tuple(sorted(link._replace(contact_id=other) for other, link in found if link))

    def owners(self, linked_id: int) -> set[int]:
        """Those that an owner has links to."""
        return {link.contact_id for link in self._table.of(linked_id)}

    def place(self, owner_id: int, after: LinkSet) -> None:
        """Store the link set of one of them; the other links of those at the other end stay."""
        wanted = {link.contact_id: link._replace(contact_id=owner_id) for link in after}
        for other in {*self._table.owners(owner_id), *wanted}:
            rest = (link for link in self._table.of(other) if link.contact_id != owner_id)
            self._table.place(other, (*rest, *filter(None, (wanted.get(other),))))
