"""Who approves is shown limits: what was approved is applied by these, whatever a form says by then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24CanaryLinkPlanOperator,
    Bitrix24PlanLinkCleanupOperator,
)
from airflow_bitrix.pipelines.carry_out import carry_out
from tests.operators import approvals
from tests.operators.approvals import decided, plan, run

pytestmark = pytest.mark.attack

sandbox, made = approvals.sandbox, approvals.made

ORDERS = {"max_failure_share": "20%", "quiet_hours": "", "timezone": "UTC"}
SHOWN = {**ORDERS, "canary": 3, "max_failed": 0}


def apply(given: Any, **arguments: Any) -> Any:
    fields = {"plan": given, "is_dry_run": False, **ORDERS, **arguments}
    return Bitrix24ApplyLinkPlanOperator(task_id="apply", **fields).execute(run(task="apply"))


def canary(given: Any, **arguments: Any) -> Any:
    fields = {"plan": given, "is_dry_run": False, "first": 3, **arguments}
    return Bitrix24CanaryLinkPlanOperator(task_id="canary", **fields).execute(run(task="canary"))


def test_what_was_approved_is_applied_by_the_limits_that_were_shown(sandbox: Any, made: Any) -> None:
    """As where a run is deleted, and made again under its name with other answers in its form."""
    passed = decided(made, applied_by=SHOWN)
    for task, arguments, said in (
        (canary, {"first": 0}, "with Try the first ones: 3, and this task was given 0: clear"),
        (canary, {"quiet_hours": "03:00-03:01"}, "with Quiet hours: none, and this task was given 03:00"),
        (apply, {"max_failure_share": "100%"}, "share of failures: 20%, and this task was given 100%"),
        (apply, {"quiet_hours": "03:00-03:01"}, "with Quiet hours: none, and this task was given 03:00"),
        (apply, {"part": [0]}, "with Try the first ones: 3, of which 3 have failed or were not tried"),
    ):
        with pytest.raises(PlanRefused, match=said):
            task(passed, **arguments)
    assert sandbox.stats()["writes"] == 0
    canary(passed)
    assert sum(apply(passed)["counts"].values()) == made["changes"]


def test_a_canary_that_failed_is_not_passed_over_by_marking_its_task(sandbox: Any, made: Any) -> None:
    passed = decided(made, applied_by={**SHOWN, "max_failed": None})
    sandbox.set_faults(command=1.0, command_error={"error": "X", "error_description": "No"})
    with pytest.raises(Exception, match="failed"):
        canary(passed)
    sandbox.clear_faults()
    before = sandbox.stats()["writes"]
    with pytest.raises(PlanRefused, match="of which 3 have failed or were not tried"):
        apply(passed, part=[0])
    assert sandbox.stats()["writes"] == before


def test_a_dag_that_names_a_plan_has_limits_of_its_own(made: Any) -> None:
    decided(made, applied_by=SHOWN)
    told = apply(made["plan"], plan_hash=made["hash"], max_failure_share=None)
    assert told["counts"]["applied"] == made["changes"]


def test_what_carry_out_shows_is_what_its_tasks_go_by(sandbox: Any, tmp_path: Path) -> None:
    with DAG("cleans", schedule=None) as dag:
        task = Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=["release_repeat_leads"])
        limits: Any = {"canary": 3, "max_failed": 2, "max_failure_share": "30%"}
        hours: Any = {"quiet_hours": "03:00-03:01", "timezone": "Asia/Tokyo"}
        carry_out(task, is_dry_run=False, **limits, **hours)
    approve, first, behind = (dag.get_task(name) for name in ("approve", "canary", "apply"))
    passed = decided(plan(tmp_path), applied_by=approve.applied_by)  # type: ignore[union-attr]
    first.plan = passed  # type: ignore[union-attr]
    given = {name: behind.partial_kwargs[name] for name in (*ORDERS, "max_failed")}  # type: ignore[union-attr]
    assert first.execute(run(task="canary")) == [[0]]  # type: ignore[union-attr]
    assert set(apply(passed, part=[0], **given)["counts"]) >= {"applied"}
    assert sandbox.stats()["writes"] > 0
