"""Writes that get no answer, or whose save does not come off: nothing is lost, called done, or hammered."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from airflow_bitrix.client.allowance import Unlimited
from airflow_bitrix.client.flow import Clock, Manners
from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.client.wire import Reply, Request
from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.rules import judge, rules_for
from airflow_bitrix.crm.scan import scan
from airflow_bitrix.sandbox.links import Link
from airflow_bitrix.sandbox.server import Sandbox
from tests.engine.conftest import Post
from tests.engine.notes import Notes
from tests.engine.test_apply_operating import Hands

GONE = Reply(502, b"<title>502</title>")
WRITE = re.compile(rb"crm\.lead\.update\?id=(\d+)")


class Waits:
    """A clock that remembers waits and does not make them."""

    def __init__(self) -> None:
        self.now, self.seconds = 0.0, list[float]()

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.seconds.append(seconds)

    def manners(self) -> Manners:
        clock = Clock(lambda: self.now, lambda _: None, self.sleep)
        return Manners(Unlimited(), Retries(times=6, first=0.5, longest=30), luck=lambda: 1.0, clock=clock)


@pytest.fixture
def release(connect_async: Any) -> Callable[[Sandbox], list[Change]]:
    """Plan the release of a sandbox's repeat leads that have contacts."""

    def release(sandbox: Sandbox) -> list[Change]:
        async def collect() -> list[Change]:
            rules = rules_for("lead", ["release_repeat_leads"])
            async with connect_async(sandbox.webhook_url) as portal:
                judged = [judge(state, rules)[0] async for state in scan(portal, "lead")]
            return [change for change in judged if change and change.before.links]

        return asyncio.run(collect())

    return release


def saved_leads(sandbox: Sandbox) -> Counter[int]:
    return Counter(one.owner_id for one in sandbox.portal.writes if one.method == "crm.lead.update")


def restores(sandbox: Sandbox) -> list[Change]:
    """Changes that link a contact and save the lead, without ending a repeat lead."""
    owners = [Owner("lead", sandbox.state.add("lead", {})) for _ in range(3)]
    wanted = (ContactLink(1, 10, is_primary=True, role_id=0),)
    return [Change(LinkSet(one), LinkSet(one, wanted), ("restore",), save=True) for one in owners]


def test_a_write_that_is_lost_is_sent_as_often_as_any_other_call(
    make_sandbox: Any, run: Any, release: Any
) -> None:
    """Six times each write does not arrive."""
    sandbox = make_sandbox(leads=200, contacts=100, plan="self_hosted")
    changes = release(sandbox)
    lost: Counter[bytes] = Counter()

    async def between(post: Post, request: Request) -> Any:
        saved = WRITE.findall(request.body)
        if any(lost[lead] < 6 for lead in saved):
            lost.update(saved)
            return GONE
        return await post(request)

    notes = run(sandbox, changes, between, manners=Waits().manners())
    assert notes.names() == {"applied": len(changes)}
    assert saved_leads(sandbox) == {change.owner.id: 1 for change in changes}
    assert set(lost.values()) == {6}


def test_an_owner_that_kills_the_portal_s_script_takes_no_other_along(
    make_sandbox: Any, run: Any, release: Any
) -> None:
    """A faulty handler of the portal's own dies over two leads, and the batches with them do."""
    sandbox = make_sandbox(leads=600, contacts=300, plan="self_hosted")
    changes = release(sandbox)
    owners = [change.owner.id for change in changes]
    fatal = {owners[1], owners[len(owners) // 2]}
    sandbox.set_faults(fatal_owners=sorted(fatal))
    notes = run(sandbox, changes, manners=Waits().manners())
    failed = {owner: one.reason for owner, one in notes.outcomes.items() if one.outcome != "applied"}
    assert failed == dict.fromkeys(
        fatal, "HTTP status 500 (Internal Server Error), and no answer that can be read"
    )
    assert set(notes.outcomes) == set(owners)


def test_a_write_that_the_portal_did_not_take_is_not_waited_for(
    make_sandbox: Any, run: Any, release: Any
) -> None:
    """Its bucket tells when the next request fits."""
    sandbox = make_sandbox(leads=200, contacts=100, plan="self_hosted")
    changes = release(sandbox)
    waits = Waits()
    refused: list[Request] = []

    async def between(post: Post, request: Request) -> Any:
        if WRITE.search(request.body) and len(refused) < 3:
            refused.append(request)
            return Reply(503, b'{"error": "QUERY_LIMIT_EXCEEDED", "error_description": ""}')
        return await post(request)

    notes = run(sandbox, changes, between, manners=waits.manners())
    assert notes.names() == {"applied": len(changes)}
    assert len(refused) == 3
    assert waits.seconds == []


@pytest.mark.parametrize("code", ["", "INTERNAL_SERVER_ERROR"])
def test_a_change_whose_save_the_portal_does_not_make_is_not_called_applied(
    make_sandbox: Any, run: Any, code: str
) -> None:
    sandbox = make_sandbox(contacts=9, plan="self_hosted")
    changes = restores(sandbox)
    said = {"error": code, "error_description": "Saving is not allowed here."}
    sandbox.set_faults(command=1.0, only_methods=["crm.lead.update"], command_error=said)
    notes = run(sandbox, changes)
    assert notes.names() == {"failed": 3}
    assert all("Saving is not allowed here." in one.reason for one in notes.outcomes.values())


def test_a_save_that_failed_in_passing_is_made_alone(make_sandbox: Any, run: Any) -> None:
    sandbox = make_sandbox(contacts=9, plan="self_hosted")
    changes = restores(sandbox)
    sandbox.set_faults(seed=2, command=0.3, only_methods=["crm.lead.update"])
    notes = run(sandbox, changes)
    assert sandbox.stats()["faults"]["command"] > 0
    assert notes.names() == {"applied": 3}
    assert saved_leads(sandbox) == {change.owner.id: 1 for change in changes}
    assert len([one for one in sandbox.portal.writes if one.method != "crm.lead.update"]) == 3


def test_a_write_that_the_portal_carries_out_late_leaves_the_before_image_as_it_was(
    make_sandbox: Any, run: Any, release: Any
) -> None:
    """It was cut off, the look does not show it yet, and it comes through right before the next one."""
    sandbox = make_sandbox(leads=100, contacts=90, plan="self_hosted")
    changes = release(sandbox)[:16]
    late: list[Request] = []
    done: list[Request] = []

    async def between(post: Post, request: Request) -> Any:
        if WRITE.search(request.body):
            if not late:
                late.append(request)
                return Reply(504, b"<title>504</title>")
            if not done:
                done.append(late[0])
                await post(late[0])
        return await post(request)

    notes = run(sandbox, changes, between)
    assert done
    assert notes.names() == {"applied": len(changes)}
    for change in changes:
        before = notes.outcomes[change.owner.id].before
        assert before.contact_ids == change.before.contact_ids


def test_changes_that_waited_for_a_rest_are_looked_at_before_they_are_written(
    make_sandbox: Any, run: Any, release: Any
) -> None:
    """Two methods of the portal, one of which rests, and a request that dies between its commands."""
    hands = Hands()
    sandbox = make_sandbox(leads=200, contacts=90, clock=hands.portal())
    releases = release(sandbox)[:16]
    taken = {change.owner.id for change in releases}
    others = [lead for lead in sandbox.state.tables["lead"].rows if lead not in taken][:48]
    singles = [single(sandbox, lead) for lead in others]
    sandbox.set_switches(operating_seconds={"crm.lead.contact.delete": 20.0})
    died: list[Request] = []

    async def between(post: Post, request: Request) -> Any:
        if WRITE.search(request.body) and not died:
            died.append(request)
            await post(without_saves(request))
            return Reply(500, b"<title>500</title>")
        return await post(request)

    changes = [*singles[:24], *releases, *singles[24:]]
    sandbox.reset_stats()
    notes = run(sandbox, changes, between, manners=hands.manners(max_wait=3600))
    assert died
    assert notes.names() == {"applied": len(changes)}
    for change in releases:
        assert notes.outcomes[change.owner.id].before.contact_ids == change.before.contact_ids
    cleared = Counter(
        one.owner_id for one in sandbox.portal.writes if one.method == "crm.lead.contact.items.delete"
    )
    assert cleared == dict.fromkeys(taken, 1)


def without_saves(request: Request) -> Request:
    """The batch of a script that died over a save, with all that it did before."""
    sent = json.loads(request.body)
    sent["cmd"] = {key: one for key, one in sent["cmd"].items() if not one.startswith("crm.lead.update")}
    return Request(request.method, json.dumps(sent).encode())


def single(sandbox: Sandbox, lead: int) -> Change:
    """Take one of two contacts away."""
    sandbox.state.place_links("lead", lead, (Link(10, 1, primary=True), Link(20, 2)))
    sandbox.state.tables["lead"].rows[lead]["CONTACT_ID"] = 1
    owner = Owner("lead", lead)
    before = LinkSet(owner, (ContactLink(1, is_primary=True), ContactLink(2)))
    return Change(before, LinkSet(owner, before.links[:1]), ("why",))


def test_a_portal_that_answers_writes_late_is_given_time(make_sandbox: Any, run: Any, release: Any) -> None:
    """Writes get no answer for ten seconds, looks do: the client waits longer each time."""
    sandbox = make_sandbox(leads=200, contacts=90, plan="self_hosted")
    changes = release(sandbox)
    waits = Waits()
    lost: list[Request] = []

    async def between(post: Post, request: Request) -> Any:
        if WRITE.search(request.body) and waits.now < 10:
            lost.append(request)
            return GONE
        return await post(request)

    notes = run(sandbox, changes, between, manners=waits.manners())
    assert notes.names() == {"applied": len(changes)}
    assert {0.5, 1, 2} < set(waits.seconds)
    assert len(lost) <= 12


def test_a_portal_that_loses_each_write_twice_is_written_to_in_a_few_times_the_requests(
    make_sandbox: Any, run: Any, release: Any
) -> None:
    sandbox = make_sandbox(leads=1000, contacts=300, plan="self_hosted")
    changes = release(sandbox)
    lost: Counter[bytes] = Counter()
    requests: list[Request] = []

    async def between(post: Post, request: Request) -> Any:
        requests.append(request)
        saved = WRITE.findall(request.body)
        if any(lost[lead] < 2 for lead in saved):
            lost.update(saved)
            return GONE
        return await post(request)

    notes = run(sandbox, changes, between, manners=Waits().manners())
    assert notes.names() == {"applied": len(changes)}
    assert len(requests) < len(changes) / 16 * 10


@pytest.mark.parametrize("answered", [True, False])
def test_a_gate_hears_of_failures_before_much_was_written(
    make_sandbox: Any, run: Any, release: Any, *, answered: bool
) -> None:
    """All saves fail: what is repeated comes before what is new, so that failures are known soon."""
    sandbox = make_sandbox(leads=2000, contacts=300, plan="self_hosted")
    changes = release(sandbox)
    notes = Notes()

    def gate() -> Exception | None:
        return RetryLater("too many failed") if notes.names()["failed"] else None

    async def dying(post: Post, request: Request) -> Any:
        if WRITE.search(request.body):
            await post(without_saves(request))
            return Reply(500, b"<title>500</title>")
        return await post(request)

    if answered:
        sandbox.set_faults(command=1.0, only_methods=["crm.lead.update"])
    with pytest.raises(RetryLater, match="too many failed"):
        run(
            sandbox,
            changes,
            None if answered else dying,
            notes=notes,
            gate=gate,
            in_flight=5,
            manners=Waits().manners(),
        )
    written = {one.owner_id for one in sandbox.portal.writes}
    assert len(changes) > 400
    assert len(written) <= 5 * 16 * 3  # a lane has a group at hand, one it looks at, and one that is repeated


def test_what_a_colleague_did_while_a_write_was_lost_is_told(make_sandbox: Any, run: Any) -> None:
    sandbox = make_sandbox(contacts=9, plan="self_hosted")
    (change, *_) = restores(sandbox)

    async def between(post: Post, request: Request) -> Any:
        if WRITE.search(request.body):
            sandbox.state.place_links("lead", change.owner.id, (Link(10, 2, primary=True), Link(20, 3)))
            return GONE
        return await post(request)

    notes = run(sandbox, [change], between)
    (outcome,) = notes.outcomes.values()
    assert outcome.outcome == "failed"
    assert "502" in outcome.reason
    assert "contacts are now 2, 3" in outcome.reason
