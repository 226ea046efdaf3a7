"""What Airflow's database says of a DAG run."""

from __future__ import annotations

from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import select


def run_state(dag_id: str, run_id: str) -> str | None:
    """Give the state of a DAG run, such as ``running``; ``None`` where there is no such run."""
    asked = select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    with create_session() as session:
        state = session.scalar(asked)
    return None if state is None else str(getattr(state, "value", state))
