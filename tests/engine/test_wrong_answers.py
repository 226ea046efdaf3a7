"""Writes that the portal carries out and answers wrongly: each before is kept, and nothing wrong is green."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.link_writes import attainable
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.crm.scan import scan
from airflow_bitrix.engine.apply import apply_changes
from airflow_bitrix.sandbox.links import Link
from airflow_bitrix.sandbox.server import Sandbox
from airflow_bitrix.sandbox.wrong_answers import KINDS
from tests.engine.notes import Notes
from tests.engine.test_lost_writes import Waits

LEADS = 60
Rows = list[list[Any]]


@pytest.fixture(scope="module")
def portal_of_leads() -> Iterator[Sandbox]:
    with Sandbox(contacts=400, plan="self_hosted") as sandbox:
        for _ in range(LEADS):
            sandbox.state.add("lead", {})
        yield sandbox


def put(sandbox: Sandbox, rng: random.Random) -> None:
    """Give each lead three contacts, with sorts that no list shows."""
    for lead in range(1, LEADS + 1):
        contacts, sorts = rng.sample(range(201, 300), k=3), sorted(rng.sample(range(1, 99), k=3))
        links = tuple(Link(sort, one, sort == sorts[0]) for one, sort in zip(contacts, sorts, strict=True))
        sandbox.state.place_links("lead", lead, links)
        sandbox.state.tables["lead"].rows[lead]["CONTACT_ID"] = contacts[0]


def rows_of(sandbox: Sandbox) -> dict[int, Rows]:
    return {
        lead: [[link.contact_id, link.sort, link.primary] for link in sandbox.state.links("lead", lead)]
        for lead in range(1, LEADS + 1)
    }


def wishes(found: list[LinkSet]) -> list[Change]:
    """Clear a third, take one contact from a third, give a third another one."""
    changes = []
    for links in found:
        kept = (links.links[:0], links.links[:2], (ContactLink(301), *links.links[:1]))[links.owner.id % 3]
        after = attainable(links, LinkSet(links.owner, tuple(kept)))
        changes.append(Change(links, after, ("wanted",), save=not kept, may_empty=True))
    return changes


async def carried_out(sandbox: Sandbox, connect: Any, changes: list[Change]) -> dict[int, Any]:
    """Apply in as many lives as it takes, each knowing what the journal of those before told."""
    settled: dict[int, Any] = {}
    last: dict[int, Any] = {}
    begun: dict[int, LinkSet] = {}
    for life in range(20):
        notes = Notes()
        if life == 10:
            sandbox.clear_faults()
        async with connect(sandbox.webhook_url, Waits().manners(), in_flight=2) as portal:
            try:
                await apply_changes(
                    portal,
                    "lead",
                    changes,
                    notes,
                    settled_before=settled,
                    written_before={one: links for one, links in begun.items() if one not in settled},
                )
                ended = True
            except Bitrix24Error:
                ended = False
        begun |= {links.owner.id: links for links in notes.begun}
        last |= notes.outcomes
        settled |= {
            one: said for one, said in notes.outcomes.items() if said.outcome in ("applied", "already")
        }
        if ended:
            return {**dict.fromkeys(begun), **last}
    raise AssertionError("it never ends")


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_there_is_kept_whatever_is_said_of_a_write(
    kind: str, portal_of_leads: Sandbox, connect_async: Any
) -> None:
    sandbox, rng = portal_of_leads, random.Random(kind)
    put(sandbox, rng)
    before = rows_of(sandbox)

    async def run() -> tuple[list[Change], dict[int, Any]]:
        async with connect_async(sandbox.webhook_url) as portal:
            found = [state.links async for state in scan(portal, "lead")]
        changes = wishes(found)
        sandbox.set_faults(wrong_answers={kind: 0.4})
        return changes, await carried_out(sandbox, connect_async, changes)

    sandbox.reset_stats()
    changes, outcomes = asyncio.run(run())
    assert sandbox.stats()["faults"][kind]
    sandbox.clear_faults()
    after = rows_of(sandbox)
    for change in changes:
        lead, outcome = change.owner.id, outcomes.get(change.owner.id)
        if after[lead] != before[lead]:
            assert outcome is not None
            assert outcome.before is not None, f"{outcome}: what was there is lost"
            there = [[link.contact_id, link.sort, link.is_primary] for link in outcome.before.links]
            assert there == before[lead], outcome
        if outcome and outcome.outcome in ("applied", "already"):
            wanted = attainable(change.before, change.after)
            assert [row[0] for row in after[lead]] == list(wanted.contact_ids)
            assert not outcome.reason
    assert Owner("lead", 1) == changes[0].owner
