"""What PHP makes of odd ids, sorts, doubles and bodies: seen where the portal's own source was run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_bitrix.sandbox.links import Link

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.server import Sandbox
    from tests.sandbox.conftest import Client

CAST: list[tuple[Any, int]] = [
    ("7", 7),
    (" 7", 7),
    ("7 ", 7),
    ("7abc", 7),
    ("7\0", 7),
    ("7,5", 7),
    ("7_000", 7),
    ("7.9", 7),
    (7.9, 7),
    ("+7", 7),
    ("07", 7),
    ("7e0x", 7),
    (True, 1),
    ([7], 1),
    ([0], 1),
    ({"a": 7}, 1),
]
NOUGHT: list[Any] = ["\u0667", "\uff17", "\u00a07", "abc", "", None, False, [], {}, "0x7", 0.5, "-7"]
HUGE: list[Any] = [10**30, 1e30, "1e30", "9" * 30]


@pytest.mark.parametrize(("sent", "meant"), CAST, ids=repr)
def test_the_id_of_an_owner_is_cast(
    sandbox: Sandbox, client: Client, kind: Any, sent: Any, meant: int
) -> None:
    for owner in (1, 7):
        sandbox.state.write_links(kind, owner, (Link(10, owner, primary=True),))
    assert client.call(f"crm.{kind}.contact.items.get", {"id": sent}).result[0]["CONTACT_ID"] == meant
    assert client.call(f"crm.{kind}.contact.items.delete", {"id": sent}).result is True
    assert [owner for owner in (1, 7) if not sandbox.state.links(kind, owner)] == [meant]


@pytest.mark.parametrize("sent", NOUGHT, ids=repr)
def test_what_is_cast_to_nought_or_less_is_no_owner_and_no_contact(client: Client, sent: Any) -> None:
    text = "The parameter ownerEntityID is invalid or not defined."
    assert client.call("crm.lead.contact.items.get", {"id": sent}).error == (400, "", text)
    reply = client.call("crm.lead.contact.add", {"id": 1, "fields": {"CONTACT_ID": sent}})
    assert reply.error == (400, "", "The parameter 'fields' is not valid.")


@pytest.mark.parametrize("sent", HUGE, ids=repr)
def test_numbers_beyond_64_bits_are_owners_that_do_not_exist(client: Client, sent: Any) -> None:
    assert client.call("crm.deal.contact.items.get", {"id": sent}).result == []


def test_an_older_method_casts_its_id_too(client: Client) -> None:
    assert client.call("crm.lead.get", {"id": [7]}).result["ID"] == "1"


@pytest.mark.parametrize(
    ("sent", "meant", "primary"),
    [
        ("7", 7, "Y"),
        (" 7", 7, "Y"),
        (True, 1, "Y"),
        ([7], 1, "Y"),
        ("7abc", 7, "N"),
        ("7.9", 7, "N"),
        (7.9, 7, "N"),
        ("8e1x", 80, "N"),
    ],
    ids=repr,
)
def test_a_contact_that_is_added_by_an_odd_id_is_linked_and_not_found_again_as_the_primary(  # noqa: PLR0917
    sandbox: Sandbox, client: Client, kind: Any, sent: Any, meant: int, primary: str
) -> None:
    owner = sandbox.state.add(kind, {})
    assert (
        client.call(f"crm.{kind}.contact.add", {"id": owner, "fields": {"CONTACT_ID": sent}}).result is True
    )
    assert client.links(kind, owner) == [(meant, 10, primary)]
    assert client.scalar(kind, owner) == (meant if primary == "Y" else None)


@pytest.mark.parametrize("sent", ["+7abc", " 7abc"], ids=repr)
def test_add_compares_a_contact_before_it_casts_and_set_does_not(
    sandbox: Sandbox, client: Client, sent: str
) -> None:
    lead = sandbox.state.add("lead", {})
    assert client.call("crm.lead.contact.add", {"id": lead, "fields": {"CONTACT_ID": sent}}).status == 400
    client.call("crm.lead.contact.items.set", {"id": lead, "items": [{"CONTACT_ID": sent}]})
    assert client.links("lead", lead) == [(7, 10, "Y")]


def _set(client: Client, lead: int, *rows: Any) -> list[tuple[int, int, str]]:
    assert client.call("crm.lead.contact.items.set", {"id": lead, "items": list(rows)}).result is True
    return client.links("lead", lead)


@pytest.mark.parametrize(
    ("sort", "stored"),
    [
        (8.9, 8),
        ("8.9", 8),
        ("8abc", 8),
        (True, 1),
        ([5], 1),
        ("+5", 5),
        ("abc", 0),
        ("true", 0),
        ("0x14", 0),
        ("NAN", 0),
        (".9", 0),
        (0.5, 0),
        ("\uff15", 0),
        ("\u00a05", 0),
        ("1e30", 2**63 - 1),
        (None, 10),
        (0, 10),
        ("0", 10),
        ("", 10),
        (False, 10),
        ([], 10),
        (-5, 10),
        ("-5abc", 10),
        (" abc", 10),
    ],
    ids=repr,
)
def test_set_compares_a_sort_before_it_casts(
    sandbox: Sandbox, client: Client, sort: Any, stored: int
) -> None:
    lead = sandbox.state.add("lead", {})
    assert _set(client, lead, {"CONTACT_ID": 7, "SORT": sort}) == [(7, stored, "Y")]


def test_a_sort_behind_the_largest_one_wraps_around(sandbox: Sandbox, client: Client) -> None:
    lead = sandbox.state.add("lead", {})
    _set(client, lead, {"CONTACT_ID": 7, "SORT": "9" * 30})
    client.call("crm.lead.contact.add", {"id": lead, "fields": {"CONTACT_ID": 8}})
    assert client.links("lead", lead) == [(8, -(2**63), "N"), (7, 2**63 - 1, "Y")]


@pytest.mark.parametrize("sort", [None, "abc", [], False], ids=repr)
def test_add_stores_an_odd_sort_as_nought(sandbox: Sandbox, client: Client, sort: Any) -> None:
    lead = sandbox.state.add("lead", {})
    client.call("crm.lead.contact.add", {"id": lead, "fields": {"CONTACT_ID": 7, "SORT": sort}})
    assert client.links("lead", lead) == [(7, 0, "Y")]


@pytest.mark.parametrize(
    ("before", "rows", "after"),
    [
        (((1, 20, True),), ({"CONTACT_ID": 1}, {"CONTACT_ID": 1, "SORT": 20}), [(1, 10, "Y")]),
        (((1, 20, True),), ({"CONTACT_ID": 1, "SORT": 20}, {"CONTACT_ID": 1}), [(1, 20, "Y")]),
        (((1, 10, True),), ({"CONTACT_ID": 1}, {"CONTACT_ID": 1}, {"CONTACT_ID": 1}), [(1, 20, "N")]),
        ((), ({"CONTACT_ID": 1}, {"CONTACT_ID": 1, "SORT": 70}), [(1, 70, "N")]),
        (
            ((1, 10, True), (2, 20, True)),
            ({"CONTACT_ID": 1, "SORT": 10}, {"CONTACT_ID": 2, "SORT": 20}),
            [(1, 10, "Y"), (2, 20, "N")],
        ),
    ],
    ids=["sort first", "sort last", "three times", "new", "two primaries"],
)
def test_of_doubles_the_first_new_sort_counts_where_linked_and_the_last_row_where_new(
    sandbox: Sandbox, client: Client, before: Any, rows: Any, after: Any
) -> None:
    lead = sandbox.state.add("lead", {})
    sandbox.state.write_links("lead", lead, tuple(Link(sort, one, primary) for one, sort, primary in before))
    assert _set(client, lead, *rows) == after


@pytest.mark.parametrize(
    ("verb", "fields", "after"),
    [
        (
            "add",
            {"CONTACT_ID": 4, "IS_PRIMARY": "Y"},
            [(1, 10, "Y"), (2, 20, "N"), (3, 30, "N"), (4, 40, "Y")],
        ),
        ("delete", {"CONTACT_ID": 2}, [(1, 10, "Y"), (3, 30, "N")]),
        ("delete", {"CONTACT_ID": 3}, [(1, 10, "Y"), (2, 20, "Y")]),
    ],
    ids=["add", "delete the last primary", "delete another"],
)
def test_of_two_primaries_the_last_steps_back(
    sandbox: Sandbox, client: Client, verb: str, fields: Any, after: Any
) -> None:
    lead = sandbox.state.add("lead", {})
    links = (Link(10, 1, primary=True), Link(20, 2, primary=True), Link(30, 3))
    sandbox.state.write_links("lead", lead, links)
    assert client.call(f"crm.lead.contact.{verb}", {"id": lead, "fields": fields}).result is True
    assert client.links("lead", lead) == after


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"id": 1}',
        b'{"id": 1, "x": NaN}',
        b'{"id": 1, "x": -Infinity}',
        b'{"id": 1, "x": "\\ud83d"}',
        b'{"id": 1, "x": "\\ude00\\ud83d"}',
        b'{"id": 1, "x": "\xff"}',
        b'{"id": 1, "x": ' + b"[" * 600 + b"]" * 600 + b"}",
        '{"id": 1}'.encode("utf-16"),
    ],
    ids=[
        "BOM",
        "NaN",
        "Infinity",
        "half a pair",
        "a pair in the wrong order",
        "no UTF-8",
        "600 deep",
        "UTF-16",
    ],
)
def test_what_is_no_json_to_php_is_swallowed(client: Client, body: bytes) -> None:
    answer = client.send(
        "POST", "crm.lead.contact.items.get", data=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "")


def test_a_whole_surrogate_pair_and_500_levels_are_read(client: Client) -> None:
    for odd in ('"\\ud83d\\ude00"', "[" * 500 + "]" * 500):
        body = f'{{"id": 1, "x": {odd}}}'
        answer = client.send("POST", "crm.lead.get", data=body, headers={"Content-Type": "application/json"})
        assert answer.json()["result"]["ID"] == "1", json.dumps(odd[:20])
