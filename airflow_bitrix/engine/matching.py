"""Finding the records of one portal in another.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from typing import Any

from airflow_bitrix.client.filters import both
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import PAGE, fields_in
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import EntityKind, OwnerKind
from airflow_bitrix.core.matching import Key, Matching
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.crm.contacts import Absent, absent_contacts, missing_contacts
from airflow_bitrix.crm.pages import pages
from airflow_bitrix.crm.scan import item_list

KEYS = PAGE - 10
"""Keys in one command: records that share a key shall not make the page overflow as a rule."""

Found = Mapping[Any, tuple[int, ...]]


async def check_match_field(portal: AsyncPortal, matching: Matching, kinds: Iterable[EntityKind]) -> None:
    """Refuse a field that the target's records do not have.

    :raises InvalidInput: Names the field and those that there are.
    """
    if matching.by == "field":
        for kind in kinds:
            answer = await portal.call("crm.item.fields", {"entityTypeId": family_of(kind).entity_type_id})
            known = fields_in("crm.item.fields", answer)
            if matching.match_field not in known:
                there = ", ".join(sorted(known))
                raise InvalidInput(
                    "match_field",
                    matching.match_field,
                    gettext("fields of a {kind}: {names}", names=there, **kind_words(kind)),
                )


async def records_with(
    portal: AsyncPortal, kind: EntityKind, matching: Matching, keys: Iterable[Key]
) -> dict[Key, tuple[int, ...]]:
    """Give the ids of the records that carry some keys; a key that none carries is left out.

    A request asks for 2,000 keys.
    """
    found: dict[Key, set[int]] = defaultdict(set)
    by_originator: dict[str, list[str]] = defaultdict(list)
    for originator, origin in sorted(set(keys)):
        by_originator[originator].append(origin)
    conditions = [
        (matching.condition(originator, origins[at : at + KEYS]), 0)
        for originator, origins in by_originator.items()
        for at in range(0, len(origins), KEYS)
    ]
    while conditions:
        calls = [
            item_list(kind, ["id", *matching.target_fields], both(condition, {">id": last}), "ASC")
            for condition, last in conditions
        ]
        further = []
        async with aclosing(pages(portal, calls, dict)) as known:
            for condition, _ in conditions:
                rows = await anext(known)
                for row in rows:
                    # The portal's database finds texts that are merely alike, too: a key of their own.
                    for key in matching.keys_of(row):
                        found[key].add(int(row["id"]))
                if len(rows) == PAGE:
                    further.append((condition, int(rows[-1]["id"])))
        conditions = further
    return {key: tuple(sorted(ids)) for key, ids in found.items()}


class Matcher:
    """Finds the target's records for those of the source, and remembers the contacts.

    :param source: The portal that is read.
    :param target: The portal that is to be changed.
    """

    def __init__(self, source: AsyncPortal, target: AsyncPortal, matching: Matching) -> None:
        self._source = source
        self._target = target
        self._matching = matching
        self._contacts: dict[int, tuple[int, ...]] = {}

    async def owners(self, kind: OwnerKind, states: Iterable[OwnerState]) -> Found:
        """Give the target's owners for each of some owners of the source, by its id.

        :param states: They hold the fields that the matching reads of the source.
        """
        if self._matching.by == "map":
            given = self._matching.owner_map
            ids = [state.owner.id for state in states]
            return {number: (given[number],) for number in ids if number in given}
        keys = {state.owner.id: self._matching.key(state.owner.id, state.fields) for state in states}
        return await self._by_key(kind, keys)

    async def twins(self, kind: OwnerKind, states: Iterable[OwnerState]) -> Found:
        """Give, for owners of the source, all owners of the source that the target could not tell apart."""
        if self._matching.by != "same_origin":
            return {}
        keys = {state.owner.id: self._matching.key(state.owner.id, state.fields) for state in states}
        wanted = {key for key in keys.values() if key}
        found = await records_with(self._source, kind, self._matching, wanted)
        return {number: found.get(key, ()) for number, key in keys.items() if key}

    async def contacts(self, contact_ids: Iterable[int]) -> Found:
        """Give the target's contacts for each of some contacts of the source, by its id."""
        wanted = set(contact_ids)
        if new := wanted - self._contacts.keys():
            found = await self._find_contacts(new)
            self._contacts |= {contact_id: found.get(contact_id, ()) for contact_id in new}
        return {contact_id: self._contacts[contact_id] for contact_id in wanted}

    async def absent(self, contact_ids: Iterable[int]) -> Absent:
        """Give those contacts that are not there in the source either, or that cannot be read there."""
        return await absent_contacts(self._source, contact_ids)

    async def _find_contacts(self, contact_ids: set[int]) -> Found:
        if self._matching.by == "map":
            given = self._matching.contact_map
            there = {one: given[one] for one in contact_ids if one in given}
            missing = await missing_contacts(self._target, set(there.values()))
            return {one: (target,) for one, target in there.items() if target not in missing}
        fields = await self._origins(contact_ids) if self._matching.source_fields else {}
        keys = {one: self._matching.key(one, fields.get(one, {})) for one in contact_ids}
        return await self._by_key("contact", keys)

    async def _by_key(self, kind: EntityKind, keys: Mapping[int, Key | None]) -> Found:
        wanted = {key for key in keys.values() if key}
        found = await records_with(self._target, kind, self._matching, wanted) if wanted else {}
        return {number: found[key] for number, key in keys.items() if key and key in found}

    async def _origins(self, contact_ids: set[int]) -> dict[int, Mapping[str, Any]]:
        numbers = sorted(contact_ids)
        select = ["id", *self._matching.source_fields]
        calls = (
            item_list("contact", select, {"@id": numbers[at : at + PAGE]}, "ASC")
            for at in range(0, len(numbers), PAGE)
        )
        origins: dict[int, Mapping[str, Any]] = {}
        async with aclosing(pages(self._source, calls, dict)) as known:
            async for rows in known:
                origins |= {int(row["id"]): row for row in rows}
        return origins
