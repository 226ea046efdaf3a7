"""Contacts: each once, with what belongs to it, and those that are gone told apart."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from airflow_bitrix.core.errors import Rejected
from airflow_bitrix.crm.contacts import missing_contacts, read_contacts, scan_contacts


@pytest.fixture
def sandbox(make_sandbox: Any) -> Any:
    sandbox = make_sandbox(leads=50, contacts=6000, plan="self_hosted")
    for contact in range(3, 6001, 7):
        sandbox.state.delete("contact", contact)
    return sandbox


def gather(connect_async: Any, sandbox: Any, ask: Any) -> Any:
    async def run() -> Any:
        async with connect_async(sandbox.webhook_url) as portal:
            return [contact async for contact in ask(portal)], portal.manners.meter.requests

    return asyncio.run(run())


def test_every_contact_appears_once(sandbox: Any, connect_async: Any) -> None:
    there = sorted(sandbox.state.tables["contact"].rows)
    found, requests = gather(connect_async, sandbox, scan_contacts)
    assert sorted(contact.id for contact in found) == there
    assert requests <= 1 + math.ceil(6000 / 2500)
    rows = sandbox.state.tables["contact"].rows
    assert {contact.id: contact.company_id for contact in found} == {
        number: row.get("COMPANY_ID") or 0 for number, row in rows.items()
    }


def test_in_full_a_contact_comes_with_name_phones_and_emails(sandbox: Any, connect_async: Any) -> None:
    def ask(portal: Any) -> Any:
        return scan_contacts(portal, {"<=id": 500}, detail="full", ordered=True)

    found, _ = gather(connect_async, sandbox, ask)
    rows = {number: row for number, row in sandbox.state.tables["contact"].rows.items() if number <= 500}
    assert [contact.id for contact in found] == sorted(rows)
    for contact in found:
        row = rows[contact.id]
        assert contact.name == f"{row['NAME']} {row['LAST_NAME']}"
        assert contact.phones == tuple("".join(filter(str.isdigit, phone)) for phone, _ in row["PHONE"])
        assert contact.emails == tuple(mail for mail, _ in row["EMAIL"])
        filled = bool(row["POST"]) + bool(row.get("COMPANY_ID"))
        assert contact.filled == 2 + filled + len(contact.phones) + len(contact.emails)


def test_contacts_of_ids_come_in_full_and_those_that_are_gone_do_not(
    sandbox: Any, connect_async: Any
) -> None:
    wanted = range(1, 301)
    found, requests = gather(connect_async, sandbox, lambda portal: read_contacts(portal, wanted))
    gone = set(range(3, 301, 7))
    assert [contact.id for contact in found] == [number for number in wanted if number not in gone]
    assert requests == 1

    async def missing() -> set[int]:
        async with connect_async(sandbox.webhook_url) as portal:
            return await missing_contacts(portal, [*wanted, 10**9])

    assert asyncio.run(missing()) == gone | {10**9}


def test_an_unknown_filter_field_is_the_portal_s_to_refuse(sandbox: Any, connect_async: Any) -> None:
    with pytest.raises(Rejected, match="STAG_ID"):
        gather(connect_async, sandbox, lambda portal: scan_contacts(portal, {"stagId": 1}, detail="full"))
