"""What Airflow's database says of a DAG run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Text, and_, cast, func, select
from sqlalchemy.orm import Session

from airflow_bitrix.core.errors import LONGEST_MESSAGE
from airflow_bitrix.hooks.failures import WHY
from airflow_bitrix.plugins.airflow_internals import (
    DagModel,
    DagRun,
    TaskInstance,
    TaskInstanceState,
    XComModel,
    create_session,
)

AT_WORK = (
    "scheduled",
    "queued",
    "running",
    "deferred",
    "awaiting_input",
    "up_for_retry",
    "up_for_reschedule",
)
"""States of tasks that a run is at. Airflow before 3.3 has no ``awaiting_input``."""

MOST_AHEAD = 5

RESTORE_DAG = "bitrix24_link_restore"
"""The sample DAG that brings links back; a copy has another id, which nothing tells."""

MOST_SIGNS = 6 * LONGEST_MESSAGE + len('""')
"""Signs that the sentence of a task that failed has in the database, where each may be escaped."""


@dataclass(frozen=True, slots=True)
class RunState:
    """How a DAG run stands.

    :param state: Such as ``running``.
    :param retrying: Ids of its tasks that have failed, and that Airflow is to try again.
    :param cleared: When tasks of it were cleared last, whichever they were; ``None`` where none ever were.
    :param ahead: While it is queued, which runs of its DAG are under way, the oldest first, and the tasks
        that each of them is at.
    :param why: The sentence of each of its tasks that has failed, by id; empty where it has left none.
    :param takes_back: The DAG that brings links back; empty where there is none of its name.
    :param run: Ids of its DAG and of the run.
    :param left: Where tasks of it say that they have left a plan or a snapshot, and on which host, by id.
    """

    state: str
    retrying: tuple[str, ...] = ()
    cleared: datetime | None = None
    ahead: Mapping[str, Sequence[str]] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    takes_back: str = ""
    run: tuple[str, str] = ("", "")


def run_state(dag_id: str, run_id: str) -> RunState | None:
    """Tell how a DAG run stands; ``None`` where there is no such run."""
    asked = select(DagRun.state, DagRun.queued_at, DagRun.clear_number).where(
        DagRun.dag_id == dag_id, DagRun.run_id == run_id
    )
    failed = (
        select(TaskInstance.task_id)
        .where(
            TaskInstance.dag_id == dag_id,
            TaskInstance.run_id == run_id,
            TaskInstance.state == TaskInstanceState.UP_FOR_RETRY,
        )
        .distinct()
        .order_by(TaskInstance.task_id)
    )
    with create_session() as session:
        found = session.execute(asked).one_or_none()
        if found is None:
            return None
        state, queued, times_cleared = found
        state = str(getattr(state, "value", state))
        cleared = queued if times_cleared else None  # clearing puts a run into the queue again
        ahead = _under_way(dag_id, session) if state == "queued" else {}
        why, left = _why(dag_id, run_id, session), _left(dag_id, run_id, session)
        restores = session.scalar(
            select(DagModel.dag_id).where(DagModel.dag_id == RESTORE_DAG, DagModel.is_stale.is_(False))
        )
        return RunState(
            state,
            tuple(session.scalars(failed)),
            cleared,
            ahead,
            why,
            left,
            restores or "",
            (dag_id, run_id),
        )


def _why(dag_id: str, run_id: str, session: Session) -> dict[str, str]:
    """Give what each task has failed with; of the copies of a mapped one the first that tells."""
    has_failed = and_(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.state.in_((TaskInstanceState.FAILED, TaskInstanceState.UP_FOR_RETRY)),
    )
    every = select(TaskInstance.task_id).where(has_failed).distinct().order_by(TaskInstance.task_id)
    is_of_it = and_(
        XComModel.dag_id == TaskInstance.dag_id,
        XComModel.run_id == TaskInstance.run_id,
        XComModel.task_id == TaskInstance.task_id,
        XComModel.map_index == TaskInstance.map_index,
        XComModel.key == WHY,
    )
    asked = (
        select(XComModel.task_id, XComModel.value)
        .join(TaskInstance, is_of_it)
        .where(
            has_failed,
            # Whoever may write XComs can make it as long as they like.
            func.length(cast(XComModel.value, Text)) <= MOST_SIGNS,
        )
        .order_by(XComModel.task_id, XComModel.map_index.desc())
    )
    told = {task_id: said for task_id, said in session.execute(asked) if isinstance(said, str)}
    return dict.fromkeys(session.scalars(every), "") | told


def _left(dag_id: str, run_id: str, session: Session) -> dict[str, tuple[str, str]]:
    """Give where tasks of ours say that they have left something, by what they returned."""
    asked = (
        select(XComModel.task_id, XComModel.value)
        .where(
            XComModel.dag_id == dag_id,
            XComModel.run_id == run_id,
            XComModel.key == "return_value",
            func.length(cast(XComModel.value, Text)) <= MOST_SIGNS,
        )
        .order_by(XComModel.task_id, XComModel.map_index.desc())
    )
    left = {}
    for task_id, told in session.execute(asked):
        if isinstance(told, dict):
            place, host = told.get("plan") or told.get("snapshot"), told.get("host")
            if isinstance(place, str) and isinstance(host, str):
                left[task_id] = place, host
    return left


def _under_way(dag_id: str, session: Session) -> dict[str, list[str]]:
    """Give the runs of a DAG that are under way, each with the tasks that it is at."""
    oldest = (
        select(DagRun.run_id)
        .where(DagRun.dag_id == dag_id, DagRun.state == "running")
        .order_by(DagRun.id)
        .limit(MOST_AHEAD)
    )
    ahead: dict[str, list[str]] = {run_id: [] for run_id in session.scalars(oldest)}
    is_at = (
        select(TaskInstance.run_id, TaskInstance.task_id)
        .where(
            TaskInstance.dag_id == dag_id,
            TaskInstance.run_id.in_(list(ahead)),
            TaskInstance.state.in_(AT_WORK),
        )
        .distinct()
        .order_by(TaskInstance.task_id)
    )
    for row in session.execute(is_at):
        ahead[row.run_id].append(row.task_id)
    return ahead
