"""Links that a scan's lists leave out or tell in part: read by items.get, and what cannot be read is told."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from airflow_bitrix.core.errors import Rejected
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.crm.scan import LinksRead, ask_links, read_links, scan


@pytest.mark.parametrize("kind", ["lead", "deal"])
def test_where_the_portal_leaves_links_out_they_are_read_by_items_get(
    kind: OwnerKind, make_sandbox: Any, scanned: Any
) -> None:
    sandbox = make_sandbox(leads=300, deals=300, contacts=100, plan="self_hosted")
    sandbox.set_switches(hide_contact_ids=True)
    states, requests = scanned(sandbox, kind)
    truth = sandbox.links(kind)
    assert len(states) == 300
    for state in states:
        rows = truth[str(state.owner.id)]["links"]
        assert state.links.as_json() == [[row[0], row[1], row[2] == "Y", row[3]] for row in rows]
    assert requests == 1 + 6


def test_full_detail_tells_sort_and_role_and_asks_only_for_owners_with_links(
    make_sandbox: Any, scanned: Any
) -> None:
    sandbox = make_sandbox(leads=900, contacts=100, plan="self_hosted")
    states, requests = scanned(sandbox, "lead", detail="full", ordered=True)
    truth = sandbox.links("lead")
    assert [state.owner.id for state in states] == list(range(1, 901))
    for state in states:
        rows = truth[str(state.owner.id)]["links"]
        assert state.links.as_json() == [[row[0], row[1], row[2] == "Y", row[3]] for row in rows]
    linked = sum(bool(owner["links"]) for owner in truth.values())
    assert sandbox.stats()["commands_in_batches"]["crm.lead.contact.items.get"] == linked
    assert requests == 1 + math.ceil(linked / 50)


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("says", ["empty", "not_found"])
def test_an_owner_that_is_deleted_before_its_links_are_read_is_gone(
    says: str,
    hidden: bool,  # noqa: FBT001
    make_sandbox: Any,
    connect_async: Any,
) -> None:
    """It was seen in a list; what ``items.get`` says of it then is no state that it ever had."""
    sandbox = make_sandbox(leads=900, contacts=100, plan="self_hosted")
    sandbox.set_switches(missing_owner_items_get=says, hide_contact_ids=hidden)
    truth = sandbox.links("lead")
    gone = [int(lead) for lead, owner in truth.items() if owner["contact_id"] and int(lead) > 600][:3]
    bare = next(int(lead) for lead, owner in truth.items() if len(owner["links"]) > 1 and int(lead) > 800)

    async def collect() -> list[OwnerState]:
        states: list[OwnerState] = []
        async with connect_async(sandbox.webhook_url, in_flight=1) as portal:
            async for state in scan(portal, "lead", detail="full", ordered=True):
                if not states:
                    for lead in gone:
                        sandbox.state.delete("lead", lead)
                    await portal.call("crm.lead.contact.items.delete", {"id": bare})
                states.append(state)
        return states

    states = asyncio.run(collect())
    assert [state.owner.id for state in states] == [lead for lead in range(1, 901) if lead not in gone]
    for state in states:
        rows = truth[str(state.owner.id)]["links"] if state.owner.id != bare else []
        assert state.links.as_json() == [[row[0], row[1], row[2] == "Y", row[3]] for row in rows]
        assert state.links.shown_id == (truth[str(state.owner.id)]["contact_id"] or None) or not rows
    assert [state.links.shown_id for state in states if state.owner.id == bare] == [None]


def test_owners_whose_links_the_portal_refuses_are_left_out_and_named_when_all_others_are_given(
    make_sandbox: Any, connect_async: Any
) -> None:
    sandbox = make_sandbox(leads=900, contacts=100, plan="self_hosted")
    linked = [int(lead) for lead, owner in sandbox.links("lead").items() if owner["links"]]
    denied = {"error": "ACCESS_DENIED", "error_description": "Access denied!"}
    states: list[OwnerState] = []

    async def collect() -> None:
        async with connect_async(sandbox.webhook_url, in_flight=1) as portal:
            async for state in scan(portal, "lead", detail="full", ordered=True):
                if not states:
                    only = ["crm.lead.contact.items.get"]
                    sandbox.set_faults(command=1.0, command_error=denied, only_methods=only)
                states.append(state)

    with pytest.raises(Rejected) as refused:
        asyncio.run(collect())
    there = {state.owner.id for state in states}
    lost = [lead for lead in range(1, 901) if lead not in there]
    assert set(lost) == set(linked[200:])
    assert all(state.links.is_exact for state in states)
    assert str(refused.value) == (
        f"the links of {len(lost)} leads could not be read, the others were given; first of them: "
        f"crm.lead.contact.items.get (lead {lost[0]}): the portal refused: ACCESS_DENIED: Access denied!"
    )
    assert refused.value.answer.code == "ACCESS_DENIED"


def test_whoever_reads_links_of_states_may_take_the_refused_apart(
    make_sandbox: Any, connect_async: Any
) -> None:
    sandbox = make_sandbox(leads=60, contacts=20, plan="self_hosted")

    async def read() -> tuple[LinksRead, list[OwnerState]]:
        async with connect_async(sandbox.webhook_url) as portal:
            states = [state async for state in scan(portal, "lead", ordered=True)]
            seen = [state for state in states if state.links.links]
            denied = {"error": "ACCESS_DENIED", "error_description": "Access denied!"}
            only = ["crm.lead.contact.items.get"]
            sandbox.set_faults(command=0.3, command_error=denied, only_methods=only)
            found = await read_links(portal, seen, full=True)
            with pytest.raises(Rejected, match="the links of"):
                await ask_links(portal, seen, full=True)
            return found, seen

    found, seen = asyncio.run(read())
    assert 0 < len(found.refused) < len(seen)
    assert [state.owner for state in found.states] == [
        state.owner for state in seen if state.owner not in found.refused
    ]
