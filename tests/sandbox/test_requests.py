"""How a request is read and how an answer is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.server import Sandbox
    from tests.sandbox.conftest import Client, Contacts

ADDRESS = "crm.lead.contact.items.set"


@pytest.mark.parametrize(
    "options",
    [
        {"json": {"id": "L", "items": [{"CONTACT_ID": "A"}, {"CONTACT_ID": "B", "IS_PRIMARY": "Y"}]}},
        {
            "data": {
                "id": "L",
                "items[0][CONTACT_ID]": "A",
                "items[1][CONTACT_ID]": "B",
                "items[1][IS_PRIMARY]": "Y",
            }
        },
        {
            "params": {
                "id": "L",
                "items[0][CONTACT_ID]": "A",
                "items[1][CONTACT_ID]": "B",
                "items[1][IS_PRIMARY]": "Y",
            }
        },
        {
            "params": {"id": "L"},
            "json": {"items": [{"CONTACT_ID": "A"}, {"CONTACT_ID": "B", "IS_PRIMARY": "Y"}]},
        },
        {
            "params": {"id": 5, "items[0][CONTACT_ID]": 9},
            "json": {"id": "L", "items": [{"CONTACT_ID": "A"}, {"CONTACT_ID": "B", "IS_PRIMARY": "Y"}]},
        },
    ],
    ids=["json", "form", "query", "query and json", "the body wins over the query"],
)
def test_parameters_come_from_query_and_body(portal: Client, contacts: Contacts, options: Any) -> None:
    lead = portal.add("lead", TITLE="Contract test")
    named = type(contacts)(contacts, L=lead).named(options)
    assert portal.send("POST", ADDRESS, **named).json()["result"] is True
    assert portal.links("lead", lead) == [(contacts["A"], 10, "N"), (contacts["B"], 20, "Y")]


def test_get_works_with_a_query(portal: Client) -> None:
    lead = portal.add("lead", TITLE="Contract test")
    answer = portal.send("GET", "crm.lead.get.json", params={"id": lead})
    assert answer.json()["result"]["ID"] == str(lead)


@pytest.mark.parametrize("body", [b"{", b"", b'"text"', b"{'id': 5}"], ids=repr)
def test_a_json_body_that_cannot_be_read_is_swallowed(portal: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = portal.send("POST", "crm.lead.contact.items.get", data=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "")
    lead = portal.add("lead", TITLE="Contract test")
    answer = portal.send("POST", f"crm.lead.contact.items.get?id={lead}", data=body, headers=headers)
    assert answer.json()["result"] == []


def test_other_bodies_and_other_verbs_are_not_read(client: Client) -> None:
    body, headers = json.dumps({"id": 1}), {"Content-Type": "application/json"}
    for verb in ("PUT", "PATCH", "GET"):
        assert client.send(verb, "crm.lead.get", data=body, headers=headers).status_code == 400
        assert client.send(verb, "crm.lead.get?id=1", data=body, headers=headers).status_code == 200
    assert (
        client.send("POST", "crm.lead.get", data=body, headers={"Content-Type": "text/plain"}).status_code
        == 400
    )


def test_a_multipart_form_is_read(client: Client) -> None:
    parts = {"id": (None, "1"), "items[0][CONTACT_ID]": (None, "7")}
    assert client.send("POST", ADDRESS, files=parts).json()["result"] is True
    assert client.links("lead", 1) == [(7, 10, "Y")]


def test_an_answer_is_written_as_php_writes_it(client: Client, sandbox: Sandbox) -> None:
    title = "<a href='x'>\"&\"</a> Ü \\ 😀"
    lead = sandbox.state.add("lead", {"TITLE": title})
    answer = client.send("POST", "crm.lead.list", json={"filter": {"ID": lead}, "select": ["TITLE"]})
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.json()["result"][0]["TITLE"] == title
    written = '"\\u003Ca href=\\u0027x\\u0027\\u003E\\u0022\\u0026\\u0022\\u003C\\/a\\u003E Ü \\\\ 😀"'
    assert written in answer.content.decode()


def test_an_error_has_no_time(portal: Client) -> None:
    assert set(portal.call("crm.lead.get", {"id": 0}).body) == {"error", "error_description"}


def test_the_time_of_an_answer(portal: Client) -> None:
    time = portal.call("profile").body["time"]
    assert {"start", "finish", "duration", "processing", "date_start", "date_finish"} <= set(time)
    assert isinstance(time["start"], (int, float))
    assert len(time["date_start"]) == len("2026-01-02T03:04:05+03:00")


def test_newer_portals_give_whole_seconds(sandbox: Sandbox, client: Client) -> None:
    time = client.call("profile").body["time"]
    assert (type(time["start"]), type(time["processing"])) == (float, float)
    sandbox.set_switches(time_as_int=True)
    time = client.call("profile").body["time"]
    assert (type(time["start"]), type(time["processing"])) == (int, int)


def test_a_slash_behind_the_method_does_no_harm(client: Client) -> None:
    assert client.call("profile/").status == 200


def test_a_double_slash_before_the_method_does_no_harm(client: Client) -> None:
    assert client.call("/profile.json").status == 200


def test_no_method_is_an_unknown_method(client: Client) -> None:
    assert client.call("").error[:2] == (404, "ERROR_METHOD_NOT_FOUND")
