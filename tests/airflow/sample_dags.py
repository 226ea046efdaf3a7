"""The sample DAGs by their ids, and what their runs leave."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.sdk import DAG

from airflow_bitrix.operators.link_plans import Bitrix24ApproveLinkPlanOperator

DAGS = Path(__file__).parents[2] / "dags"
CLEANUP = "bitrix24_lead_link_cleanup"
DANGLING = "bitrix24_dangling_links"
DEALS = "bitrix24_deal_link_cleanup"
HOUSEKEEPING = "bitrix24_housekeeping"
TOUR = "bitrix24_link_methods_tour"
RESTORE = "bitrix24_link_restore"
SAVED = "bitrix24_saved_leads"
SNAPSHOT = "bitrix24_link_snapshot"
CHANGED = "bitrix24_links_changed_cleanup"
WAIT = "bitrix24_wait_for_links"
REAL = {"dry_run": False, "canary": 0}


def ask_nobody(dag: DAG) -> None:
    """Do without approvals, as the author of a DAG may: in `DAG.test` there is nobody to answer."""
    for task in dag.tasks:
        if isinstance(task, Bitrix24ApproveLinkPlanOperator) and task.mode == "always":
            task.mode = "never"


def folder_of(done: Any, task: str = "plan") -> Path:
    """The folder of a run's plan: ids, with percent signs for what does not belong into a file's name."""
    root = Path(os.environ["AIRFLOW__BITRIX24__ARTIFACTS_PATH"])
    return root / str(done.dag_id) / quote(str(done.run_id)) / task


def of_groups(states: dict[str, str], *groups: str) -> set[str]:
    """How the tasks of kinds have ended."""
    return {
        state
        for task, state in states.items()
        if task.partition(".")[0] in groups or task.removeprefix("plans.") in groups
    }


def outcomes(folder: Path) -> dict[int, str]:
    """Read a journal as anybody would: the last outcome of each owner."""
    last: dict[int, str] = {}
    for path in sorted((folder / "journal").glob("part-*.jsonl")):
        for line in map(json.loads, path.read_text().splitlines()):
            if "owner" in line:
                last[line["owner"]] = line["outcome"]
    return last
