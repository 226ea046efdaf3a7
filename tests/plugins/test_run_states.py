"""What the report says of a run in every state: planned, in question, under way, over, cleared."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert, select

from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.approvals import Approval, Contradiction, write_approval, write_contradiction
from airflow_bitrix.files.checks import Check, write_check
from airflow_bitrix.files.plans import PlanWriter
from airflow_bitrix.files.writers import Wait, forget_wait, write_wait
from airflow_bitrix.plugins.airflow_internals import DagRun, TaskInstance, XComModel, create_session
from airflow_bitrix.plugins.indexes import Indexes
from airflow_bitrix.plugins.run_pages import run_page
from airflow_bitrix.plugins.run_states import RunState
from tests.plugins.applied_run import RUN, applied_plan, at
from tests.plugins.conftest import MakeRun
from tests.plugins.picky import MINE
from tests.plugins.runs import change, make_plan, note, outcome


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("queued", "No plan yet."),
        ("running", "No plan yet."),
        ("failed", "The run failed before it had a plan."),
        ("success", "No task of this run has left a plan"),
    ],
)
def test_a_run_without_a_plan_says_so(reader: TestClient, make_run: MakeRun, state: str, told: str) -> None:
    """Whether it had begun to write one, or had not."""
    folder = make_run(MINE, RUN, state)
    for begun in (False, True):
        if begun:
            (folder / "plan" / "plan").mkdir(parents=True)
            (folder / "plan" / "plan" / "part-00000.jsonl").touch()
        page = reader.get(at()).text
        assert told in page
        assert ('data-live="yes"' in page) == (state in ("queued", "running"))


def test_what_another_host_has_left_is_named_with_the_host(reader: TestClient, make_run: MakeRun) -> None:
    folder = make_run(MINE, RUN, "success")
    place = "/home/airflow/bitrix24/mine/run/plan/plan"
    told = {"plan": place, "host": "worker-<1>", "changes": 3}
    with create_session() as session:
        about: dict[str, Any] = {"dag_id": MINE, "run_id": RUN, "task_id": "plan", "map_index": -1}
        one = TaskInstance.id.type.python_type(str(uuid4()))  # a text, before Airflow 3.2
        session.execute(insert(TaskInstance).values(**about, id=one, pool="default_pool", try_number=1))
        run = session.scalar(select(DagRun.id).where(DagRun.dag_id == MINE, DagRun.run_id == RUN))
        session.add(XComModel(dag_run_id=run, key="return_value", value=told, **about))
    said = f"The task plan has left {place} on host worker-&lt;1&gt;. [bitrix24] artifacts_path has to"
    assert said in reader.get(at()).text
    applied_plan(folder / "plan")
    assert said not in reader.get(at()).text


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("running", "Planned, not applied yet."),
        ("failed", "The run failed before anything was written."),
        ("success", "the plan was rejected, or no task of this run applies it"),
    ],
)
def test_a_plan_that_was_not_applied_says_so(
    reader: TestClient, make_run: MakeRun, state: str, told: str
) -> None:
    make_plan(make_run(MINE, RUN, state) / "plan", [change(5)])
    assert told in reader.get(at()).text


@pytest.mark.parametrize(
    ("answer", "state", "told"),
    [
        (
            "waiting",
            "running",
            "Waits for an approval. 1 change, and &lt;b&gt;Olga has to approve first: under Req",
        ),
        ("waiting", "failed", "The run failed before anything was written."),
        ("approved", "running", "1 change, to be written by the task that applies the plan."),
        ("rejected", "success", "Rejected. Rejected by &lt;b&gt;Olga, 2026-11-21 10:00 UTC."),
        (
            "unanswered",
            "failed",
            "Nobody answered until 2026-11-21 10:00 UTC. Nothing was written. Clear “Ask for approval”",
        ),
    ],
)
def test_a_plan_in_question_says_how_the_question_stands(
    reader: TestClient, make_run: MakeRun, answer: Any, state: str, told: str
) -> None:
    folder = make_run(MINE, RUN, state) / "plan"
    manifest = make_plan(folder, [change(5)])
    approval = Approval(manifest.hash, answer, "2026-11-21T10:00:00+00:00", "<b>Olga")
    write_approval(folder, approval)
    page = reader.get(at()).text.replace("</b>", "").replace("<b>", "")
    assert told in page


@pytest.mark.attack
def test_a_result_that_contradicts_the_decision_is_shown(reader: TestClient, make_run: MakeRun) -> None:
    folder = make_run(MINE, RUN, "success") / "plan"
    manifest = make_plan(folder, [change(5)])
    for plan, is_shown in (("0" * 64, False), (manifest.hash, True)):
        write_contradiction(folder, Contradiction(plan, "the result says <i>yes"))
        said = "A task&#39;s result contradicts the decision:</b> the result says &lt;i&gt;yes."
        assert (said in reader.get(at()).text) is is_shown


WAITS = """1 change, and somebody has to approve first: under Required actions, since 2026-11-21 10:00 UTC. \
Without an answer until 2026-11-22 10:00 UTC nothing is written."""
EXPIRED = """The approval has expired. It counted until 2026-11-22 10:00 UTC, and nothing was written: \
clear “Ask for approval” with all that follows it"""


@pytest.mark.parametrize(("answer", "told"), [("waiting", WAITS), ("approved", EXPIRED)])
def test_a_question_has_an_end_and_so_has_its_answer(
    reader: TestClient, make_run: MakeRun, answer: Any, told: str
) -> None:
    for state in ("running", "failed"):
        folder = make_run(MINE, f"{RUN}{state}", state) / "plan"
        manifest = make_plan(folder, [change(5)])
        from_ten_on = "2026-11-21T10:00:00+00:00", "", "2026-11-22T10:00:00+00:00"
        write_approval(folder, Approval(manifest.hash, answer, *from_ten_on))
        page = reader.get(at("", run_id=f"{RUN}{state}")).text.replace("</b>", "")
        assert (told in page) == (answer == "approved" or state == "running")


FOR_ANOTHER = """Waits for another run:</b> run manual__1 of the DAG my_own has been writing leads of this \
portal since 2026-11-21 09:00 UTC, and one run at a time does. This one has waited since 2026-11-21 10:05 \
UTC, and does so until 2026-11-21 22:05 UTC at most."""


def test_a_run_that_waits_for_another_one_says_for_whom(reader: TestClient, make_run: MakeRun) -> None:
    """Until it writes, and no longer than it is under way."""
    for state in ("running", "failed"):
        folder = make_run(MINE, f"{RUN}{state}", state) / "plan"
        manifest = make_plan(folder, [change(5)])
        moments = (f"2026-11-21T{clock}:00+00:00" for clock in ("09:00", "10:05", "22:05"))
        write_wait(folder, Wait(manifest.hash, "run manual__1 of the DAG my_own", *moments))
        assert (FOR_ANOTHER in reader.get(at("", run_id=f"{RUN}{state}")).text) == (state == "running")
        forget_wait(folder)
        assert FOR_ANOTHER not in reader.get(at("", run_id=f"{RUN}{state}")).text


def test_why_a_task_failed_is_told_where_there_is_no_plan() -> None:
    stands = RunState("failed", why={"plan": "stages: 'NOPE' is not <accepted>."}, run=(MINE, RUN))
    page = run_page(stands, {}, "", Indexes().of)
    log = "../../../../dags/mine/runs/manual__2026-11-21T10%3A00%3A00%2B00%3A00/tasks/plan"
    assert (
        "<b>The task plan failed:</b> stages: &#39;NOPE&#39; is not &lt;accepted&gt;. "
        f'<a href="{log}" target="_top">Its log</a><' in page
    )
    assert "The run failed before it had a plan." in page


QUEUED = """Queued.</b> Airflow begins it when fewer runs of this DAG are under way than its \
max_active_runs. These are:"""


def test_a_run_that_is_queued_says_behind_which_runs_of_its_dag(
    reader: TestClient, make_run: MakeRun
) -> None:
    make_run(MINE, RUN, "queued")
    assert QUEUED not in reader.get(at()).text
    make_run(MINE, "over")
    make_run(MINE, "first", "running")
    make_run(MINE, "second", "running")
    make_run("other", "third", "running")
    page = reader.get(at()).text
    assert f"{QUEUED} first, second." in page
    assert "No plan yet." in page


def test_of_several_plans_the_first_is_shown_and_while_the_run_goes_on_the_last_one_made(
    reader: TestClient, make_run: MakeRun
) -> None:
    """That one waits for somebody, or is being applied."""
    for state, shown in (("success", "deals.plan"), ("running", "leads.plan")):
        folder = make_run(MINE, f"{RUN}{state}", state)
        for number, name in enumerate(("leads.plan", "deals.plan")):
            make_plan(folder / name, [change(5)])
            os.utime(folder / name / "plan" / "manifest.json", ns=(10**18 - number, 10**18 - number))
        page = reader.get(at("", run_id=f"{RUN}{state}")).text
        assert f'href="?task={shown}&amp;lang=en" aria-current="page"' in page


def test_a_plan_that_is_being_made_again_goes_before_one_of_the_try_before(
    reader: TestClient, make_run: MakeRun
) -> None:
    folder = make_run(MINE, RUN, "running")
    for name in ("leads.plan", "deals.plan"):
        made = make_plan(folder / name, [change(5)])
        note(folder / name, made, {0: [outcome(5)]})
        os.utime(folder / name / "plan" / "manifest.json", ns=(10**18, 10**18))
    with PlanWriter(folder / "leads.plan" / "plan"):
        page = reader.get(at()).text
    assert 'href="?task=leads.plan&amp;lang=en" aria-current="page"' in page
    assert "No plan yet." in page


def test_a_plan_that_waits_goes_before_one_whose_making_broke_off_earlier(
    reader: TestClient, make_run: MakeRun
) -> None:
    folder = make_run(MINE, RUN, "running")
    with PlanWriter(folder / "leads.plan" / "plan"):
        pass
    os.utime(folder / "leads.plan" / "plan", ns=(10**18, 10**18))
    make_plan(folder / "deals.plan", [change(5)])
    assert 'href="?task=deals.plan&amp;lang=en" aria-current="page"' in reader.get(at()).text


PLANNED = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
"""When the plans of these tests say that they were made."""


@pytest.mark.parametrize("name", ["applied", "failed", ""])
def test_a_run_that_was_cleared_says_of_what_is_older_that_it_is(
    reader: TestClient, make_run: MakeRun, name: Any
) -> None:
    """It is not done, though every change has its outcome and was checked in the try before."""
    cleared = PLANNED + timedelta(minutes=5)
    folder = make_run(MINE, RUN, "running", cleared=cleared) / "plan"
    manifest = make_plan(folder, [change(5)])
    note(folder, manifest, {0: [outcome(5, name)] if name else []})
    soon = datetime.now(UTC) + timedelta(seconds=1)
    write_check(folder, Check(manifest.hash, soon.isoformat(timespec="seconds"), ApplyCost()))
    page = reader.get(at()).text
    assert "Run again since 2026-11-21 10:05 UTC.</b> The plan is older" in page
    assert "Done." not in page
    assert ("Being applied." in page) == (name == "")
    assert ("1 change failed." in page) == (name == "failed")


@pytest.mark.parametrize(
    ("state", "cleared"),
    [
        ("running", None),
        ("running", PLANNED - timedelta(minutes=5)),
        ("running", PLANNED + timedelta(microseconds=5)),  # a manifest tells seconds
        ("success", PLANNED + timedelta(minutes=5)),
    ],
)
def test_of_a_plan_that_this_try_made_or_of_a_run_that_is_over_nothing_is_said(
    reader: TestClient, make_run: MakeRun, state: str, cleared: datetime | None
) -> None:
    folder = make_run(MINE, RUN, state, cleared=cleared) / "plan"
    applied_plan(folder)
    page = reader.get(at()).text
    assert "Run again since" not in page
    assert "999 applied" in page


def test_a_check_counts_once_it_has_looked_at_all_of_them(reader: TestClient, make_run: MakeRun) -> None:
    """Its requests too; an apply that went on since has not been checked."""
    folder = make_run(MINE, RUN, "running") / "plan"
    manifest = make_plan(folder, [change(5)])
    note(folder, manifest, {0: [outcome(5)]})
    assert "Every change has its outcome.</b> The run is not over yet." in reader.get(at()).text
    soon = datetime.now(UTC) + timedelta(seconds=1)
    write_check(folder, Check(manifest.hash, soon.isoformat(timespec="seconds"), ApplyCost(requests=17)))
    page = reader.get(at()).text
    assert "Done." in page
    assert "<b>17</b><span>requests to apply" in page
    later = (soon + timedelta(minutes=1)).timestamp()
    os.utime(folder / "journal" / "part-00000.jsonl", (later, later))
    assert "Done." not in reader.get(at()).text


def test_a_run_that_is_over_can_be_taken_back(reader: TestClient, make_run: MakeRun) -> None:
    folder = make_run(MINE, RUN) / "plan"
    applied_plan(folder)
    assert f'value="{folder}"' in reader.get(at()).text


@pytest.mark.parametrize(("state", "dry_run"), [("running", False), ("success", True)])
def test_a_run_that_is_not_over_or_wrote_nothing_cannot(
    reader: TestClient, make_run: MakeRun, state: str, *, dry_run: bool
) -> None:
    applied_plan(make_run(MINE, RUN, state) / "plan", dry_run=dry_run)
    assert "Take this run back" not in reader.get(at()).text


def test_a_run_under_way_tells_how_far_it_is_and_follows(reader: TestClient, make_run: MakeRun) -> None:
    folder = make_run(MINE, RUN, "running") / "plan"
    manifest = applied_plan(folder)
    page = reader.get(at()).text
    assert "1,000 of 1,020 changes have their outcome" in page
    assert 'data-live="yes"' in page
    note(folder, manifest, {1: [outcome(number) for number in range(1001, 1011)]})
    assert "1,010 of 1,020 changes have their outcome" in reader.get(at()).text


def test_a_dry_run_says_so(reader: TestClient, make_run: MakeRun) -> None:
    applied_plan(make_run(MINE, RUN) / "plan", dry_run=True)
    page = reader.get(at()).text
    assert "<h1>Lead link clean-up, dry run</h1>" in page
    assert "Nothing was written to the portal." in page
    assert "999 skipped" in page


def test_an_empty_plan_says_so(reader: TestClient, make_run: MakeRun) -> None:
    make_plan(make_run(MINE, RUN) / "plan", [])
    page = reader.get(at()).text
    assert "nothing had to be changed." in page
    assert reader.get(at("outcomes.jsonl?task=plan")).text == ""


def test_a_failed_run_says_what_failed_and_why(reader: TestClient, make_run: MakeRun) -> None:
    applied_plan(make_run(MINE, RUN, "failed") / "plan")
    page = reader.get(at()).text
    assert "Not finished." in page
    assert "1 change failed." in page
    assert "=HYPERLINK(1) &lt;script&gt;" in page
