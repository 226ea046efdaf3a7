"""What rules have to know: asked for once, for what matters, and not kept for ever."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.rules import Facts, Needs, Rule, Verdict, rules_for
from airflow_bitrix.crm.owners import CHUNK
from airflow_bitrix.engine.judging import judge_all
from airflow_bitrix.engine.rule_facts import MOST_REMEMBERED, Questions, count_links

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def owners(*contact_ids: Any) -> list[OwnerState]:
    return [
        OwnerState(LinkSet.of_ids(Owner("lead", at), ids, ids[0]))
        for at, ids in enumerate(contact_ids, start=1)
    ]


def test_links_of_contacts_are_counted_over_leads_and_deals(make_sandbox: Any, connect_async: Any) -> None:
    sandbox = make_sandbox(leads=200, deals=200, contacts=120, plan="self_hosted")
    ids = list(range(1, 131))

    async def count() -> dict[int, int]:
        async with connect_async(sandbox.webhook_url) as portal:
            return await count_links(portal, ids)

    of = sandbox.state.owners_of
    expected = {one: len(of("lead", [one])) + len(of("deal", [one])) for one in ids}
    assert max(expected.values()) > 5
    assert asyncio.run(count()) == expected
    assert sandbox.stats()["admitted"] == -(-len(ids) * 2 // 50)


def test_a_count_that_the_portal_refuses_is_an_error(make_sandbox: Any, connect_async: Any) -> None:
    sandbox = make_sandbox(leads=20, contacts=20, plan="self_hosted")
    sandbox.set_faults(command=1.0, command_error={"error": "NO_COUNT", "error_description": "not today"})

    async def count() -> None:
        async with connect_async(sandbox.webhook_url) as portal:
            await count_links(portal, [1, 2])

    with pytest.raises(Bitrix24Error, match="not today"):
        asyncio.run(count())


@pytest.mark.slow
def test_a_contact_is_asked_for_once_until_it_is_forgotten(make_sandbox: Any, connect_async: Any) -> None:
    sandbox = make_sandbox(contacts=100, plan="self_hosted")

    async def run() -> list[int]:
        asked = []
        async with connect_async(sandbox.webhook_url) as portal:
            rules = rules_for("lead", ["remove_dangling"])
            ask = Questions(portal, rules, NOW)
            for states in (
                owners((1, 2), (2, 3), (101,)),
                owners((3, 1), (101, 2)),
                owners(tuple(range(201, 201 + MOST_REMEMBERED))),
                owners((1, 101)),
            ):
                facts, _ = await ask.facts(states)
                ids = {one for state in states for one in state.links.contact_ids}
                assert facts.gone == {one for one in ids if one > 100}
                asked.append(sandbox.stats()["commands_in_batches"].get("crm.item.list", 0))
        return asked

    first, second, third, fourth = asyncio.run(run())
    assert (first, second, third, fourth) == (1, 1, 1 + MOST_REMEMBERED // 50, 2 + MOST_REMEMBERED // 50)


def test_only_what_could_not_be_read_in_full_is_looked_up_again(
    make_sandbox: Any, connect_async: Any
) -> None:
    sandbox = make_sandbox(contacts=100, plan="self_hosted")

    async def run() -> Any:
        async with connect_async(sandbox.webhook_url) as portal:
            rules = rules_for("lead", ["remove_dangling", "merge_same_person"])
            return await Questions(portal, rules, NOW, "").facts(owners((1, 2), (101, 3)))

    facts, _ = asyncio.run(run())
    assert facts.gone == {101}
    assert set(facts.contacts) == {1, 2, 3}
    assert set(facts.links_of) == {1, 2}, "the first two are one person"
    # Whether the one that is not listed is gone takes a look and a word of the portal.
    commands = {"crm.contact.list": 1, "crm.item.list": 5, "crm.contact.get": 1}
    commands["crm.duplicate.findbycomm"] = 1
    assert sandbox.stats()["commands_in_batches"] == commands


@pytest.mark.slow
def test_every_owner_is_judged_once_however_many_there_are(make_sandbox: Any, connect_async: Any) -> None:
    sandbox = make_sandbox(leads=2 * CHUNK + 100, contacts=3000, plan="self_hosted")

    async def run() -> list[Any]:
        async with connect_async(sandbox.webhook_url) as portal:
            rules = rules_for("lead", ["remove_dangling", "fix_primary"])
            return [one async for one in judge_all(portal, "lead", {}, rules, NOW)]

    judged = asyncio.run(run())
    assert sorted(one.state.owner.id for one in judged) == list(range(1, 2 * CHUNK + 101))
    expected = sandbox.truth()["expected"]
    assert {str(one.state.owner.id) for one in judged if one.change} == {
        *expected["remove_dangling"]["lead"],
        *expected["fix_primary"]["lead"],
    }


@pytest.mark.attack
@pytest.mark.parametrize("sought", ["+", "+abc", " ", "", "1" * 100_000, 7])
def test_what_is_no_phone_leaves_the_owner_out_and_is_not_asked_for(sought: Any) -> None:
    class Seeks(Rule):
        name = "seeks"
        title = "Seeks"

        def needs(self, state: OwnerState, facts: Facts) -> Needs:
            del state, facts
            return Needs(holders=[sought])

        def judge(self, state: OwnerState, facts: Facts) -> Verdict:
            del state, facts
            return None

    portal: Any = None  # whoever asked it would fail
    states = owners((7,))
    _, failed = asyncio.run(Questions(portal, {"seeks": Seeks()}, NOW).facts(states))
    assert [one.raised for one in failed.values()] == [True]
    assert len(failed[states[0].owner].reason) < 1200
