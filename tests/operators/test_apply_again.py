"""What stopped goes on: an apply that failed, died or had to wait, and the one after it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.core.errors import PlanRefused, RetryLater
from airflow_bitrix.files.journals import JournalPart, journal_folder, read_ledger
from airflow_bitrix.files.plans import plan_lock, read_manifest
from airflow_bitrix.operators.link_plans import Bitrix24ApplyLinkPlanOperator
from scripts.killing import Writes
from tests.operators import releases
from tests.operators.releases import apply, plan

sandbox = releases.sandbox


def test_more_failures_than_allowed_fail_the_task_and_a_retry_finishes_it(
    sandbox: Any, tmp_path: Path
) -> None:
    made = plan(tmp_path)
    sandbox.set_faults(
        seed=4,
        command=0.1,
        only_methods=["crm.lead.update"],
        command_error={"error": "", "error_description": "Locked"},
    )
    with pytest.raises(
        AirflowException, match=rf"of {made['changes']} changes failed \(max_failed is 3\)"
    ) as raised:
        apply(tmp_path, made, max_failed=3)
    assert not isinstance(raised.value, AirflowFailException)
    assert "Locked" in (tmp_path / "failed.csv").read_text()
    assert "Locked" in (tmp_path / "report.html").read_text()
    sandbox.clear_faults()
    sandbox.reset_stats()
    done = apply(tmp_path, made, max_failed=3)
    assert done["counts"]["applied"] == made["changes"]
    assert 0 < sandbox.stats()["writes"] < made["changes"] / 4


def test_an_apply_that_ends_early_still_writes_its_report(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(tmp_path)
    sandbox.set_faults(html=1.0)
    quick = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(quick))
    operator = Bitrix24ApplyLinkPlanOperator(
        task_id="apply", plan=made, is_dry_run=False, needs_approval=False, artifacts_path=str(tmp_path)
    )
    operator.hook.retries = type(operator.hook.retries)(times=1, first=0.01)
    with pytest.raises(RetryLater, match="HTTP status 502"):
        operator.execute({})
    page = (tmp_path / "report.html").read_text()
    assert "Not finished" in page


def test_two_tasks_do_not_apply_one_plan_at_the_same_time(sandbox: Any, tmp_path: Path) -> None:
    """A worker that was given up for dead may still be at work when the retry starts."""
    made = plan(tmp_path)
    sandbox.reset_stats()
    with (
        plan_lock(tmp_path / "plan", read_manifest(tmp_path / "plan")),
        pytest.raises(RetryLater, match="another task applies this plan now") as raised,
    ):
        apply(tmp_path / "elsewhere", made)
    assert not isinstance(raised.value, AirflowFailException)
    assert sandbox.stats()["admitted"] == 0
    assert not (tmp_path / "elsewhere").exists()
    assert apply(tmp_path, made)["counts"]["applied"] == made["changes"]


def test_a_journal_that_is_being_written_is_not_moved_aside(sandbox: Any, tmp_path: Path) -> None:
    """Two plans with one folder for their journals: the second waits until the first is done."""
    made = plan(tmp_path)
    journal = journal_folder(tmp_path, "f" * 64)
    sandbox.reset_stats()
    with (
        JournalPart(journal / "part-00000.jsonl", plan_hash="f" * 64, dry_run=False),
        pytest.raises(RetryLater, match="another task writes"),
    ):
        apply(tmp_path, made)
    assert sandbox.stats()["admitted"] == 0


def test_the_skipped_of_a_dry_run_do_not_count_in_a_real_run_that_dies(sandbox: Any, tmp_path: Path) -> None:
    made = plan(tmp_path)
    apply(tmp_path, made, is_dry_run=True)
    sandbox.set_faults(seed=1, html=0.35)
    operator = Bitrix24ApplyLinkPlanOperator(
        task_id="apply", plan=made, is_dry_run=False, needs_approval=False, artifacts_path=str(tmp_path)
    )
    operator.hook.retries = Retries(times=0)
    with pytest.raises(RetryLater):
        operator.execute({})
    page = (tmp_path / "report.html").read_text()
    assert "Not finished" in page
    assert f"<b>{made['changes']}</b>" in page
    outcomes = read_ledger(tmp_path / "journal" / "part-00000.jsonl", "lead").last.values()
    assert "skipped" not in {outcome.outcome for outcome in outcomes}


def test_a_report_that_could_not_be_written_stops_the_apply_before_the_first_write(
    sandbox: Any, tmp_path: Path
) -> None:
    made = plan(tmp_path)
    (tmp_path / "report.html").mkdir()
    sandbox.reset_stats()
    with pytest.raises(PlanRefused, match=r"report\.html is no plain file"):
        apply(tmp_path, made)
    assert sandbox.stats()["writes"] == 0


APPLY = """
import sys
from airflow_bitrix.operators.link_plans import Bitrix24ApplyLinkPlanOperator as Apply
folder, digest = sys.argv[1:]
plan = {"plan": folder + "/plan", "hash": digest}
Apply(task_id="apply", plan=plan, is_dry_run=False, needs_approval=False, artifacts_path=folder).execute({})
"""


def test_a_killed_apply_goes_on_where_it_was_and_counts_nothing_twice(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url}
    slow = {**found, "extra": {"plan": "self_hosted", "in_flight": 1}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(slow))
    made = plan(tmp_path)
    before = sandbox.links("lead")
    sandbox.reset_stats()
    worker = subprocess.Popen(
        [sys.executable, "-c", APPLY, str(tmp_path), made["hash"]], env=os.environ.copy()
    )
    with sandbox.portal.lock:
        writes = sandbox.portal.writes = Writes()
        writes.after, writes.victim = 100, worker.pid
    assert worker.wait() == -signal.SIGKILL
    written = sandbox.stats()["commands_in_batches"]["crm.lead.update"]
    assert 0 < written < made["changes"]

    done = apply(tmp_path, made)
    assert done["counts"]["applied"] == made["changes"]
    assert sandbox.stats()["commands_in_batches"]["crm.lead.update"] == made["changes"]
    lines = (tmp_path / "journal" / "part-00000.jsonl").read_text().splitlines()
    finals = Counter(line["owner"] for line in map(json.loads, lines) if "owner" in line)
    assert set(finals.values()) == {1}
    after = sandbox.links("lead")
    released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    assert {int(lead) for lead in before if before[lead] != after[lead]} == set(released)


def test_the_failures_of_one_run_are_what_the_next_is_about(sandbox: Any, tmp_path: Path) -> None:
    made = plan(tmp_path)
    locked = {"error": "", "error_description": "This lead is locked."}
    sandbox.set_faults(seed=4, command=0.1, command_error=locked, only_methods=["crm.lead.update"])
    done = apply(tmp_path, made, max_failed=None)
    assert 0 < done["counts"]["failed"] < made["changes"]
    sandbox.clear_faults()
    gone = sandbox.state.add("lead", {})
    sandbox.state.delete("lead", gone)
    with Path(done["failed_csv"]).open("a") as file:
        file.write(f"lead,{gone},failed,made up,\n")

    again = plan(tmp_path / "again", owners_file=done["failed_csv"])
    assert again["changes"] == again["read"] == done["counts"]["failed"]
    assert again["left_out"] == {"in the file only": 1}
    assert apply(tmp_path / "again", again)["counts"]["applied"] == again["changes"]
