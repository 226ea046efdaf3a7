"""A portal to be migrated within itself, and plans, applies and comparisons of that."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24PlanLinkMigrationOperator,
    Bitrix24ReconcileContactLinksOperator,
)
from tests.operators.rendered import rendered

if TYPE_CHECKING:
    from tests.operators.conftest import Portals


@pytest.fixture
def sandbox(make_sandbox: Any, portals: Portals) -> Any:
    sandbox = make_sandbox(leads=900, deals=700, contacts=300, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    return sandbox


def plan(folder: Path, **arguments: Any) -> Any:
    fields = {"task_id": "plan", "artifacts_path": str(folder), **arguments}
    return rendered(Bitrix24PlanLinkMigrationOperator, **fields).execute({})


def apply(made: Any, **arguments: Any) -> Any:
    fields = {"plan": made, "is_dry_run": False, "needs_approval": False, **arguments}
    return Bitrix24ApplyLinkPlanOperator(task_id="apply", **fields).execute({})


def reconcile(folder: Path, **arguments: Any) -> Any:
    fields = {"task_id": "compare", "artifacts_path": str(folder), **arguments}
    return rendered(Bitrix24ReconcileContactLinksOperator, **fields).execute({})


def table(path: Path | str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as rows:
        return list(csv.DictReader(rows))


def changes(made: Any) -> dict[int, Any]:
    parts = sorted(Path(made["plan"]).glob("part-*.jsonl"))
    lines = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
    return {line["owner"]: line for line in lines}
