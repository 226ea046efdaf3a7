"""Links on task instances: to the report of the run, and to the card on the portal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

from airflow_bitrix.core.languages import gettext

TAB_ROUTE = "bitrix24_report"
"""Name of the report tab in the addresses of Airflow's UI."""


# Addresses of pages of Airflow, relative to its own: the same from 3.1.3 to 3.3.


def dag_address(dag_id: str) -> str:
    """Give the address of a DAG's page, where it is triggered. None of them takes values for the form."""
    return f"dags/{quote(dag_id, safe='')}"


def run_address(dag_id: str, run_id: str) -> str:
    """Give the address of the page of a DAG run."""
    return f"{dag_address(dag_id)}/runs/{quote(run_id, safe='')}"


def task_address(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    """Give the address of a task of a DAG run, where its log is.

    :param map_index: Which of a mapped task; below 0 for one that is not mapped.
    """
    which = f"/mapped/{map_index}" if map_index >= 0 else ""
    return f"{run_address(dag_id, run_id)}/tasks/{quote(task_id, safe='')}{which}"


def question_address(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    """Give the address where what a task of a DAG run asks is answered."""
    return f"{task_address(dag_id, run_id, task_id, map_index)}/required_actions"


def report_address(dag_id: str, run_id: str, task: str = "") -> str:
    """Give the address of the report tab of a DAG run.

    :param task: Name of the folder of the task that it shall show; empty for the one that it chooses.
    """
    asked = f"?task={quote(task, safe='')}" if task else ""
    return f"{run_address(dag_id, run_id)}/plugin/{TAB_ROUTE}{asked}"


class Bitrix24ReportLink(BaseOperatorLink):
    """Leads to the report tab of the task's DAG run."""

    @property
    def name(self) -> str:
        """What its button says."""
        return gettext("Report")

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Give the address, relative to Airflow's own; the tab then shows what this task is about."""
        plan = getattr(operator, "plan", None)
        if isinstance(plan, Mapping) and "plan" in plan:  # it carries out what another task has planned
            task = PurePath(str(plan["plan"])).parent.name
        else:
            task = ti_key.task_id if ti_key.map_index < 0 else f"{ti_key.task_id}.{ti_key.map_index}"
        return report_address(ti_key.dag_id, ti_key.run_id, task)


class Bitrix24OwnerLink(BaseOperatorLink):
    """Leads to the card of what the task worked on, on its portal."""

    @property
    def name(self) -> str:
        """What its button says."""
        return gettext("Open in Bitrix24")

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Give the address that the operator kept when it worked; empty where it had none."""
        del ti_key
        return str(getattr(operator, "owner_url", ""))
