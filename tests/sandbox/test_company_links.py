"""Links of contacts and companies: one table, of which both sides are owners, and how the sides differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.conftest import Contacts
from tests.sandbox.test_contract_normalisation import ADD, CLEAR, DELETE, SET, Row

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.server import Sandbox
    from tests.sandbox.conftest import Client

ROWS = [*ADD, *SET, *DELETE, *CLEAR]
SENT = {"add": "fields", "delete": "fields", "items.set": "items"}

Made = dict[str, int]


@pytest.fixture
def companies(portal: Client) -> Contacts:
    """Four companies, A to D, in order of their ids."""
    return Contacts({name: portal.add("company", TITLE=f"Contract test {name}") for name in "ABCD"})


@pytest.fixture
def people(portal: Client) -> Contacts:
    """Four contacts that belong to no company."""
    return Contacts({name: portal.add("contact", NAME=f"Contract test {name}") for name in "ABCD"})


def of_companies(value: Any) -> Any:
    """What is sent of contacts, sent of companies."""
    if isinstance(value, dict):
        return {key.replace("CONTACT_ID", "COMPANY_ID"): of_companies(below) for key, below in value.items()}
    return [of_companies(one) for one in value] if isinstance(value, list) else value


def companies_of(portal: Client, contact: int) -> list[tuple[int, int, str]]:
    """The companies of a contact: company, sort, primary."""
    rows = portal.call("crm.contact.company.items.get", {"id": contact}).result
    assert all(list(row) == ["COMPANY_ID", "SORT", "ROLE_ID", "IS_PRIMARY"] for row in rows)
    return [(row["COMPANY_ID"], row["SORT"], row["IS_PRIMARY"]) for row in rows]


def shown(portal: Client, contact: int) -> int:
    """The company on a contact's card, 0 for none."""
    return int(portal.call("crm.contact.get", {"id": contact}).result["COMPANY_ID"] or 0)


def take(portal: Client, company: int, *contacts: int) -> None:
    """Add contacts to a company."""
    portal.link("company", company, [(one, 10 * place, "N") for place, one in enumerate(contacts, 1)])


def settle(portal: Client, contact: int, *companies: int) -> None:
    """Give a contact these companies, the first of which is its primary one."""
    items = [{"COMPANY_ID": one} for one in companies]
    assert portal.call("crm.contact.company.items.set", {"id": contact, "items": items}).result is True


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.verb}: {row.says}")
def test_companies_of_a_contact_are_linked_as_contacts_of_a_lead(
    portal: Client, people: Contacts, companies: Contacts, row: Row
) -> None:
    contact = people["A"]
    for name, sort, primary in row.before:
        fields = {"COMPANY_ID": companies[name], "SORT": sort, "IS_PRIMARY": primary}
        assert portal.call("crm.contact.company.add", {"id": contact, "fields": fields}).result is True
    sent = {SENT[row.verb]: companies.named(of_companies(row.sent))} if row.verb in SENT else {}
    portal.call(f"crm.contact.company.{row.verb}", {"id": contact, **sent}).result  # noqa: B018 - it must succeed
    assert companies_of(portal, contact) == [(companies[one], *rest) for one, *rest in row.after]
    assert shown(portal, contact) == (companies[row.scalar] if row.scalar else 0)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.verb}: {row.says}")
def test_contacts_of_a_company_have_the_same_sorts_and_are_all_primary(
    portal: Client, people: Contacts, companies: Contacts, row: Row
) -> None:
    company = companies["A"]
    portal.link("company", company, [(people[name], sort, primary) for name, sort, primary in row.before])
    sent = {SENT[row.verb]: people.named(row.sent)} if row.verb in SENT else {}
    portal.call(f"crm.company.contact.{row.verb}", {"id": company, **sent}).result  # noqa: B018 - it must succeed
    assert portal.links("company", company) == [(people[one], sort, "Y") for one, sort, _ in row.after]
    linked = {name for name, *_ in row.after}
    assert {name for name, one in people.items() if shown(portal, one) == company} == linked


def test_a_company_that_adds_a_contact_becomes_its_primary_one(
    portal: Client, people: Contacts, companies: Contacts
) -> None:
    contact = people["A"]
    settle(portal, contact, companies["A"], companies["B"])
    fields = {"CONTACT_ID": contact, "IS_PRIMARY": "N"}
    assert portal.call("crm.company.contact.add", {"id": companies["C"], "fields": fields}).result is True
    flags = {company: flag for company, _, flag in companies_of(portal, contact)}
    assert flags == {companies["A"]: "N", companies["B"]: "N", companies["C"]: "Y"}
    assert shown(portal, contact) == companies["C"]


@pytest.mark.parametrize("verb", ["delete", "items.set", "items.delete"])
def test_a_company_that_lets_a_contact_go_leaves_it_without_a_primary_one(
    portal: Client, people: Contacts, companies: Contacts, verb: str
) -> None:
    contact = people["A"]
    settle(portal, contact, companies["C"], companies["B"], companies["D"])
    sent: dict[str, Any] = {"delete": {"fields": {"CONTACT_ID": contact}}, "items.set": {"items": []}}
    portal.call(f"crm.company.contact.{verb}", {"id": companies["C"], **sent.get(verb, {})})
    assert companies_of(portal, contact) == [(companies["B"], 20, "N"), (companies["D"], 30, "N")]
    assert shown(portal, contact) == companies["B"]  # the smallest that is left


def test_a_company_that_takes_its_contacts_anew_takes_those_first_whose_rows_it_writes(
    portal: Client, people: Contacts, companies: Contacts
) -> None:
    company, other = companies["A"], companies["B"]
    take(portal, company, people["A"], people["B"], people["C"])
    for name in "AC":
        settle(portal, people[name], other, company)
    # Now sorts 20, 20, 20 and only B is a contact of this company first.
    items = [{"CONTACT_ID": people["B"], "SORT": 20}, {"CONTACT_ID": people["A"], "SORT": 20}]
    portal.call(
        "crm.company.contact.items.set",
        {"id": company, "items": [*items, {"CONTACT_ID": people["C"], "SORT": 30}]},
    )
    assert sorted(portal.links("company", company)) == sorted(
        [(people["A"], 20, "N"), (people["B"], 20, "Y"), (people["C"], 30, "Y")]
    )
    assert [shown(portal, people[name]) for name in "ABC"] == [other, company, company]


def test_a_company_sorts_anew_who_is_sent_without_a_sort(
    portal: Client, people: Contacts, companies: Contacts
) -> None:
    portal.link("company", companies["A"], [(people["A"], 700, "N"), (people["B"], 900, "N")])
    items = [{"CONTACT_ID": people[name]} for name in "AB"]
    portal.call("crm.company.contact.items.set", {"id": companies["A"], "items": items})
    assert portal.links("company", companies["A"]) == [(people["A"], 10, "Y"), (people["B"], 20, "Y")]


def test_lists_show_either_side_and_a_company_shows_no_primary_one(
    portal: Client, people: Contacts, companies: Contacts
) -> None:
    settle(portal, people["B"], companies["C"], companies["A"])
    settle(portal, people["A"], companies["A"])
    select = ["id", "contactId", "contactIds", "companyId", "companyIds"]
    made = {"entityTypeId": 3, "filter": {"id": people["B"]}, "select": select}
    [contact] = portal.call("crm.item.list", made).result["items"]
    ids = {"id": people["B"], "companyId": companies["C"], "companyIds": [companies["C"], companies["A"]]}
    assert contact == ids
    made = {"entityTypeId": 4, "filter": {"contactIds": people["B"]}, "select": select}
    items = portal.call("crm.item.list", {**made, "order": {"id": "ASC"}}).result["items"]
    assert items == [
        {"id": companies["A"], "contactIds": [people["A"], people["B"]]},
        {"id": companies["C"], "contactIds": [people["B"]]},
    ]


def test_contacts_are_not_found_by_all_their_companies(portal: Client) -> None:
    made = {"entityTypeId": 3, "filter": {"companyIds": 1}, "select": ["id"]}
    assert portal.call("crm.item.list", made).error[:2] == (400, "100")


@pytest.mark.parametrize(
    ("fields", "after"),
    [
        ({"COMPANY_ID": "B"}, "AB"),
        ({"COMPANY_ID": "C"}, "C"),
        ({"COMPANY_ID": 0}, ""),
        ({"COMPANY_IDS": ["C", "B"]}, "CB"),
    ],
    ids=["a linked one changes nothing", "another replaces all", "0 clears", "a list replaces"],
)
def test_saving_companies_with_a_contact(
    portal: Client, people: Contacts, companies: Contacts, fields: Any, after: str
) -> None:
    settle(portal, people["A"], companies["A"], companies["B"])
    portal.call("crm.contact.update", {"id": people["A"], "fields": companies.named(fields)})
    assert [one for one, *_ in companies_of(portal, people["A"])] == [companies[name] for name in after]
    assert shown(portal, people["A"]) == (companies[after[0]] if after else 0)


def test_saving_a_company_with_its_contacts_flags_the_first_alone(
    portal: Client, people: Contacts, companies: Contacts
) -> None:
    settle(portal, people["B"], companies["D"])
    item = {"entityTypeId": 4, "id": companies["A"]}
    sent = {**item, "fields": {"contactIds": [people["C"], people["B"], people["A"]]}}
    assert portal.call("crm.item.update", sent).status == 200
    assert portal.links("company", companies["A"]) == [
        (people["C"], 10, "Y"),
        (people["B"], 20, "N"),
        (people["A"], 30, "N"),
    ]
    # Who has a primary company keeps it; who has none is shown with the smallest.
    assert [shown(portal, people[name]) for name in "ABC"] == [
        companies["A"],
        companies["D"],
        companies["A"],
    ]


def test_the_older_save_of_a_company_takes_new_contacts_and_keeps_the_rows_of_others(
    portal: Client, people: Contacts, companies: Contacts
) -> None:
    portal.link("company", companies["A"], [(people["A"], 30, "N"), (people["B"], 40, "N")])
    ids = [people["B"], people["C"]]
    portal.call("crm.company.update", {"id": companies["A"], "fields": {"CONTACT_ID": ids}})
    assert portal.links("company", companies["A"]) == [(people["C"], 10, "Y"), (people["B"], 40, "Y")]
    assert shown(portal, people["A"]) == 0
    portal.call("crm.company.update", {"id": companies["A"], "fields": {"CONTACT_ID": []}})
    assert portal.links("company", companies["A"]) == []


def test_deleting_a_company_takes_it_off_contacts_leads_and_deals_and_not_off_quotes(
    portal: Client, people: Contacts, companies: Contacts
) -> None:
    company = companies["C"]
    settle(portal, people["A"], company, companies["B"])
    made = {kind: portal.add(kind, TITLE="Contract test", COMPANY_ID=company) for kind in ("lead", "deal")}
    quote = portal.add("quote", TITLE="Contract test", COMPANY_ID=company)
    assert portal.flag("lead", made["lead"]) == "Y"
    portal.delete("company", company)
    assert companies_of(portal, people["A"]) == [(companies["B"], 20, "N")]
    assert shown(portal, people["A"]) == companies["B"]
    for kind, record in made.items():
        assert int(portal.call(f"crm.{kind}.get", {"id": record}).result["COMPANY_ID"] or 0) == 0
    assert portal.flag("lead", made["lead"]) == "N", "it is saved"
    assert portal.call("crm.quote.get", {"id": quote}).result["COMPANY_ID"] == str(company)


def test_deleting_a_contact_takes_it_off_its_companies(
    portal: Client, people: Contacts, companies: Contacts
) -> None:
    take(portal, companies["A"], people["A"], people["B"])
    portal.delete("contact", people["A"])
    people.pop("A")
    assert portal.links("company", companies["A"]) == [(people["B"], 20, "Y")]


def test_links_outlive_companies_that_are_gone(sandbox: Sandbox, client: Client) -> None:
    gone = 10**6
    contact = sandbox.state.add("contact", {"COMPANY_IDS": [gone]})
    assert client.links("company", gone) == [(contact, 10, "Y")]
    assert client.call("crm.company.contact.items.delete", {"id": gone}).result is True
    assert client.links("company", gone) == []
    assert sandbox.state.tables["contact"].rows[contact]["COMPANY_ID"] is None


def test_a_portal_may_leave_the_primary_company_of_contacts_alone(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_switches(company_takes_primary=False)
    free, settled = sandbox.state.add("contact", {}), sandbox.state.add("contact", {"COMPANY_IDS": [2]})
    take(client, 1, free, settled)
    assert companies_of(client, free) == [(1, 10, "Y")]
    assert sorted(companies_of(client, settled)) == [(1, 20, "N"), (2, 10, "Y")]
    assert [shown(client, one) for one in (free, settled)] == [1, 2]


def test_a_portal_may_keep_sorts_that_a_company_does_not_send(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_switches(company_set_keeps_sorts=True)
    company = sandbox.state.add("company", {})
    client.link("company", company, [(3, 700, "N"), (4, 900, "N")])
    items = [{"CONTACT_ID": 5}, {"CONTACT_ID": 4}, {"CONTACT_ID": 3, "SORT": 50}]
    client.call("crm.company.contact.items.set", {"id": company, "items": items})
    assert client.links("company", company) == [(5, 10, "Y"), (3, 50, "Y"), (4, 900, "Y")]
