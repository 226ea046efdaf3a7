"""Runs of DAGs in a real Airflow, which a test can look into."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.plans import read_changes, read_manifest

if TYPE_CHECKING:
    from airflow.sdk import DAG

_LOCAL = "airflow.dag_processing.bundles.local.LocalDagBundle"


@dataclass(frozen=True, slots=True)
class DagRunResult:
    """What became of a run.

    :param state: ``success`` or ``failed``.
    :param tasks: The state of each task; of mapped ones that of the last.
    :param folder: What the run left: plans, journals, reports.
    """

    state: str
    tasks: Mapping[str, str]
    folder: Path

    @property
    def changes(self) -> dict[int, Change]:
        """The changes that the run planned, by the owner's id."""
        found: dict[int, Change] = {}
        for manifest in self.folder.rglob("plan/manifest.json"):
            plan = read_manifest(manifest.parent)
            for part in range(len(plan.parts)):
                found |= {change.owner.id: change for change in read_changes(manifest.parent, plan, part)}
        return found

    @property
    def report(self) -> str:
        """The page that the run wrote in its end, as HTML; empty where it wrote none."""
        return "".join(one.read_text() for one in sorted(self.folder.rglob("report.html")))


class DagRuns:
    """Runs DAG files: ``run_dag("dags/vip.py", dry_run=False)``.

    :param artifacts: Where runs leave their files.
    """

    def __init__(self, artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._artifacts, self._monkeypatch = artifacts, monkeypatch

    def __call__(self, file: str | Path, dag_id: str = "", **params: Any) -> DagRunResult:
        """Run a DAG as a trigger does, and wait for its end.

        No task is retried, and nobody is asked to approve.

        :param file: The file of the DAG. Airflow takes its folder for that of the DAGs.
        :param dag_id: Which DAG of the file; its only one by default.
        :param params: Answers of its trigger form, by name; the others are as they are by default.
        """
        path = Path(file).resolve()
        bundle = {"name": "bitrix24-testing", "classpath": _LOCAL, "kwargs": {"path": str(path.parent)}}
        self._monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
        self._monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", str(self._artifacts))
        self._monkeypatch.syspath_prepend(str(path.parent))
        dag = _dag_of(path, dag_id)
        _ask_nobody(dag)
        run = dag.test(run_conf={**dag.params.dump(), **params})
        tasks = {one.task_id: str(one.state) for one in run.get_task_instances()}
        return DagRunResult(str(run.state), tasks, self._artifacts)


def made_database() -> None:
    """Make the database of the Airflow that the environment names."""
    made = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"], check=False, capture_output=True, text=True
    )
    if made.returncode:
        pytest.fail(f"airflow db migrate failed:\n{made.stdout[-2000:]}\n{made.stderr[-2000:]}")


def _dag_of(path: Path, dag_id: str) -> DAG:
    # Who tests rules alone does without Airflow.
    try:
        from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415
    except ImportError:  # superfluous with Airflow 3.2
        from airflow.models.dagbag import DagBag  # type: ignore[no-redef]  # noqa: PLC0415

    bag = DagBag(dag_folder=str(path))
    for error in bag.import_errors.values():
        pytest.fail(f"{path} cannot be imported:\n{error}")
    chosen = bag.dags.get(dag_id) if dag_id else next(iter(bag.dags.values()), None)
    if chosen is None or (not dag_id and len(bag.dags) > 1):
        pytest.fail(f"{path} has the DAGs {', '.join(bag.dags) or '(none)'}: dag_id says which is to run")
    return chosen


def _ask_nobody(dag: DAG) -> None:
    from airflow_bitrix.operators.link_plans import Bitrix24ApproveLinkPlanOperator  # noqa: PLC0415

    for task in dag.tasks:
        task.retries = 0
        if isinstance(task, Bitrix24ApproveLinkPlanOperator):
            task.mode = "never"
