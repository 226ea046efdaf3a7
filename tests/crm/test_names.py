"""Names of owners, contacts, stages and users: for people, few requests, and nothing that fails."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterable
from typing import Any

import pytest

from airflow_bitrix.core.families import row_of
from airflow_bitrix.core.links import OWNER_ROWS, OwnerKind
from airflow_bitrix.core.names import LONGEST_NAME, Names, OwnerNames
from airflow_bitrix.crm.names import NameReads
from airflow_bitrix.sandbox.schema import RECORDS

Read = tuple[Names, dict[Any, str], int]


@pytest.fixture
def read(connect_async: Any) -> Any:
    def read(
        sandbox: Any, owner_ids: Iterable[int], contact_ids: Iterable[int], kind: OwnerKind = "lead"
    ) -> Read:
        async def run() -> Read:
            async with connect_async(sandbox.webhook_url) as portal:
                reads = NameReads(portal, kind)
                found = await reads.read(owner_ids, contact_ids)
                return found, reads.unread, portal.manners.meter.requests

        return asyncio.run(run())

    return read


SIZES = {
    "lead": "leads",
    "deal": "deals",
    "quote": "quotes",
    "company": "companies",
    "smart_invoice": "invoices",
    "dynamic_1036": "items",
}
"""What a sandbox is asked for to have owners of a kind: of each that the table of families has."""


def test_every_family_of_owners_is_looked_at() -> None:
    assert set(map(row_of, SIZES)) == set(OWNER_ROWS)


@pytest.mark.parametrize("kind", SIZES)
def test_names_are_those_that_the_portal_shows(make_sandbox: Any, read: Any, kind: OwnerKind) -> None:
    sandbox = make_sandbox(**{SIZES[kind]: 60, "contacts": 90, "plan": "self_hosted"})
    state = sandbox.state
    state.users[7] = {"ID": 7, "NAME": "Olga", "LAST_NAME": "Petrova"}
    state.tables[kind].rows[2]["ASSIGNED_BY_ID"] = 7
    state.tables[kind].rows[3]["ASSIGNED_BY_ID"] = 8  # of whom the portal tells nothing
    state.tables["contact"].rows[5]["SECOND_NAME"] = "Ivanovich"
    names, unread, requests = read(sandbox, range(1, 70), range(1, 100), kind)
    assert (unread, requests) == ({}, 2)
    rows = state.tables[kind].rows
    assert {one: told.title for one, told in names.owners.items()} == {
        one: row["TITLE"] for one, row in rows.items()
    }
    stages = {stage: name for stage, (name, _) in RECORDS[kind].stages.items()} | {"": ""}
    in_pipeline = {one: str(row.get(RECORDS[kind].stage, "")) for one, row in rows.items()}
    assert {one: told.stage for one, told in names.owners.items()} == {
        one: stages[re.sub(r"^C\d+:", "", stage)] for one, stage in in_pipeline.items()
    }
    assert names.owners[2].responsible == "Olga Petrova"
    assert names.owners[3].responsible == "8"
    contact = state.tables["contact"].rows[5]
    assert names.contacts[5] == f"{contact['NAME']} Ivanovich {contact['LAST_NAME']}"
    assert names.of(2, [5, 1000]).contacts == {5: names.contacts[5]}
    assert names.of(69) == OwnerNames()


def test_companies_are_named_beside_the_contacts_where_any_are_asked_for(
    make_sandbox: Any, connect_async: Any
) -> None:
    sandbox = make_sandbox(leads=5, contacts=5, plan="self_hosted")
    company = sandbox.state.add("company", {"TITLE": "Acme"})

    async def run() -> tuple[Names, int]:
        async with connect_async(sandbox.webhook_url) as portal:
            found = await NameReads(portal, "lead").read([1], [2], [company, 999])
            return found, portal.manners.meter.requests

    names, requests = asyncio.run(run())
    assert (names.companies, requests) == ({company: "Acme"}, 2)
    assert names.of(1, [2], [company, 999]).companies == {company: "Acme"}


def test_stages_have_their_names_in_each_pipeline(make_sandbox: Any, read: Any) -> None:
    sandbox = make_sandbox(leads=5, deals=5, plan="self_hosted")
    rows = sandbox.state.tables["deal"].rows
    for number, stage in ((1, "NEW"), (2, "C3:NEW"), (3, "C99:GONE"), (4, "WON")):
        rows[number]["STAGE_ID"] = stage
    names, _, _ = read(sandbox, range(1, 5), (), "deal")
    told = [names.owners[number].stage for number in range(1, 5)]
    assert told == ["New", "New", "C99:GONE", "Deal successful"]


def test_2_500_records_take_one_request_beside_that_for_the_users(make_sandbox: Any, read: Any) -> None:
    sandbox = make_sandbox(leads=2000, contacts=6000, plan="self_hosted")
    for records in (2_400, 7_000):
        contacts = range(1, records - 1000 + 1)
        names, _, requests = read(sandbox, range(1, 1001), contacts)
        assert len(names.contacts) == len(contacts)
        assert requests <= math.ceil(records / 2500) + 1


def test_what_the_portal_refuses_has_no_names_and_is_told_in_its_words(make_sandbox: Any, read: Any) -> None:
    sandbox = make_sandbox(leads=60, contacts=60, plan="self_hosted")
    sandbox.set_switches(scope=["crm"])
    names, unread, _ = read(sandbox, range(1, 60), range(1, 60))
    assert set(unread) == {"users"}
    assert "insufficient_scope" in unread["users"]
    assert names.owners[1].title
    assert names.owners[1].responsible == "5"


def test_where_all_is_refused_there_are_no_names(make_sandbox: Any, read: Any) -> None:
    sandbox = make_sandbox(leads=300, contacts=300, plan="self_hosted")
    sandbox.set_faults(command=1.0, command_error={"error": "", "error_description": "Not for you."})
    names, unread, _ = read(sandbox, range(1, 300), range(1, 300))
    assert not names.owners
    assert not names.contacts
    assert {"owners", "contacts", "stages"} == set(unread)
    assert all("Not for you." in why for why in unread.values())


@pytest.mark.attack
def test_names_are_plain_text_and_short_whatever_they_are(make_sandbox: Any, read: Any) -> None:
    sandbox = make_sandbox(leads=60, contacts=60, plan="self_hosted")
    leads, contacts = sandbox.state.tables["lead"].rows, sandbox.state.tables["contact"].rows
    leads[1]["TITLE"] = "x" * 100_000
    leads[2]["TITLE"] = "\u202eevil\x1b[31m\nsecond line"
    leads[3]["TITLE"] = {"a": "map"}
    leads[4]["TITLE"] = sandbox.webhook_url
    leads[5]["STATUS_ID"] = ["list"]
    contacts[1] |= {"NAME": "a" * 99_999, "LAST_NAME": sandbox.webhook_url}
    contacts[2] |= {"NAME": " ", "LAST_NAME": None}
    names, _, _ = read(sandbox, range(1, 60), range(1, 60))
    assert len(names.owners[1].title) == len(names.contacts[1]) == LONGEST_NAME
    assert names.owners[2].title == "\\u202eevil\\x1b[31m\\nsecond line"
    assert (names.owners[3].title, names.owners[5].stage) == ("", "")
    assert sandbox.webhook_url.rstrip("/").rpartition("/")[2] not in repr(names)
    assert 2 not in names.contacts
