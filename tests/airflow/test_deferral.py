"""A DAG run in which the portal lets a method rest: Airflow defers the apply and takes it up again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

# Portal and operators live in a past minute: each trigger fires at once, and its event moves their clock on.
DAG_FILE = """
import json, os
from functools import cached_property

from airflow.sdk import DAG

from airflow_bitrix.client import flow
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24PlanLinkCleanupOperator,
)
from airflow_bitrix.sandbox.clock import Clock
from airflow_bitrix.sandbox.server import Sandbox

now = [1_577_836_800.0]
moments = []


def clock():
    return now[0]


class Apply(Bitrix24ApplyLinkPlanOperator):
    @cached_property
    def hook(self):
        hook = super().hook
        hook.clock = flow.Clock(now=clock)
        return hook

    def execute_again(self, context, event=None, deferrals=1):
        now[0] = event.timestamp()
        moments.append(now[0])
        return super().execute_again(context, event, deferrals)


with DAG("rests", schedule=None) as dag:
    plan = Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=["release_repeat_leads"])
    Apply(task_id="apply", plan=plan.output, is_dry_run=False)

if __name__ == "__main__":
    with Sandbox(leads=300, contacts=200, plan="enterprise", clock=Clock(clock, clock)) as sandbox:
        sandbox.set_switches(operating_seconds={"crm.lead.update": 12}, operating_limit=100)
        found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
        os.environ["AIRFLOW_CONN_BITRIX24_DEFAULT"] = json.dumps(found)
        run = dag.test()
        result = {ti.task_id: ti.state for ti in run.get_task_instances()}
        released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
        leads = sandbox.links("lead")
        ends = [[leads[str(lead)]["links"], leads[str(lead)]["is_return_customer"]] for lead in released]
        print("SEEN", json.dumps({"states": result, "moments": moments, "ends": ends}))
"""


def test_an_apply_is_deferred_and_taken_up_again_until_all_is_applied(tmp_path: Path) -> None:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "rests.py").write_text(DAG_FILE)
    env = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__BITRIX24__ARTIFACTS_PATH": str(tmp_path / "artifacts"),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    for command in (["-m", "airflow", "db", "migrate"], [str(folder / "rests.py")]):
        done = subprocess.run(
            [sys.executable, *command], env=env, capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("SEEN "))
    seen = json.loads(line.removeprefix("SEEN "))
    assert seen["states"] == {"plan": "success", "apply": "success"}
    assert len(seen["moments"]) > 1
    assert all(later - moment > 30 for moment, later in pairwise(seen["moments"]))
    assert seen["ends"] == [[[], "N"]] * len(seen["ends"])
    assert seen["ends"]
