"""Plans of a DAG run, and how people answer whether they may be applied."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_bitrix.operators.link_plans import (
    Bitrix24ApproveLinkPlanOperator,
    Bitrix24PlanLinkCleanupOperator,
)


@pytest.fixture
def sandbox(make_sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", str(tmp_path))
    sandbox = make_sandbox(leads=300, contacts=200, plan="self_hosted", code="abcdef123456")
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


@pytest.fixture
def made(sandbox: Any, tmp_path: Path) -> Any:
    made = plan(tmp_path)
    assert made["changes"]
    sandbox.reset_stats()
    return made


def run(run_id: str = "monday", task: str = "approve", attempt: str = "first") -> Any:
    """What a task finds in a DAG run.

    :param attempt: Which try of the task it is.
    """
    ti = SimpleNamespace(
        dag_id="cleans", run_id=run_id, task_id=task, map_index=-1, id=attempt, xcom_push=lambda **_: None
    )
    return {"run_id": run_id, "dag": SimpleNamespace(dag_id="cleans"), "ti": ti}


def plan(folder: Path, context: Any = None, **arguments: Any) -> Any:
    fields = {"rules": ["release_repeat_leads"], "artifacts_path": str(folder), **arguments}
    return Bitrix24PlanLinkCleanupOperator(task_id="plan", **fields).execute(context or run())


def approval(made: Any, **arguments: Any) -> Bitrix24ApproveLinkPlanOperator:
    return Bitrix24ApproveLinkPlanOperator(
        task_id="approve", **{"plan": made, "is_dry_run": False, **arguments}
    )


def ask(made: Any, context: Any = None, **arguments: Any) -> None:
    """Put the question. Who is asked needs a running Airflow: all that comes before that is done."""
    with suppress(KeyError):
        approval(made, **arguments).execute(context or run())


def answer(option: str = "Approve", at: datetime | None = None, user: str | None = "Olga") -> dict[str, Any]:
    return {
        "chosen_options": [option],
        "params_input": {},
        "responded_at": at or datetime.now(UTC),
        "responded_by_user": user and {"id": "7", "name": user},
    }


def decided(made: Any, option: str = "Approve", **arguments: Any) -> Any:
    """Ask, let somebody answer, and give what the task returns."""
    ask(made, **arguments)
    return approval(made, **arguments).execute_complete(run(), answer(option))
