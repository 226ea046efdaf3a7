"""Applying a plan: every change is accounted for once, by what the portal shows."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from airflow_bitrix.client.allowance import MemoryAllowance
from airflow_bitrix.client.flow import Manners
from airflow_bitrix.client.pacing import Bucket, Retries
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.wire import Reply
from airflow_bitrix.core.errors import AuthFailed
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change, ChangeOutcome
from airflow_bitrix.core.rules import judge, rules_for
from airflow_bitrix.crm.scan import scan
from airflow_bitrix.engine.apply import apply_changes
from airflow_bitrix.sandbox.links import Link
from airflow_bitrix.sandbox.server import Sandbox

STANDARD = Bucket(rate=2, burst=49)


class Notes:
    """A journal in memory that refuses a second outcome for an owner."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.outcomes: dict[int, ChangeOutcome] = {}

    def writing(self, changes: Sequence[Change]) -> None:
        self.begun += [change.owner.id for change in changes]

    def note(self, outcome: ChangeOutcome) -> None:
        assert outcome.owner.id not in self.outcomes
        self.outcomes[outcome.owner.id] = outcome

    def by_name(self) -> dict[str, list[int]]:
        names: dict[str, list[int]] = {}
        for owner_id, outcome in sorted(self.outcomes.items()):
            names.setdefault(outcome.outcome, []).append(owner_id)
        return names


Planned = Callable[..., list[Change]]
Applied = Callable[..., Notes]


@pytest.fixture
def planned(connect_async: Any) -> Planned:
    """Plan the release of a sandbox's repeat leads."""

    def run(sandbox: Sandbox) -> list[Change]:
        async def collect() -> list[Change]:
            rules = rules_for("lead", ["release_repeat_leads"])
            async with connect_async(sandbox.webhook_url) as portal:
                judged = [judge(state, rules)[0] async for state in scan(portal, "lead")]
            return [change for change in judged if change]

        return asyncio.run(collect())

    return run


@pytest.fixture
def applied(connect_async: Any) -> Applied:
    """Apply changes to a sandbox, and give the journal."""

    def run(
        sandbox: Sandbox, changes: Sequence[Change], manners: Manners | None = None, **options: Any
    ) -> Notes:
        async def apply() -> Notes:
            notes = Notes()
            async with connect_async(sandbox.webhook_url, manners) as portal:
                await apply_changes(portal, changes[0].owner.kind, changes, notes, **options)
            return notes

        return asyncio.run(apply())

    return run


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

    notes = applied(sandbox, changes, Manners(MemoryAllowance(STANDARD)))
    released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    assert notes.by_name() == {"applied": released}
    assert sandbox.stats()["refused_503"] == 0
    with_links = math.ceil(len(released) / 16)
    # besides the writes, one request looks at all owners of the plan before the first of them
    assert sandbox.stats()["admitted"] - 1 <= with_links + 1
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


@pytest.mark.parametrize("seed", range(8))
def test_under_faults_every_change_is_applied_and_confirmed_or_failed_with_the_portal_s_reason(
    seed: int, make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=2000, contacts=800, plan="self_hosted", seed=seed)
    changes = planned(sandbox)
    before = sandbox.links("lead")
    reason = {"error": "", "error_description": "This lead is locked."}
    sandbox.set_faults(
        seed=seed,
        throttle=0.05,
        html=0.02,
        drop_before=0.005,
        drop_after=0.005,
        command=0.01,
        command_error=reason if seed % 2 else {"error": "INTERNAL_SERVER_ERROR", "error_description": "Oops"},
    )
    notes = applied(sandbox, changes)
    assert sum(sandbox.stats()["faults"].values()) > 0
    sandbox.clear_faults()

    assert sorted(notes.outcomes) == sorted(change.owner.id for change in changes)
    end = sandbox.links("lead")
    for owner_id, outcome in notes.outcomes.items():
        owner = end[str(owner_id)]
        is_right = owner["links"] == [] and owner["is_return_customer"] == "N"
        assert is_right == (outcome.outcome == "applied")
        if outcome.outcome != "applied":
            assert (outcome.outcome, outcome.reason) == ("failed", "This lead is locked.")
        assert outcome.before is not None
        was = sorted(link[0] for link in before[str(owner_id)]["links"])
        assert sorted(outcome.before.contact_ids) == was
    if seed % 2 == 0:
        assert set(notes.by_name()) == {"applied"}
    untouched = {lead for lead in end if int(lead) not in notes.outcomes}
    assert all(end[lead] == before[lead] for lead in untouched)


def test_a_second_run_after_failures_finishes_the_plan(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=1000, contacts=400, plan="self_hosted")
    changes = planned(sandbox)
    before = sandbox.links("lead")
    sandbox.set_faults(seed=5, command=0.2, command_error={"error": "", "error_description": "Locked."})
    first = applied(sandbox, changes)
    assert set(first.by_name()) == {"applied", "failed"}
    sandbox.clear_faults()
    second = applied(sandbox, changes)
    assert second.by_name() == {
        "already": first.by_name()["applied"],
        "applied": first.by_name()["failed"],
    }
    assert without_times(sandbox.links("lead")) == without_times(expected_end(sandbox, before))


def test_a_lost_answer_after_the_work_starts_no_second_save(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=600, contacts=300, plan="self_hosted")
    changes = planned(sandbox)
    sandbox.reset_stats()
    sandbox.set_faults(seed=2, drop_after=0.2)
    notes = applied(sandbox, changes)
    assert sandbox.stats()["faults"]["drop_after"] > 0
    assert set(notes.by_name()) == {"applied"}
    assert sandbox.stats()["commands_in_batches"]["crm.lead.update"] == len(changes)


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


def test_a_write_that_the_portal_refused_for_now_is_not_sent_again_without_a_new_look(
    make_sandbox: Any, planned: Planned, connect_async: Any, connect: Any
) -> None:
    """While the portal refuses requests, people go on working."""
    sandbox = make_sandbox(leads=300, contacts=300, plan="self_hosted")
    changes = planned(sandbox)
    newcomer = sandbox.state.add("contact", {"NAME": "Newcomer"})
    linked = [change.owner.id for change in changes if change.before.links]
    notes = Notes()

    async def apply() -> None:
        async with connect_async(sandbox.webhook_url) as portal:
            writes: list[Any] = []

            async def refuse_the_second_write(request: Any) -> Any:
                if b"crm.lead.update" in request.body:
                    writes.append(request)
                    if len(writes) == 2:
                        colleague = connect(sandbox.webhook_url)
                        for lead in linked[20:]:
                            fields = {"CONTACT_ID": newcomer}
                            colleague.call("crm.lead.contact.add", {"id": lead, "fields": fields})
                        return Reply(503, b'{"error": "QUERY_LIMIT_EXCEEDED", "error_description": ""}')
                return await portal._send(request)

            one_lane = AsyncPortal(refuse_the_second_write, portal.manners, in_flight=1)
            await apply_changes(one_lane, "lead", changes, notes)

    asyncio.run(apply())
    after = sandbox.links("lead")
    kept = [lead for lead in linked[20:] if newcomer in [link[0] for link in after[str(lead)]["links"]]]
    drifted = notes.by_name().get("drift", [])
    assert set(kept) == set(drifted) == set(linked[20:])


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


def test_a_lead_that_stays_a_repeat_lead_after_saving_is_failed_never_applied(
    make_sandbox: Any, applied: Applied
) -> None:
    sandbox = make_sandbox(contacts=3, plan="self_hosted")
    lead = sandbox.state.add("lead", {"TITLE": "x", "CONTACT_IDS": [1]})
    sandbox.set_faults(
        command=1.0,
        only_methods=["crm.lead.update"],
        command_error={"error": "", "error_description": "Saving is not allowed here."},
    )
    owner = Owner("lead", lead)
    change = Change(LinkSet.of_ids(owner, [1], 1), LinkSet(owner), ("release",), save=True, ends_repeat=True)
    notes = applied(sandbox, [change])
    assert notes.by_name() == {"failed": [lead]}
    assert notes.outcomes[lead].reason == "Saving is not allowed here."
    assert notes.outcomes[lead].before == LinkSet(owner, (ContactLink(1, 10, is_primary=True, role_id=0),))


def test_an_owner_that_cannot_be_looked_at_is_not_taken_for_one_that_is_gone(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=900, contacts=100, plan="self_hosted")
    changes = planned(sandbox)
    refusal = {"error": "", "error_description": "Lists are closed."}
    sandbox.set_faults(seed=1, command=0.7, only_methods=["crm.item.list"], command_error=refusal)
    notes = applied(sandbox, changes)
    reasons = Counter(outcome.reason for outcome in notes.outcomes.values())
    assert set(reasons) == {"", "it could not be looked at: Lists are closed."}


def test_a_run_that_died_after_a_write_was_carried_out_counts_it_as_applied(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=300, contacts=100, plan="self_hosted")
    changes = planned(sandbox)
    some = changes[:20]
    applied(sandbox, some)  # the run that died: its journal knew only that these were begun
    notes = applied(sandbox, changes, written_before=frozenset(change.owner.id for change in some))
    assert set(notes.by_name()) == {"applied"}
    assert Counter(notes.begun).keys() == {change.owner.id for change in changes[20:]}


def test_a_webhook_that_is_withdrawn_ends_the_run_with_the_portal_s_words(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=300, contacts=100, plan="self_hosted")
    changes = planned(sandbox)
    before = sandbox.links("lead")
    sandbox.set_switches(scope=["user"])
    with pytest.raises(AuthFailed, match="insufficient_scope"):
        applied(sandbox, changes)
    assert sandbox.links("lead") == before


def test_progress_adds_up_to_the_number_of_changes(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=300, contacts=100, plan="self_hosted")
    changes = planned(sandbox)
    done: list[int] = []
    applied(sandbox, changes, progress=done.append)
    assert sum(done) == len(changes)


def test_retries_wait_longer_each_time_and_give_up() -> None:
    retries = Retries(times=3, first=1, longest=3)
    assert [retries.delay(repeat, luck=1.0) for repeat in (1, 2, 3, 4)] == [1, 2, 3, 3]


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

        def writing(self, changes: Sequence[Change]) -> None:
            for change in changes:
                lead = change.owner.id
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
