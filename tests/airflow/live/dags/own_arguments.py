"""A DAG that tells Airflow a good deal about its tasks, all of which go plan → check all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkCleanupOperator
from airflow_bitrix.pipelines.carry_out import carry_out
from airflow_bitrix.pipelines.trigger_forms import BY_PARAMS, plan_params

with DAG(
    "own_arguments",
    schedule=None,
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    max_active_runs=1,
    render_template_as_native_obj=True,
    params=plan_params(),
    default_args={
        "execution_timeout": timedelta(seconds=10),
        "retries": 1,
        "retry_delay": timedelta(seconds=1),
        "pool": "narrow",
        "trigger_rule": "all_done",
        "depends_on_past": True,
        "max_active_tis_per_dag": 1,
    },
):
    plan = Bitrix24PlanLinkCleanupOperator(
        task_id="plan",
        rules=["release_repeat_leads"],
        bitrix24_conn_id="{{ params.bitrix24_conn_id }}",
    )
    carry_out(plan, **BY_PARAMS)
