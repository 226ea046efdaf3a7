"""Migrations from portal to portal: what each owner's links are in the target, and what they are to be."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.kind_words import kind_words, named
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import LinkSet, Owner, OwnerKind
from airflow_bitrix.core.matching import Matching
from airflow_bitrix.core.migrations import Aim, Extra, Left, carried_over, released
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.crm.owners import CHUNK, in_chunks, look_up
from airflow_bitrix.crm.scan import Detail, ask_links, scan
from airflow_bitrix.engine.matching import Found, Matcher
from airflow_bitrix.engine.migrations import Read, Steps

NO_OWNER = gettext_noop("owner not there yet")
NO_CONTACT = gettext_noop("contacts not there yet")
UNREAD = gettext_noop("contacts cannot be read")
AMBIGUOUS = gettext_noop("ambiguous")
CONTACT_GONE = gettext_noop("contact gone from the source")
SOURCE_GONE = gettext_noop("gone from the source")
NO_LINKS = gettext_noop("no contacts in the source")

_GONE_FROM_SOURCE = gettext_noop("it was deleted in the source while it was read")
_GONE_FROM_TARGET = gettext_noop("it was deleted in the target while it was read")


@dataclass(frozen=True, slots=True)
class _Pair:
    """An owner of the source and its counterpart in the target.

    :param links: The source's links, without contacts that are gone.
    :param contacts: The target's contact of each of these.
    """

    links: LinkSet
    target: Owner
    contacts: Mapping[int, int]


class Transfer:
    """One migration between two portals.

    :param source: The portal that is read.
    :param target: The portal that is to be changed.
    :param kind: Of the owners, in both portals.
    :param matching: How records are found.
    :param extra: What becomes of links that only the target has.
    :param detail: ``full`` compares sorts too. ``ids`` compares contacts, their order and the primary, and
        reads sorts only of owners that differ in these.
    """

    def __init__(
        self,
        source: AsyncPortal,
        target: AsyncPortal,
        kind: OwnerKind,
        *,
        matching: Matching,
        extra: Extra,
        detail: Detail,
    ) -> None:
        self._source = source
        self._target = target
        self._kind: OwnerKind = kind
        self._matching = matching
        self._matcher = Matcher(source, target, matching)
        self._extra: Extra = extra
        self._detail = detail

    async def steps(self, wanted: Mapping[str, Any], parked: Collection[int], read: Read) -> Steps:
        """Give a step for each owner of the source that has contacts, and for each that was parked.

        :param wanted: A ``crm.item.list`` filter for the owners of the source.
        :param parked: Ids of owners of the source that are read whatever the filter says.
        """
        waiting = set(parked)
        async with aclosing(self._chunks(wanted, waiting)) as chunks:
            async for chunk in chunks:
                read(len(chunk))
                async with aclosing(self._carry(chunk)) as steps:
                    async for step in steps:
                        yield step
        for number in sorted(waiting):
            yield Left(
                Owner(self._kind, number), SOURCE_GONE, gettext("it was parked, and is not there any more")
            )

    async def _chunks(
        self, wanted: Mapping[str, Any], waiting: set[int]
    ) -> AsyncGenerator[list[OwnerState], None]:
        """Give the source's owners; what is left in ``waiting`` afterwards is not there."""
        also = self._matching.source_fields
        async with (
            aclosing(scan(self._source, self._kind, wanted, also=also)) as states,
            aclosing(in_chunks(states)) as chunks,
        ):
            async for chunk in chunks:
                waiting.difference_update(state.owner.id for state in chunk)
                yield chunk
        further = sorted(waiting)
        for at in range(0, len(further), CHUNK):
            found = await look_up(self._source, self._kind, further[at : at + CHUNK], also=also)
            waiting.difference_update(found)
            yield list(found.values())

    async def _carry(self, states: Sequence[OwnerState]) -> Steps:
        pairs: list[_Pair] = []
        linked = [state for state in states if state.links.links]
        async with aclosing(self._bare([state for state in states if not state.links.links])) as lefts:
            async for step in lefts:
                yield step
        async with aclosing(self._pairs(linked, pairs)) as lefts:
            async for step in lefts:
                yield step
        there = await look_up(self._target, self._kind, {pair.target.id for pair in pairs})
        found: list[tuple[_Pair, OwnerState]] = []
        for pair in pairs:
            target = there.get(pair.target.id)
            if target is None:
                yield _no_owner(pair.links.owner, gettext("{owner} is not there", owner=named(pair.target)))
            else:
                found.append((pair, target))
        if self._detail == "ids":
            rough = [self._aim(pair, target.links) for pair, target in found]
            for aim in rough:
                if not aim.differences:
                    yield aim
            found = [one for one, aim in zip(found, rough, strict=True) if aim.differences]
        async with aclosing(self._exact(found)) as aims:
            async for step in aims:
                yield step

    async def _exact(self, found: Sequence[tuple[_Pair, OwnerState]]) -> Steps:
        """Give what is wanted of owners by their exact links."""
        told = await ask_links(self._target, [target for _, target in found], full=True)
        targets = {state.owner: state for state in told}
        told = await ask_links(self._source, [OwnerState(pair.links) for pair, _ in found], full=True)
        sources = {state.owner: state for state in told}
        for pair, scanned in found:
            source, target = sources.get(pair.links.owner), targets.get(scanned.owner)
            if source is None or target is None:
                gone = _GONE_FROM_SOURCE if source is None else _GONE_FROM_TARGET
                yield Left(
                    scanned.owner,
                    gettext_noop("deleted meanwhile"),
                    gettext(gone),
                )
                continue
            # What somebody has linked since the scan has no counterpart yet: the next run finds it.
            new = [one for one in source.links.contact_ids if one not in pair.contacts]
            exact = _Pair(released(source.links, new), pair.target, pair.contacts)
            yield self._aim(exact, target.links)

    def _aim(self, pair: _Pair, target: LinkSet) -> Aim:
        contacts = {one: pair.contacts[one] for one in pair.links.contact_ids}
        return Aim(
            target,
            carried_over(pair.links, target, contacts, self._extra),
            gettext("links of {owner} of the source", owner=named(pair.links.owner)),
            pair.links.owner,
            {there: one for one, there in reversed(contacts.items())},
        )

    async def _pairs(self, states: Sequence[OwnerState], pairs: list[_Pair]) -> Steps:
        """Add the owners that can be carried over to ``pairs``, and give the others."""
        owners = await self._matcher.owners(self._kind, states)
        twins = await self._matcher.twins(self._kind, states)
        matched = []
        for state in states:
            target, problem = _one_owner(state.owner, owners, twins)
            if problem:
                yield problem
            else:
                matched.append((state, Owner(self._kind, target)))
        linked = {one for state, _ in matched for one in state.links.contact_ids}
        contacts = await self._matcher.contacts(linked)
        absent = await self._matcher.absent(one for one in linked if not contacts[one])
        for state, owner in matched:
            ids = state.links.contact_ids
            if unread := tuple(one for one in ids if one in absent.unread):
                yield _unread(state.owner, {one: absent.unread[one] for one in unread})
                continue
            if lost := tuple(one for one in ids if one in absent.gone):
                shown = ", ".join(map(str, lost))
                yield Left(
                    state.owner,
                    CONTACT_GONE,
                    gettext("there is no contact {shown}", shown=shown),
                    contact_ids=lost,
                )
            rest = released(state.links, lost)
            if problem := _contact_problem(rest, contacts):
                yield problem
            elif rest.links:
                known = {one: contacts[one][0] for one in rest.contact_ids}
                pairs.append(_Pair(rest, owner, known))

    async def _bare(self, states: Sequence[OwnerState]) -> Steps:
        """Where extra links are to go: name owners that have none in the source and some in the target.

        Nobody is left without contacts on the word of a portal that shows none.
        """
        if self._extra == "keep" or not states:
            return
        owners = await self._matcher.owners(self._kind, states)
        there = await look_up(self._target, self._kind, {one for found in owners.values() for one in found})
        for state in states:
            for number in owners.get(state.owner.id, ()):
                if number in there and there[number].links.links:
                    reason = gettext("{owner} keeps its contacts", owner=named(there[number].owner))
                    yield Left(state.owner, NO_LINKS, reason)


def _one_owner(owner: Owner, owners: Found, twins: Found) -> tuple[int, Left | None]:
    found = owners.get(owner.id, ())
    if not found:
        return 0, _no_owner(owner, gettext("no record of the target matches"))
    alike = twins.get(owner.id, ())
    if len(found) > 1:
        shown = gettext(" and ").join(map(str, found))
        return 0, Left(
            owner,
            AMBIGUOUS,
            gettext("{kinds} {ids} of the target match", ids=shown, **kind_words(owner.kind)),
            is_parked=True,
        )
    if len(alike) > 1:
        shown = gettext(" and ").join(map(str, alike))
        return 0, Left(
            owner,
            AMBIGUOUS,
            gettext("{kinds} {ids} of the source are alike", ids=shown, **kind_words(owner.kind)),
            is_parked=True,
        )
    return found[0], None


def _no_owner(owner: Owner, reason: str) -> Left:
    return Left(owner, NO_OWNER, reason, is_parked=True)


def _unread(owner: Owner, said: Mapping[int, str]) -> Left:
    shown = "; ".join(
        gettext("contact {contact}: {text}", contact=str(one), text=text) for one, text in said.items()
    )
    reason = gettext("the source does not let read {shown}", shown=shown)
    return Left(owner, UNREAD, reason, is_parked=True, contact_ids=tuple(said))


def _contact_problem(links: LinkSet, contacts: Found) -> Left | None:
    ids = links.contact_ids
    if several := tuple(one for one in ids if len(contacts[one]) > 1):
        shown = "; ".join(
            gettext(
                "contact {contact}: {ids}",
                contact=str(one),
                ids=gettext(" and ").join(map(str, contacts[one])),
            )
            for one in several
        )
        reason = gettext("several contacts of the target match {shown}", shown=shown)
        return Left(links.owner, AMBIGUOUS, reason, is_parked=True, contact_ids=several)
    if absent := tuple(one for one in ids if not contacts[one]):
        reason = gettext("no contact of the target matches {ids}", ids=", ".join(map(str, absent)))
        return Left(links.owner, NO_CONTACT, reason, is_parked=True, contact_ids=absent)
    return None
