"""Other people work on the portal meanwhile: none of their changes vanishes without a word."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from airflow_bitrix.core.link_writes import attainable
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.crm.scan import scan
from airflow_bitrix.engine.apply import apply_changes
from airflow_bitrix.sandbox.links import Link
from airflow_bitrix.sandbox.server import Sandbox
from tests.engine.notes import Notes

LEADS = 2000
Rows = list[list[Any]]


class Colleague:
    """Changes leads while they are being applied, each once, and remembers what it left."""

    def __init__(self, sandbox: Sandbox, leads: list[int], rng: random.Random) -> None:
        self.sandbox, self.rng = sandbox, rng
        self.left = rng.sample(leads, k=len(leads) // 20)
        self.did: dict[int, Rows] = {}

    async def work(self) -> None:
        while self.left:
            await asyncio.sleep(self.rng.uniform(0, 0.02))
            self.change(self.left.pop())

    def change(self, lead: int) -> None:
        """Take links away, add one, turn the order around, or choose another primary."""
        with self.sandbox.portal.lock:
            there = self.sandbox.state.links("lead", lead)
            ids = [link.contact_id for link in there]
            wanted = self.rng.choice([ids[1:], [*ids, 300], ids[::-1], [300, *ids]])
            wanted = list(dict.fromkeys(wanted))
            links = tuple(Link(10 * place, one, place == 1) for place, one in enumerate(wanted, start=1))
            self.sandbox.state.place_links("lead", lead, links)
            self.sandbox.state.tables["lead"].rows[lead]["CONTACT_ID"] = wanted[0] if wanted else None
        self.did[lead] = rows_of(self.sandbox, lead)


def rows_of(sandbox: Sandbox, lead: int) -> Rows:
    return [[link.contact_id, link.sort, link.primary] for link in sandbox.state.links("lead", lead)]


def wishes(found: dict[int, LinkSet], rng: random.Random) -> list[Change]:
    """Clear half of the leads, and give the other half other contacts, orders and primaries."""
    changes = []
    for lead, links in found.items():
        keep = rng.sample(range(1, 200), k=rng.randrange(1, 4)) if lead % 2 else []
        wanted = LinkSet(Owner("lead", lead), tuple(ContactLink(contact) for contact in keep))
        changes.append(Change(links, attainable(links, wanted), ("wanted",), may_empty=True))
    return changes


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_each_change_of_a_second_writer_is_kept_or_found_in_the_journal(
    seed: int, make_sandbox: Any, connect_async: Any
) -> None:
    rng = random.Random(seed)
    sandbox = make_sandbox(contacts=400, plan="self_hosted")
    for _ in range(LEADS):
        sandbox.state.add("lead", {"CONTACT_IDS": rng.sample(range(201, 300), k=3)})
    # slow enough that the colleague gets in between
    sandbox.set_faults(seed=seed, slow=0.5, slow_seconds=0.02)
    notes = Notes()

    async def run() -> tuple[list[Change], Colleague]:
        async with connect_async(sandbox.webhook_url) as portal:
            found = {state.owner.id: state.links async for state in scan(portal, "lead", detail="full")}
            changes = wishes(found, rng)
            colleague = Colleague(sandbox, list(found), rng)
            at_work = asyncio.create_task(colleague.work())
            await apply_changes(portal, "lead", changes, notes)
            await at_work
        return changes, colleague

    changes, colleague = asyncio.run(run())
    assert len(colleague.did) == LEADS // 20
    fates: Counter[str] = Counter()
    for change in changes:
        lead = change.owner.id
        outcome, now = notes.outcomes[lead], rows_of(sandbox, lead)
        planned = [[link.contact_id, link.sort, link.is_primary] for link in change.after.links]
        did = colleague.did.get(lead)
        if did is None:
            assert (outcome.outcome, outcome.reason, now) == ("applied", "", planned)
        elif now == did == planned:
            fates["wanted the same"] += 1
        elif now == did:
            # kept: seen before the write and left alone, or done after it
            assert outcome.outcome == "drift" or (outcome.outcome, outcome.reason) == ("applied", "")
            fates[outcome.outcome] += 1
        else:
            assert now == planned
            assert outcome.is_overwrite
            assert "overwritten" in outcome.reason
            assert outcome.before is not None
            # a look shows contacts, order and primary; a restore numbers them as a save in the card does
            back = attainable(LinkSet(change.owner), outcome.before)
            assert [[link.contact_id, link.sort, link.is_primary] for link in back.links] == did
            fates["overwritten"] += 1
    assert fates["drift"] > 0
    assert fates.total() == LEADS // 20
