"""What clean-up rules have to know of the portal: asked for together, for some 2,500 owners at a time.

A rule says of each owner what it has to know, and again once that is known, until it wants no more. What all
rules want of all owners is asked for in between: contacts by 2,500 a request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import fields, replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Generic, TypeVar

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import total_of
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.contacts import Contact
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import Owner, OwnerKind
from airflow_bitrix.core.numbers import LARGEST
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.rule_judgement import NOTHING, Needs, guarded
from airflow_bitrix.core.rules import Facts, LeftOut, Rule
from airflow_bitrix.crm.companies import read_companies
from airflow_bitrix.crm.contacts import absent_contacts, read_contacts
from airflow_bitrix.crm.means import read_means
from airflow_bitrix.crm.phones import can_be_held, holders, phone_reader

MOST_REMEMBERED = 20_000
"""Contacts of which answers are kept, so that those that hang on many owners are not asked for each time."""

MOST_ROUNDS = 8
"""How often a rule may want to know more of an owner."""

GONE = None
"""What is known of a contact that is gone; of one that cannot be read the portal's words, else nothing."""

K = TypeVar("K", int, str)
T = TypeVar("T")

Wanted = dict[str, dict[Any, None]]
"""What is to be asked for, by the name of a need, each once and in order."""

NEEDS = tuple(one.name for one in fields(Needs))


class Questions:
    """Asks the portal what rules have to know, and remembers what it was told of contacts.

    :param portal: The portal.
    :param rules: The rules that want to know, by name.
    :param now: When the plan is made.
    :param region: See :func:`~airflow_bitrix.engine.judging.judge_all`.
    """

    def __init__(
        self, portal: AsyncPortal, rules: Mapping[str, Rule], now: datetime, region: str | None = None
    ) -> None:
        self._portal, self._now = portal, now
        self._rules = {name: rule for name, rule in rules.items() if type(rule).needs is not Rule.needs}
        self._contacts = _Memory(self._read)
        self._absent = _Memory(self._look)
        self._links = _Memory(partial(count_links, portal))
        self._holders = _Memory(partial(holders, portal))
        self._companies = _Memory(partial(read_companies, portal))
        self._phone = None if region is None else phone_reader(region)

    async def facts(self, states: Sequence[OwnerState]) -> tuple[Facts, dict[Owner, LeftOut]]:
        """Give what the rules have to know of some owners, and those of which a rule raised an error."""
        facts, failed = Facts(self._now), dict[Owner, LeftOut]()
        known: dict[str, set[Any]] = {need: set() for need in NEEDS}
        asking = [(state, name) for name in self._rules for state in states]
        for _ in range(MOST_ROUNDS):
            wanted: Wanted = {need: {} for need in NEEDS}
            further = []
            for state, name in asking:
                needs = guarded(name, partial(_needs, self._rules[name], state, facts))
                if isinstance(needs, LeftOut):
                    failed.setdefault(state.owner, needs)
                    continue
                new = {need: [one for one in ids if one not in known[need]] for need, ids in needs.items()}
                if any(new.values()):
                    further.append((state, name))
                    for need, fresh in new.items():
                        wanted[need].update(dict.fromkeys(fresh))
            if not further:
                break
            facts = await self._answer(facts, wanted)
            for need in NEEDS:
                known[need].update(wanted[need])
            asking = further
        return facts, failed

    async def lost(self, changes: Iterable[Change]) -> dict[Owner, LeftOut]:
        """Say which changes add contacts that are not there, or that nobody can tell to be."""
        added = {change.owner: sorted(change.added_ids) for change in changes if change.added_ids}
        read = await self._contacts.of(one for ids in added.values() for one in ids)
        absent = await self._absent.of(one for one, contact in read.items() if contact is None)
        lost = {}
        for owner, ids in added.items():
            for one in ids:
                if one in absent:
                    said = absent[one]
                    reason = gettext("contact {contact} is there no more", contact=str(one))
                    if said is not GONE:
                        reason = gettext(
                            "contact {contact} cannot be read: {said}", contact=str(one), said=said
                        )
                    lost[owner] = LeftOut(gettext_noop("contact to link is not there"), reason)
        return lost

    async def _answer(self, facts: Facts, wanted: Wanted) -> Facts:
        """Ask for all that is wanted."""
        read = await self._contacts.of(wanted["contacts"])
        contacts = {**facts.contacts, **{one: contact for one, contact in read.items() if contact}}
        # A contact that a list does not show need not be gone, so those are asked about all the same.
        absent = await self._absent.of(one for one in wanted["presence"] if one not in contacts)
        leads = [one for one in wanted["means"] if one.kind == "lead"]
        return replace(
            facts,
            contacts=contacts,
            gone=facts.gone | {one for one, said in absent.items() if said is GONE},
            unread={**facts.unread, **{one: said for one, said in absent.items() if said}},
            holders={**facts.holders, **await self._holders.of(wanted["holders"])},
            links_of={**facts.links_of, **await self._links.of(wanted["links_of"])},
            companies={**facts.companies, **await self._companies.of(wanted["companies"])},
            means={**facts.means, **(await read_means(self._portal, leads, self._phone) if leads else {})},
        )

    async def _read(self, ids: Sequence[int]) -> Mapping[int, Contact | None]:
        found: dict[int, Contact | None] = dict.fromkeys(ids)
        async with aclosing(read_contacts(self._portal, ids, self._phone)) as contacts:
            async for contact in contacts:
                found[contact.id] = contact
        return found

    async def _look(self, ids: Sequence[int]) -> Mapping[int, str | None]:
        absent = await absent_contacts(self._portal, ids)
        return {one: GONE if one in absent.gone else absent.unread.get(one, "") for one in ids}


def _needs(rule: Rule, state: OwnerState, facts: Facts) -> Mapping[str, Sequence[Any]]:
    """Give what a rule has to know, by the name of the need.

    :raises TypeError: It wants something that nobody can ask for.
    """
    needs = rule.needs(state, facts)
    if needs is NOTHING:
        return {}
    if not isinstance(needs, Needs):
        raise TypeError(gettext("needs gave {gave}, and no Needs", gave=type(needs).__name__))
    found: dict[str, Sequence[Any]] = {"means": [state.owner] if needs.means else []}
    for name in ("contacts", "presence", "links_of", "companies", "holders"):
        found[name] = list(getattr(needs, name))
        right = can_be_held if name == "holders" else _is_id
        for one in found[name]:
            if not right(one):
                raise TypeError(gettext("{name} that it needs cannot be {one}", name=name, one=repr(one)))
    return found


def _is_id(value: object) -> bool:
    return type(value) is int and 0 < value <= LARGEST


COUNTED: tuple[OwnerKind, ...] = ("lead", "deal")
"""The kinds of owners that count where contacts are weighed: of these a person has most."""


async def count_links(portal: AsyncPortal, contact_ids: Sequence[int]) -> dict[int, int]:
    """Say on how many leads and deals contacts hang, 25 contacts a request.

    Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html.

    :raises Bitrix24Error: The portal refused, or told no total.
    """
    counts = dict.fromkeys(contact_ids, 0)
    asked = [(contact_id, kind) for contact_id in counts for kind in COUNTED]
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
        {"entityTypeId": family_of(kind).entity_type_id, "select": ["id"], "filter": wanted, "start": 0},
    )


class _Memory(Generic[K, T]):
    """Answers by contact, company, phone or e-mail; the oldest are forgotten.

    :param ask: Gives the answers for those that are not known.
    """

    def __init__(self, ask: Callable[[Sequence[K]], Awaitable[Mapping[K, T]]]) -> None:
        self._ask: Callable[[Sequence[K]], Awaitable[Mapping[K, T]]] = ask
        self._known: dict[K, T] = {}

    async def of(self, ids: Iterable[K]) -> dict[K, T]:
        wanted = dict.fromkeys(ids)
        new = sorted(one for one in wanted if one not in self._known)
        found = await self._ask(new) if new else {}
        self._known |= found
        told = {one: self._known[one] for one in wanted if one in self._known}
        for one in list(islice(self._known, max(0, len(self._known) - MOST_REMEMBERED))):
            del self._known[one]
        return told
