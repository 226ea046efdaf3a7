"""Several plans in one DAG, each carried out in a task group of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.airflow.sample_dags import folder_of

DAG_FILE = """
from airflow.sdk import DAG, TaskGroup

from airflow_bitrix.pipelines.approval_form import approval_params
from airflow_bitrix.pipelines.carry_out import carry_out
from airflow_bitrix.pipelines.trigger_forms import BY_PARAMS, plan_params
from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkCleanupOperator

# Without native rendering every template gives a text.
with DAG("pair", schedule=None, params={**plan_params(), **approval_params()}) as dag:
    for name, wanted in (("low", {"<=id": 300}), ("high", {">id": 300})):
        with TaskGroup(name):
            plan = Bitrix24PlanLinkCleanupOperator(
                task_id="plan", rules=["release_repeat_leads"], filter=wanted
            )
            last = carry_out(
                plan,
                is_dry_run="{{ params.dry_run }}",
                approval="{{ params.approval }}",
                approve_over="{{ params.approve_over }}",
                canary="{{ params.canary }}",
                max_failed="{{ params.max_failed }}",
                max_failure_share=BY_PARAMS["max_failure_share"],
                quiet_hours="{{ params.quiet_hours or '' }}",
                timezone="{{ params.timezone }}",
            )
            assert last.task_id == f"{name}.check"
"""
TASKS = ("plan", "approve", "canary", "apply", "check")


def test_one_dag_carries_out_two_plans_dry_and_then_for_good(
    run_file: Callable[..., Any], make_sandbox: Any
) -> None:
    sandbox = make_sandbox(leads=600, contacts=200, plan="self_hosted")
    run = run_file(DAG_FILE)
    expected = {f"{group}.{task}": "success" for group in ("low", "high") for task in TASKS}
    real = {"dry_run": False, "approval": "over_limit", "approve_over": 10000, "max_failure_share": None}
    for conf in ({}, real):
        done, states = run("pair", sandbox, {"plan": "self_hosted"}, **conf)
        assert states == expected
        assert bool(sandbox.stats()["writes"]) is bool(conf)
        for group in ("low", "high"):
            assert (folder_of(done, f"{group}.plan") / "report.html").exists()
    released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    leads = sandbox.links("lead")
    assert released
    assert [lead for lead in released if leads[str(lead)]["is_return_customer"] != "N"] == []


MAPPED_FILE = """
from airflow.sdk import DAG

from airflow_bitrix.operators.contact_links import (
    Bitrix24DealContactFieldsOperator, Bitrix24LeadContactAddOperator, Bitrix24LeadContactItemsGetOperator,
)

with DAG("mapped", schedule=None):
    Bitrix24LeadContactItemsGetOperator.partial(task_id="get").expand(owner_id=[4, "5"])
    Bitrix24LeadContactAddOperator.partial(
        task_id="own", contact_id=1, map_index_template="to {{ task.owner_id }}"
    ).expand(owner_id=[1, 2])
    Bitrix24DealContactFieldsOperator.partial(task_id="fields").expand(
        bitrix24_conn_id=["bitrix24_default", "bitrix24_default"]
    )
    Bitrix24LeadContactItemsGetOperator(task_id="single", owner_id=1)
"""


def test_mapped_link_tasks_are_called_after_their_owners(run_file: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(leads=5, contacts=5, plan="self_hosted")
    done, states = run_file(MAPPED_FILE)("mapped", sandbox, {"plan": "self_hosted"})
    assert set(states.values()) == {"success"}
    names = {(ti.task_id, ti.map_index): ti.rendered_map_index for ti in done.get_task_instances()}
    assert names == {
        ("get", 0): "lead 4", ("get", 1): "lead 5",
        ("own", 0): "to 1", ("own", 1): "to 2",
        ("fields", 0): "0", ("fields", 1): "1",
        ("single", -1): None,
    }  # fmt: skip
