"""How owners should stand after each clean-up, worked out from the portal's data alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_bitrix.sandbox.fields import format_datetime
from airflow_bitrix.sandbox.links import STEP, Link
from airflow_bitrix.sandbox.other_methods import normal_comm
from airflow_bitrix.sandbox.schema import COMMUNICATIONS, RECORDS, semantic_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_bitrix.sandbox.links import LinkSet
    from airflow_bitrix.sandbox.schema import Kind, Record
    from airflow_bitrix.sandbox.state import Row, State

SURVIVORS = ("most_links", "oldest", "most_complete")
OWNERS: tuple[Kind, ...] = tuple(
    kind for kind, record in RECORDS.items() if record.family.linked == "contact" and record.scalar
)
"""Kinds of which each record has a primary contact of its own."""
_COUNTED: tuple[Kind, ...] = ("lead", "deal")
"""Kinds that count where contacts are weighed."""
_FILLED = ("NAME", "SECOND_NAME", "LAST_NAME", "POST", "COMMENTS", "COMPANY_ID")


@dataclass
class _Case:
    """One owner on its way: which links it keeps, and which of them is to be primary."""

    state: State
    kind: Kind
    row: Row
    links: LinkSet
    primary: int | None = field(init=False)

    def __post_init__(self) -> None:
        ids = [link.contact_id for link in self.links]
        flagged = [link.contact_id for link in self.links if link.primary]
        scalar = self.row.get(self.record.scalar)
        self.primary = scalar if scalar in ids else min(flagged, default=None)

    @property
    def record(self) -> Record:
        return RECORDS[self.kind]

    def drop(self, contact_ids: Iterable[int], heir: int | None = None) -> None:
        gone = set(contact_ids)
        self.links = tuple(link for link in self.links if link.contact_id not in gone)
        if self.primary in gone:
            flagged = [link.contact_id for link in self.links if link.primary]
            self.primary = heir or min(flagged, default=None)

    def end(self) -> dict[str, Any]:
        before, family = self.state.links(self.kind, self.row["ID"]), self.record.family
        self.primary = self.primary or next((link.contact_id for link in self.links), None)
        if family.is_shared:
            # The flags of a company's links are its contacts', and stay.
            after = list(self.links)
        elif family.is_saved:
            ids = sorted((link.contact_id for link in self.links), key=lambda one: one != self.primary)
            after = [Link(STEP * place, one, primary=place == 1) for place, one in enumerate(ids, 1)]
        else:
            after = [link._replace(primary=link.contact_id == self.primary) for link in self.links]
            if after == list(before) and self.row.get(self.record.scalar) != self.primary:
                # The portal looks at the scalar only where a link changes, so the last one has to move.
                after[-1] = after[-1]._replace(sort=after[-1].sort + STEP)
        return {
            "links": [[link.contact_id, link.sort, "Y" if link.primary else "N"] for link in after],
            f"{family.linked}_id": None if family.is_shared else self.primary,
        }


class Ends:
    """Works the ends out.

    :param state: The portal's data.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._contacts = state.tables["contact"].rows
        self._ways: dict[int, set[tuple[str, str]]] = {}
        self._holders: dict[tuple[str, str], list[int]] = {}
        for contact_id in self._contacts:
            for way in self._ways_to(contact_id):
                self._holders.setdefault(way, []).append(contact_id)

    def all(self) -> dict[str, Any]:
        """Give for each clean-up the owners that it changes, by kind and id, and what they should be then.

        Of companies, and of the companies of contacts, the one clean-up is ``remove_dangling``.

        ``unlink_closed`` tells the closed owners with contacts and their dates instead: which of them are old
        enough depends on the day. ``together`` is all clean-ups in one plan, closed owners of any age.
        """
        return {
            "unlink_closed": {kind: self._closed(kind) for kind in OWNERS},
            "remove_dangling": self._each(self._remove_dangling, RECORDS),
            "merge_same_person": {
                survivor: self._each(partial(self._merge, survivor=survivor)) for survivor in SURVIVORS
            },
            "trim_company_contacts": {str(keep): self._each(self._trim(keep)) for keep in (0, 1, 2)},
            "fix_primary": self._each(_is_wrong),
            "link_found_contact": self._each(self._link_found),
            "company_card_primary": self._each(self._first_of_card),
            "together": self._each(self._together),
        }

    def _each(
        self, clean: Callable[[_Case], bool], kinds: Iterable[Kind] = OWNERS
    ) -> dict[str, dict[str, Any]]:
        ends: dict[str, dict[str, Any]] = {}
        for kind in kinds:
            ends[kind] = {}
            for owner_id, row in self._state.tables[kind].rows.items():
                case = _Case(self._state, kind, row, self._state.links(kind, owner_id))
                if clean(case):
                    ends[kind][str(owner_id)] = case.end()
        return ends

    def _closed(self, kind: Kind) -> dict[str, dict[str, str]]:
        return {
            str(owner_id): {
                "created": format_datetime(row["DATE_CREATE"]),
                "saved": format_datetime(row["DATE_MODIFY"]),
            }
            for owner_id, row in self._state.tables[kind].rows.items()
            if _is_closed(kind, row) and self._state.links(kind, owner_id)
        }

    def _remove_dangling(self, case: _Case) -> bool:
        there = self._state.tables[case.record.family.linked].rows
        gone = [link.contact_id for link in case.links if link.contact_id not in there]
        case.drop(gone)
        return bool(gone)

    def _trim(self, keep: int) -> Callable[[_Case], bool]:
        def trim(case: _Case) -> bool:
            company = case.row.get("COMPANY_ID") or None
            brought = [
                link.contact_id
                for link in case.links
                if link.contact_id != (case.primary or case.links[0].contact_id)
                and company
                and self._contacts.get(link.contact_id, {}).get("COMPANY_ID") == company
            ]
            case.drop(brought[keep:])
            return len(brought) > keep

        return trim

    def _merge(self, case: _Case, survivor: str) -> bool:
        there = [link.contact_id for link in case.links if link.contact_id in self._contacts]
        done: set[int] = set()
        for contact_id in there:
            same = [] if contact_id in done else self._same(contact_id, there)
            done.update(same)
            if len(same) > 1:
                stays = min(same, key=lambda one: self._rank(one, survivor))
                case.drop([one for one in same if one != stays], heir=stays)
        return len(case.links) < len(self._state.links(case.kind, case.row["ID"]))

    def _link_found(self, case: _Case) -> bool:
        if case.kind != "lead" or case.links or case.row.get("STATUS_SEMANTIC_ID") != "P":
            return False
        found = {one for way in _ways_in(case.row) for one in self._holders.get(way, ())}
        case.links = tuple(Link(STEP, one, primary=True) for one in found)
        return len(found) == 1

    def _first_of_card(self, case: _Case) -> bool:
        company = case.row.get("COMPANY_ID")
        linked = sorted(link.contact_id for link in case.links)
        there = [
            one for one in linked if company and self._contacts.get(one, {}).get("COMPANY_ID") == company
        ]
        case.primary = next(iter(there), case.primary)
        return bool(there) and len(linked) > 1 and case.row.get("CONTACT_ID") != there[0]

    def _same(self, contact_id: int, among: list[int]) -> list[int]:
        """The contacts that one shares something with, those that these share something with, and so on."""
        same, ways, size = [contact_id], set(self._ways_to(contact_id)), 0
        while len(same) != size:
            size = len(same)
            same += [one for one in among if one not in same and ways & self._ways_to(one)]
            ways = ways.union(*(self._ways_to(one) for one in same))
        return same

    def _ways_to(self, contact_id: int) -> set[tuple[str, str]]:
        if contact_id not in self._ways:
            self._ways[contact_id] = _ways_in(self._contacts[contact_id])
        return self._ways[contact_id]

    def _rank(self, contact_id: int, survivor: str) -> tuple[int, int, int]:
        row = self._contacts[contact_id]
        worth = 0
        if survivor == "most_links":
            worth = sum(len(self._state.owners_of(kind, (contact_id,))) for kind in _COUNTED)
        if survivor == "most_complete":
            worth = sum(bool(row.get(name)) for name in _FILLED) + len(self._ways_to(contact_id))
        return -worth, row["DATE_CREATE"], contact_id

    def _together(self, case: _Case) -> bool:
        row, had = case.row, bool(case.links)
        released = (
            case.kind == "lead"
            and row.get("IS_RETURN_CUSTOMER") == "Y"
            and row.get("STATUS_SEMANTIC_ID") != "S"
            and not row.get("COMPANY_ID")
        )
        if released or (_is_closed(case.kind, row) and had):
            case.drop([link.contact_id for link in case.links])
            return True
        wrong = _is_wrong(case)
        steps = [self._remove_dangling(case)]
        case.primary = case.primary or next((link.contact_id for link in case.links), None)
        steps += [self._merge(case, "most_links"), self._trim(1)(case)]
        return any(steps) or wrong


def _ways_in(row: Row) -> set[tuple[str, str]]:
    return {(name, normal_comm(name, value)) for name in COMMUNICATIONS for value, _ in row.get(name) or ()}


def _is_closed(kind: Kind, row: Row) -> bool:
    return semantic_of(row.get(RECORDS[kind].stage) or "") == "F"


def _is_wrong(case: _Case) -> bool:
    flagged = [link.contact_id for link in case.links if link.primary]
    right = len(flagged) == 1 if case.links else True
    return not right or (case.row.get("CONTACT_ID") or None) != min(flagged, default=None)
