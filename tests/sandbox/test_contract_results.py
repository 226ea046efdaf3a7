"""What the link methods return, and what kinds of values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import Client, Contacts


@dataclass(frozen=True)
class Row:
    """A call on an owner to which A (sort 10, primary) and B (sort 20) are linked, and its result."""

    says: str
    verb: str
    result: Any
    params: dict[str, Any] = field(default_factory=dict)
    linked: tuple[str, ...] = ("A", "B")


ROWS = [
    Row("add of a new link is true", "add", result=True, params={"fields": {"CONTACT_ID": "C"}}),
    Row("add of a known link is false", "add", result=False, params={"fields": {"CONTACT_ID": "B"}}),
    Row(
        "add of a known link with another sort and primary is false",
        "add",
        result=False,
        params={"fields": {"CONTACT_ID": "B", "SORT": 900, "IS_PRIMARY": "Y"}},
    ),
    Row("delete of a link is true", "delete", result=True, params={"fields": {"CONTACT_ID": "B"}}),
    Row(
        "delete of what is not linked is false",
        "delete",
        result=False,
        params={"fields": {"CONTACT_ID": "C"}},
    ),
    Row(
        "delete does not mind other fields",
        "delete",
        result=True,
        params={"fields": {"CONTACT_ID": "B", "SORT": "x", "ROLE_ID": 1}},
    ),
    Row("set is true", "items.set", result=True, params={"items": [{"CONTACT_ID": "C"}]}),
    Row(
        "set of what is there already is true",
        "items.set",
        result=True,
        params={"items": [{"CONTACT_ID": "A"}, {"CONTACT_ID": "B"}]},
    ),
    Row("items.delete is true", "items.delete", result=True),
    Row("items.delete where nothing is linked is true", "items.delete", result=True, linked=()),
    Row(
        "items.get gives whole numbers for all but the primary flag, keys in this order",
        "items.get",
        result=[
            {"CONTACT_ID": "A", "SORT": 10, "ROLE_ID": 0, "IS_PRIMARY": "Y"},
            {"CONTACT_ID": "B", "SORT": 20, "ROLE_ID": 0, "IS_PRIMARY": "N"},
        ],
    ),
    Row("items.get where nothing is linked is an empty list", "items.get", result=[], linked=()),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.says)
def test_result(portal: Client, kind: str, owner: int, contacts: Contacts, row: Row) -> None:
    before = [(contacts[name], (place + 1) * 10, "YN"[place]) for place, name in enumerate(row.linked)]
    portal.link(kind, owner, before)
    reply = portal.call(f"crm.{kind}.contact.{row.verb}", {"id": owner, **contacts.named(row.params)})
    expected = contacts.named(row.result)
    assert reply.result == expected
    assert type(reply.result) is type(expected)
    if isinstance(expected, list) and expected:
        assert [list(one) for one in reply.result] == [list(one) for one in expected]
        assert [[type(value) for value in one.values()] for one in reply.result] == [[int, int, int, str]] * 2
    if expected is False:
        assert portal.links(kind, owner) == before


def test_fields_describe_sort_primary_and_contact_but_no_role(portal: Client, kind: str) -> None:
    result = portal.call(f"crm.{kind}.contact.fields").result
    assert list(result) == ["SORT", "IS_PRIMARY", "CONTACT_ID"]
    assert [one["type"] for one in result.values()] == ["integer", "char", "integer"]
    assert [one["isRequired"] for one in result.values()] == [False, False, True]
    keys = {"type", "isRequired", "isReadOnly", "isImmutable", "isMultiple", "isDynamic", "title"}
    assert all(set(one) == keys for one in result.values())


def test_items_get_has_neither_total_nor_next(portal: Client, kind: str, owner: int) -> None:
    body = portal.call(f"crm.{kind}.contact.items.get", {"id": owner}).body
    assert {"total", "next"}.isdisjoint(body)


@pytest.mark.parametrize(
    "spell",
    [
        pytest.param(lambda method: method.upper(), id="upper case"),
        pytest.param(lambda method: method.title(), id="title case"),
        pytest.param(lambda method: method + ".json", id="json suffix"),
    ],
)
def test_method_names_are_read_in_any_case_and_with_a_suffix(
    portal: Client, kind: str, owner: int, spell: Any
) -> None:
    assert portal.call(spell(f"crm.{kind}.contact.items.get"), {"id": owner}).result == []


@pytest.mark.parametrize(
    ("id_name", "fields_name", "more"),
    [
        ("ID", "FIELDS", {}),
        ("id", "Fields", {}),
        ("id", "arFields", {}),
        ("ID", "fields", {"id": 2_000_000_000}),
    ],
    ids=["upper case", "title case", "ar prefix", "ID before id"],
)
def test_parameter_names_have_several_spellings(  # noqa: PLR0917 - fixtures and a table
    portal: Client, kind: str, owner: int, contacts: Contacts, id_name: str, fields_name: str, more: Any
) -> None:
    sent = {id_name: owner, fields_name: {"CONTACT_ID": contacts["A"]}, **more}
    assert portal.call(f"crm.{kind}.contact.add", sent).result is True


def test_ids_may_be_strings(portal: Client, kind: str, owner: int, contacts: Contacts) -> None:
    sent = {"id": str(owner), "fields": {"CONTACT_ID": str(contacts["A"]), "SORT": "30"}}
    assert portal.call(f"crm.{kind}.contact.add", sent).result is True
    assert portal.links(kind, owner) == [(contacts["A"], 30, "Y")]


def test_link_methods_touch_neither_the_date_nor_the_flag(
    portal: Client, owner: int, kind: str, contacts: Contacts
) -> None:
    before = portal.call(f"crm.{kind}.get", {"id": owner}).result
    portal.link(kind, owner, [(contacts["A"], 10, "Y"), (contacts["B"], 20, "N")])
    after = portal.call(f"crm.{kind}.get", {"id": owner}).result
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"CONTACT_ID"}
    assert after["CONTACT_ID"] == str(contacts["A"])


def test_a_linked_lead_becomes_a_repeat_lead_when_it_is_saved(portal: Client, contacts: Contacts) -> None:
    lead = portal.add("lead", TITLE="Contract test")
    portal.link("lead", lead, [(contacts["A"], 10, "Y")])
    assert portal.flag("lead", lead) == "N"
    portal.call("crm.lead.update", {"id": lead, "fields": {"COMMENTS": "saved"}})
    assert portal.flag("lead", lead) == "Y"


def test_an_unlinked_lead_stays_a_repeat_lead_until_it_is_saved(portal: Client, contacts: Contacts) -> None:
    lead = portal.add("lead", TITLE="Contract test", CONTACT_IDS=[contacts["A"], contacts["B"]])
    assert portal.flag("lead", lead) == "Y"
    portal.call("crm.lead.contact.items.delete", {"id": lead})
    assert (portal.scalar("lead", lead), portal.flag("lead", lead)) == (None, "Y")
    portal.call("crm.lead.update", {"id": lead, "fields": {}})
    assert portal.flag("lead", lead) == "N"


def test_saving_a_converted_lead_leaves_its_flag(portal: Client, contacts: Contacts) -> None:
    lead = portal.add("lead", TITLE="Contract test", CONTACT_ID=contacts["A"])
    portal.call("crm.lead.update", {"id": lead, "fields": {"STATUS_ID": "CONVERTED"}})
    portal.call("crm.lead.contact.items.delete", {"id": lead})
    portal.call("crm.lead.update", {"id": lead, "fields": {"COMMENTS": "saved"}})
    assert portal.flag("lead", lead) == "Y"


def test_a_company_keeps_a_lead_a_repeat_lead(sandbox: Any, client: Client) -> None:
    lead = sandbox.state.add("lead", {"COMPANY_ID": 5})
    client.call("crm.lead.update", {"id": lead, "fields": {"COMMENTS": "saved"}})
    assert client.flag("lead", lead) == "Y"


@pytest.mark.parametrize(
    ("fields", "after"),
    [
        ({"CONTACT_ID": "B"}, "AB"),
        ({"CONTACT_ID": "C"}, "C"),
        ({"CONTACT_ID": 0}, ""),
        ({"CONTACT_IDS": ["C", "B"]}, "CB"),
        ({"CONTACT_IDS": ["C"], "CONTACT_ID": "B"}, "C"),
    ],
    ids=[
        "a linked one changes nothing",
        "another replaces all",
        "0 clears",
        "a list replaces",
        "the list wins",
    ],
)
def test_saving_contacts_with_the_record(  # noqa: PLR0917 - fixtures and a table
    portal: Client, kind: str, owner: int, contacts: Contacts, fields: Any, after: str
) -> None:
    portal.link(kind, owner, [(contacts["A"], 10, "Y"), (contacts["B"], 20, "N")])
    assert portal.call(f"crm.{kind}.update", {"id": owner, "fields": contacts.named(fields)}).result is True
    assert portal.links(kind, owner) == [
        (contacts[name], (place + 1) * 10, "N" if place else "Y") for place, name in enumerate(after)
    ]
