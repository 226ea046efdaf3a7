"""Links on task instances: to the report of the run, and to the lead or deal on the portal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

TAB_ROUTE = "bitrix24_report"
"""Name of the report tab in the addresses of Airflow's UI."""


def report_address(dag_id: str, run_id: str, task: str = "") -> str:
    """Give the address of the report tab of a DAG run, relative to Airflow's own.

    :param task: Name of the folder of the task that it shall show; empty for the one that it chooses.
    """
    asked = f"?task={quote(task, safe='')}" if task else ""
    return f"dags/{quote(dag_id)}/runs/{quote(run_id, safe='')}/plugin/{TAB_ROUTE}{asked}"


class Bitrix24ReportLink(BaseOperatorLink):
    """Leads to the report tab of the task's DAG run."""

    name = "Report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Give the address, relative to Airflow's own; the tab then shows what this task is about."""
        plan = getattr(operator, "plan", None)
        if isinstance(plan, Mapping) and "plan" in plan:  # it carries out what another task has planned
            task = PurePath(str(plan["plan"])).parent.name
        else:
            task = ti_key.task_id if ti_key.map_index < 0 else f"{ti_key.task_id}.{ti_key.map_index}"
        return report_address(ti_key.dag_id, ti_key.run_id, task)


class Bitrix24OwnerLink(BaseOperatorLink):
    """Leads to the lead or deal that the task worked on, on its portal."""

    name = "Open in Bitrix24"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Give the address that the operator kept when it worked; empty where it had none."""
        del ti_key
        return str(getattr(operator, "owner_url", ""))
