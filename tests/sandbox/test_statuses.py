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


def test_another_pipeline_has_a_directory_of_its_own_with_prefixed_stages(client: Client) -> None:
    main = stages(client, "DEAL_STAGE")
    assert stages(client, "DEAL_STAGE_3") == [f"C3:{stage}" for stage in main]
    rows = client.call("crm.status.list", {"filter": {"ENTITY_ID": "DEAL_STAGE_3"}}).result
    assert {row["CATEGORY_ID"] for row in rows} == {"3"}


def test_every_seeded_stage_is_in_its_directory(sandbox: Sandbox, client: Client) -> None:
    for kind, field, directory in (("lead", "STATUS_ID", "STATUS"), ("deal", "STAGE_ID", "DEAL_STAGE")):
        rows = sandbox.state.tables[kind].rows.values()  # type: ignore[index]
        assert {row[field] for row in rows} <= set(stages(client, directory))


def test_conditions_and_order_are_those_of_the_older_lists(client: Client) -> None:
    assert stages(client, "STATUS", order={"SORT": "DESC"}) == stages(client, "STATUS")[::-1]
    lost = {"ENTITY_ID": "DEAL_STAGE", "SEMANTICS": "F", "NO_FIELD": "x"}
    rows = client.call("crm.status.list", {"filter": lost, "order": {"STATUS_ID": "ASC"}}).result
    assert [row["STATUS_ID"] for row in rows] == ["APOLOGY", "LOSE"]
    everything = client.call("crm.status.list").body
    assert everything["total"] == len({row["ID"] for row in everything["result"]}) == 5 + 8 + 8


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
