"""Applying while calls fail: what did not come off is told, and nothing is sent again without a new look."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.client.wire import Reply, Request
from airflow_bitrix.core.errors import AuthFailed
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from tests.engine.conftest import Applied, Planned, Post


@pytest.mark.slow
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


def test_a_write_that_the_portal_refused_for_now_is_not_sent_again_without_a_new_look(
    make_sandbox: Any, planned: Planned, run: Applied, connect: Any
) -> None:
    """While the portal refuses requests, people go on working."""
    sandbox = make_sandbox(leads=300, contacts=300, plan="self_hosted")
    changes = planned(sandbox)
    newcomer = sandbox.state.add("contact", {"NAME": "Newcomer"})
    linked = [change.owner.id for change in changes if change.before.links]
    writes: list[Any] = []

    async def refuse_the_second_write(post: Post, request: Request) -> Any:
        if b"crm.lead.update" in request.body:
            writes.append(request)
            if len(writes) == 2:
                colleague = connect(sandbox.webhook_url)
                for lead in linked[20:]:
                    fields = {"CONTACT_ID": newcomer}
                    colleague.call("crm.lead.contact.add", {"id": lead, "fields": fields})
                return Reply(503, b'{"error": "QUERY_LIMIT_EXCEEDED", "error_description": ""}')
        return await post(request)

    notes = run(sandbox, changes, refuse_the_second_write)
    after = sandbox.links("lead")
    kept = [lead for lead in linked[20:] if newcomer in [link[0] for link in after[str(lead)]["links"]]]
    drifted = notes.by_name().get("drift", [])
    assert set(kept) == set(drifted) == set(linked[20:])


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
    notes = applied(sandbox, changes, written_before={change.owner.id: change.before for change in some})
    assert set(notes.by_name()) == {"applied"}
    assert {links.owner.id for links in notes.begun} == {change.owner.id for change in changes[20:]}


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


def test_retries_wait_longer_each_time_and_give_up() -> None:
    retries = Retries(times=3, first=1, longest=3)
    assert [retries.delay(repeat, luck=1.0) for repeat in (1, 2, 3, 4)] == [1, 2, 3, 3]
