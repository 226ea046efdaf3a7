"""The batch method: parsing, references, halting, limits and the shapes of its maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from airflow_bitrix.sandbox.links import Link

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.server import Sandbox
    from tests.sandbox.conftest import Client, Contacts

GOOD = "profile"
BAD = "crm.lead.contact.items.get?id=0"
BAD_ERROR = {"error": "", "error_description": "The parameter ownerEntityID is invalid or not defined."}


def _executed(maps: Any) -> tuple[list[str], list[str]]:
    """Keys with a result and keys with an error, lists counted through."""

    def keys(shown: Any) -> list[str]:
        return list(shown) if isinstance(shown, dict) else [str(place) for place in range(len(shown))]

    return keys(maps["result"]), keys(maps["result_error"])


def test_the_five_maps(portal: Client) -> None:
    maps = portal.batch({"a": GOOD, "b": BAD, "c": "crm.lead.list?select[]=ID"})
    assert set(maps) == {"result", "result_error", "result_total", "result_next", "result_time"}
    assert list(maps["result"]) == ["a", "c"]
    assert maps["result_error"] == {"b": BAD_ERROR}
    assert list(maps["result_total"]) == ["c"]
    assert list(maps["result_time"]) == ["a", "c"]


@pytest.mark.parametrize(
    ("cmd", "result_type", "error"),
    [
        ({"a": GOOD}, dict, []),
        ([GOOD, GOOD], list, []),
        ([GOOD, BAD], list, {"1": BAD_ERROR}),
        ([BAD, GOOD], dict, [BAD_ERROR]),
        ({"0": GOOD, "1": GOOD}, list, []),
        ({"1": GOOD, "0": GOOD}, dict, []),
        ({"5": GOOD}, dict, []),
        ([BAD], list, [BAD_ERROR]),
        ({}, list, []),
    ],
    ids=[
        "string keys: object",
        "0 and 1: list",
        "only 1 failed: its map is an object",
        "only 0 failed: its map is a list",
        "numbers as strings, in order: list",
        "numbers out of order: object",
        "a number other than 0: object",
        "no result: empty list",
        "no command: empty lists",
    ],
)
def test_maps_are_lists_or_objects_as_php_has_them(
    portal: Client, cmd: Any, result_type: type, error: Any
) -> None:
    maps = portal.batch(cmd)
    assert type(maps["result"]) is result_type
    assert maps["result_error"] == error
    assert type(maps["result_time"]) is result_type
    assert maps["result_next"] == maps["result_total"] == []


@pytest.mark.parametrize("names", [("cmd", "halt"), ("CMD", "HALT")], ids=["small", "capital"])
def test_parameter_names_in_both_cases(portal: Client, names: tuple[str, str]) -> None:
    cmd, halt = names
    maps = portal.call("batch", {cmd: {"a": BAD, "b": GOOD}, halt: 1}).result
    assert _executed(maps) == ([], ["a"])


@pytest.mark.parametrize("halt", [1, True, "1", "true", "false", "no"], ids=repr)
def test_a_true_halt_stops_at_the_first_error(portal: Client, halt: Any) -> None:
    assert _executed(portal.batch({"a": GOOD, "b": BAD, "c": GOOD}, halt=halt)) == (["a"], ["b"])


@pytest.mark.parametrize("halt", [0, False, "0", "", None], ids=repr)
def test_a_false_halt_goes_on(portal: Client, halt: Any) -> None:
    assert _executed(portal.batch({"a": GOOD, "b": BAD, "c": GOOD}, halt=halt)) == (["a", "c"], ["b"])


def test_from_the_51st_command_on_each_one_is_refused(portal: Client) -> None:
    maps = portal.batch({f"c{number}": "method.get?name=profile" for number in range(53)})
    assert list(maps["result"]) == [f"c{number}" for number in range(50)]
    refusal = {"error": "ERROR_BATCH_LENGTH_EXCEEDED", "error_description": "Max batch length exceeded"}
    assert maps["result_error"] == {f"c{number}": refusal for number in (50, 51, 52)}


@pytest.mark.parametrize("method", ["batch", "download", "upload"])
def test_some_methods_are_refused_in_a_batch(portal: Client, method: str) -> None:
    maps = portal.batch({"a": f"{method}?cmd[b]=profile", "c": GOOD})
    text = "Method is not allowed for batch usage"
    assert maps["result_error"] == {
        "a": {"error": "ERROR_BATCH_METHOD_NOT_ALLOWED", "error_description": text}
    }
    assert list(maps["result"]) == ["c"]


def test_commands_that_are_no_strings_leave_no_trace(portal: Client) -> None:
    assert _executed(portal.batch({"a": {"method": GOOD}, "b": 5, "c": None, "d": GOOD})) == (["d"], [])


def test_commands_that_are_no_strings_take_up_room(portal: Client) -> None:
    cmd = {f"x{number}": 1 for number in range(49)} | {"a": GOOD, "b": GOOD}
    assert _executed(portal.batch(cmd)) == (["a"], ["b"])


def test_an_unknown_method_is_an_error_of_its_command(portal: Client) -> None:
    maps = portal.batch({"a": "crm.lead.contact.nothing?id=1", "b": "PROFILE"})
    assert maps["result_error"] == {
        "a": {"error": "ERROR_METHOD_NOT_FOUND", "error_description": "Method not found!"}
    }
    assert list(maps["result"]) == ["b"]


def test_false_and_empty_results_are_results(
    portal: Client, kind: str, owner: int, contacts: Contacts
) -> None:
    maps = portal.batch(
        {
            "a": f"crm.{kind}.contact.items.get?id={owner}",
            "b": f"crm.{kind}.contact.delete?id={owner}&fields[CONTACT_ID]={contacts['A']}",
        }
    )
    assert maps["result"] == {"a": [], "b": False}
    assert maps["result_error"] == []


def test_commands_run_in_order_and_earlier_ones_stay_done(
    portal: Client, kind: str, owner: int, contacts: Contacts
) -> None:
    fields = f"id={owner}&fields[CONTACT_ID]={contacts['A']}"
    maps = portal.batch(
        {"a": f"crm.{kind}.contact.add?{fields}", "b": f"crm.{kind}.contact.add?{fields}", "c": BAD}, halt=1
    )
    assert maps["result"] == {"a": True, "b": False}
    assert portal.links(kind, owner) == [(contacts["A"], 10, "Y")]


@pytest.mark.parametrize("verb", ["POST", "GET"])
def test_in_a_form_or_an_address_commands_are_encoded_twice(
    portal: Client, verb: str, kind: str, owner: int
) -> None:
    commands = {"cmd[a]": f"crm.{kind}.update?id={owner}&fields[TITLE]=a%26b%2Bc", "cmd[b]": BAD, "halt": "0"}
    answer = portal.send(verb, "batch", **{"data" if verb == "POST" else "params": commands})
    assert answer.json()["result"]["result"] == {"a": True}
    assert answer.json()["result"]["result_error"] == {"b": BAD_ERROR}
    assert portal.call(f"crm.{kind}.get", {"id": owner}).result["TITLE"] == "a&b+c"


# Parsing


def _title_after(portal: Client, query: str) -> str:
    lead = portal.add("lead", TITLE="before")
    portal.batch({"a": f"crm.lead.update?id={lead}&{query}"})
    return str(portal.call("crm.lead.get", {"id": lead}).result["TITLE"])


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("fields[TITLE]=one+two", "one two"),
        ("fields[TITLE]=one%20two%26three", "one two&three"),
        ("fields[TITLE]=one#two", "one"),
        ("fields[TITLE]=one%23two", "one#two"),
        ("fields[TITLE]=one%2Btwo", "one+two"),
        ("fields[TITLE]=one&two", "one"),
        ("fields[TITLE]=a=b", "a=b"),
        ("fields%5BTITLE%5D=encoded+name", "encoded name"),
        ("fields[TITLE]=first&fields[TITLE]=last", "last"),
        ("fields[TITLE]=" + quote("Müller <&'\">/ Ω"), "Müller <&'\">/ Ω"),
    ],
)
def test_a_command_is_parsed_as_php_parses_a_query(portal: Client, query: str, title: str) -> None:
    assert _title_after(portal, query) == title


@pytest.mark.parametrize(
    "rows",
    [
        "items[0][CONTACT_ID]={A}&items[1][CONTACT_ID]={B}",
        "items[][CONTACT_ID]={A}&items[][CONTACT_ID]={B}",
        "items[1][CONTACT_ID]={B}&items[0][CONTACT_ID]={A}",
    ],
    ids=["counted", "appended", "out of order"],
)
def test_nested_keys_make_lists(portal: Client, kind: str, owner: int, contacts: Contacts, rows: str) -> None:
    maps = portal.batch({"a": f"crm.{kind}.contact.items.set?id={owner}&{rows.format(**contacts)}"})
    assert maps["result"] == {"a": True}
    assert portal.links(kind, owner) == [(contacts["A"], 10, "Y"), (contacts["B"], 20, "N")]


def test_a_gap_in_the_keys_loses_what_comes_after_it(
    portal: Client, kind: str, owner: int, contacts: Contacts
) -> None:
    rows = "items[0][CONTACT_ID]={A}&items[2][CONTACT_ID]={B}".format(**contacts)
    portal.batch({"a": f"crm.{kind}.contact.items.set?id={owner}&{rows}"})
    assert portal.links(kind, owner) == [(contacts["A"], 10, "Y")]


def test_an_empty_list_cannot_be_said_in_a_command(
    portal: Client, kind: str, owner: int, contacts: Contacts
) -> None:
    portal.link(kind, owner, [(contacts["A"], 10, "Y")])
    maps = portal.batch({"a": f"crm.{kind}.contact.items.set?id={owner}&items="})
    text = "The parameter items must be array."
    assert maps["result_error"] == {"a": {"error": "", "error_description": text}}
    assert len(portal.links(kind, owner)) == 1


def test_what_is_over_the_variable_limit_is_lost(sandbox: Sandbox, client: Client, kind: Any) -> None:
    owner = sandbox.state.add(kind, {})
    sandbox.set_switches(max_input_vars=4)
    rows = "&".join(f"items[{place}][CONTACT_ID]={place + 1}" for place in range(10))
    assert client.batch({"a": f"crm.{kind}.contact.items.set?id={owner}&{rows}"})["result"] == {"a": True}
    assert [one for one, *_ in client.links(kind, owner)] == [1, 2, 3]


# References


def test_a_reference_takes_its_value_with_its_type(
    portal: Client, kind: str, owner: int, contacts: Contacts
) -> None:
    portal.link(kind, owner, [(contacts["B"], 30, "Y"), (contacts["A"], 40, "N")])
    other = portal.add(kind, TITLE="Contract test")
    maps = portal.batch(
        {
            "a": f"crm.{kind}.contact.items.get?id={owner}",
            "b": f"crm.{kind}.contact.items.set?id={other}&items=$result[a]",
        }
    )
    assert maps["result"]["b"] is True
    assert portal.links(kind, other) == [(contacts["B"], 30, "Y"), (contacts["A"], 40, "N")]


@pytest.mark.parametrize(
    ("value", "title"),
    [
        ("$result[a][ID]", "{id}"),
        ("no. $result[a][ID]", "no. {id}"),
        ("$result[a][ID] and $result[a][ID]", "{id} and {id}"),
        ("a $result[a] here", "a $result[a] here"),
        ("a $result[nothing] here", "a $result[nothing] here"),
        ("$total[l] and $result", "0 and $result"),
    ],
    ids=["whole", "embedded", "twice", "an array stays", "an unknown key stays", "total"],
)
def test_references_in_text(portal: Client, value: str, title: str) -> None:
    lead = portal.add("lead", TITLE="before")
    portal.batch(
        {
            "a": f"crm.lead.get?id={lead}",
            "l": "crm.lead.list?start=-1&select[]=ID",
            "b": f"crm.lead.update?id={lead}&fields[TITLE]={quote(value)}",
        }
    )
    assert portal.call("crm.lead.get", {"id": lead}).result["TITLE"] == title.format(id=lead)


def test_a_path_that_ends_early_gives_an_array_and_a_list_starts_again(portal: Client) -> None:
    lead = portal.add("lead", TITLE="Contract test")
    maps = portal.batch(
        {
            "a": f"crm.lead.list?filter[ID]={lead}&select[]=ID",
            "b": "crm.lead.list?order[ID]=ASC&start=-1&select[]=ID&filter[%3E%3DID]=$result[a][49][ID]",
            "c": "crm.item.list?entityTypeId=1&start=-1&select[]=id&filter[%3E%3Did]=$result[a][49][ID]",
        }
    )
    from_the_start = portal.call("crm.lead.list", {"order": {"ID": "ASC"}, "start": -1, "select": ["ID"]})
    assert maps["result"]["b"] == from_the_start.result
    assert maps["result_error"]["c"]["error"] == "INVALID_ARG_VALUE"


@pytest.mark.parametrize(
    ("reference", "owner"),
    [
        ("$result[a][0][SORT]", 30),
        ("$results[a][0][SORT]", 30),
        ("$resultX[a][0][SORT]", 30),
        ("$result[a]", 1),
        ("$resultX[a]", 1),
        ("$result[nothing]", 1),
        ("$result[a][9][SORT]", 1),
    ],
)
def test_a_loose_reference_is_one_and_an_array_means_record_1(
    sandbox: Sandbox, client: Client, reference: str, owner: int
) -> None:
    for lead in (1, 30):
        sandbox.state.write_links("lead", lead, (Link(30, lead, primary=True),))
    maps = client.batch(
        {"a": "crm.lead.contact.items.get?id=30", "b": f"crm.lead.contact.items.delete?id={reference}"}
    )
    assert maps["result"]["b"] is True
    assert [lead for lead in (1, 30) if not sandbox.state.links("lead", lead)] == [owner]


def test_a_reference_in_capitals_is_nothing_and_one_in_a_key_is_none(client: Client) -> None:
    maps = client.batch(
        {
            "a": "crm.lead.contact.items.get?id=1",
            "b": "crm.lead.contact.items.get?id=$RESULT[a]",
            "c": "crm.lead.contact.add?id=1&fields[$result[a]]=7",
            "d": "crm.lead.contact.items.get?$result[a]=7",
        }
    )
    assert {key: one["error_description"] for key, one in maps["result_error"].items()} == {
        "b": "The parameter ownerEntityID is invalid or not defined.",
        "c": "The parameter 'fields' is not valid.",
        "d": "The parameter ownerEntityID is invalid or not defined.",
    }
