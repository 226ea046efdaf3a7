"""A portal with repeat leads, plans that release them, and applies of those."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.operators.link_plans import Bitrix24ApplyLinkPlanOperator, Bitrix24PlanLinkCleanupOperator
from tests.operators.rendered import rendered


@pytest.fixture
def sandbox(make_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    sandbox = make_sandbox(leads=500, contacts=300, plan="self_hosted", code="abcdef123456")
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


def plan(folder: Path, **arguments: Any) -> Any:
    fields = {"rules": ["release_repeat_leads"], "artifacts_path": str(folder), **arguments}
    return rendered(Bitrix24PlanLinkCleanupOperator, task_id="plan", **fields).execute({})


def apply(folder: Path, made: Any, **arguments: Any) -> Any:
    fields = {
        "plan": made,
        "is_dry_run": False,
        "needs_approval": False,
        "artifacts_path": str(folder),
        **arguments,
    }
    return Bitrix24ApplyLinkPlanOperator(task_id="apply", **fields).execute({})
