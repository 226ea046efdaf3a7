"""A DAG run whose tokens expire on the way: tasks get new ones through Airflow, and store them there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from airflow.sdk.log import redact  # type: ignore[attr-defined]

from airflow_bitrix.compat import read_variable
from airflow_bitrix.sandbox.clock import Clock
from tests.hooks.applications import kept_name

hours: list[int] = []
"""As many entries as hours have passed at the portal: tasks of ``DAG.test`` run in this process."""

DAG_FILE = """
from airflow.sdk import DAG, task

from airflow_bitrix.operators.contact_links import Bitrix24LeadContactAddOperator
from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkCleanupOperator
from tests.airflow.test_oauth_runs import hours


@task
def wait():
    hours.append(1)


with DAG("tokens", schedule=None):
    plan = Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=["release_repeat_leads"])
    add = Bitrix24LeadContactAddOperator(task_id="add", owner_id=1, contact_id=1)
    plan >> wait() >> add
"""


def test_tasks_renew_tokens_and_keep_them_in_a_masked_variable(
    run_file: Callable[..., Any], make_sandbox: Any, capfd: Any
) -> None:
    sandbox = make_sandbox(leads=50, contacts=50, clock=Clock(time=lambda: time.time() + 3700 * len(hours)))
    application = sandbox.application()
    hours.append(1)
    _, states = run_file(DAG_FILE)("tokens", sandbox, {**application, "plan": "self_hosted"})
    assert set(states.values()) == {"success"}
    asked = sandbox.stats()["oauth"]
    assert asked == {"authorization_code": 1, "refresh_token": 2}
    name = kept_name()
    kept = json.loads(read_variable(name))
    assert kept["access_token"] != application["access_token"]
    out, err = capfd.readouterr()
    assert redact("anything", name) == "***"
    for told in (kept, application):
        for secret in (told["access_token"], told["refresh_token"]):
            assert redact(f"x{secret}x") == "x***x"
            assert secret not in out + err
