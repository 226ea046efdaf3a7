"""What takes several commands, or is a save: a company's contacts, and items without link methods."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_bitrix.client.wire import Call, Reply, Request
from airflow_bitrix.core.link_writes import attainable, unwritable, write_commands
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.restores import Image, judge_restore
from airflow_bitrix.core.rules import RULES
from airflow_bitrix.sandbox.links import Link
from airflow_bitrix.sandbox.server import Sandbox
from tests.engine import test_families
from tests.engine.conftest import Applied, Post
from tests.engine.notes import Notes
from tests.engine.test_families import GONE, NEW, OLD

portal, kind, planned, do = (getattr(test_families, name) for name in ("portal", "kind", "planned", "do"))
of_companies = pytest.mark.parametrize("kind", ["company"])
of_items = pytest.mark.parametrize("kind", ["smart_invoice", "dynamic_1036"])
ADD, DELETE = "crm.contact.company.add", "crm.company.contact.delete"


@pytest.fixture(autouse=True)
def as_usual(portal: Sandbox) -> Any:
    yield
    portal.clear_faults()


def made(portal: Sandbox, kind: str, *ids: int) -> int:
    return int(portal.state.add(kind, {"TITLE": "one", "CONTACT_IDS": list(ids)}))


def held(portal: Sandbox, kind: str, one: int) -> set[int]:
    return {link.contact_id for link in portal.state.links(kind, one)}


@of_companies
def test_who_may_not_join_a_company_pushes_nobody_out(portal: Sandbox, planned: Any, do: Any) -> None:
    """The rights of a contact decide of the one, those of the company of the other."""
    one = made(portal, "company", OLD, 5)
    portal.set_faults(
        command=1.0, only_methods=[ADD], command_error={"error": "", "error_description": "Access denied."}
    )
    notes = do[0](portal, planned({one: []}))
    assert notes.names() == {"failed": 1}
    assert held(portal, "company", one) == {OLD, 5}


@of_companies
@pytest.mark.parametrize("fails", [ADD, DELETE])
def test_what_was_there_is_told_though_it_took_several_goes(
    portal: Sandbox, planned: Any, do: Any, fails: str
) -> None:
    one = made(portal, "company", OLD, 5)
    portal.set_faults(command=1.0, only_methods=[fails])
    seen = 0

    async def between(post: Post, request: Request) -> Any:
        nonlocal seen
        seen += fails.encode() in request.body
        if seen > 1:
            portal.clear_faults()
        return await post(request)

    notes = do[0](portal, planned({one: []}), between)
    outcome = notes.outcomes[one]
    assert (outcome.outcome, outcome.reason) == ("applied", "")
    assert outcome.before is not None
    assert {*outcome.before.contact_ids} == {OLD, 5}
    assert all({*links.contact_ids} == {OLD, 5} for links in notes.begun)
    assert held(portal, "company", one) == {NEW, 5}


@of_companies
def test_what_was_there_is_told_by_an_apply_that_goes_on(portal: Sandbox, planned: Any, do: Any) -> None:
    one = made(portal, "company", OLD, 5)
    changes = planned({one: []})
    first = Notes()

    async def between(post: Post, request: Request) -> Any:
        answer = await post(request)
        if ADD.encode() in request.body:
            raise KeyboardInterrupt
        return answer

    with pytest.raises(KeyboardInterrupt):
        do[0](portal, changes, between, notes=first, in_flight=1)
    assert held(portal, "company", one) == {OLD, NEW, 5}
    notes = do[0](portal, changes, written_before={links.owner.id: links for links in first.begun})
    assert notes.names() == {"applied": 1}
    assert {*notes.outcomes[one].before.contact_ids} == {OLD, 5}
    assert held(portal, "company", one) == {NEW, 5}


@of_companies
def test_a_company_that_a_person_changed_is_drift_as_any_owner(
    portal: Sandbox, planned: Any, do: Any
) -> None:
    one = made(portal, "company", OLD, 5)
    changes = planned({one: []})
    portal.state.update("company", one, {"CONTACT_IDS": [5]})
    assert do[0](portal, changes).names() == {"drift": 1}
    assert held(portal, "company", one) == {5}


@of_companies
def test_sorts_are_those_of_the_contacts_and_nobody_s_drift(
    portal: Sandbox, planned: Any, do: Any, connect_async: Any
) -> None:
    one, other = made(portal, "company", OLD, 5), made(portal, "company", 6)
    portal.state.place_links("company", one, (Link(0, OLD), Link(10, 5)))
    changes = planned({one: []})

    async def act() -> None:
        items = [{"COMPANY_ID": other, "SORT": 10}, {"COMPANY_ID": one, "SORT": 70}]
        async with connect_async(portal.webhook_url) as client:
            await client.batch([Call("crm.contact.company.items.set", {"id": 5, "items": items})])

    asyncio.run(act())
    notes = do[0](portal, changes)
    assert (notes.names(), notes.outcomes[one].reason) == ({"applied": 1}, "")
    assert held(portal, "company", one) == {NEW, 5}


def test_a_company_is_emptied_only_as_far_as_it_can_be_filled_again() -> None:
    owner = Owner("company", 1)
    empty = LinkSet(owner)

    def of(many: int) -> LinkSet:
        return LinkSet(owner, tuple(ContactLink(one, 10, role_id=0) for one in range(1, many + 1)))

    for many, said in ((40, ""), (41, "too many contacts")):
        for before, after in ((of(many), empty), (empty, of(many))):
            assert unwritable(Change(before, attainable(before, after), ("x",)))[0] == said


@pytest.mark.parametrize("kind", ["quote", "company", "smart_invoice", "dynamic_1036"])
def test_a_restore_saves_only_what_has_a_repeat_flag(
    portal: Sandbox, do: tuple[Applied, Any], kind: str
) -> None:
    applied, look = do
    one = made(portal, kind, 4, 5)
    now = look(kind)[one]
    image = Image(LinkSet.of_ids(now.owner, [4, 7], now.shown_id))
    change = judge_restore(image, OwnerState(now), missing=(), overwrite=True, save=True)
    assert isinstance(change, Change)
    assert not change.save
    assert applied(portal, [change]).names() == {"applied": 1}
    assert held(portal, kind, one) == {4, 7}


@of_items
def test_the_order_of_items_counts(portal: Sandbox, do: tuple[Applied, Any], kind: str) -> None:
    applied, look = do
    one = made(portal, kind, 4, 5, 6)
    image = look(kind)[one]
    portal.state.update(kind, one, {"CONTACT_IDS": [4, 6, 5]})
    change = judge_restore(Image(image), OwnerState(look(kind)[one]), missing=(), overwrite=True, save=False)
    assert isinstance(change, Change)
    assert len(write_commands(change)) == 1
    assert applied(portal, [change]).names() == {"applied": 1}
    assert [link.contact_id for link in portal.state.links(kind, one)] == [4, 5, 6]


@of_items
@pytest.mark.parametrize(("is_told", "most"), [(True, 1), (False, 3)])
def test_what_its_own_automation_puts_back_is_not_saved_again_and_again(
    portal: Sandbox, planned: Any, do: Any, kind: str, *, is_told: bool, most: int
) -> None:
    one = made(portal, kind, OLD, 5)
    saves = 0

    async def between(post: Post, request: Request) -> Reply | Any:
        nonlocal saves
        answer = await post(request)
        if b"crm.item.update" in request.body:
            saves += 1
            portal.state.update(kind, one, {"CONTACT_IDS": [OLD, 5]})
            return answer if is_told else GONE
        return answer

    notes = do[0](portal, planned({one: []}), between)
    assert saves <= most
    assert {*notes.names()} <= {"failed", "drift"} or saves == 1


def test_rules_about_companies_are_not_for_companies() -> None:
    names: Mapping[str, Any] = {name: rule for name, rule in RULES.items() if rule.is_for("company")}
    assert {*names}.isdisjoint({"trim_company_contacts", "company_card_primary", "unlink_closed"})
