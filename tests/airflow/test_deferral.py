"""A DAG run in which the portal lets a method rest: Airflow defers the apply and takes it up again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from airflow_bitrix.sandbox.clock import Clock
from tests.airflow.past import clock, moments

DAG_FILE = """
from airflow.sdk import DAG

from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkCleanupOperator
from tests.airflow.past import Apply

with DAG("rests", schedule=None):
    plan = Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=["release_repeat_leads"])
    Apply(task_id="apply", plan=plan.output, is_dry_run=False, needs_approval=False)
"""


def test_an_apply_is_deferred_and_taken_up_again_until_all_is_applied(
    run_file: Callable[..., Any], make_sandbox: Any
) -> None:
    sandbox = make_sandbox(leads=300, contacts=200, plan="enterprise", clock=Clock(clock, clock))
    sandbox.set_switches(operating_seconds={"crm.lead.update": 12}, operating_limit=100)
    _, states = run_file(DAG_FILE)("rests", sandbox, {"plan": "self_hosted"})
    assert states == {"plan": "success", "apply": "success"}
    assert len(moments) > 2
    assert all(later - moment > 30 for moment, later in pairwise(moments))
    leads = sandbox.links("lead")
    released = [leads[str(lead)] for lead in sandbox.truth()["expected"]["release_repeat_leads"]["released"]]
    assert released
    assert all((lead["links"], lead["is_return_customer"]) == ([], "N") for lead in released)
