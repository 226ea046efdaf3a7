"""Saves that the portal did not make are made up for, or told: links that are right do not hide them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_bitrix.client.wire import Reply, Request
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.sandbox.links import Link
from airflow_bitrix.sandbox.server import Sandbox
from tests.engine.conftest import Post
from tests.engine.test_lost_writes import WRITE, Waits, saved_leads, without_saves

SAVE = "crm.lead.update"
FAILED = {"error": "INTERNAL_SERVER_ERROR", "error_description": "Internal server error"}
REFUSED = {"error": "", "error_description": "Saving is not allowed here."}


@pytest.fixture
def sandbox(make_sandbox: Any) -> Any:
    return make_sandbox(contacts=9, plan="self_hosted")


def clears(sandbox: Sandbox) -> list[Change]:
    """Take both contacts from three leads and save them, without ending a repeat lead."""
    made = []
    for _ in range(3):
        owner = Owner("lead", sandbox.state.add("lead", {"CONTACT_IDS": [3, 4]}))
        before = (ContactLink(3, 10, is_primary=True, role_id=0), ContactLink(4, 20, role_id=0))
        made.append(Change(LinkSet(owner, before), LinkSet(owner), ("why",), save=True, may_empty=True))
    return made


def refuse_saves(sandbox: Sandbox, error: dict[str, str]) -> None:
    sandbox.set_faults(command=1.0, only_methods=[SAVE], command_error=error)


@pytest.mark.parametrize("error", [FAILED, REFUSED], ids=["failed", "refused"])
def test_a_save_that_the_portal_does_not_make_is_not_applied(sandbox: Any, run: Any, error: Any) -> None:
    changes = clears(sandbox)
    refuse_saves(sandbox, error)
    notes = run(sandbox, changes, manners=Waits().manners())
    assert notes.names() == {"failed": 3}
    assert not saved_leads(sandbox)


def test_a_save_that_is_answered_with_no_is_not_applied(sandbox: Any, run: Any) -> None:
    changes = clears(sandbox)

    async def between(post: Post, request: Request) -> Any:
        if not WRITE.search(request.body):
            return await post(request)
        reply = await post(without_saves(request))
        told = json.loads(reply.body)
        sent = json.loads(request.body)["cmd"]
        said = dict(told["result"]["result"] or {})
        told["result"]["result"] = said | {key: False for key in sent if sent[key].startswith(SAVE)}
        return Reply(reply.status, json.dumps(told).encode())

    notes = run(sandbox, changes, between, manners=Waits().manners())
    assert notes.names() == {"failed": 3}
    assert all("answered the save with no" in one.reason for one in notes.outcomes.values())


def test_a_save_that_was_not_made_is_made_by_the_next_life(sandbox: Any, run: Any) -> None:
    changes = clears(sandbox)
    refuse_saves(sandbox, REFUSED)
    first = run(sandbox, changes)
    assert first.owed == {change.owner.id for change in changes}
    begun = {links.owner.id: links for links in first.begun}
    again = run(sandbox, changes, written_before=begun, owed_before=first.owed)
    assert again.names() == {"failed": 3}
    sandbox.clear_faults()
    begun |= {links.owner.id: links for links in again.begun}
    last = run(sandbox, changes, written_before=begun, owed_before=again.owed)
    assert last.names() == {"applied": 3}
    assert saved_leads(sandbox) == {change.owner.id: 1 for change in changes}
    for change in changes:
        assert last.outcomes[change.owner.id].before == change.before


def test_what_a_colleague_links_before_a_save_is_made_up_for_replaces_no_image(
    sandbox: Any, run: Any
) -> None:
    change, *_ = clears(sandbox)
    writes: list[Request] = []

    async def between(post: Post, request: Request) -> Any:
        if WRITE.search(request.body):
            writes.append(request)
            if len(writes) == 1:
                refuse_saves(sandbox, FAILED)
                reply = await post(request)
                sandbox.clear_faults()
                return reply
            with sandbox.portal.lock:
                sandbox.state.place_links("lead", change.owner.id, (Link(10, 9, primary=True),))
        return await post(request)

    notes = run(sandbox, [change], between, manners=Waits().manners())
    outcome = notes.outcomes[change.owner.id]
    assert outcome.before == change.before
    assert "overwritten: contacts 9" in outcome.reason
