"""Airflow's own arguments, given to a DAG that carries a plan out: they mean what they mean in Airflow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup, TriggerRule

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkCleanupOperator
from airflow_bitrix.pipelines.carry_out import TIMEOUTS, carry_out

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TASKS = ("approve", "canary", "apply", "check")


def tasks(arguments: dict[str, Any] | None = None, **default_args: Any) -> dict[str, Any]:
    """Make a DAG with such default_args, and give its tasks by id."""
    with DAG("mine", schedule=None, default_args=default_args) as dag:
        plan = Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=["remove_dangling"])
        carry_out(plan, **(arguments or {}))
    return dict(dag.task_dict)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("retries", 7),
        ("retry_delay", MINUTE),
        ("pool", "narrow"),
        ("depends_on_past", True),
        ("max_active_tis_per_dag", 1),
        ("execution_timeout", MINUTE),
    ],
)
def test_what_a_dag_says_of_its_tasks_holds_for_each_of_them(argument: str, value: Any) -> None:
    found = tasks(**{argument: value})
    assert {name: getattr(task, argument) for name, task in found.items()} == dict.fromkeys(found, value)
    assert set(found) == {"plan", *TASKS}
    assert found["approve"].response_timeout is None


@pytest.mark.parametrize("rule", [rule.value for rule in TriggerRule])
def test_no_trigger_rule_of_a_dag_lets_a_task_run_before_its_time(rule: str) -> None:
    """With ``all_done`` an apply would begin behind a canary that failed."""
    found = tasks(trigger_rule=rule)
    assert found["plan"].trigger_rule == rule
    assert [found[name].trigger_rule for name in TASKS] == [
        TriggerRule.ALL_SUCCESS,
        TriggerRule.ALL_SUCCESS,
        TriggerRule.ALL_SUCCESS,
        TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
    ]


def test_how_long_tasks_may_be_at_work_where_the_dag_says_nothing() -> None:
    found = tasks()
    assert {name: found[name].execution_timeout for name in TASKS} == {"approve": None, **TIMEOUTS}


def test_what_carry_out_is_told_stands_before_what_the_dag_says() -> None:
    found = tasks({"execution_timeout": HOUR, "pool": "wide"}, execution_timeout=MINUTE, pool="narrow")
    assert {name: found[name].execution_timeout for name in TASKS} == {
        "approve": MINUTE,
        **dict.fromkeys(TIMEOUTS, HOUR),
    }
    assert [found[name].pool for name in TASKS] == ["narrow", "wide", "wide", "wide"]


def test_a_task_group_s_arguments_hold_as_well() -> None:
    given: Any = {"execution_timeout": MINUTE}
    with DAG("grouped", schedule=None) as dag, TaskGroup("low", default_args=given):
        carry_out(Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=["remove_dangling"]))
    assert {task.execution_timeout for task in dag.tasks} == {MINUTE}


def several(**arguments: Any) -> dict[str, Any]:
    """Make a DAG that carries out two plans, each in a group, and give its tasks by id."""
    plans = []
    groups: dict[str, Any] = {"low": {"execution_timeout": MINUTE}, "high": {}}
    with DAG("mine", schedule=None, default_args={"execution_timeout": HOUR}) as dag:
        for name, default_args in groups.items():
            with TaskGroup(name, default_args=default_args):
                plans.append(Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=["remove_dangling"]))
        carry_out(plans, **arguments)
    return dict(dag.task_dict)


def test_several_plans_stand_behind_one_question_each_where_its_plan_stands() -> None:
    found = several(canary=3)
    assert set(found) == {
        "approve",
        *(f"{name}.{task}" for name in ("low", "high") for task in ("plan", "canary", "apply", "check")),
    }
    approve = found["approve"]
    assert approve.trigger_rule == TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS
    assert approve.upstream_task_ids == {"low.plan", "high.plan"}
    assert list(approve.makers) == ["low.plan", "high.plan"]
    for number, name in enumerate(("low", "high")):
        canary, apply, check = (found[f"{name}.{task}"] for task in ("canary", "apply", "check"))
        assert canary.upstream_task_ids == {"approve"}
        assert apply.upstream_task_ids == check.upstream_task_ids - {f"{name}.apply"} | {f"{name}.canary"}
        assert [canary.plan_number, apply.partial_kwargs["plan_number"], check.plan_number] == [number] * 3
        assert list(check.makers) == [f"{name}.plan"]
        timeouts = {task.execution_timeout for task in (canary, apply, check)}
        assert timeouts == {MINUTE if name == "low" else HOUR}


def test_a_list_of_no_plans_is_none() -> None:
    with DAG("mine", schedule=None), pytest.raises(InvalidInput, match=r"^plan: \[\] is not accepted"):
        carry_out([])


@pytest.mark.parametrize(
    ("arguments", "default_args", "refusal"),
    [
        ({"trigger_rule": "all_done"}, {}, "^trigger_rule: 'all_done' is not accepted; accepted: none"),
        ({}, {"do_xcom_push": False}, "^do_xcom_push: False is not accepted; accepted: True"),
        ({"response_timeout": 3600}, {}, "^response_timeout: 3600 is not accepted; accepted: a timedelta"),
    ],
)
def test_what_a_pipeline_cannot_do_is_refused_when_the_dag_is_parsed(
    arguments: dict[str, Any], default_args: dict[str, Any], refusal: str
) -> None:
    with pytest.raises(InvalidInput, match=refusal):
        tasks(arguments, **default_args)
