"""What Airflow's database says of a DAG run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from airflow_bitrix.plugins.airflow_internals import (
    DagRun,
    TaskInstance,
    TaskInstanceState,
    create_session,
)


@dataclass(frozen=True, slots=True)
class RunState:
    """How a DAG run stands.

    :param state: Such as ``running``.
    :param retrying: Ids of its tasks that have failed, and that Airflow is to try again.
    :param cleared: When tasks of it were cleared last, whichever they were; ``None`` where none ever were.
    """

    state: str
    retrying: tuple[str, ...] = ()
    cleared: datetime | None = None


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
        cleared = queued if times_cleared else None  # clearing puts a run into the queue again
        return RunState(str(getattr(state, "value", state)), tuple(session.scalars(failed)), cleared)
