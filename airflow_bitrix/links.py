"""Links on task instances: to the report of the run, and to the lead or deal on the portal."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink

TAB_ROUTE = "bitrix24_report"
"""Name of the report tab in the addresses of Airflow's UI."""


def report_address(dag_id: str, run_id: str) -> str:
    """Give the address of the report tab of a DAG run, relative to Airflow's own."""
    return f"dags/{quote(dag_id)}/runs/{quote(run_id, safe='')}/plugin/{TAB_ROUTE}"


class Bitrix24ReportLink(BaseOperatorLink):
    """Leads to the report tab of the task's DAG run."""

    name = "Report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Give the address, relative to Airflow's own."""
        del operator
        return report_address(ti_key.dag_id, ti_key.run_id)


class Bitrix24OwnerLink(BaseOperatorLink):
    """Leads to the lead or deal that the task worked on, on its portal."""

    name = "Open in Bitrix24"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Give the address that the operator kept when it worked; empty where it had none."""
        del ti_key
        return str(getattr(operator, "owner_url", ""))
