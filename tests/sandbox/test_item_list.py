"""What ``crm.item.list`` takes and refuses: seen where the portal's own source was run beside the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.server import Sandbox
    from tests.sandbox.conftest import Client

INVALID = "INVALID_ARG_VALUE"


def _ids(client: Client, **params: Any) -> list[int]:
    params = {"entityTypeId": 1, "select": ["id"], "start": -1, **params}
    return [one["id"] for one in client.call("crm.item.list", params).result["items"]]


def _has_invalid_value(name: str) -> str:
    return f"Invalid filter: field '{name}' has invalid value"


def _is_not_allowed(name: str) -> str:
    return f"Invalid filter: field '{name}' is not allowed in filter"


@pytest.mark.parametrize(
    ("conditions", "text"),
    [
        ({">id": [5]}, _has_invalid_value(">ID")),
        ({"%title": ["x"]}, _has_invalid_value("%TITLE")),
        ({"!id": [1, 2]}, _has_invalid_value("!ID")),
        ({"><id": [7, 9]}, _has_invalid_value("><ID")),
        ({"!><id": [3, 60]}, _has_invalid_value("!><ID")),
        ({"=opportunity": {"a": 1}}, _is_not_allowed("A")),
        ({"0": {"contactIdd": 1}}, _is_not_allowed("CONTACT_IDD")),
        ({"0": {"0": {"!!id": 1}}}, _is_not_allowed("!!ID")),
        ({"-1": {"id": 1}}, _has_invalid_value("-1")),
        ({"1e1": {"id": 1}}, _is_not_allowed("1_E_1")),
        ({"phone": "1"}, _is_not_allowed("PHONE")),
        ({"LOGIC": "OR"}, _is_not_allowed("L_OG_IC")),
        # With a prefix an upper-case name is taken apart.
        ({">ID": 5}, _is_not_allowed(">_ID")),
        ({"=STAGE_ID": "NEW"}, _is_not_allowed("=_ST_AG_E_I_D")),
    ],
    ids=str,
)
def test_conditions_that_are_refused(client: Client, conditions: Any, text: str) -> None:
    reply = client.call("crm.item.list", {"entityTypeId": 1, "filter": conditions})
    assert reply.error == (400, INVALID, text)


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ({"ID": [3, 4]}, [3, 4]),
        ({"i.d": 3}, [3]),
        ({"=id.": 3}, [3]),
        ([{"id": 3}], [3]),
        ([3, {"id": 4}], [4]),
        ({"@id": [3], "1.5": {"id": 3}}, [3]),
        ({"Logic": "or", "0": {"id": 3}, "1": {"id": 4}}, [3, 4]),
        ({"logic": "XOR", "0": {"id": 3}, "1": {"id": 4}}, []),
        ({"logic": ["OR"], "id": 3}, [3]),
        ({"><id": 5, "id": 3}, [3]),
        ({">id": 1, "0": {">ID": 2, "<id": 4}}, [3]),
        ({"logic": "AND", "0": {"LOGIC": "OR", "id": 3, "@id": [4]}}, [3, 4]),
        ({"id": [[3]]}, [1]),
        ({"id": None}, []),
        (None, list(range(1, 51))),
    ],
    ids=str,
)
def test_conditions_that_are_taken(client: Client, conditions: Any, found: list[int]) -> None:
    assert _ids(client, filter=conditions) == found


@pytest.mark.parametrize("sent", ["", "abc", 5, 0, True, False], ids=repr)
def test_a_filter_or_order_of_the_wrong_type_is_refused_with_code_100(client: Client, sent: Any) -> None:
    shown = {True: "1", False: ""}.get(sent, sent) if isinstance(sent, bool) else sent
    for name in ("filter", "order"):
        text = f"Invalid value {{{shown}}} to match with parameter {{{name}}}. Should be value of type array."
        assert client.call("crm.item.list", {"entityTypeId": 1, name: sent}).error == (400, "100", text)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "Could not find value for parameter {entityTypeId}"),
        (
            {"entityTypeId": "1x"},
            "Invalid value {1x} to match with parameter {entityTypeId}. Should be value of type int.",
        ),
        (
            {"entityTypeId": 1, "select": "id"},
            "Invalid value {id} to match with parameter {select}. Should be value of type array.",
        ),
        (
            {"entityTypeId": 1, "select": None},
            "Invalid value {} to match with parameter {select}. Should be value of type array.",
        ),
    ],
    ids=str,
)
def test_other_parameters_of_the_wrong_type(client: Client, params: Any, text: str) -> None:
    assert client.call("crm.item.list", params).error == (400, "100", text)


@pytest.mark.parametrize("method", ["crm.item.get", "crm.item.update", "crm.item.delete"])
@pytest.mark.parametrize("sent", ["5abc", [5], None, True], ids=repr)
def test_the_id_of_an_item_is_not_cast(client: Client, method: str, sent: Any) -> None:
    reply = client.call(method, {"entityTypeId": 1, "id": sent, "fields": {}})
    assert reply.error[:2] == (400, "100")


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ({"id": "UP"}, "allowed sort directions are ASC, DESC. But got 'UP' for field 'ID'"),
        ({"id": "asc "}, "allowed sort directions are ASC, DESC. But got 'ASC ' for field 'ID'"),
        ({"id": True}, "allowed sort directions are ASC, DESC. But got '1' for field 'ID'"),
        ({"id": None}, "allowed sort directions are ASC, DESC. But got '' for field 'ID'"),
        ({"id": ["ASC"]}, "allowed sort directions are ASC, DESC. But got 'Array' for field 'ID'"),
        (["id"], "field '0' is not allowed in order"),
        ({"i.d": "ASC"}, "field 'I.D' is not allowed in order"),
    ],
    ids=str,
)
def test_orders_that_are_refused(client: Client, order: Any, problem: str) -> None:
    reply = client.call("crm.item.list", {"entityTypeId": 1, "order": order})
    assert reply.error == (400, INVALID, f"Invalid order: {problem}")


@pytest.mark.parametrize(
    "order",
    [{"ID": "desc"}, {"id": "Desc"}, {"ID": "up", "id": "desc"}, {"STAGE_SEMANTIC_ID": "asc", "ID": "desc"}],
    ids=str,
)
def test_orders_that_are_taken(client: Client, order: Any) -> None:
    found = _ids(client, order=order, filter={"stageSemanticId": "P"})
    assert found == sorted(found, reverse=True)
    assert len(found) > 10


def test_select_knows_upper_case_names_and_dots_and_answers_in_camel_case(client: Client) -> None:
    select = ["ID", "STAGE_ID", "CONTACT_IDS", "t.itle", "UF_CRM_SOURCE_ID", "noSuchField"]
    items = client.call("crm.item.list", {"entityTypeId": 1, "select": select}).result["items"]
    assert set(items[0]) == {"id", "stageId", "contactIds", "title", "ufCrmSourceId"}


def test_next_counts_the_rows_that_came_and_ends_at_the_total(sandbox: Sandbox, client: Client) -> None:
    made = [sandbox.state.add("contact", {}) for _ in range(2)]
    for _ in range(60):
        sandbox.state.add("lead", {"CONTACT_IDS": made})
    params = {"entityTypeId": 1, "select": ["id"], "filter": {"@contactIds": made}}
    bodies = [client.call("crm.item.list", {**params, "start": start}).body for start in (0, 50, 100, 150)]
    shapes = [(len(body["result"]["items"]), body["total"], body.get("next")) for body in bodies]
    # Each lead comes once a contact, and doubles are taken out of a page after it was cut.
    assert shapes == [(25, 120, 25), (25, 120, 75), (10, 120, 110), (0, 120, None)]
