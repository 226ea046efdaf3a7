"""Listing: pages, counts, filters and kinds of values in both families of methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_bitrix.core.families import family_of

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.server import Sandbox
    from tests.sandbox.conftest import Client, Contacts

LEADS = 60  # what the seeded sandbox of these tests holds
PAGE = 50


def _item_ids(client: Client, **params: Any) -> list[int]:
    return [one["id"] for one in client.call("crm.item.list", {"entityTypeId": 1, **params}).result["items"]]


def _filtered(client: Client, conditions: Any) -> list[int]:
    return _item_ids(client, filter=conditions, select=["id"], start=-1)


# What both kinds of portals can be asked


def test_item_list_shows_all_contacts_in_order_and_the_primary(
    portal: Client, kind: str, owner: int, contacts: Contacts
) -> None:
    portal.link(kind, owner, [(contacts["B"], 30, "N"), (contacts["A"], 40, "N"), (contacts["C"], 5, "Y")])
    params = {
        "entityTypeId": family_of(kind).entity_type_id,
        "filter": {"=id": owner},
        "select": ["id", "contactId", "contactIds", "noSuchField"],
        "start": -1,
    }
    body = portal.call("crm.item.list", params).body
    expected = {
        "id": owner,
        "contactId": contacts["C"],
        "contactIds": [contacts["C"], contacts["B"], contacts["A"]],
    }
    assert body["result"]["items"] == [expected]
    assert {"total", "next"}.isdisjoint(body)


@pytest.mark.parametrize(("parameter", "place"), [("filter", "filter"), ("order", "order")])
def test_item_list_refuses_unknown_fields(portal: Client, parameter: str, place: str) -> None:
    status, code, text = portal.call(
        "crm.item.list", {"entityTypeId": 1, parameter: {"contactIdd": "1"}}
    ).error
    assert (status, code) == (400, "INVALID_ARG_VALUE")
    assert text == f"Invalid {place}: field 'CONTACT_IDD' is not allowed in {place}"


def test_lead_list_drops_unknown_filter_fields(portal: Client) -> None:
    lead = portal.add("lead", TITLE="Contract test")
    conditions = {"ID": lead, "CONTAKT_ID": 5, "=contactId": 7}
    rows = portal.call("crm.lead.list", {"filter": conditions, "select": ["ID"]}).result
    assert rows == [{"ID": str(lead)}]


def test_lead_list_gives_strings_and_item_list_numbers(portal: Client, contacts: Contacts) -> None:
    lead = portal.add("lead", TITLE="Contract test", CONTACT_ID=contacts["A"], OPPORTUNITY=15000)
    names = ["ID", "CONTACT_ID", "OPPORTUNITY", "IS_RETURN_CUSTOMER"]
    row = portal.call("crm.lead.list", {"filter": {"ID": lead}, "select": names}).result[0]
    assert row == {
        "ID": str(lead),
        "CONTACT_ID": str(contacts["A"]),
        "OPPORTUNITY": "15000.00",
        "IS_RETURN_CUSTOMER": "Y",
    }
    select = ["id", "contactId", "opportunity", "isReturnCustomer"]
    params = {"entityTypeId": 1, "filter": {"=id": lead}, "select": select}
    item = portal.call("crm.item.list", params).result["items"][0]
    expected = {"id": lead, "contactId": contacts["A"], "opportunity": 15000, "isReturnCustomer": "Y"}
    assert item == expected


@pytest.mark.parametrize("key", ["contactIds", "@contactIds", "=contactIds"])
def test_item_list_finds_owners_by_any_of_their_contacts(
    portal: Client, kind: str, owner: int, key: str
) -> None:
    contact = portal.add("contact", NAME="Contract test")
    other = portal.add("contact", NAME="Contract test")
    portal.link(kind, owner, [(other, 10, "Y"), (contact, 20, "N")])
    params = {"entityTypeId": family_of(kind).entity_type_id, "select": ["id"], "start": -1}
    found = portal.call("crm.item.list", {**params, "filter": {key: [contact]}}).result["items"]
    assert found == [{"id": owner}]
    assert portal.call("crm.item.list", {**params, "filter": {"contactId": contact}}).result["items"] == []


def test_item_update_replaces_contacts_and_flags_at_once(portal: Client, contacts: Contacts) -> None:
    lead = portal.add("lead", TITLE="Contract test")
    sent = [contacts["C"], contacts["A"], contacts["C"], 0]
    item = portal.call(
        "crm.item.update", {"entityTypeId": 1, "id": lead, "fields": {"contactIds": sent}}
    ).result["item"]
    assert (item["contactIds"], item["contactId"]) == ([contacts["C"], contacts["A"]], contacts["C"])
    assert item["isReturnCustomer"] == "Y"
    assert portal.links("lead", lead) == [(contacts["C"], 10, "Y"), (contacts["A"], 20, "N")]
    item = portal.call(
        "crm.item.update", {"entityTypeId": 1, "id": lead, "fields": {"contactIds": []}}
    ).result["item"]
    assert (item["contactIds"], item["isReturnCustomer"]) == ([], "N")


@pytest.mark.parametrize("method", ["crm.item.get", "crm.item.update"])
def test_a_missing_item_is_not_found(portal: Client, method: str) -> None:
    status, code, _ = portal.call(method, {"entityTypeId": 1, "id": 2_000_000_000, "fields": {}}).error
    assert (status, code) == (400, "NOT_FOUND")


def test_a_missing_record_is_not_found(portal: Client) -> None:
    assert portal.call("crm.lead.get", {"id": 2_000_000_000}).error == (400, "", "Not found")


def test_same_phone_is_found_across_kinds(portal: Client) -> None:
    phone = [{"VALUE": "+49 30 5550100 99", "VALUE_TYPE": "WORK"}]
    lead, contact = (portal.add(kind, NAME="Contract test", PHONE=phone) for kind in ("lead", "contact"))
    asked = {"type": "PHONE", "values": ["+4930555010099"]}
    assert portal.call("crm.duplicate.findbycomm", asked).result == {"LEAD": [lead], "CONTACT": [contact]}
    only = portal.call("crm.duplicate.findbycomm", {**asked, "entity_type": "CONTACT"}).result
    assert only == {"CONTACT": [contact]}
    nobody = {"type": "EMAIL", "values": ["nobody@example.invalid"]}
    assert portal.call("crm.duplicate.findbycomm", nobody).result == []


def find(portal: Client, **asked: Any) -> Any:
    return portal.call("crm.duplicate.findbycomm", asked)


def test_a_search_by_phone_says_what_it_lacks(portal: Client) -> None:
    said = "Communication type 'IM' is not supported in current context."
    assert find(portal, type="im", values=["x"]).error == (400, "", said)
    assert find(portal, values=["x"]).error == (400, "", "Communication type is not defined.")
    wrong: list[Any] = ["x", [], None]
    for values in wrong:
        error = find(portal, type="PHONE", values=values).error
        assert error == (400, "", "Communication values is not defined.")
    deals = find(portal, type="PHONE", values=["1"], entity_type="DEAL").error
    assert deals == (400, "", "Deal is not supported in current context.")


def test_twenty_are_found_for_each_of_twenty_phones(portal: Client) -> None:
    def person(number: int) -> int:
        return portal.add("contact", NAME="Contract test", PHONE=[{"VALUE": f"+4930555020{number:03}"}])

    many = [person(1) for _ in range(21)]
    others = [person(number) for number in range(2, 22)]
    phones = [f"+4930555020{number:03}" for number in range(1, 22)]
    found = find(portal, type="PHONE", values=[phones[0], *phones], entity_type="CONTACT").result
    assert found == {"CONTACT": [*many[:20], *others[:19]]}
    assert find(portal, type="PHONE", values=[4930555020001]).result == [], "a number is no text"


# Pages of a portal whose size is known


@pytest.mark.parametrize(
    "start", [None, 0, "0", 7], ids=["absent", "0", "0 as text", "within the first page"]
)
def test_a_first_page_has_a_total_and_tells_the_next(client: Client, start: Any) -> None:
    for method, params in (("crm.lead.list", {}), ("crm.item.list", {"entityTypeId": 1})):
        body = client.call(method, {**params, **({} if start is None else {"start": start})}).body
        rows = body["result"] if method == "crm.lead.list" else body["result"]["items"]
        assert len(rows) == PAGE
        assert (body["total"], body["next"]) == (LEADS, PAGE)


def test_the_last_page_tells_no_next(client: Client) -> None:
    for method, params in (("crm.lead.list", {}), ("crm.item.list", {"entityTypeId": 1})):
        body = client.call(method, {**params, "start": PAGE}).body
        rows = body["result"] if method == "crm.lead.list" else body["result"]["items"]
        assert len(rows) == LEADS - PAGE
        assert body["total"] == LEADS
        assert "next" not in body


def test_an_uncounted_page_has_total_0_in_the_one_family_and_none_in_the_other(client: Client) -> None:
    legacy = client.call("crm.lead.list", {"start": -1, "select": ["ID"]}).body
    assert (legacy["total"], "next" in legacy, len(legacy["result"])) == (0, False, PAGE)
    items = client.call("crm.item.list", {"entityTypeId": 1, "start": "-1", "select": ["id"]}).body
    assert {"total", "next"}.isdisjoint(items)
    assert len(items["result"]["items"]) == PAGE
    maps = client.batch({"a": "crm.lead.list?start=-1", "b": "crm.item.list?entityTypeId=1&start=-1"})
    assert (maps["result_total"], maps["result_next"]) == ({"a": 0}, [])
    maps = client.batch({"a": "crm.lead.list?start=0"})
    assert (maps["result_total"], maps["result_next"]) == ({"a": LEADS}, {"a": PAGE})


def test_order(client: Client) -> None:
    assert _item_ids(client, order={"id": "DESC"}, select=["id"], start=-1)[:3] == [60, 59, 58]
    by_stage = client.call("crm.lead.list", {"order": {"STATUS_ID": "ASC", "ID": "DESC"}, "start": 0}).result
    keys = [(row["STATUS_ID"], -int(row["ID"])) for row in by_stage]
    assert keys == sorted(keys)


def test_one_owner_comes_once_even_where_several_of_its_contacts_are_asked_for(
    sandbox: Sandbox, client: Client
) -> None:
    made = [sandbox.state.add("contact", {}) for _ in range(2)]
    owners = [sandbox.state.add("lead", {"CONTACT_IDS": made}) for _ in range(30)]
    found = _filtered(client, {"@contactIds": made})
    # The portal cuts the page before it removes the doubles, so a page of 50 rows holds 25 owners.
    assert found == owners[:25]
    rest = _filtered(client, {"@contactIds": made, ">id": found[-1]})
    assert rest == owners[25:]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({">id": 10, "<=id": 13}, {11, 12, 13}),
        ({">=id": 10, "<id": 12}, {10, 11}),
        ({"@id": [5, 3, 999]}, {3, 5}),
        ({"id": ["5", "3"]}, {3, 5}),
        ({"<id": 5, "!@id": [1, 2]}, {3, 4}),
        ({"<id": 4, "!=id": 2}, {1, 3}),
        ({"<id": 4, "!id": 2}, {1, 3}),
        ({"logic": "OR", "0": {"=id": 3}, "1": {">id": 59}}, {3, 60}),
        ([{"logic": "OR", "=id": 3, "@id": [4, 5]}, {">id": 3}], {4, 5}),
        ({"<id": 6, "0": {"logic": "OR", "0": {"=id": 2, ">id": 2}, "1": {"id": 4}}}, {4}),
    ],
    ids=str,
)
def test_filters_on_the_id(client: Client, conditions: Any, expected: set[int]) -> None:
    assert set(_filtered(client, conditions)) == expected


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        ({"=title": "alpha one"}, "a"),
        ({"title": ["alpha one", "beta"]}, "ab"),
        ({"%title": "ALPHA"}, "ac"),
        ({"=%title": "alpha%"}, "ac"),
        ({"%=title": "%one"}, "a"),
        ({"!%title": "alpha"}, "b"),
        ({"!=title": "beta"}, "ac"),
        ({">opportunity": 10}, "bc"),
        ({"=isReturnCustomer": "Y"}, "c"),
        ({"isReturnCustomer": "N"}, "ab"),
        ({"=companyId": 0}, "ab"),
        ({"!companyId": 0}, "c"),
        ({"=stageId": "JUNK", "stageSemanticId": "F"}, "b"),
        ({">createdTime": "2020-01-01"}, "abc"),
        ({">=updatedTime": "2999-01-01T00:00:00+00:00"}, ""),
        ({"=originId": ""}, "abc"),
    ],
    ids=str,
)
def test_filters_on_other_fields(sandbox: Sandbox, client: Client, conditions: Any, names: str) -> None:
    rows = {
        "a": {"TITLE": "Alpha one", "OPPORTUNITY": 5},
        "b": {"TITLE": "Beta", "OPPORTUNITY": 15, "STATUS_ID": "JUNK"},
        "c": {"TITLE": "Alpha two", "OPPORTUNITY": 25, "COMPANY_ID": 3},
    }
    made = {name: sandbox.state.add("lead", fields) for name, fields in rows.items()}
    found = _filtered(client, {"@id": list(made.values()), **conditions})
    assert found == [made[name] for name in names]
    legacy = {
        "title": "TITLE",
        "opportunity": "OPPORTUNITY",
        "isReturnCustomer": "IS_RETURN_CUSTOMER",
        "companyId": "COMPANY_ID",
        "stageId": "STATUS_ID",
        "stageSemanticId": "STATUS_SEMANTIC_ID",
        "createdTime": "DATE_CREATE",
        "updatedTime": "DATE_MODIFY",
        "originId": "ORIGIN_ID",
    }
    translated = {
        key.replace(name, legacy[name]): value
        for key, value in conditions.items()
        for name in legacy
        if key.lstrip("!=<>%@") == name
    }
    params = {"filter": {"@ID": list(made.values()), **translated}, "select": ["ID"]}
    assert [int(row["ID"]) for row in client.call("crm.lead.list", params).result] == found


def test_lead_list_turns_likeness_of_a_contact_into_equality(sandbox: Sandbox, client: Client) -> None:
    leads = [sandbox.state.add("lead", {"CONTACT_ID": one}) for one in (5, 55)]
    params = {"filter": {"%CONTACT_ID": 5, "@ID": leads}, "select": ["ID"]}
    assert client.call("crm.lead.list", params).result == [{"ID": str(leads[0])}]


def test_phones_come_only_where_they_are_named(client: Client) -> None:
    assert "PHONE" not in client.call("crm.contact.list", {"start": -1}).result[0]
    row = client.call("crm.contact.list", {"start": -1, "select": ["ID", "PHONE"]}).result[0]
    assert set(row) == {"ID", "PHONE"}
    assert row["PHONE"][0]["VALUE"].startswith("+49")
    items = client.call("crm.item.list", {"entityTypeId": 3, "select": ["*"], "start": -1}).result["items"]
    assert items[0]["fm"][0]["typeId"] == "PHONE"
    assert "contactIds" not in items[0]


def test_contact_ids_can_be_missing_from_item_list(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_switches(hide_contact_ids=True)
    select = ["id", "contactId", "contactIds"]
    items = client.call("crm.item.list", {"entityTypeId": 1, "select": select, "start": -1}).result["items"]
    assert all(set(item) == {"id", "contactId"} for item in items)
    assert "contactIds" in client.call("crm.item.get", {"entityTypeId": 1, "id": 1}).result["item"]


def test_a_limited_user_sees_own_records_only(sandbox: Sandbox, client: Client) -> None:
    own = {
        lead_id for lead_id, row in sandbox.state.tables["lead"].rows.items() if row["ASSIGNED_BY_ID"] == 1
    }
    sandbox.set_switches(limited_user=True)
    assert set(_item_ids(client, select=["id"])) == own
    foreign = next(lead_id for lead_id in range(1, LEADS) if lead_id not in own)
    assert client.call("crm.lead.get", {"id": foreign}).error == (400, "", "Access denied.")
    reply = client.call("crm.item.get", {"entityTypeId": 1, "id": foreign})
    assert reply.error[:2] == (400, "ACCESS_DENIED")
    assert client.call("profile").result["ADMIN"] is False
    listed = {"entityTypeId": 1, "select": ["id"], "start": 0}
    assert client.call("crm.item.list", listed).body["total"] == len(own)
    sandbox.set_switches(counts_hidden=True)
    assert client.call("crm.item.list", listed).body["total"] == LEADS
    assert set(_item_ids(client, select=["id"])) == own


@pytest.mark.parametrize("kind", ["lead", "deal", "contact"])
def test_fields_name_what_get_returns(client: Client, kind: str) -> None:
    described = client.call(f"crm.{kind}.fields").result
    shown = client.call(f"crm.{kind}.get", {"id": 1}).result
    assert set(shown) <= set(described)
    number = {"lead": 1, "deal": 2, "contact": 3}[kind]
    described = client.call("crm.item.fields", {"entityTypeId": number}).result["fields"]
    shown = client.call("crm.item.get", {"entityTypeId": number, "id": 1}).result["item"]
    assert set(shown) - {"entityTypeId", "fm"} == set(described)


def test_an_unknown_entity_type_is_refused(client: Client) -> None:
    for number in (99, 1037):
        refused = client.call("crm.item.list", {"entityTypeId": number}).error
        assert refused[:2] == (400, "ENTITY_TYPE_NOT_SUPPORTED")
    for number in (128, 1038):
        assert client.call("crm.item.list", {"entityTypeId": number}).error[:2] == (400, "NOT_FOUND")


def test_item_update_refuses_contacts_that_may_not_be_read(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_switches(refuse_contacts_read=[4])
    params = {"entityTypeId": 2, "id": 1, "fields": {"contactIds": [3, 4]}}
    status, _, text = client.call("crm.item.update", params).error
    assert status == 400
    assert text.startswith("[Contact #4] ")


def test_a_custom_field_is_found_and_shown_and_comes_in_older_lists_only_where_it_is_named(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.state.update("lead", 7, {"UF_CRM_SOURCE_ID": "1007"})
    assert _filtered(client, {"@ufCrmSourceId": ["1007", "1008"]}) == [7]
    select = ["id", "ufCrmSourceId"]
    shown = client.call("crm.item.list", {"entityTypeId": 1, "filter": {"@id": [6, 7]}, "select": select})
    assert shown.result["items"] == [
        {"id": 6, "ufCrmSourceId": None},
        {"id": 7, "ufCrmSourceId": "1007"},
    ]
    for wanted, is_shown in ((["*"], False), ([], False), (["*", "UF_CRM_SOURCE_ID"], True)):
        rows = client.call("crm.lead.list", {"filter": {"ID": 7}, "select": wanted}).result
        assert ("UF_CRM_SOURCE_ID" in rows[0]) == is_shown


def test_a_start_behind_the_last_record_gives_the_first_page_again_but_no_items(client: Client) -> None:
    first = client.call("crm.lead.list", {"start": 0, "select": ["ID"]}).body
    again = client.call("crm.lead.list", {"start": 5000, "select": ["ID"]}).body
    assert again["result"] == first["result"]
    assert again["next"] == first["next"] == PAGE
    items = client.call("crm.item.list", {"entityTypeId": 1, "start": 5000, "select": ["id"]}).body
    assert items["result"] == {"items": []}
    assert "next" not in items
