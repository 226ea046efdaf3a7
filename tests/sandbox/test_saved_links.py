"""Invoices and the items of a smart process: their links are a field, which is written by saving them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_bitrix.core.families import family_of
from airflow_bitrix.sandbox.truth import truth_of

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.server import Sandbox
    from tests.sandbox.conftest import Client

KINDS = {"smart_invoice": "Invoices", "dynamic_1036": "Repairs"}


@pytest.fixture(params=KINDS)
def saved(request: pytest.FixtureRequest) -> str:
    """A kind without link methods."""
    return str(request.param)


def item(client: Client, kind: str, method: str, **params: Any) -> dict[str, Any]:
    """The item of an answer."""
    sent = {"entityTypeId": family_of(kind).entity_type_id, **params}
    found: dict[str, Any] = client.call(f"crm.item.{method}", sent).result["item"]
    return found


def made(client: Client, kind: str, *contacts: int) -> int:
    """A new item with these contacts."""
    number: int = item(client, kind, "add", fields={"title": "Made", "contactIds": list(contacts)})["id"]
    return number


@pytest.mark.parametrize(
    ("fields", "after"),
    [
        ({"contactIds": [5, 4, 5, 6]}, [5, 4, 6]),
        ({"contactIds": [3, 2]}, [3, 2]),
        ({"contactIds": [0, -1, "7"]}, [7]),
        ({"contactIds": []}, []),
        ({"contactIds": None}, []),
        ({"contactId": 3}, [2, 3]),
        ({"contactId": 9}, [9]),
        ({"contactId": 0}, []),
        ({"title": "else"}, [2, 3]),
    ],
    ids=str,
)
def test_a_save_sorts_by_tens_and_makes_the_first_one_primary(
    sandbox: Sandbox, client: Client, saved: str, fields: Any, after: list[int]
) -> None:
    number = made(client, saved, 2, 3)
    shown = item(client, saved, "update", id=number, fields=fields)
    assert (shown["contactIds"], shown["contactId"]) == (after, after[0] if after else 0)
    assert item(client, saved, "get", id=number) == shown
    links = [(link.contact_id, link.sort, link.primary) for link in sandbox.state.links(saved, number)]
    assert [one for one, *_ in links] == after
    assert [flag for *_, flag in links] == [True, *[False] * len(after)][: len(after)]


def test_of_a_contact_that_comes_twice_in_a_save_the_last_place_counts_but_for_the_first_of_all(
    sandbox: Sandbox, client: Client, saved: str
) -> None:
    number = made(client, saved, 5, 4, 4, 5, 6)
    links = [(link.contact_id, link.sort) for link in sandbox.state.links(saved, number)]
    assert links == [(5, 10), (4, 30), (6, 50)]


def test_every_save_moves_the_date_and_is_noted(sandbox: Sandbox, client: Client, saved: str) -> None:
    number = made(client, saved, 2)
    before = sandbox.links(saved)[str(number)]["date_modify"]
    sandbox.state.tables[saved].rows[number]["DATE_MODIFY"] = 0
    item(client, saved, "update", id=number, fields={"contactIds": [2]})
    assert sandbox.links(saved)[str(number)]["date_modify"] >= before
    assert sandbox.portal.writes[-1] == ("crm.item.update", number, ((2, 10, True),))


def test_a_save_that_leaves_a_required_field_empty_is_refused(
    sandbox: Sandbox, client: Client, saved: str
) -> None:
    number, links = made(client, saved, 2), sandbox.links(saved)
    sandbox.set_switches(required_fields=["sourceId"])
    sent = {"entityTypeId": family_of(saved).entity_type_id, "id": number}
    reply = client.call("crm.item.update", {**sent, "fields": {"contactIds": [3]}})
    assert reply.error == (400, "CRM_FIELD_ERROR_REQUIRED", 'Field "SOURCE_ID" is required')
    assert client.call("crm.item.add", {**sent, "fields": {"title": "x"}}).error[0] == 400
    assert sandbox.links(saved) == links
    assert item(client, saved, "update", id=number, fields={"contactIds": [3], "sourceId": "WEB"})
    assert item(client, saved, "update", id=number, fields={"contactIds": [4]})["contactIds"] == [4]


def test_an_item_goes_on_showing_a_contact_that_was_deleted(
    sandbox: Sandbox, client: Client, saved: str
) -> None:
    contact = sandbox.state.add("contact", {})
    number = made(client, saved, contact, 3)
    client.call("crm.contact.delete", {"id": contact})
    shown = item(client, saved, "get", id=number)
    assert (shown["contactId"], shown["contactIds"]) == (contact, [3])
    assert [link.primary for link in sandbox.state.links(saved, number)] == [False]


def test_items_are_found_by_any_of_their_contacts(client: Client, saved: str) -> None:
    number = made(client, saved, 2, 70)
    wanted = {
        "entityTypeId": family_of(saved).entity_type_id,
        "filter": {"contactIds": 70, ">=id": number},
        "select": ["id", "contactId", "contactIds", "companyId", "stageId"],
    }
    [found] = client.call("crm.item.list", wanted).result["items"]
    assert {name: found[name] for name in ("id", "contactId", "contactIds", "companyId")} == {
        "id": number,
        "contactId": 2,
        "contactIds": [2, 70],
        "companyId": 0,
    }
    directory = {"smart_invoice": "SMART_INVOICE_STAGE_2", "dynamic_1036": "DYNAMIC_1036_STAGE_11"}[saved]
    stages = client.call("crm.status.list", {"filter": {"ENTITY_ID": directory}}).result
    assert found["stageId"] == stages[0]["STATUS_ID"]
    assert sorted(row["SEMANTICS"] or "P" for row in stages[-2:]) == ["F", "S"]


def test_there_are_no_other_methods(client: Client, saved: str) -> None:
    for method in (f"crm.{saved}.contact.items.get", f"crm.{saved}.list"):
        assert client.call(method, {"id": 1}).error[:2] == (404, "ERROR_METHOD_NOT_FOUND")


def test_smart_processes_are_told_to_administrators(sandbox: Sandbox, client: Client) -> None:
    body = client.call("crm.type.list").body
    [told] = body["result"]["types"]
    assert (told["entityTypeId"], told["title"], body["total"]) == (1036, "Repairs", 1)
    sandbox.set_switches(limited_user=True)
    assert client.call("crm.type.list").error[:2] == (400, "ACCESS_DENIED")


def test_the_seed_plants_the_same_cases_as_deletions_leave(sandbox: Sandbox, saved: str) -> None:
    truth = truth_of(sandbox.state)[KINDS[saved].lower()]
    assert min(len(truth[case]) for case in ("dangling", "no_primary", "same_person")) > 0
    for number in sandbox.state.tables[saved].ids:
        links = sandbox.state.links(saved, number)
        at = [link.sort for link in links]
        whole = list(range(10, 10 * len(links) + 1, 10))
        assert at in (whole, [sort + 10 for sort in whole])
        assert [link.primary for link in links] == [sort == 10 for sort in at]
