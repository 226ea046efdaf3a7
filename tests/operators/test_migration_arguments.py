"""Migrations within a portal: arguments that cannot be right are refused by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_bitrix.core.errors import InvalidInput
from tests.operators import migrations, releases
from tests.operators.migrations import plan, reconcile

sandbox = migrations.sandbox


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"migration": "everything"}, "migration"),
        ({"migration": None}, "migration"),
        ({"migration": "contact_map", "contact_map": {5: 6}}, "kind"),
        ({"migration": "contact_map", "kind": "contact", "contact_map": {5: 6}}, "kind"),
        ({"migration": "lead_to_deal", "kind": "lead"}, "kind"),
        ({"migration": "release_moved_leads", "kind": "deal"}, "kind"),
        ({"migration": "contact_map", "kind": "lead"}, "contact_map"),
        ({"migration": "contact_map", "kind": "lead", "contact_map": "None"}, "contact_map"),
        ({"migration": "contact_map", "kind": "lead", "contact_map": 5}, "contact_map"),
        ({"migration": "contact_map", "kind": "lead", "contact_map": "/nowhere.csv"}, "contact_map"),
        ({"migration": "contact_map", "kind": "lead", "contact_map": {5: 6}, "save": True}, "save"),
        ({"migration": "contact_map", "kind": "lead", "contact_map": "5,6\n" * 99}, "contact_map"),
        ({"migration": "contact_map", "kind": "lead", "contact_map": "ftpx://host/map.csv"}, "contact_map"),
        ({"migration": "lead_to_deal", "contact_map": {5: 6}}, "contact_map"),
        ({"migration": "lead_to_deal", "contact_map_file": "merged.csv"}, "contact_map_file"),
        (
            {"migration": "contact_map", "kind": "lead", "contact_map_file": "/nowhere.csv"},
            "contact_map_file",
        ),
        ({"migration": "lead_to_deal", "source_conn_id": "other"}, "source_conn_id"),
        ({"migration": "lead_to_deal", "originator": "old"}, "originator"),
        ({"migration": "lead_to_deal", "filter": "id>5"}, "filter"),
        ({"migration": "lead_to_deal", "extra": "drop"}, "extra"),
        ({"migration": "lead_to_deal", "detail": "some"}, "detail"),
        ({"migration": "release_moved_leads", "save": "perhaps"}, "save"),
        ({"migration": "release_moved_leads", "believe_any_user": "1"}, "believe_any_user"),
        ({"migration": "lead_to_deal", "believe_any_user": True}, "believe_any_user"),
        ({"migration": "lead_to_deal", "max_changes": -1}, "max_changes"),
    ],
)
def test_an_argument_that_cannot_be_right_is_refused_by_name(
    arguments: dict[str, Any], argument: str, sandbox: Any, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=rf"^{argument}: .* accepted: ") as refused:
        plan(tmp_path, **arguments)
    assert isinstance(refused.value, AirflowFailException)
    if argument != "max_changes":
        with pytest.raises(InvalidInput, match=rf"^{argument}: .* accepted: "):
            reconcile(tmp_path, **arguments)
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.parametrize("migration", ["contact_map", "lead_to_deal", "release_moved_leads"])
def test_an_unknown_field_in_the_filter_is_refused(migration: str, sandbox: Any, tmp_path: Path) -> None:
    arguments = {"contact_map": {5: 6}, "kind": "lead"} if migration == "contact_map" else {}
    with pytest.raises(InvalidInput, match="filter: 'stagId' is not accepted"):
        plan(tmp_path, migration=migration, filter={"stagId": "NEW"}, **arguments)
    assert sandbox.stats()["writes"] == 0


@pytest.mark.parametrize(
    "wanted", [{"id": None}, {"@id": []}, {"0": {"stageId": {}}}, {"@id": [1, None]}], ids=repr
)
def test_a_filter_with_nothing_to_compare_with_is_refused_by_its_name(
    wanted: dict[str, Any], sandbox: Any, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=r"^filter: .* accepted: a value for each field") as refused:
        plan(tmp_path, migration="lead_to_deal", filter=wanted)
    assert isinstance(refused.value, AirflowFailException)
    with pytest.raises(InvalidInput, match=r"^filter: "):
        releases.plan(tmp_path, rules=["fix_primary"], filter=wanted)
    assert sandbox.stats()["admitted"] == 0
