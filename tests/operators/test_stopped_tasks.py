"""Stopping means stopping: after SIGTERM nothing is written but what was under way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.client.flow import Clock
from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.operators.contact_links import Bitrix24LeadContactDeleteOperator
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24ExportContactLinksOperator,
)
from tests.operators import applies
from tests.operators.applies import apply, bare, counts, make
from tests.operators.stops import Writes

sandbox = applies.sandbox

LEADS = 600
UNDER_WAY = 5 * 24
"""Changes that the requests of five lanes hold: a look at the links and the write of each, and two looks."""

# What Airflow's task runner does with SIGTERM, in all of its versions from 3.1 on.
WORKER = """
import json, signal, sys
from airflow_bitrix.operators.link_plans import Bitrix24ApplyLinkPlanOperator as Apply
fields, Apply.grace = json.loads(sys.argv[1]), 60.0
task = Apply(task_id="apply", is_dry_run=False, needs_approval=False, **fields)
signal.signal(signal.SIGTERM, lambda *_: task.on_kill())
print("ready", flush=True)
sys.stdin.readline()
try:
    task.execute({})
except BaseException as error:
    print(type(error).__name__, error, flush=True)
"""


@pytest.fixture
def worker() -> Iterator[Any]:
    begun: list[subprocess.Popen[str]] = []

    def begin(**fields: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, json.dumps(fields)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        assert process.stdout is not None
        while process.stdout.readline() != "ready\n":
            assert process.poll() is None
        return process

    yield begin
    for process in begun:
        process.communicate()


def journal(folder: Path) -> tuple[set[int], dict[int, str]]:
    """The owners whose write was begun, and the outcomes."""
    begun: set[int] = set()
    outcomes: dict[int, str] = {}
    for path in (folder / "journal").glob("part-*.jsonl"):
        for line in map(json.loads, path.read_text().splitlines()):
            begun |= {row[0] for row in line.get("writing", ())}
            if "owner" in line:
                assert line["owner"] not in outcomes
                outcomes[line["owner"]] = line["outcome"]
    return begun, outcomes


def test_sigterm_ends_writing_and_what_was_under_way_is_accounted_for(
    sandbox: Any, tmp_path: Path, worker: Any
) -> None:
    made = make(sandbox, tmp_path, LEADS)
    process = worker(plan=made)
    writes = sandbox.portal.writes = Writes(lambda: os.kill(process.pid, signal.SIGTERM), after=100)
    said, _ = process.communicate("\n")

    assert "RetryLater the task was told to stop" in said
    assert 100 < len(writes) <= 101 + UNDER_WAY < LEADS
    written = {write.owner_id for write in writes}
    begun, outcomes = journal(tmp_path)
    assert written <= begun
    assert outcomes == dict.fromkeys(written, "applied")
    assert "Not finished" in (tmp_path / "report.html").read_text()

    assert counts(apply(made)) == {"applied": LEADS}
    assert len(writes) == LEADS
    assert bare(sandbox) == set(range(1, LEADS + 1))


def test_what_was_under_way_is_accounted_for_where_that_takes_further_requests(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a portal whose lists hide the links."""
    monkeypatch.setattr(Bitrix24ApplyLinkPlanOperator, "grace", 60.0)
    made = make(sandbox, tmp_path, LEADS)
    sandbox.set_switches(hide_contact_ids=True)
    task = Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=made, is_dry_run=False, needs_approval=False)
    writes = sandbox.portal.writes = Writes(task.on_kill, after=100)
    with pytest.raises(RetryLater, match="told to stop") as raised:
        task.execute({})
    assert raised.value.until is None  # for Airflow's retries, not for a deferral
    assert 100 < len(writes) <= 101 + UNDER_WAY < LEADS
    assert journal(tmp_path)[1] == dict.fromkeys((write.owner_id for write in writes), "applied")


class _TimedOutError(BaseException):
    """As Airflow's error of an execution timeout, which is no Exception."""


def test_an_execution_timeout_ends_writing_in_the_same_way(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow's handler of SIGALRM raises; in the midst of an event loop that may be lost."""
    monkeypatch.setattr(Bitrix24ApplyLinkPlanOperator, "grace", 60.0)

    def timed_out(*_: object) -> None:
        raise _TimedOutError

    made = make(sandbox, tmp_path, LEADS)
    writes = sandbox.portal.writes = Writes(lambda: os.kill(os.getpid(), signal.SIGALRM), after=100)
    before = signal.signal(signal.SIGALRM, timed_out)
    try:
        with pytest.raises(_TimedOutError):
            apply(made)
        assert signal.getsignal(signal.SIGALRM) is timed_out
    finally:
        signal.signal(signal.SIGALRM, before)
    assert 100 < len(writes) <= 101 + UNDER_WAY < LEADS
    assert journal(tmp_path)[1] == dict.fromkeys((write.owner_id for write in writes), "applied")


def test_a_request_without_an_answer_is_not_awaited_for_longer_than_the_grace(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal says that its writes were begun, and a retry looks what became of them."""
    monkeypatch.setattr(Bitrix24ApplyLinkPlanOperator, "grace", 0.01)
    made = make(sandbox, tmp_path, LEADS)
    task = Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=made, is_dry_run=False, needs_approval=False)

    def hang() -> None:
        sandbox.set_faults(slow=1.0, slow_seconds=3600)
        task.on_kill()

    writes = sandbox.portal.writes = Writes(hang, after=100)
    with pytest.raises(RetryLater, match="told to stop"):
        task.execute({})
    sandbox.clear_faults()
    begun, outcomes = journal(tmp_path)
    written = {write.owner_id for write in writes}
    assert written <= begun
    assert outcomes.keys() < written
    assert counts(apply(made)) == {"applied": LEADS}
    assert bare(sandbox) == set(range(1, LEADS + 1))


def test_a_task_that_reads_ends_at_once(sandbox: Any, tmp_path: Path) -> None:
    for _ in range(60):
        sandbox.state.add("lead", {})
    export = Bitrix24ExportContactLinksOperator(task_id="export", kind="lead", artifacts_path=str(tmp_path))
    sandbox.reset_stats()
    sandbox.set_faults(throttle=1.0)

    async def told(_seconds: float) -> None:
        export.on_kill()
        sandbox.clear_faults()

    export.hook.clock = Clock(sleep_async=told)
    with pytest.raises(RetryLater, match="told to stop"):
        export.execute({})
    assert sandbox.stats()["admitted"] == 1
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_link_method_that_waits_is_not_called_any_more(sandbox: Any) -> None:
    sandbox.state.add("lead", {"CONTACT_IDS": [1, 2]})
    unlink = Bitrix24LeadContactDeleteOperator(task_id="unlink", owner_id=1, contact_id=2)
    sandbox.set_faults(throttle=1.0)

    def told(_seconds: float) -> None:
        unlink.on_kill()
        sandbox.clear_faults()

    unlink.hook.clock = Clock(sleep=told)
    with pytest.raises(RetryLater, match="told to stop"):
        unlink.execute({})
    assert sandbox.stats()["writes"] == 0


def test_a_task_that_was_told_before_it_began_sends_nothing(sandbox: Any, tmp_path: Path) -> None:
    """SIGTERM may come while Airflow still renders templates, or while the plan is read."""
    made = make(sandbox, tmp_path, 5)
    sandbox.reset_stats()
    task = Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=made, is_dry_run=False, needs_approval=False)
    task.on_kill()
    with pytest.raises(RetryLater, match="told to stop"):
        task.execute({})
    assert sandbox.stats()["admitted"] == 0
