"""Whatever rows a portal gives: a scan is exact, or an error says what was wrong with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.crm.contacts import read_contacts, scan_contacts
from airflow_bitrix.crm.scan import scan, scan_ids
from airflow_bitrix.sandbox import wrong_rows
from airflow_bitrix.sandbox.server import Sandbox

Run = Callable[[Any], list[Any] | Bitrix24Error]


@pytest.fixture
def sandbox(make_sandbox: Any) -> Sandbox:
    """Leads whose ids are dense and later far between, so that a scan takes several requests."""
    sandbox: Sandbox = make_sandbox(leads=130, contacts=60, plan="self_hosted")
    for kind in ("lead", "contact"):
        for at in range(3000, 9000, 80):
            sandbox.state.tables[kind].next_id = at
            sandbox.state.add(kind, {"TITLE": "far", "NAME": "far"})
    return sandbox


@pytest.fixture
def run(sandbox: Sandbox, connect_async: Callable[..., Any]) -> Run:
    """Read something of the sandbox: what it gives, or its error."""

    def run(ask: Callable[[AsyncPortal], AsyncIterator[Any]]) -> list[Any] | Bitrix24Error:
        async def collect() -> list[Any]:
            async with connect_async(sandbox.webhook_url) as portal:
                return [one async for one in ask(portal)]

        try:
            return asyncio.run(collect())
        except Bitrix24Error as error:
            return error

    return run


def links_of(states: list[OwnerState]) -> dict[int, tuple[tuple[int, ...], int | None]]:
    """Contacts and scalar contact, by owner; each owner comes once."""
    found = {state.owner.id: (state.links.contact_ids, state.links.shown_id) for state in states}
    assert len(found) == len(states)
    return found


def truth(sandbox: Sandbox) -> dict[int, tuple[tuple[int, ...], int | None]]:
    return {
        int(lead): (tuple(link[0] for link in owner["links"]), owner["contact_id"] or None)
        for lead, owner in sandbox.links("lead").items()
    }


@pytest.mark.parametrize("kind", wrong_rows.ALL)
def test_a_scan_of_owners_is_exact_or_says_what_was_wrong(kind: str, sandbox: Sandbox, run: Run) -> None:
    expected = truth(sandbox)
    wanted = {"!stageId": "ELSEWHERE", ">createdTime": "2001-01-01"}
    given = 0
    for seed, share in ((1, 0.05), (2, 0.3), (3, 1.0)):
        sandbox.set_faults(seed=seed, wrong_rows={kind: share})
        for ask in (
            partial(scan, kind="lead", wanted=wanted, ordered=seed == 1),
            lambda portal: scan_ids(portal, "lead", [*expected, 10**6], wanted),
        ):
            states = run(ask)
            if isinstance(states, Bitrix24Error):
                assert str(states).startswith(("crm.item.list: ", "the links of "))
            else:
                assert links_of(states) == expected
                given += 1
    assert given >= 2
    assert sandbox.stats()["faults"]


CONTACT_FIELDS = ("id", "name", "phones", "emails", "company_id")


@pytest.mark.parametrize("kind", [kind for kind in wrong_rows.ALL if "contact" not in kind])
def test_a_scan_of_contacts_is_exact_or_says_what_was_wrong(kind: str, sandbox: Sandbox, run: Run) -> None:
    def told(contacts: list[Any]) -> list[tuple[Any, ...]]:
        return sorted(tuple(getattr(one, name) for name in CONTACT_FIELDS) for one in contacts)

    expected = run(lambda portal: scan_contacts(portal, detail="full"))
    assert isinstance(expected, list)
    given = 0
    for seed, share in ((1, 0.05), (2, 0.5)):
        sandbox.set_faults(seed=seed, wrong_rows={kind: share})
        for ask in (
            lambda portal: scan_contacts(portal, detail="full"),
            lambda portal: read_contacts(portal, [contact.id for contact in expected]),
        ):
            contacts = run(ask)
            if isinstance(contacts, Bitrix24Error):
                assert str(contacts).startswith(("crm.item.list: ", "crm.contact.list: "))
            else:
                assert told(contacts) == told(expected)
                given += 1
    assert given >= 1
