"""Applying a plan: every change is accounted for once, by what the portal shows."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Sequence
from typing import Any

from airflow_bitrix.client.allowance import MemoryAllowance
from airflow_bitrix.client.flow import Manners
from airflow_bitrix.client.pacing import Bucket
from airflow_bitrix.core.links import LinkSet
from airflow_bitrix.core.plan import Change, ChangeOutcome
from airflow_bitrix.crm.scan import scan
from airflow_bitrix.engine.apply import apply_changes
from airflow_bitrix.sandbox.links import Link
from airflow_bitrix.sandbox.server import Sandbox
from tests.engine.conftest import Applied, Planned
from tests.engine.notes import Notes

STANDARD = Bucket(rate=2, burst=49)


def expected_end(sandbox: Sandbox, before: dict[str, Any]) -> dict[str, Any]:
    """Leads as they should be after their release: the released ones bare, the rest untouched."""
    released = set(sandbox.truth()["expected"]["release_repeat_leads"]["released"])
    end = {}
    for lead, owner in before.items():
        bare = {**owner, "links": [], "contact_id": None, "is_return_customer": "N"}
        end[lead] = bare if int(lead) in released else owner
    return end


def without_times(owners: dict[str, Any]) -> dict[str, Any]:
    return {lead: {**owner, "date_modify": ""} for lead, owner in owners.items()}


def touched(before: dict[str, Any], after: dict[str, Any]) -> set[int]:
    return {int(lead) for lead in before if before[lead] != after[lead]}


def test_2_000_leads_under_the_standard_bucket_take_the_fewest_requests_and_meet_no_503(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=2000, contacts=3000)
    before = sandbox.links("lead")
    changes = planned(sandbox)
    assert sandbox.stats()["admitted"] == 1  # one scan request for 2,000 leads

    notes = applied(sandbox, changes, manners=Manners(MemoryAllowance(STANDARD)))
    released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    assert notes.by_name() == {"applied": released}
    assert sandbox.stats()["refused_503"] == 0
    with_links = math.ceil(len(released) / 16)
    # besides the writes, one request looks at all owners, and one reads the links of the first of them
    assert sandbox.stats()["admitted"] - 1 <= with_links + 2
    after = sandbox.links("lead")
    assert without_times(after) == without_times(expected_end(sandbox, before))
    assert touched(before, after) == set(released)


def test_the_second_run_of_a_plan_writes_nothing(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=300, contacts=100, plan="self_hosted")
    changes = planned(sandbox)
    applied(sandbox, changes)
    sandbox.reset_stats()
    notes = applied(sandbox, changes)
    assert set(notes.by_name()) == {"already"}
    assert len(notes.outcomes) == len(changes)
    assert sandbox.stats()["writes"] == 0
    assert planned(sandbox) == []


def test_a_dry_run_writes_nothing_and_says_what_it_would_do(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=300, contacts=100, plan="self_hosted")
    before = sandbox.links("lead")
    changes = planned(sandbox)
    notes = applied(sandbox, changes, dry_run=True)
    assert set(notes.by_name()) == {"skipped"}
    assert sandbox.stats()["writes"] == 0
    assert sandbox.links("lead") == before
    assert notes.begun == []


def test_it_ends_right_on_older_portals_that_change_the_flag_at_once(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=300, contacts=100, plan="self_hosted")
    sandbox.set_switches(flag_at_once=True)
    before = sandbox.links("lead")
    notes = applied(sandbox, planned(sandbox))
    assert set(notes.by_name()) == {"applied"}
    assert without_times(sandbox.links("lead")) == without_times(expected_end(sandbox, before))


def test_it_ends_right_where_the_portal_leaves_links_out_of_its_lists(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=300, contacts=100, plan="self_hosted")
    sandbox.set_switches(hide_contact_ids=True)
    before = sandbox.links("lead")
    notes = applied(sandbox, planned(sandbox))
    assert set(notes.by_name()) == {"applied"}
    assert without_times(sandbox.links("lead")) == without_times(expected_end(sandbox, before))


def test_a_second_run_after_failures_finishes_the_plan(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=1000, contacts=400, plan="self_hosted")
    changes = planned(sandbox)
    before = sandbox.links("lead")
    # Of what cannot be looked at, nobody knows whether it was written.
    written = ["crm.lead.contact.items.delete", "crm.lead.update"]
    error = {"error": "", "error_description": "Locked."}
    sandbox.set_faults(seed=5, command=0.2, command_error=error, only_methods=written)
    first = applied(sandbox, changes)
    assert set(first.by_name()) == {"applied", "failed"}
    sandbox.clear_faults()
    second = applied(sandbox, changes)
    assert second.by_name() == {
        "already": first.by_name()["applied"],
        "applied": first.by_name()["failed"],
    }
    assert without_times(sandbox.links("lead")) == without_times(expected_end(sandbox, before))


def test_somebody_else_s_work_is_left_alone_and_told(
    make_sandbox: Any, planned: Planned, applied: Applied, connect: Any
) -> None:
    sandbox = make_sandbox(leads=400, contacts=300, plan="self_hosted")
    changes = planned(sandbox)
    linked = [change for change in changes if change.before.links]
    more, other, company, converted, gone, done = (change.owner.id for change in linked[:6])
    portal = connect(sandbox.webhook_url)
    portal.call("crm.lead.contact.add", {"id": more, "fields": {"CONTACT_ID": 299}})
    portal.call("crm.lead.contact.items.set", {"id": other, "items": [{"CONTACT_ID": 300}]})
    portal.call("crm.lead.update", {"id": company, "fields": {"COMPANY_ID": 1}})
    portal.call("crm.lead.update", {"id": converted, "fields": {"STATUS_ID": "CONVERTED"}})
    portal.call("crm.lead.delete", {"id": gone})
    portal.call("crm.lead.contact.items.delete", {"id": done})
    portal.call("crm.lead.update", {"id": done, "fields": {"TITLE": "released by hand"}})
    before = sandbox.links("lead")

    notes = applied(sandbox, changes)
    names = notes.by_name()
    assert names["drift"] == sorted([more, other, company, converted])
    assert names["failed"] == [gone]
    assert names["already"] == [done]
    assert "299" in notes.outcomes[more].reason
    assert notes.outcomes[company].reason == "now held by company 1"
    assert notes.outcomes[converted].reason.startswith("converted")
    assert notes.outcomes[gone].reason == f"lead {gone} is not there, or the webhook's user may not read it"
    end = sandbox.links("lead")
    assert all(end[str(lead)] == before[str(lead)] for lead in (more, other, company, converted, done))


def test_a_change_that_was_applied_before_is_looked_at_and_told_where_somebody_changed_it_since(
    make_sandbox: Any, planned: Planned, applied: Applied, connect: Any
) -> None:
    sandbox = make_sandbox(leads=300, contacts=300, plan="self_hosted")
    changes = planned(sandbox)
    first = applied(sandbox, changes)
    again = changes[0].owner.id
    connect(sandbox.webhook_url).call("crm.lead.contact.add", {"id": again, "fields": {"CONTACT_ID": 299}})
    before = {owner_id: outcome.before for owner_id, outcome in first.outcomes.items()}
    sandbox.reset_stats()
    notes = applied(sandbox, changes, settled_before=first.outcomes)
    assert sandbox.stats()["writes"] == 0
    others = [change.owner.id for change in changes[1:]]
    assert notes.by_name() == {"applied": others, "drift": [again]}
    assert notes.outcomes[again].reason.startswith("applied before, and changed since: contacts are now 299")
    assert notes.outcomes[again].before == before[again]


def test_progress_adds_up_to_the_number_of_changes(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=300, contacts=100, plan="self_hosted")
    changes = planned(sandbox)
    done: list[int] = []
    applied(sandbox, changes, progress=done.append)
    assert sum(done) == len(changes)


def test_a_contact_that_a_save_took_away_is_told_and_kept_in_the_journal(
    make_sandbox: Any, planned: Planned, connect_async: Any
) -> None:
    """Leads without contacts that are only to be saved, while a colleague links one to each."""
    sandbox = make_sandbox(contacts=9, plan="self_hosted")
    for _ in range(40):
        lead = sandbox.state.add("lead", {})
        sandbox.state.tables["lead"].rows[lead]["IS_RETURN_CUSTOMER"] = "Y"
    changes = planned(sandbox)
    assert len(changes) == 40
    notes = Notes()

    class Colleague(Notes):
        """Links a contact to whoever is about to be saved, after the last look at it."""

        def writing(self, befores: Sequence[LinkSet]) -> None:
            for lead in [before.owner.id for before in befores]:
                with sandbox.portal.lock:
                    sandbox.state.place_links("lead", lead, (Link(10, 7, primary=True),))
                    sandbox.state.tables["lead"].rows[lead]["CONTACT_ID"] = 7

        def note(self, outcome: ChangeOutcome) -> None:
            notes.note(outcome)

    async def run() -> None:
        async with connect_async(sandbox.webhook_url) as portal:
            await apply_changes(portal, "lead", changes, Colleague())

    asyncio.run(run())
    assert set(notes.by_name()) == {"applied"}
    for outcome in notes.outcomes.values():
        assert outcome.is_overwrite
        assert "overwritten: contacts 7*" in outcome.reason
        assert outcome.before is not None
        assert outcome.before.contact_ids == (7,)


def test_a_change_that_fills_a_small_batch_is_written_all_the_same(
    make_sandbox: Any, connect_async: Any
) -> None:
    """Links that stay and a save take four commands, and a portal that was slow gets fewer in a batch."""
    sandbox = make_sandbox(contacts=9, plan="self_hosted")
    leads = [sandbox.state.add("lead", {"CONTACT_IDS": [1, 2]}) for _ in range(3)]
    notes = Notes()

    async def run() -> None:
        async with connect_async(sandbox.webhook_url) as portal:
            found = [state.links async for state in scan(portal, "lead", detail="full")]
            changes = [Change(one, LinkSet(one.owner, one.links[:1]), ("why",), save=True) for one in found]
            portal._clock = itertools.count(step=40).__next__  # every batch seems to take 40 s or more
            portal.size = 3
            await apply_changes(portal, "lead", changes, notes)

    asyncio.run(run())
    assert notes.by_name() == {"applied": leads}
