"""Where the pages of Airflow around a run are, as seen from its report tab."""

from __future__ import annotations

from airflow_bitrix.files.approvals import Approval
from airflow_bitrix.links import dag_address, question_address, run_address, task_address
from airflow_bitrix.plugins.run_states import RunState
from airflow_bitrix.report.offers import Places

_UP = "../../../../"
"""From ``bitrix24/report/<DAG>/<run>/`` to Airflow's own address, also behind a path prefix."""


def places_of(stands: RunState, approval: Approval | None = None) -> Places:
    """Give the pages around a run.

    :param approval: How the question about the plan stands, which tells the task that asks.
    """
    run, asked = stands.run, approval.asked if approval else None
    asks = bool(asked and (asked.dag_id, asked.run_id) == run)
    asker = (*run, asked.task_id, asked.map_index) if asked and asks else None
    return Places(
        dag=f"{_UP}{dag_address(run[0])}",
        run=f"{_UP}{run_address(*run)}",
        question=f"{_UP}{question_address(*asker)}" if asker else "",
        asker=f"{_UP}{task_address(*asker)}" if asker else "",
        restore=f"{_UP}{dag_address(stands.takes_back)}" if stands.takes_back else "",
    )


def logs_of(stands: RunState) -> dict[str, str]:
    """Give where the logs of the tasks are that have failed, by the task's id."""
    return {task: f"{_UP}{task_address(*stands.run, task)}" for task in stands.why}
