"""Making and deleting records by the universal methods, users, and the other ways to reach a contact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_bitrix.core.families import family_of

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.server import Sandbox
    from tests.sandbox.conftest import Client


def test_an_item_is_made_with_its_contacts_and_shown_whole(client: Client, kind: str) -> None:
    fields = {"title": "Made", "contactIds": [4, 3, 4], "STAGE_ID": "NEW", "noSuchField": 1}
    item = client.call(
        "crm.item.add", {"entityTypeId": family_of(kind).entity_type_id, "fields": fields}
    ).result["item"]
    assert (item["title"], item["stageId"], item["contactId"], item["contactIds"]) == (
        "Made",
        "NEW",
        4,
        [4, 3],
    )
    assert client.links(kind, item["id"]) == [(4, 10, "Y"), (3, 20, "N")]
    read = client.call(
        "crm.item.get", {"entityTypeId": family_of(kind).entity_type_id, "id": item["id"]}
    ).result["item"]
    assert read == item


def test_a_contact_is_made_with_its_phone_and_messenger(client: Client) -> None:
    told = [
        {"typeId": "PHONE", "valueType": "WORK", "value": "+49 30 555"},
        {"typeId": "IM", "valueType": "TELEGRAM", "value": "ann"},
        {"typeId": "NOPE", "valueType": "WORK", "value": "x"},
    ]
    item = client.call("crm.item.add", {"entityTypeId": 3, "fields": {"name": "Ann", "fm": told}}).result[
        "item"
    ]
    assert [{name: one[name] for name in told[0]} for one in item["fm"]] == told[:2]
    row = client.call("crm.contact.get", {"id": item["id"]}).result
    assert (row["PHONE"][0]["VALUE"], row["IM"][0]["VALUE_TYPE"]) == ("+49 30 555", "TELEGRAM")


def test_contacts_that_may_not_be_read_are_not_linked_by_a_new_item(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_switches(refuse_contacts_read=[4])
    count = len(sandbox.state.tables["deal"].ids)
    status, _, text = client.call("crm.item.add", {"entityTypeId": 2, "fields": {"contactIds": [4]}}).error
    assert (status, text[:13]) == (400, "[Contact #4] ")
    assert len(sandbox.state.tables["deal"].ids) == count


def test_an_item_is_deleted_once(sandbox: Sandbox, client: Client, kind: Any) -> None:
    params = {"entityTypeId": family_of(kind).entity_type_id, "id": 5}
    assert client.call("crm.item.delete", params).result == []
    assert sandbox.state.row(kind, 5) is None
    assert client.call("crm.item.delete", params).error[:2] == (400, "NOT_FOUND")
    contact = sandbox.state.add("contact", {})
    owner = sandbox.state.add(kind, {"CONTACT_IDS": [contact, 1]})
    client.call("crm.item.delete", {"entityTypeId": 3, "id": contact})
    assert client.links(kind, owner) == [(1, 20, "N")]


def test_a_batch_import_tells_of_each_row_under_its_key(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_switches(refuse_contacts_read=[4])
    data: dict[str, Any] = {
        "a": {"title": "A", "contactIds": [3]},
        "b": {"title": "B", "contactIds": [4]},
        "c": "no object",
    }
    rows = client.call("crm.item.batchImport", {"entityTypeId": 1, "data": data}).result["items"]
    assert set(rows["b"]) == {"error", "error_description"}
    assert [set(rows[key]) for key in "ac"] == [{"item"}, {"item"}]
    made = rows["a"]["item"]["id"]
    assert rows["c"]["item"] == {"id": made + 1}
    assert client.links("lead", made) == [(3, 10, "Y")]
    phones = [{"name": "Ann", "PHONE": [{"VALUE": "+49 30 556", "VALUE_TYPE": "HOME"}]}]
    rows = client.call("crm.item.batchImport", {"entityTypeId": 3, "data": phones}).result["items"]
    assert (
        client.call("crm.contact.get", {"id": rows[0]["item"]["id"]}).result["PHONE"][0]["VALUE"]
        == "+49 30 556"
    )


@pytest.mark.parametrize(
    ("data", "code"),
    [([{}] * 21, "MAX_IMPORT_BATCH_SIZE_EXCEEDED"), ("x", "100"), (None, "100")],
    ids=["21 rows", "text", "null"],
)
def test_a_batch_import_takes_20_rows(sandbox: Sandbox, client: Client, data: Any, code: str) -> None:
    count = len(sandbox.state.tables["lead"].ids)
    assert client.call("crm.item.batchImport", {"entityTypeId": 1, "data": data}).error[:2] == (400, code)
    assert len(sandbox.state.tables["lead"].ids) == count
    rows = client.call("crm.item.batchImport", {"entityTypeId": 1, "data": [{}] * 20}).result["items"]
    assert [row["item"]["id"] for row in rows] == list(range(count + 1, count + 21))


# Other ways to reach a contact


def test_some_contacts_have_a_web_site_or_a_messenger(client: Client) -> None:
    assert {"WEB", "IM"} <= set(client.call("crm.contact.fields").result)
    select = ["ID", "WEB", "IM"]
    rows = client.call("crm.contact.list", {"select": select, "start": -1}).result
    for name in ("WEB", "IM"):
        found = [row[name][0] for row in rows if name in row]
        assert 0 < len(found) < len(rows) / 2
        assert all(
            set(one) == {"ID", "VALUE_TYPE", "VALUE", "TYPE_ID"} and one["TYPE_ID"] == name for one in found
        )
    assert client.call("crm.duplicate.findbycomm", {"type": "IM", "values": ["x"]}).status == 400


# Users


def _ids(client: Client, **params: Any) -> list[int]:
    return [int(row["ID"]) for row in client.call("user.get", params).result]


def test_whoever_asks_sees_all_users_with_texts_for_ids(sandbox: Sandbox, client: Client) -> None:
    for limited in (False, True):
        sandbox.set_switches(limited_user=limited)
        body = client.call("user.get").body
        assert [row["ID"] for row in body["result"]] == ["1", "2", "3", "4", "5"]
        assert [row["ACTIVE"] for row in body["result"]] == [True, True, True, True, False]
        assert all("@" in row["EMAIL"] and row["NAME"] for row in body["result"])
        assert (body["total"], "next" in body) == (5, False)
    sandbox.set_switches(scope=["crm"])
    assert client.call("user.get").body["error"] == "insufficient_scope"


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"ID": 2}, [2]),
        ({"id": [2, 4]}, [2, 4]),
        ({"FILTER": {">ID": 3}}, [4, 5]),
        ({"filter": {"@id": [1, 5]}}, [1, 5]),
        ({"filter": {"ACTIVE": False}}, [5]),
        ({"filter": {"ACTIVE": "Y", "<=ID": 2}}, [1, 2]),
        ({"filter": {"noSuchField": 1}}, [1, 2, 3, 4, 5]),
        ({"sort": "ID", "order": "desc"}, [5, 4, 3, 2, 1]),
        ({"order": {"ID": "DESC"}}, [1, 2, 3, 4, 5]),
        ({"filter": {"ID": 99}}, []),
    ],
    ids=str,
)
def test_users_are_filtered_and_sorted(client: Client, params: Any, found: list[int]) -> None:
    assert _ids(client, **params) == found


def test_users_come_in_pages_from_any_start(sandbox: Sandbox, client: Client) -> None:
    for number in range(6, 121):
        sandbox.state.users[number] = {"ID": number, "NAME": f"User {number}"}
    bodies = [client.call("user.get", {"start": start}).body for start in (0, 50, 7, 100, -1)]
    shapes = [
        (body["result"][0]["ID"], len(body["result"]), body["total"], body.get("next")) for body in bodies
    ]
    assert shapes == [
        ("1", 50, 120, 50),
        ("51", 50, 120, 100),
        ("8", 50, 120, 57),
        ("101", 20, 120, None),
        ("1", 50, 0, None),
    ]
    assert client.call("user.get", {"start": 500}).result == []


# Companies


def test_the_contacts_of_a_company_are_told_as_links(client: Client) -> None:
    select = ["ID", "COMPANY_ID"]
    rows = client.call("crm.contact.list", {"select": select, "filter": {">COMPANY_ID": 0}}).result
    company = int(rows[0]["COMPANY_ID"])
    expected = [int(row["ID"]) for row in rows if int(row["COMPANY_ID"]) == company]
    links = client.call("crm.company.contact.items.get", {"id": company}).result
    assert {link["CONTACT_ID"] for link in links} >= set(expected)
    assert set(links[0]) == {"CONTACT_ID", "SORT", "ROLE_ID", "IS_PRIMARY"}
    assert client.call("crm.company.contact.items.get", {"id": 10**6}).result == []
    said = (400, "", "The parameter ownerEntityID is invalid or not defined.")
    assert client.call("crm.company.contact.items.get", {"id": 0}).error == said
