"""Applying on a portal that stops taking requests in the middle, or that refuses some of the owners."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_bitrix.client.wire import Request
from airflow_bitrix.core.errors import AuthFailed
from tests.engine.conftest import Applied, Planned, Post
from tests.engine.notes import Notes

WORDS = {
    "revoked": "INVALID_CREDENTIALS",
    "overload": "OVERLOAD_LIMIT",
    "no_subscription": "REST is available only by subscription",
    "portal_deleted": "PORTAL_DELETED",
    "no_user": "authorization_error",
}


@pytest.mark.parametrize("why", WORDS)
def test_a_run_that_meets_the_end_of_its_webhook_ends_and_the_next_one_goes_on(
    why: str, make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=600, contacts=200, plan="self_hosted")
    changes = planned(sandbox)
    before = sandbox.links("lead")
    sandbox.reset_stats()
    # One look, one that reads exact links, then three writes of sixteen changes or so.
    sandbox.set_switches(refusal=why, refusal_after=5)
    notes = Notes()

    with pytest.raises(AuthFailed, match=WORDS[why]):
        applied(sandbox, changes, notes=notes, in_flight=1)
    after = sandbox.links("lead")
    changed = {int(lead) for lead, row in after.items() if row != before[lead]}
    assert len(changed) > 30
    # What was changed is applied in the journal, and what was begun beside it is known to have been begun.
    assert set(notes.by_name()) == {"applied"}
    assert {lead for lead in notes.outcomes if before[str(lead)]["links"]} <= changed
    assert changed <= {links.owner.id for links in notes.begun}
    assert changed == set(notes.outcomes)
    assert sandbox.stats()["admitted"] == 6

    sandbox.reset_switches()
    left = [change for change in changes if change.owner.id not in notes.outcomes]
    begun = {links.owner.id: links for links in notes.begun if links.owner.id not in notes.outcomes}
    again = applied(sandbox, left, written_before=begun)
    assert set(again.by_name()) == {"applied"}
    assert len(again.outcomes) + len(notes.outcomes) == len(changes)


def test_what_is_under_way_when_the_webhook_is_revoked_is_accounted_for(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=600, contacts=200, plan="self_hosted")
    changes = planned(sandbox)
    before = sandbox.links("lead")
    notes, writes = Notes(), list[Request]()
    one_by_one, all_refused = asyncio.Lock(), asyncio.Event()

    async def between(post: Post, request: Request) -> Any:
        """Take two of five writes, refuse three, and answer the two when that is over."""
        if b"crm.lead.update" not in request.body:
            return await post(request)
        async with one_by_one:
            writes.append(request)
            place = len(writes)
            if place == 3:
                sandbox.set_switches(refusal="revoked")
            reply = await post(request)
        if place == 5:
            all_refused.set()
        if place < 3:
            await all_refused.wait()
        return reply

    with pytest.raises(AuthFailed, match=WORDS["revoked"]):
        applied(sandbox, changes, between, notes=notes)
    after = sandbox.links("lead")
    changed = {int(lead) for lead, row in after.items() if row != before[lead]}
    assert len(changed) > 30
    assert notes.by_name() == {"applied": sorted(changed)}
    assert len(writes) == 5


def test_an_owner_that_may_not_be_changed_is_that_owner_s_failure(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    """A role may read all and change only what is its own."""
    sandbox = make_sandbox(leads=300, contacts=200, plan="self_hosted")
    changes = planned(sandbox)
    before = sandbox.links("lead")
    rows = sandbox.state.tables["lead"].rows
    own = {change.owner.id for change in changes if rows[change.owner.id]["ASSIGNED_BY_ID"] == 1}
    assert 5 < len(own) < len(changes) - 5
    sandbox.set_switches(user_updates="own")
    notes = applied(sandbox, changes)
    assert set(notes.by_name()["applied"]) == own
    assert set(notes.by_name()) == {"applied", "failed"}
    after = sandbox.links("lead")
    for lead in notes.by_name()["failed"]:
        assert "Access denied" in notes.outcomes[lead].reason
        assert after[str(lead)] == before[str(lead)]
