"""Every kind of owner: a contact is replaced, or a company, the way back found, and nothing lost."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from airflow_bitrix.client.wire import Reply, Request
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.link_writes import attainable
from airflow_bitrix.core.links import LinkSet
from airflow_bitrix.core.plan import Change
from airflow_bitrix.crm.scan import scan
from airflow_bitrix.engine.migrations import replace_linked
from airflow_bitrix.sandbox.server import Sandbox
from tests.engine.conftest import Applied, Post
from tests.engine.notes import Notes

KINDS = ("lead", "deal", "quote", "company", "contact", "smart_invoice", "dynamic_1036")
CONTACTS = 12
OLD, NEW = 3, 9
MANY = 60
GONE = Reply(502, b"<title>502</title>")


@pytest.fixture(scope="module")
def portal() -> Iterator[Sandbox]:
    with Sandbox(contacts=CONTACTS, companies=CONTACTS, plan="self_hosted") as sandbox:
        yield sandbox


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def owners(portal: Sandbox, kind: str) -> dict[int, list[int]]:
    """Owners that an old one is linked to: alone, first, last, beside the new one; and one without it."""
    lists = ([OLD], [OLD, 5], [5, OLD, 7], [NEW, OLD], [OLD, 4, NEW], [6, 7])
    made = {}
    for number in range(MANY):
        ids = list(lists[number % len(lists)])
        made[portal.state.add(kind, {"TITLE": f"{kind} {number}", field_of(kind): ids})] = ids
    return made


def field_of(kind: str) -> str:
    return f"{family_of(kind).linked.upper()}_IDS"


def now(portal: Sandbox, kind: str, owners: Mapping[int, Any]) -> dict[int, tuple[int, ...]]:
    return {one: tuple(link.contact_id for link in portal.state.links(kind, one)) for one in owners}


def replaced(ids: list[int]) -> list[int]:
    return list(dict.fromkeys(NEW if one == OLD else one for one in ids))


async def scanned(connect: Any, portal: Sandbox, kind: str, detail: str = "full") -> dict[int, LinkSet]:
    async with connect(portal.webhook_url) as client:
        found = [state async for state in scan(client, kind, detail=detail)]  # type: ignore[arg-type]
    return {state.owner.id: state.links for state in found}


@pytest.fixture
def planned(portal: Sandbox, kind: str, connect_async: Any) -> Any:
    """Plan the replacement, for the owners of this test."""

    def plan(owners: Mapping[int, Any]) -> list[Change]:
        async def collect() -> list[Change]:
            wanted = {"@id": list(owners)}
            async with connect_async(portal.webhook_url) as client:
                steps = [
                    one async for one in replace_linked(client, kind, {OLD: NEW}, wanted, lambda _: None)
                ]
            changes = [step.change("contact_map") for step in steps]  # type: ignore[union-attr]
            return [change for change in changes if change]

        return asyncio.run(collect())

    return plan


@pytest.fixture
def do(portal: Sandbox, applied: Applied, connect_async: Any) -> tuple[Applied, Any]:
    """What applies changes, and what reads all owners of a kind."""
    return applied, lambda kind: asyncio.run(scanned(connect_async, portal, kind))


def same(kind: str, one: tuple[int, ...], other: list[int]) -> bool:
    """Whether contacts are the same; the order of a company's is that of its contacts."""
    return {*one} == {*other} if family_of(kind).is_shared else list(one) == other


def test_a_scan_tells_of_each_owner_what_the_portal_holds(
    portal: Sandbox, kind: str, owners: dict[int, list[int]], connect_async: Any
) -> None:
    for detail in ("ids", "full"):
        found = asyncio.run(scanned(connect_async, portal, kind, detail))
        for one, ids in owners.items():
            assert same(kind, found[one].contact_ids, ids)
            assert found[one].shown_id == (None if family_of(kind).is_shared else ids[0])


def test_a_contact_is_replaced_and_all_comes_back(
    portal: Sandbox, kind: str, owners: dict[int, list[int]], planned: Any, do: tuple[Applied, Any]
) -> None:
    applied, look = do
    before = look(kind)
    changes = planned(owners)
    assert len(changes) == sum(OLD in ids for ids in owners.values())
    notes = applied(portal, changes)
    assert notes.names() == {"applied": len(changes)}
    held = now(portal, kind, owners)
    assert all(same(kind, held[one], replaced(ids)) for one, ids in owners.items())
    assert not planned(owners)
    after = look(kind)
    back = [
        Change(after[one.owner.id], attainable(after[one.owner.id], before[one.owner.id]), ("back",))
        for one in changes
    ]
    assert applied(portal, back).names() == {"applied": len(back)}
    restored = look(kind)
    assert all(restored[one].agrees_with(before[one]) for one in owners)


def test_what_somebody_changed_since_the_plan_is_left_alone(
    portal: Sandbox, kind: str, owners: dict[int, list[int]], planned: Any, applied: Applied
) -> None:
    changes = planned(owners)
    strange = changes[0].owner.id
    portal.state.update(kind, strange, {field_of(kind): [1, 2]})
    notes = applied(portal, changes)
    assert notes.by_name()["drift"] == [strange]
    assert notes.names() == {"drift": 1, "applied": len(changes) - 1}
    assert {*now(portal, kind, {strange: []})[strange]} == {1, 2}


def test_answers_that_get_lost_lose_nothing_and_write_nothing_else(
    portal: Sandbox, kind: str, owners: dict[int, list[int]], planned: Any, applied: Applied
) -> None:
    """Each third write is carried out, and its answer lost; each third does not arrive."""
    changes = planned(owners)
    count = 0

    async def between(post: Post, request: Request) -> Any:
        nonlocal count
        if (
            b"crm.item.update?" not in request.body
            and b"items.set?" not in request.body
            and not re.search(rb"\.(contact|company)\.(add|delete)\?", request.body)
        ):
            return await post(request)
        count += 1
        if count % 3 == 1:
            await post(request)
        return GONE if count % 3 else await post(request)

    notes = applied(portal, changes, between)
    assert count > 2
    assert notes.names() == {"applied": len(changes)}
    held = now(portal, kind, owners)
    assert all(same(kind, held[one], replaced(ids)) for one, ids in owners.items())


def test_an_apply_that_died_goes_on_where_it_was(
    portal: Sandbox, kind: str, owners: dict[int, list[int]], planned: Any, applied: Applied
) -> None:
    changes = planned(owners)
    first, dead = Notes(), 0

    async def between(post: Post, request: Request) -> Any:
        nonlocal dead
        answer = await post(request)
        dead += b"contact" in request.body
        if dead > 3:
            raise KeyboardInterrupt
        return answer

    with pytest.raises(KeyboardInterrupt):
        applied(portal, changes, between, notes=first, in_flight=1)
    begun = {links.owner.id: links for links in first.begun}
    notes = applied(portal, changes, written_before=begun)
    assert {*notes.names()} <= {"applied", "already"}
    held = now(portal, kind, owners)
    assert all(same(kind, held[one], replaced(ids)) for one, ids in owners.items())


@pytest.mark.parametrize("kind", ["company"])
def test_who_joins_a_company_keeps_the_primary_company(
    portal: Sandbox, planned: Any, do: tuple[Applied, Any]
) -> None:
    """Bound from the company's side, a contact would get it as its primary one, and so the others' order."""
    applied, _ = do
    state = portal.state
    state.add("company", {"TITLE": "of the new contact", "CONTACT_IDS": [NEW]})
    joined = state.add("company", {"TITLE": "of the old one", "CONTACT_IDS": [OLD, 5]})

    def primary() -> dict[int, tuple[Any, list[int]]]:
        flagged = {
            one: [link.contact_id for link in state.links("contact", one) if link.primary] for one in (NEW, 5)
        }
        return {one: (state.tables["contact"].rows[one]["COMPANY_ID"], flagged[one]) for one in flagged}

    before = primary()
    changes = planned({joined: []})
    assert applied(portal, changes).names() == {"applied": 1}
    assert {link.contact_id for link in state.links("company", joined)} == {NEW, 5}
    assert primary() == before
