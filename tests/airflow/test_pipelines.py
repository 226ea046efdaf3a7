"""Several plans in one DAG, each carried out in a task group of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

DAG_FILE = """
import json, os

from airflow.sdk import DAG, TaskGroup

from airflow_bitrix.pipelines.trigger_forms import BY_PARAMS, plan_params
from airflow_bitrix.pipelines.carry_out import carry_out
from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkCleanupOperator
from airflow_bitrix.sandbox.server import Sandbox

# Without native rendering every template gives a text.
with DAG("pair", schedule=None, params=plan_params()) as dag:
    for name, wanted in (("low", {"<=id": 300}), ("high", {">id": 300})):
        with TaskGroup(name):
            plan = Bitrix24PlanLinkCleanupOperator(
                task_id="plan", rules=["release_repeat_leads"], filter=wanted
            )
            last = carry_out(
                plan,
                is_dry_run="{{ params.dry_run }}",
                approval="{{ params.approval }}",
                approve_over="{{ params.approve_over }}",
                canary="{{ params.canary }}",
                max_failed="{{ params.max_failed }}",
                max_failure_share=BY_PARAMS["max_failure_share"],
                quiet_hours="{{ params.quiet_hours or '' }}",
                timezone="{{ params.timezone }}",
            )
            assert last.task_id == f"{name}.check"

if __name__ == "__main__":
    with Sandbox(leads=600, contacts=200, plan="self_hosted") as sandbox:
        found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
        os.environ["AIRFLOW_CONN_BITRIX24_DEFAULT"] = json.dumps(found)
        seen = []
        real = {"dry_run": False, "approval": "over_limit", "approve_over": 10000, "max_failure_share": None}
        for conf in ({}, real):
            run = dag.test(run_conf=conf)
            states = {f"{ti.task_id}/{ti.map_index}": ti.state for ti in run.get_task_instances()}
            seen.append({"states": states, "writes": sandbox.stats()["writes"]})
        released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
        leads = sandbox.links("lead")
        left = [lead for lead in released if leads[str(lead)]["is_return_customer"] != "N"]
        print("SEEN", json.dumps({"runs": seen, "released": len(released), "left": left}))
"""


def test_one_dag_carries_out_two_plans_dry_and_then_for_good(tmp_path: Path) -> None:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "pair.py").write_text(DAG_FILE)
    env = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__BITRIX24__ARTIFACTS_PATH": str(tmp_path / "artifacts"),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    for command in (["-m", "airflow", "db", "migrate"], [str(folder / "pair.py")]):
        done = subprocess.run(
            [sys.executable, *command], env=env, capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("SEEN ")]
    seen = json.loads(line.removeprefix("SEEN "))
    tasks = ["plan/-1", "approve/-1", "canary/-1", "apply/0", "check/-1"]
    expected = {f"{group}.{task}": "success" for group in ("low", "high") for task in tasks}
    dry, real = seen["runs"]
    assert (dry["states"], dry["writes"]) == (expected, 0)
    assert real["states"] == expected
    assert real["writes"] > 0
    assert seen["released"] > 0
    assert seen["left"] == []
    for group in ("low", "high"):
        reports = list((tmp_path / "artifacts").glob(f"pair/*/{group}.plan/report.html"))
        assert len(reports) == 2
