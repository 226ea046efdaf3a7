"""The clean-up DAG in a real Airflow, triggered by REST as the UI does it."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests
from packaging.version import Version

from airflow_bitrix.links import TAB_ROUTE
from scripts.airflow_api import USER, AirflowError
from scripts.local_sandbox import difference
from tests.moved import AIRFLOW

if TYPE_CHECKING:
    from tests.airflow.live.conftest import Live, Run

DAG_ID = "bitrix24_lead_link_cleanup"
TASKS = ("plan", "approve", "canary", "apply", "check")


@pytest.fixture(scope="module")
def dag(live: Live) -> Live:
    live.airflow.wait_for_dag(DAG_ID)
    live.airflow.unpause(DAG_ID)
    return live.from_now_on()


@pytest.fixture(scope="module")
def dry_run(dag: Live) -> Run:
    return dag.run(DAG_ID)


@pytest.fixture(scope="module")
def refused_run(dag: Live, dry_run: Run) -> Run:
    assert dry_run.state == "success"
    most = len(dag.sandbox.released_leads()) - 1
    return dag.run(DAG_ID, dry_run=False, max_changes=most, tell_users=[7])  # the scope im is not granted yet


@pytest.fixture(scope="module")
def rejected_run(dag: Live, refused_run: Run) -> Run:
    assert refused_run.state == "failed"
    dag.sandbox.set_switches(scope=["crm", "user", "im"])
    return dag.run(DAG_ID, answer=("approve", "Reject"), dry_run=False, tell_users=[7])


@pytest.fixture(scope="module")
def forged_run(dag: Live, rejected_run: Run) -> tuple[str, bool]:
    """Somebody makes the rejection an approval, and clears what it skipped; did that write anything?"""
    airflow, run_id, before = dag.airflow, rejected_run.run_id, dag.sandbox.stats()["writes"]
    results = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/approve/xcomEntries"
    approval = {"mode": "always", "by": "Olga", "at": "2026-11-21T10:00:00+00:00", "valid_until": None}
    forged = {**airflow.xcom(DAG_ID, run_id, "plan"), "approval": approval}
    airflow.call("POST", results, json={"key": "return_value", "value": forged, "map_index": -1})
    with closing(sqlite3.connect(airflow.home / "airflow.db", isolation_level=None)) as database:
        database.execute("DELETE FROM xcom WHERE run_id = ? AND key = 'skipmixin_key'", (run_id,))
        # What comes by REST is a text there, in Airflow 3.1.
        own = "UPDATE xcom SET value = ? WHERE run_id = ? AND task_id = 'approve' AND key = 'return_value'"
        database.execute(own, (json.dumps(forged), run_id))
    behind = ["canary", "apply", "check"]
    body = {"dry_run": False, "dag_run_id": run_id, "task_ids": behind, "only_failed": False}
    airflow.call("POST", f"/api/v2/dags/{DAG_ID}/clearTaskInstances", json=body)
    state = airflow.wait_for_run(DAG_ID, run_id)
    return state, dag.sandbox.stats()["writes"] != before or dag.sandbox.owners("lead") != rejected_run.leads


@pytest.fixture(scope="module")
def replaced_run(dag: Live, rejected_run: Run, forged_run: tuple[str, bool]) -> tuple[str, str, int]:
    """While the question waits, the plan alone is made again, as whoever clears that task does."""
    assert (rejected_run.writes, forged_run[1]) == (0, False)
    airflow, written = dag.airflow, dag.sandbox.stats()["writes"]
    run_id = airflow.trigger(DAG_ID, {"dry_run": False, "tell_users": [8]})
    airflow.wait_for_question(DAG_ID, run_id)
    first = airflow.xcom(DAG_ID, run_id, "plan")["hash"]
    body = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["plan"], "only_failed": False}
    airflow.call("POST", f"/api/v2/dags/{DAG_ID}/clearTaskInstances", json=body)
    airflow.wait_for_task(DAG_ID, run_id, "plan", "success", first_try=2)
    assert airflow.xcom(DAG_ID, run_id, "plan")["hash"] != first
    airflow.answer(DAG_ID, run_id, "approve", "Approve")
    state = airflow.wait_for_run(DAG_ID, run_id)
    return run_id, state, dag.sandbox.stats()["writes"] - written


@pytest.fixture(scope="module")
def real_run(dag: Live, replaced_run: tuple[str, str, int]) -> Run:
    """The default: a run that asks."""
    assert replaced_run[2] == 0
    most = len(dag.sandbox.released_leads())
    told = {"comment": True, "tell_users": [7, 9], "tell_chat": 1}
    return dag.run(DAG_ID, answer=("approve", "Approve"), dry_run=False, max_changes=most, **told)


@pytest.fixture(scope="module")
def wrong_code_run(dag: Live) -> Run:
    wrong = {**dag.sandbox.connection(), "password": "not" + dag.sandbox.code}
    dag.airflow.create_connection("bitrix24_wrong", **wrong)
    return dag.run(DAG_ID, bitrix24_conn_id="bitrix24_wrong")


@pytest.fixture(scope="module")
def telltale_run(dag: Live) -> Run:
    """A run whose portal repeats the address that was asked for, in place of a header."""
    dag.airflow.wait_for_dag("telltale")
    dag.airflow.unpause("telltale")
    dag.sandbox.set_faults(telltale=1.0)
    try:
        return dag.run("telltale")
    finally:
        dag.sandbox.set_faults()


def counts(live: Live, run: Run) -> dict[str, int]:
    result: dict[str, int] = live.airflow.xcom(DAG_ID, run.run_id, "check")["counts"]
    return result


def test_a_run_is_a_dry_run_unless_told_otherwise(dag: Live, dry_run: Run) -> None:
    """A run without parameters plans all changes and writes none of them."""
    assert dry_run.state == "success"
    assert counts(dag, dry_run)["skipped"] == len(dag.sandbox.released_leads()) > 0
    assert dry_run.writes == 0
    assert dry_run.leads == dag.leads
    assert dry_run.deals == dag.deals


def test_a_plan_with_too_many_changes_is_not_applied(dag: Live, refused_run: Run) -> None:
    """The plan is there to look at, and the task fails at once: another try would be refused as well."""
    assert refused_run.state == "failed"
    assert {name: (task["state"], task["try_number"]) for name, task in refused_run.tasks.items()} == {
        "plan": ("success", 1),
        "approve": ("failed", 1),
        **dict.fromkeys(("canary", "apply", "check"), ("upstream_failed", 0)),
    }
    assert refused_run.writes == 0
    assert refused_run.leads == dag.leads


def test_a_rejected_plan_is_not_applied(dag: Live, rejected_run: Run) -> None:
    """Nothing is written, and what would have followed is skipped; nothing has failed."""
    assert rejected_run.state == "success"
    assert {name: task["state"] for name, task in rejected_run.tasks.items()} == {
        **dict.fromkeys(("plan", "approve"), "success"),
        **dict.fromkeys(("canary", "apply", "check"), "skipped"),
    }
    assert rejected_run.writes == 0
    assert rejected_run.leads == dag.leads
    assert f"Rejected by {USER}; nothing was written" in dag.airflow.task_log(
        DAG_ID, rejected_run.run_id, "approve"
    )


@pytest.mark.attack
def test_a_rejected_plan_is_not_applied_when_the_rejection_is_rewritten(
    dag: Live, rejected_run: Run, forged_run: tuple[str, bool]
) -> None:
    assert forged_run == ("failed", False)
    tasks = {task["task_id"]: task for task in dag.airflow.task_instances(DAG_ID, rejected_run.run_id)}
    ended = {name: tasks[name]["state"] for name in ("canary", "apply", "check")}
    assert ended == {"canary": "failed", "apply": "upstream_failed", "check": "failed"}
    logs = {
        name: dag.airflow.task_log_file(DAG_ID, rejected_run.run_id, tasks[name]).read_text()
        for name in ("canary", "check")
    }
    assert f"was rejected by {USER}, " in logs["canary"]
    for log in logs.values():
        assert "says “Approved by Olga, 2026-11-21 10:00 UTC”, the decision beside the plan says" in log
    assert "have no outcome: the plan was rejected by" in logs["check"]


def test_a_plan_that_nobody_was_shown_is_not_applied(dag: Live, replaced_run: tuple[str, str, int]) -> None:
    run_id, state, writes = replaced_run
    assert (state, writes) == ("failed", 0)
    tasks = {task["task_id"]: task for task in dag.airflow.task_instances(DAG_ID, run_id)}
    assert (tasks["approve"]["state"], tasks["apply"]["state"]) == ("failed", "upstream_failed")
    log = dag.airflow.task_log_file(DAG_ID, run_id, tasks["approve"]).read_text()
    assert "the plan was made again after it was shown to admin" in log


def test_whoever_approves_sees_what_the_plan_would_change(dag: Live, real_run: Run) -> None:
    """Counts, samples with links to the portal, and the hash of exactly this plan."""
    number = len(dag.sandbox.released_leads())
    assert real_run.question is not None
    host = dag.sandbox.url.partition("://")[2]
    assert real_run.question["subject"] == f"Change the contacts of {number} leads on {host}?"
    body = real_run.question["body"]
    made = dag.airflow.xcom(DAG_ID, real_run.run_id, "plan")
    link, meaning, shown = body.split("\n\n", 2)
    assert f"/plugin/{TAB_ROUTE}?task=plan)" in link
    assert meaning.startswith("**Approve** lets exactly these changes be written for 24 hours. **Reject** ")
    # What the plan does not know: how the tasks behind will apply it.
    limits = (
        "; Try the first ones: **10**; Most failures allowed: **0**; Stop at a share of failures: **20%**; "
        "Quiet hours: **none**"
    )
    assert limits in shown
    told, _, tables = shown.replace(limits, "").partition("The largest changes")
    assert told == Path(made["summary"]).read_text().partition("The largest changes")[0]
    assert f"]({dag.sandbox.url}/crm/contact/details/" in tables, "with names, which the plan does not read"
    assert f"**{number} leads to change**" in body
    assert body.count(f"({dag.sandbox.url}/crm/lead/details/") == 20
    assert made["hash"][:12] in body
    approval = dag.airflow.xcom(DAG_ID, real_run.run_id, "approve")["approval"]
    assert (approval["mode"], approval["by"]) == ("always", USER)
    used_for = datetime.fromisoformat(approval["valid_until"]) - datetime.fromisoformat(approval["at"])
    assert used_for == timedelta(hours=24)


def test_people_are_told_what_waits_for_them_and_how_it_ended(
    dag: Live, refused_run: Run, rejected_run: Run, replaced_run: tuple[str, str, int], real_run: Run
) -> None:
    """Each in the order of what happened, with the links that lead there."""
    number, host = len(dag.sandbox.released_leads()), dag.sandbox.url.partition("://")[2]
    asked, done = dag.told(real_run.run_id, "user 7", 2)
    for other in ("user 9", "chat1"):
        assert dag.told(real_run.run_id, other, 2) == [asked, done]
    assert asked[0] == f"An approval is wanted: Change the contacts of {number} leads on {host}?"
    run = f"{dag.airflow.url}/dags/{DAG_ID}/runs/{quote(real_run.run_id, safe='')}"
    assert asked[-2] == f"Approve or reject: {run}/tasks/approve/required_actions"
    assert asked[-1] == done[-1] == f"Report: {run}/plugin/{TAB_ROUTE}"
    figures = f"Outcomes of {number} leads: {number} applied. {number} comments made on the cards of leads"
    assert done[:2] == ["Lead link clean-up: finished", figures]
    _, rejected, *_ = dag.told(rejected_run.run_id, "user 7", 2)
    assert rejected[0] == f"The plan was rejected by {USER}; nothing was written"
    _, failed = dag.told(replaced_run[0], "user 8", 2)
    assert failed[0] == "The task “Ask for approval” has failed"
    assert "the plan was made again after it was shown to admin" in " ".join(failed)
    # Without the scope that messages need, a sentence in the log is all.
    assert dag.told(refused_run.run_id, "user 7", 0) == []
    log = "\n".join(map(str, dag.airflow.task_log(DAG_ID, refused_run.run_id, "approve")))
    assert (
        log.count("Not told in Bitrix24: the webhook or application lacks the scope im, which messages") == 1
    )


def test_each_card_that_was_changed_says_so_once(dag: Live, real_run: Run) -> None:
    comments = dag.sandbox.comments()
    assert Counter(lead for lead, _ in comments) == dict.fromkeys(dag.sandbox.released_leads(), 1)
    lead, text = next(one for one in comments if "Before: [URL=" in one[1])
    assert "\nNow: no contacts\nWhy: " in text
    assert f"\nApproved by {USER}, " in text
    assert f"By run {real_run.run_id} of the DAG {DAG_ID} (airflow-bitrix " in text
    page = requests.get(f"{dag.sandbox.url}/crm/lead/details/{lead}/", timeout=30).text
    assert "<b>Contacts were changed by Airflow</b>" in page


def test_the_mapped_tasks_say_which_part_they_apply(dag: Live, real_run: Run) -> None:
    """In place of a bare number."""
    assert set(real_run.tasks) == set(TASKS)
    path = f"/api/v2/dags/{DAG_ID}/dagRuns/{real_run.run_id}/taskInstances/apply/0"
    assert dag.airflow.call("GET", path)["rendered_map_index"] == "part 0"


def test_a_real_run_leaves_exactly_what_should_be_left(dag: Live, real_run: Run) -> None:
    """Free repeat leads lose their links and their flag; every other lead and all deals stay as they were."""
    released = dag.sandbox.released_leads()
    assert {task["state"] for task in real_run.tasks.values()} == {"success"}
    assert counts(dag, real_run) == {
        "applied": len(released), "already": 0, "drift": 0, "failed": 0, "skipped": 0,
    }  # fmt: skip
    assert difference(dag.leads, real_run.leads, released) == []
    assert real_run.deals == dag.deals


def test_a_second_real_run_finds_nothing_to_do(dag: Live, real_run: Run) -> None:
    """What one run has cleaned up is no change for the next."""
    again = dag.run(DAG_ID, dry_run=False)  # asks nobody: there is nothing to approve
    assert again.state == "success"
    assert sum(counts(dag, again).values()) == 0
    assert again.writes == 0
    assert again.leads == real_run.leads


def test_the_log_ends_with_the_report(dag: Live, real_run: Run) -> None:
    """Whoever opens the task's log reads the outcomes and where the report lies."""
    lines = dag.airflow.task_log(DAG_ID, real_run.run_id, "check")
    report = Path(dag.airflow.xcom(DAG_ID, real_run.run_id, "check")["report"])
    assert "::group::Report" in lines
    assert f"Report: {report}" in lines
    assert "<html" in report.read_text()


def test_the_report_stands_in_one_log_and_a_line_of_figures_in_the_others(dag: Live, real_run: Run) -> None:
    """The canary and each part tell their own outcomes; the check tells the whole."""
    number = len(dag.sandbox.released_leads())
    for task, index, line in (
        ("canary", -1, "Outcomes of 10 leads: 10 applied"),
        ("apply", 0, f"Outcomes of {number} leads: {number} applied"),
        ("check", -1, f"Outcomes of {number} leads: {number} applied"),
    ):
        lines = dag.airflow.task_log(DAG_ID, real_run.run_id, task, map_index=index)
        assert line in lines
        assert ("::group::Report" in lines) == (task == "check")


def test_the_progress_stands_where_the_ui_shows_it(dag: Live, real_run: Run) -> None:
    """The same numbers as in the log, in the task's state, which Airflow has since 3.3."""
    if Version("3.3") > AIRFLOW:
        log = dag.airflow.task_log(DAG_ID, real_run.run_id, "apply", map_index=0)
        total = len(dag.sandbox.released_leads())
        assert [line for line in log if f"{total:,} of {total:,}" in line], log
        return
    path = f"/api/v2/dags/{DAG_ID}/dagRuns/{real_run.run_id}/taskInstances/apply/state-store"
    entries = dag.airflow.call("GET", path, params={"map_index": 0})["task_state_store"]
    (progress,) = [entry["value"] for entry in entries if entry["key"] == "progress"]
    assert progress["done"] == progress["total"] == len(dag.sandbox.released_leads())


@pytest.mark.parametrize(
    ("conf", "complaint"),
    [
        ({"max_changes": -5}, "-5 is less than the minimum of 0"),
        ({"max_changes": "many"}, "'many' is not of type 'integer'"),
        ({"rules": ["nonsense"]}, "'nonsense' is not one of"),
        ({"rules": []}, "[]"),
        ({"dry_run": "maybe"}, "'maybe' is not of type 'boolean'"),
        ({"filter": "ID>5"}, "'ID>5' is not of type 'null', 'object'"),
    ],
)
def test_a_wrong_parameter_is_refused_before_a_run_exists(
    dag: Live, conf: dict[str, Any], complaint: str
) -> None:
    """The trigger form tells which parameter is wrong, and why."""
    runs = f"/api/v2/dags/{DAG_ID}/dagRuns"
    before = dag.airflow.call("GET", runs)["total_entries"]
    with pytest.raises(AirflowError, match="400: Invalid input for param") as refused:
        dag.airflow.trigger(DAG_ID, conf)
    assert f"param {next(iter(conf))}: " in str(refused.value)
    assert complaint in str(refused.value)
    assert dag.airflow.call("GET", runs)["total_entries"] == before


def test_a_wrong_webhook_code_fails_at_once(wrong_code_run: Run) -> None:
    """Nobody waits for a second try with the same wrong code."""
    assert wrong_code_run.state == "failed"
    assert (wrong_code_run.tasks["plan"]["state"], wrong_code_run.tasks["plan"]["try_number"]) == (
        "failed",
        1,
    )


def test_the_connection_can_be_tested_from_the_ui(dag: Live) -> None:
    """The Test button gets the stored password where the form shows asterisks."""
    stored = dag.airflow.call("GET", "/api/v2/connections/bitrix24_default")
    assert stored["password"] == "***"
    assert stored["port"]  # without one the UI sends 0, and Airflow refuses to test
    answer = dag.airflow.call("POST", "/api/v2/connections/test", json=stored)
    assert answer["status"], answer
    assert dag.sandbox.code not in json.dumps(answer)


@pytest.mark.attack
def test_the_webhook_code_stands_nowhere(
    dag: Live, real_run: Run, refused_run: Run, wrong_code_run: Run, telltale_run: Run
) -> None:
    """Not in logs, plans, journals, reports, and not readable in the database; not in what REST tells."""
    code = dag.sandbox.code.encode()
    assert telltale_run.state == "success"
    log = str(dag.airflow.task_log("telltale", telltale_run.run_id, "call"))
    assert log.count("what came is no answer by the rules of HTTP") >= 2
    files = [file for file in dag.airflow.home.rglob("*") if file.is_file()]
    assert {".html", ".log", ".jsonl", ".json", ".csv", ".db"} <= {file.suffix for file in files}
    assert [str(file) for file in files if code in file.read_bytes()] == []
    for run in (real_run, refused_run, wrong_code_run):
        for task in run.tasks.values():
            task_id, index = task["task_id"], {"map_index": task["map_index"]}
            path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run.run_id}/taskInstances/{task_id}"
            entries = dag.airflow.call("GET", f"{path}/xcomEntries", params=index)["xcom_entries"]
            alone = dag.airflow.call("GET", path if task["map_index"] < 0 else f"{path}/{task['map_index']}")
            told = [
                task,
                alone,
                *(dag.airflow.xcom(DAG_ID, run.run_id, task_id, entry["key"], **index) for entry in entries),
            ]
            if task["try_number"]:
                told.append(dag.airflow.task_log(DAG_ID, run.run_id, task_id, **index))
            assert code.decode() not in json.dumps(told)
            assert alone["rendered_fields"] or not task["try_number"]
    for path in ("connections", "eventLogs", f"dags/{DAG_ID}/details", f"dagSources/{DAG_ID}"):
        assert code.decode() not in json.dumps(dag.airflow.call("GET", f"/api/v2/{path}"))
