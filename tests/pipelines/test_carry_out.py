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


def test_several_plans_stand_behind_one_question_in_a_group_for_each() -> None:
    given: Any = {"execution_timeout": MINUTE}
    with DAG("mine", schedule=None, default_args=given) as dag:
        with TaskGroup("plans"):
            plans = [
                Bitrix24PlanLinkCleanupOperator(task_id="low", rules=["remove_dangling"]),
                Bitrix24PlanLinkCleanupOperator(
                    task_id="high", task_display_name="Up there", rules=["remove_dangling"]
                ),
            ]
        checks = carry_out(plans, canary=3)
    found = dict(dag.task_dict)
    names = ("low", "high")
    assert [check.task_id for check in checks] == ["low.check", "high.check"]
    assert set(found) == {
        "plans.low",
        "plans.high",
        "approve",
        *(f"{name}.{task}" for name in names for task in ("canary", "apply", "check")),
    }
    assert {one.label for one in dag.task_group.topological_sort()} == {
        "plans",
        "Ask for approval",
        "low",
        "Up there",
    }
    approve: Any = found["approve"]
    assert approve.trigger_rule == TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS
    assert approve.upstream_task_ids == {"plans.low", "plans.high"}
    assert list(approve.makers) == ["plans.low", "plans.high"]
    for number, name in enumerate(names):
        tasks: list[Any] = [found[f"{name}.{task}"] for task in ("canary", "apply", "check")]
        canary, apply, check = tasks
        assert canary.upstream_task_ids == {"approve"}
        assert apply.upstream_task_ids == {"approve", f"{name}.canary"}
        assert check.upstream_task_ids == {"approve", f"{name}.apply"}
        assert [canary.plan_number, apply.partial_kwargs["plan_number"], check.plan_number] == [number] * 3
        assert list(check.makers) == [f"plans.{name}"]
        assert {task.execution_timeout for task in tasks} == {MINUTE}


def test_several_plans_that_airflow_could_not_show_are_refused() -> None:
    with DAG("mine", schedule=None):
        with pytest.raises(InvalidInput, match=r"^plan: \[\] is not accepted"):
            carry_out([])
        plan = Bitrix24PlanLinkCleanupOperator(task_id="low", rules=["remove_dangling"])
        with pytest.raises(
            InvalidInput, match=r"^plan: 'low' is not accepted; accepted: plans in a task group"
        ):
            carry_out([plan])


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
