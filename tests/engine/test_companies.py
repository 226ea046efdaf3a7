"""Companies that hold repeat leads are taken off in the save that is made anyway, and given back by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_bitrix.client.wire import Reply, Request
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.sandbox.server import Sandbox
from tests.engine.conftest import Applied, Planned, Post
from tests.engine.test_lost_writes import WRITE, Waits, saved_leads

SAVE = "crm.lead.update"


@pytest.fixture
def sandbox(make_sandbox: Any) -> Any:
    return make_sandbox(contacts=9, plan="self_hosted")


def held(sandbox: Sandbox, *contact_ids: int, company: int = 17) -> Owner:
    fields = {"TITLE": "Held", "COMPANY_ID": company, "CONTACT_IDS": list(contact_ids)}
    return Owner("lead", sandbox.state.add("lead", fields))


def released(owner: Owner, *contact_ids: int, company: int = 17) -> Change:
    return Change(
        LinkSet.of_ids(owner, contact_ids, next(iter(contact_ids), None)),
        LinkSet(owner),
        ("why",),
        save=True,
        ends_repeat=True,
        may_empty=True,
        holds={"company_id": company},
        company=0,
    )


def company_of(sandbox: Sandbox, owner: Owner) -> int:
    return int(sandbox.links("lead")[str(owner.id)]["company_id"])


def test_leads_that_a_company_holds_are_released_without_it_as_cheaply_as_others(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    sandbox = make_sandbox(leads=2000, contacts=3000, plan="self_hosted")
    before, truth = sandbox.links("lead"), sandbox.truth()["expected"]["release_repeat_leads"]
    assert [one for one in planned(sandbox) if one.company is not None] == []
    changes = planned(sandbox, company="unlink")
    ends = sorted(truth["released"] + truth["held_by_company"])
    assert sorted(change.owner.id for change in changes) == ends
    sandbox.reset_stats()
    notes = applied(sandbox, changes)
    assert notes.by_name() == {"applied": ends}
    assert sandbox.stats()["commands_in_batches"][SAVE] == len(ends)
    for lead, now in sandbox.links("lead").items():
        if int(lead) in ends:
            assert (now["links"], now["company_id"], now["is_return_customer"]) == ([], 0, "N")
        else:
            assert now == before[lead]
    were = {int(lead): one["company_id"] for lead, one in before.items() if int(lead) in ends}
    told = {lead: outcome.company for lead, outcome in notes.outcomes.items()}
    assert {lead: company or 0 for lead, company in told.items()} == were
    assert {lead for lead, company in told.items() if company is None} == set(truth["released"])

    sandbox.reset_stats()
    assert set(applied(sandbox, changes).by_name()) == {"already"}
    assert sandbox.stats()["writes"] == 0


@pytest.mark.parametrize("switches", [{"flag_at_once": True}, {"hide_contact_ids": True}], ids=str)
def test_they_end_right_on_portals_that_do_it_otherwise(
    make_sandbox: Any, planned: Planned, applied: Applied, switches: dict[str, bool]
) -> None:
    sandbox = make_sandbox(leads=300, contacts=100, plan="self_hosted")
    sandbox.set_switches(**switches)
    truth = sandbox.truth()["expected"]["release_repeat_leads"]
    notes = applied(sandbox, planned(sandbox, company="unlink"))
    assert notes.by_name() == {"applied": sorted(truth["released"] + truth["held_by_company"])}


def test_a_company_that_somebody_changed_since_is_drift(sandbox: Any, run: Applied) -> None:
    owners = [held(sandbox, 3) for _ in range(3)]
    for owner, company in zip(owners, (18, 0, 17), strict=True):
        sandbox.state.update("lead", owner.id, {"COMPANY_ID": company})
    notes = run(sandbox, [released(owner, 3) for owner in owners])
    assert notes.by_name() == {"drift": [owners[0].id, owners[1].id], "applied": [owners[2].id]}
    reasons = [notes.outcomes[owner.id].reason for owner in owners]
    assert reasons == ["company id is now 18, planned from 17", "company id is now 0, planned from 17", ""]
    assert [company_of(sandbox, owner) for owner in owners] == [18, 0, 0]
    assert [len(sandbox.state.links("lead", owner.id)) for owner in owners] == [1, 1, 0]


def test_a_save_that_is_refused_leaves_the_lead_failed_and_says_whose_it_is(
    sandbox: Any, run: Applied
) -> None:
    owner = held(sandbox, 3)
    error = {"error": "", "error_description": "Saving is not allowed here."}
    sandbox.set_faults(command=1.0, only_methods=[SAVE], command_error=error)
    notes = run(sandbox, [released(owner, 3)])
    assert notes.by_name() == {"failed": [owner.id]}
    assert notes.outcomes[owner.id].reason == "Saving is not allowed here."
    assert (company_of(sandbox, owner), sandbox.state.links("lead", owner.id)) == (17, ())
    sandbox.clear_faults()
    # The next try finds the contacts gone and the company there, and makes the save alone.
    again = run(sandbox, [released(owner, 3)], written_before={owner.id: released(owner, 3).before})
    assert (again.by_name(), company_of(sandbox, owner)) == ({"applied": [owner.id]}, 0)
    assert again.outcomes[owner.id].company == 17


def test_a_save_that_brings_nothing_about_is_failed(sandbox: Any, run: Applied) -> None:
    """The portal says yes, and a handler of its own keeps the company."""
    owner = held(sandbox)

    async def keep(post: Post, request: Request) -> Any:
        return await post(replace(request, body=request.body.replace(b"COMPANY_ID", b"NO_SUCH_FIELD")))

    notes = run(sandbox, [released(owner)], keep, manners=Waits().manners())
    assert notes.by_name() == {"failed": [owner.id]}
    assert notes.outcomes[owner.id].reason == "after saving, of company 17"


def test_a_run_that_was_killed_is_gone_on_with_wherever_it_ended(sandbox: Any, run: Applied) -> None:
    """Before its request arrived, between the two commands, and behind both."""
    owners = [held(sandbox, 3) for _ in range(3)]
    changes = [released(owner, 3) for owner in owners]
    sandbox.state.clear_links("lead", owners[1].id)
    sandbox.state.clear_links("lead", owners[2].id)
    sandbox.state.update("lead", owners[2].id, {"COMPANY_ID": 0})
    notes = run(sandbox, changes, written_before={one.owner.id: one.before for one in changes})
    assert notes.by_name() == {"applied": [owner.id for owner in owners]}
    assert [company_of(sandbox, owner) for owner in owners] == [0, 0, 0]
    assert saved_leads(sandbox) == {owners[0].id: 1, owners[1].id: 1}


def test_an_answer_that_is_lost_behind_the_work_starts_no_second_save(sandbox: Any, run: Applied) -> None:
    owner = held(sandbox, 3)
    lost: list[Request] = []

    async def lose(post: Post, request: Request) -> Any:
        reply = await post(request)
        if WRITE.search(request.body) and not lost:
            lost.append(request)
            return Reply(502, b"<html>")
        return reply

    notes = run(sandbox, [released(owner, 3)], lose, manners=Waits().manners())
    assert (notes.by_name(), len(lost)) == ({"applied": [owner.id]}, 1)
    assert saved_leads(sandbox) == {owner.id: 1}
    assert (company_of(sandbox, owner), notes.outcomes[owner.id].company) == (0, 17)


def test_a_company_that_somebody_sets_right_before_the_write_is_told_and_kept_for_a_restore(
    sandbox: Any, run: Applied
) -> None:
    owner = held(sandbox, 3)

    async def colleague(post: Post, request: Request) -> Any:
        if WRITE.search(request.body):
            sandbox.state.update("lead", owner.id, {"COMPANY_ID": 18})
        return await post(request)

    notes = run(sandbox, [released(owner, 3)], colleague)
    outcome = notes.outcomes[owner.id]
    assert (outcome.outcome, outcome.company, company_of(sandbox, owner)) == ("applied", 18, 0)
    assert outcome.reason == "somebody changed it after it was looked at; overwritten: company 18"
    assert outcome.is_overwrite


def gives_back(owner: Owner, company: int = 17) -> Change:
    links = LinkSet(owner, (ContactLink(4, 20, is_primary=True, role_id=0), ContactLink(3, 30, role_id=0)))
    holds = {"company_id": 0}
    return Change(LinkSet(owner), links, ("restore",), save=True, holds=holds, company=company)


def test_a_company_comes_back_by_a_save_that_touches_no_contact(sandbox: Any, run: Applied) -> None:
    owner = held(sandbox, company=0)
    notes = run(sandbox, [gives_back(owner)])
    assert (notes.by_name(), company_of(sandbox, owner)) == ({"applied": [owner.id]}, 17)
    there = [(link.contact_id, link.sort, link.primary) for link in sandbox.state.links("lead", owner.id)]
    assert there == [(4, 20, True), (3, 30, False)]
    assert sandbox.state.row("lead", owner.id)["IS_RETURN_CUSTOMER"] == "Y"
    assert notes.outcomes[owner.id].company == 0


@pytest.mark.parametrize("method", ["crm.lead.contact.items.set", SAVE])
def test_what_fails_for_a_moment_is_made_up_for_whichever_command_it_is(
    sandbox: Any, run: Applied, method: str
) -> None:
    """The company is back already, or the contacts are: both are its own work."""
    owner, passed = held(sandbox, company=0), []

    async def fails_once(post: Post, request: Request) -> Any:
        if WRITE.search(request.body):
            passed.append(request)
            error = {"error": "INTERNAL_SERVER_ERROR", "error_description": "Oops"}
            first = len(passed) == 1
            sandbox.set_faults(command=float(first), only_methods=[method], command_error=error)
        return await post(request)

    notes = run(sandbox, [gives_back(owner)], fails_once, manners=Waits().manners())
    assert (notes.by_name(), len(passed)) == ({"applied": [owner.id]}, 2)
    assert company_of(sandbox, owner) == 17
    assert [link.contact_id for link in sandbox.state.links("lead", owner.id)] == [4, 3]
    assert notes.outcomes[owner.id].company == 0
