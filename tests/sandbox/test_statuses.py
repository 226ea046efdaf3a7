"""The directories of stages, as ``crm.status.list`` tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.server import Sandbox
    from tests.sandbox.conftest import Client

KEYS = ["ID", "ENTITY_ID", "STATUS_ID", "NAME", "NAME_INIT", "SORT", "SYSTEM", "CATEGORY_ID"]
SYSTEM = {"STATUS": {"NEW", "CONVERTED", "JUNK"}, "DEAL_STAGE": {"NEW", "WON", "LOSE"}}


def stages(client: Client, directory: str, **params: Any) -> list[str]:
    reply = client.call("crm.status.list", {"filter": {"ENTITY_ID": directory}, **params})
    return [row["STATUS_ID"] for row in reply.result]


# What both kinds of portals can be asked


@pytest.mark.parametrize("directory", ["STATUS", "DEAL_STAGE"])
def test_a_directory_comes_whole_with_its_system_stages_and_their_semantics(
    portal: Client, directory: str
) -> None:
    body = portal.call("crm.status.list", {"filter": {"ENTITY_ID": directory}, "order": {"SORT": "ASC"}}).body
    rows = body["result"]
    assert body["total"] == len(rows)
    assert "next" not in body
    assert all(set(KEYS) <= set(row) for row in rows)
    assert {row["ENTITY_ID"] for row in rows} == {directory}
    assert {row["STATUS_ID"] for row in rows} >= SYSTEM[directory]
    texts = [row[name] for row in rows for name in ("ID", "STATUS_ID", "NAME", "SORT", "SYSTEM")]
    assert all(type(text) is str for text in texts)
    assert [int(row["SORT"]) for row in rows] == sorted(int(row["SORT"]) for row in rows)
    words = {None: {"process"}, "S": {"success"}, "F": {"failure", "apology"}}
    assert all(row["EXTRA"]["SEMANTICS"] in words[row["SEMANTICS"]] for row in rows)
    assert [row["SEMANTICS"] for row in rows].count("S") == 1


def test_select_is_not_heeded(portal: Client) -> None:
    wanted = {"filter": {"ENTITY_ID": "STATUS"}, "select": ["STATUS_ID"]}
    assert set(KEYS) <= set(portal.call("crm.status.list", wanted).result[0])


def test_a_directory_that_is_not_there_is_empty(portal: Client) -> None:
    body = portal.call("crm.status.list", {"filter": {"ENTITY_ID": "DEAL_STAGE_2000000000"}}).body
    assert (body["result"], body["total"]) == ([], 0)


def test_several_directories_at_once_are_refused(portal: Client) -> None:
    refused = portal.call("crm.status.list", {"filter": {"ENTITY_ID": ["STATUS", "DEAL_STAGE"]}})
    assert refused.status == 400
    assert refused.body["error_description"] == "Filter by ENTITY_ID must be a string"


# What only a sandbox has


def test_the_pipelines_of_deals(client: Client) -> None:
    body = client.call("crm.category.list", {"entityTypeId": 2}).body
    rows = body["result"]["categories"]
    assert body["total"] == len(rows) == 3
    assert [(row["id"], row["entityTypeId"], row["isDefault"]) for row in rows] == [
        (0, 2, "Y"),
        (3, 2, "N"),
        (5, 2, "N"),
    ]
    assert [row["sort"] for row in rows] == sorted(row["sort"] for row in rows)
    assert all(row["name"] for row in rows)
    none = client.call("crm.category.list", {"entityTypeId": 2, "filter": {"code": "x"}}).result
    assert none == {"categories": []}
    assert client.call("crm.category.list", {"entityTypeId": 1}).error[:2] == (
        400,
        "ENTITY_TYPE_NOT_SUPPORTED",
    )
    of_contacts = client.call("crm.category.list", {"entityTypeId": 3}).result["categories"]
    assert [(row["id"], row["isDefault"]) for row in of_contacts] == [(0, "Y")]
    assert client.call("crm.category.list", {"entityTypeId": 99}).error[:2] == (400, "NOT_FOUND")
    assert client.call("crm.category.list").error[:2] == (400, "100")


def test_deals_of_a_pipeline_are_found_by_it(sandbox: Sandbox, client: Client) -> None:
    for category in (3, 5):
        params = {"entityTypeId": 2, "select": ["id", "stageId"], "filter": {"categoryId": category}}
        items = client.call("crm.item.list", params).result["items"]
        rows = sandbox.state.tables["deal"].rows
        assert [item["id"] for item in items] == [
            one for one, row in rows.items() if row.get("CATEGORY_ID") == category
        ]
        assert items
        assert all(item["stageId"].startswith(f"C{category}:") for item in items)


def test_another_pipeline_has_a_directory_of_its_own_with_prefixed_stages(client: Client) -> None:
    main = stages(client, "DEAL_STAGE")
    assert stages(client, "DEAL_STAGE_3") == [f"C3:{stage}" for stage in main]
    rows = client.call("crm.status.list", {"filter": {"ENTITY_ID": "DEAL_STAGE_3"}}).result
    assert {row["CATEGORY_ID"] for row in rows} == {"3"}


def test_every_seeded_stage_is_in_its_directory(sandbox: Sandbox, client: Client) -> None:
    leads, deals = (sandbox.state.tables[kind].rows.values() for kind in ("lead", "deal"))
    assert {row["STATUS_ID"] for row in leads} <= set(stages(client, "STATUS"))
    for category in (0, 3, 5):
        seeded = {row["STAGE_ID"] for row in deals if row.get("CATEGORY_ID", 0) == category}
        assert seeded
        assert seeded <= set(stages(client, f"DEAL_STAGE_{category}" if category else "DEAL_STAGE"))


def test_conditions_and_order_are_those_of_the_older_lists(client: Client) -> None:
    assert stages(client, "STATUS", order={"SORT": "DESC"}) == stages(client, "STATUS")[::-1]
    lost = {"ENTITY_ID": "DEAL_STAGE", "SEMANTICS": "F", "NO_FIELD": "x"}
    rows = client.call("crm.status.list", {"filter": lost, "order": {"STATUS_ID": "ASC"}}).result
    assert [row["STATUS_ID"] for row in rows] == ["APOLOGY", "LOSE"]
    everything = client.call("crm.status.list").body
    assert everything["total"] == len({row["ID"] for row in everything["result"]}) > 5 + 3 * 8


def test_a_stage_of_another_pipeline_closes_a_deal_like_that_of_the_first(client: Client) -> None:
    for stage, semantic in (("C3:WON", "S"), ("C3:LOSE", "F"), ("C3:NEW", "P")):
        deal = client.add("deal", TITLE="Stages", CATEGORY_ID=3, STAGE_ID=stage)
        assert client.call("crm.deal.get", {"id": deal}).result["STAGE_SEMANTIC_ID"] == semantic


def test_a_portal_may_lack_a_method(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_switches(missing_methods=["crm.status.list"])
    missing = (404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
    assert client.call("crm.status.list").error == missing
    told = {"isExisting": False, "isAvailable": False}
    assert client.call("method.get", {"name": "crm.status.list"}).result == told
