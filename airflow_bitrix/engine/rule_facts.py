"""Asking clean-up rules about owners, and the portal for what the rules have to know.

Owners are judged some 2,500 at a time: their contacts are asked about together, 2,500 a request. Those whose
links are to change and stay in part are read by ``items.get`` and judged again, so that a plan holds their
sorts, flags and roles; and, where a rule goes by flags, all others whose contacts are not to be cleared.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, Generic, TypeVar

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import total_of
from airflow_bitrix.client.table_sweep import Expect
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.contacts import Contact
from airflow_bitrix.core.links import ENTITY_TYPE_IDS, OWNER_KINDS, OwnerKind
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.rules import Facts, LeftOut, Rule, is_ready, judge
from airflow_bitrix.crm.contacts import absent_contacts, read_contacts
from airflow_bitrix.crm.phones import holders, phone_reader
from airflow_bitrix.crm.scan import ask_links, scan, scan_ids

CHUNK = 2500
"""Owners that are judged at a time."""

MOST_REMEMBERED = 20_000
"""Contacts of which answers are kept, so that those that hang on many owners are not asked for each time."""

GONE = None
"""What is known of a contact that is gone; of one that cannot be read the portal's words, else nothing."""

K = TypeVar("K", int, str)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rules say of one owner.

    :param state: The owner as the rules saw it.
    :param change: What is to be done, ``None`` for nothing. Where links stay it holds them exactly.
    :param left_out: Every reason to leave the owner out.
    """

    state: OwnerState
    change: Change | None
    left_out: Sequence[LeftOut]


async def judge_all(
    portal: AsyncPortal,
    kind: OwnerKind,
    wanted: Mapping[str, Any],
    rules: Mapping[str, Rule],
    now: datetime,
    *,
    only: Sequence[int] | None = None,
    expect: Expect | None = None,
) -> AsyncGenerator[Judged, None]:
    """Scan the owners that a filter matches, and give what the rules say of each.

    :param wanted: A ``crm.item.list`` filter, camelCase names.
    :param rules: See :func:`airflow_bitrix.core.rules.rules_for`.
    :param now: When the plan is made, with a time zone.
    :param only: Only the owners with these ids; ``None`` for all.
    :param expect: Told now and then how many owners there are in all, as far as can be told yet.
    :raises Rejected: The portal does not accept the filter.
    """
    also = tuple(dict.fromkeys(name for rule in rules.values() for name in rule.also))
    wants_exact = any(rule.wants_exact for rule in rules.values())
    ask = Questions(portal, list(rules.values()), now)
    found = (
        scan(portal, kind, wanted, also=also, expect=expect)
        if only is None
        else scan_ids(portal, kind, only, wanted, also=also)
    )
    async with aclosing(found) as states:
        async for chunk in _chunks(states):
            facts = await ask.facts(chunk)
            judged = [Judged(state, *judge(state, rules, facts)) for state in chunk]
            unclear = [one.state for one in judged if _is_unclear(one, wants_exact=wants_exact)]
            exact = {state.owner: state for state in await ask_links(portal, unclear, full=True)}
            for one in judged:
                state = exact.get(one.state.owner)
                yield Judged(state, *judge(state, rules, facts)) if state else one


def _is_unclear(judged: Judged, *, wants_exact: bool) -> bool:
    """Whether an owner has to be judged again on exact links. One that is cleared need not be."""
    if judged.change:
        return not is_ready(judged.change)
    return wants_exact and not judged.state.links.is_exact


class Questions:
    """Asks the portal what rules have to know, and remembers what it was told of contacts.

    :param portal: The portal.
    :param rules: The rules that want to know.
    :param now: When the plan is made.
    """

    def __init__(self, portal: AsyncPortal, rules: Sequence[Rule], now: datetime) -> None:
        self._portal, self._rules, self._now = portal, rules, now
        self._contacts = _Memory(self._read)
        self._absent = _Memory(self._look)
        self._links = _Memory(self._count)
        self._holders = _Memory(self._hold)
        regions = [rule.phone_region for rule in rules if rule.phone_region is not None]
        self._phone = phone_reader(regions[0]) if regions else None

    async def facts(self, states: Sequence[OwnerState]) -> Facts:
        """Give what the rules have to know of some owners' contacts.

        Rules only take contacts away, so what is asked for here is enough for whatever they leave each other.
        """
        read = await self._contacts.of(
            one for state in states for rule in self._rules for one in rule.reads(state)
        )
        # A contact that a list does not show need not be gone, so those are asked about all the same.
        sought = (one for state in states for rule in self._rules for one in rule.seeks(state))
        absent = await self._absent.of(one for one in sought if not read.get(one))
        facts = Facts(
            self._now,
            gone=frozenset(one for one, said in absent.items() if said is GONE),
            unread={one: said for one, said in absent.items() if said},
            contacts={one: contact for one, contact in read.items() if contact},
        )
        shared = (one for state in states for rule in self._rules for one in rule.phones(state, facts))
        facts = replace(facts, holders=await self._holders.of(shared))
        counted = (one for state in states for rule in self._rules for one in rule.counts(state, facts))
        return replace(facts, links_of=await self._links.of(counted))

    async def _read(self, ids: Sequence[int]) -> Mapping[int, Contact | None]:
        found: dict[int, Contact | None] = dict.fromkeys(ids)
        async with aclosing(read_contacts(self._portal, ids, self._phone)) as contacts:
            async for contact in contacts:
                found[contact.id] = contact
        return found

    async def _look(self, ids: Sequence[int]) -> Mapping[int, str | None]:
        absent = await absent_contacts(self._portal, ids)
        return {one: GONE if one in absent.gone else absent.unread.get(one, "") for one in ids}

    async def _count(self, ids: Sequence[int]) -> Mapping[int, int]:
        return await count_links(self._portal, ids)

    async def _hold(self, phones: Sequence[str]) -> Mapping[str, int]:
        return await holders(self._portal, phones)


async def count_links(portal: AsyncPortal, contact_ids: Sequence[int]) -> dict[int, int]:
    """Say on how many leads and deals contacts hang, 25 contacts a request.

    Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html.

    :raises Bitrix24Error: The portal refused, or told no total.
    """
    counts = dict.fromkeys(contact_ids, 0)
    asked = [(contact_id, kind) for contact_id in counts for kind in OWNER_KINDS]
    calls = (_owners_of(contact_id, kind) for contact_id, kind in asked)
    async with aclosing(portal.stream(calls)) as outcomes:
        at = iter(asked)
        async for outcome in outcomes:
            contact_id, _ = next(at)
            counts[contact_id] += total_of("crm.item.list", outcome.answered)
    return counts


def _owners_of(contact_id: int, kind: OwnerKind) -> Call:
    # Only an offset makes the portal count; of the rows, ids are the least that it can tell.
    wanted = {"contactIds": contact_id}
    return Call(
        "crm.item.list",
        {"entityTypeId": ENTITY_TYPE_IDS[kind], "select": ["id"], "filter": wanted, "start": 0},
    )


class _Memory(Generic[K, T]):
    """Answers by contact or phone; the oldest are forgotten.

    :param ask: Gives the answers for those that are not known.
    """

    def __init__(self, ask: Callable[[Sequence[K]], Awaitable[Mapping[K, T]]]) -> None:
        self._ask: Callable[[Sequence[K]], Awaitable[Mapping[K, T]]] = ask
        self._known: dict[K, T] = {}

    async def of(self, ids: Iterable[K]) -> dict[K, T]:
        wanted = dict.fromkeys(ids)
        new = sorted(one for one in wanted if one not in self._known)
        found = await self._ask(new) if new else {}
        told = {one: found[one] if one in found else self._known[one] for one in wanted}
        self._known |= found
        for one in list(islice(self._known, max(0, len(self._known) - MOST_REMEMBERED))):
            del self._known[one]
        return told


async def _chunks(states: AsyncIterator[OwnerState]) -> AsyncGenerator[list[OwnerState], None]:
    chunk: list[OwnerState] = []
    async for state in states:
        chunk.append(state)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
