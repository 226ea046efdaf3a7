"""Telling Airflow that links have changed: only when they have, and with what a consumer needs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_bitrix.assets.portals import links_applied, links_asset, links_seen
from airflow_bitrix.core.links import LINK_ROWS
from airflow_bitrix.files.owner_lists import read_owner_ids
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24CanaryLinkPlanOperator,
    Bitrix24ExportContactLinksOperator,
)
from airflow_bitrix.sandbox.links import Link
from tests.operators.applies import make, sandbox

__all__ = ["sandbox"]


def told(run: Any) -> list[Any]:
    """Give what a task told Airflow: alias, asset and extra."""
    events = OutletEventAccessors()
    run({"outlet_events": events})
    return [
        (event.source_alias_name, event.dest_asset_key.uri, json.loads(json.dumps(event.extra)))
        for accessor in events._dict.values()
        for event in accessor.asset_alias_events
    ]


def test_a_snapshot_tells_only_what_has_changed_a_link(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", str(tmp_path))
    for _ in range(3):
        sandbox.state.add("lead", {"CONTACT_IDS": [1, 2]})
    task = Bitrix24ExportContactLinksOperator(
        task_id="leads", compare_with="previous", outlets=[Asset("of_my_own")]
    )
    assert task.outlets == [Asset("of_my_own"), *map(links_seen, LINK_ROWS)]
    nights = iter("abcde")

    def night() -> list[Any]:
        about: Any = {
            "ti": SimpleNamespace(task_id="leads", map_index=-1),
            "dag": SimpleNamespace(dag_id="nightly"),
            "run_id": next(nights),
        }
        return told(lambda events: task.execute(about | events))

    assert night() == []
    assert night() == []
    sandbox.state.add("lead", {"TITLE": "Without a contact"})
    assert night() == []
    sandbox.state.write_links("lead", 2, (Link(10, 1, primary=True),))
    sandbox.state.add("lead", {"CONTACT_IDS": [7]})
    [(alias, uri, extra)] = night()
    assert (alias, uri) == ("bitrix24_lead_links_seen", links_asset(sandbox.base_url, "lead").uri)
    assert (extra["by"], extra["kind"], extra["changed_owners"]) == ("snapshot", "lead", 2)
    assert extra["changes"] == {"new": 1, "removed": 1}
    assert read_owner_ids(Path(extra["changed_csv"]), "lead") == [2, 5]
    assert night() == []


def test_an_apply_tells_what_it_has_changed(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 3)

    def apply(operator: Any = Bitrix24ApplyLinkPlanOperator, **given: Any) -> list[Any]:
        task = operator(task_id="it", plan=made, needs_approval=False, **given)
        assert task.outlets == [*map(links_applied, LINK_ROWS)]
        ti = SimpleNamespace(xcom_push=lambda **_: None)
        return told(lambda events: task.execute({"ti": ti, **events}))

    assert apply() == []
    assert apply(Bitrix24CanaryLinkPlanOperator, first=1, is_dry_run=False) == []
    [(alias, uri, extra)] = apply(is_dry_run=False)
    assert (alias, uri) == ("bitrix24_lead_links_applied", links_asset(sandbox.base_url, "lead").uri)
    assert (extra["by"], extra["kind"], extra["applied"]) == ("apply", "lead", 3)
    assert (extra["plan"], extra["journal"]) == (made["plan"], str(tmp_path / "journal"))


def test_an_apply_that_finds_all_as_it_should_be_tells_nothing(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 2)
    for lead in (1, 2):
        sandbox.state.write_links("lead", lead, (Link(10, 1, primary=True),))
    task = Bitrix24ApplyLinkPlanOperator(task_id="it", plan=made, needs_approval=False, is_dry_run=False)
    assert told(task.execute) == []
