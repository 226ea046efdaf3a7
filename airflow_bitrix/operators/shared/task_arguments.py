"""What the operators take beside what is their own, so that a type checker sees an argument that none has.

Airflow's own arguments follow
https://airflow.apache.org/docs/task-sdk/stable/api.html#airflow.sdk.BaseOperator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Required, TypedDict

from airflow.sdk import DAG, BaseNotifier, Context, TaskGroup, XComArg

Callback = Callable[[Context], None]
Callbacks = Callback | list[Callback] | None
Identifier = int | str | XComArg
"""Of a record; templated."""


class AnyTaskArguments(TypedDict, total=False):
    """What Airflow's ``BaseOperator`` takes, but for ``execution_timeout``."""

    task_id: Required[str]
    owner: str
    email: str | Sequence[str] | None
    email_on_retry: bool
    email_on_failure: bool
    retries: int | None
    retry_delay: timedelta | float
    retry_exponential_backoff: float
    max_retry_delay: timedelta | float | None
    retry_policy: Any
    start_date: datetime | None
    end_date: datetime | None
    depends_on_past: bool
    ignore_first_depends_on_past: bool
    wait_for_past_depends_before_skipping: bool
    wait_for_downstream: bool
    dag: DAG | None
    params: MutableMapping[str, Any] | None
    default_args: dict[str, Any] | None
    priority_weight: int
    weight_rule: Any
    queue: str
    pool: str | None
    pool_slots: int
    sla: timedelta | None
    on_execute_callback: Callbacks
    on_failure_callback: Callbacks
    on_success_callback: Callbacks
    on_retry_callback: Callbacks
    on_skipped_callback: Callbacks
    pre_execute: Callable[[Context], None] | None
    post_execute: Callable[[Context, Any], None] | None
    trigger_rule: str
    resources: dict[str, Any] | None
    run_as_user: str | None
    map_index_template: str | None
    max_active_tis_per_dag: int | None
    max_active_tis_per_dagrun: int | None
    executor: str | None
    executor_config: dict[str, Any] | None
    do_xcom_push: bool
    multiple_outputs: bool
    inlets: Any
    outlets: Any
    task_group: TaskGroup | None
    doc: str | None
    doc_md: str | None
    doc_json: str | None
    doc_yaml: str | None
    doc_rst: str | None
    task_display_name: str | None
    logger_name: str | None
    allow_nested_operators: bool
    render_template_as_native_obj: bool | None


class TaskArguments(AnyTaskArguments, total=False):
    """What Airflow's ``BaseOperator`` takes."""

    execution_timeout: timedelta | None


class DeferrableArguments(TaskArguments, total=False):
    """And whether to defer."""

    deferrable: bool


class SensorArguments(TaskArguments, total=False):
    """And what Airflow's ``BaseSensorOperator`` takes."""

    poke_interval: timedelta | float
    timeout: timedelta | float | None
    soft_fail: bool
    mode: str
    exponential_backoff: bool
    max_wait: timedelta | float | None
    silent_fail: bool
    never_fail: bool


class WaitingArguments(SensorArguments, total=False):
    """And the connection, and whether to wait in the triggerer."""

    bitrix24_conn_id: str
    deferrable: bool


class ConnectedArguments(DeferrableArguments, total=False):
    """And the connection."""

    bitrix24_conn_id: str


class OwnerArguments(ConnectedArguments, total=False):
    """And the owner whose links are meant."""

    owner_id: Required[Identifier]


class AddArguments(OwnerArguments, total=False):
    """And how a link is added."""

    sort: int | str | None
    is_primary: bool | str | None


class PipelineArguments(ConnectedArguments, total=False):
    """And where the files of a run go."""

    artifacts_path: str


class PlanArguments(PipelineArguments, total=False):
    """And the guards of a plan."""

    max_changes: int | str | None
    max_share: float | str | None
    portals: Sequence[str] | str
    allow_saving: bool | str
    quiet: Mapping[str, Any] | None


PlanGiven = Mapping[str, Any] | XComArg | str
"""What names a plan: what a task returned, or will have; or a folder. Templated."""

MapGiven = str | Mapping[Any, Any] | Sequence[Any] | XComArg | None
"""A map of ids, pairs of them, or a text that comes to one; templated."""


class MappedArguments(PipelineArguments, total=False):
    """And what a migration goes by."""

    migration: Required[str]
    kind: str | None
    filter: Mapping[str, Any] | str | None
    contact_map: MapGiven
    contact_map_file: str | None
    company_map: MapGiven
    company_map_file: str | None
    owner_map: MapGiven
    save: bool | str
    believe_any_user: bool | str
    source_conn_id: str | None
    match: str
    originator: str | None
    match_field: str | None
    extra: str
    detail: str


class MigrationPlanArguments(MappedArguments, PlanArguments, total=False):
    """What the plan of a migration goes by, with its guards."""


class ApplyArguments(PipelineArguments, total=False):
    """And how a plan is applied, but for the plan itself, and how many changes of it come first."""

    plan_number: int | None
    plan_hash: str | None
    part: int | Sequence[int] | str | None
    is_dry_run: bool | str
    needs_approval: bool
    canary: int | str
    max_failed: int | str | None
    max_failure_share: float | str | None
    quiet_hours: str
    timezone: str
    wait_for_turn: timedelta | float | str
    comment: bool | str


class ApprovalArguments(AnyTaskArguments, total=False):
    """What Airflow's ``ApprovalOperator`` takes, but for what ours says itself."""

    ignore_downstream_trigger_rules: bool
    fail_on_reject: bool
    defaults: str | list[str] | None
    notifiers: Sequence[BaseNotifier] | BaseNotifier | None
    assigned_users: Any
