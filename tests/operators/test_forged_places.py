"""A task's result names a plan that lies where workers do not keep theirs, with an approval of its own."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.files.approvals import APPROVAL
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24CanaryLinkPlanOperator,
    Bitrix24CheckLinkPlanOperator,
    Bitrix24PlanLinkCleanupOperator,
)
from airflow_bitrix.pipelines.carry_out import carry_out
from tests.operators import approvals
from tests.operators.approvals import answer, approval, decided, plan, run

pytestmark = pytest.mark.attack

sandbox, made = approvals.sandbox, approvals.made

ELSEWHERE = "lies neither among the artifacts nor in the artifacts_path"
WRITES = (Bitrix24ApplyLinkPlanOperator, Bitrix24CanaryLinkPlanOperator, Bitrix24CheckLinkPlanOperator)


def test_a_plan_that_brings_its_own_approval_along_is_not_even_looked_at(
    sandbox: Any, made: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As from a bucket of somebody's own; ``local`` is the storage that every Airflow has."""
    decided(made)
    theirs = tmp_path_factory.mktemp("theirs")
    shutil.copytree(tmp_path, theirs, dirs_exist_ok=True)
    (tmp_path / "link").symlink_to(theirs)
    kept = (theirs / APPROVAL).read_text()
    for place in (f"{theirs}", f"local://{theirs}", f"{tmp_path}/link", f"{tmp_path}/../{theirs.name}"):
        forged = {**made, "plan": f"{place}/plan"}
        for operator in WRITES:
            with pytest.raises(PlanRefused, match=ELSEWHERE):
                operator(task_id="real", plan=forged, is_dry_run=False).execute(run(task="real"))
        with pytest.raises(PlanRefused, match=ELSEWHERE):
            approval(forged, mode="never").execute(run())
        for option in ("Approve", "Reject"):  # nor is an answer kept there
            with suppress(PlanRefused):
                approval(forged).execute_complete(run(), answer(option))
        assert (theirs / APPROVAL).read_text() == kept
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.parametrize(
    "case",
    [
        ("own", "plan", ""),
        ("", "plan", ELSEWHERE),
        ("own", "other", "was not made by the task other, whose plan this is to be"),
    ],
)
def test_what_the_dag_file_says_of_the_plan_s_task_holds_for_all_that_carry_it_out(
    case: tuple[str, str, str], sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, task_id, said = case
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", str(tmp_path / "root"))
    made = plan(tmp_path / "own")
    with DAG("cleans", schedule=None) as dag:
        task = Bitrix24PlanLinkCleanupOperator(
            task_id=task_id, rules=["fix_primary"], artifacts_path=str(tmp_path / own) if own else ""
        )
        carry_out(task, is_dry_run=False, approval="never")
    for name in ("approve", "canary", "check"):
        operator: Any = dag.get_task(name)
        operator.plan = made  # as Airflow fills it in
        with pytest.raises(PlanRefused, match=said) if said else suppress(AirflowFailException):
            operator.execute(run(task=name))
    assert sandbox.stats()["writes"] == 0
