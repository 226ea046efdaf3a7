"""Apply in parts and in part: mapped tasks, a canary, limits on failures, quiet hours, an approval's end."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, TaskDeferred

from airflow_bitrix.core.errors import InvalidInput, PlanRefused, RetryLater
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.approvals import Approval, write_approval
from airflow_bitrix.files.plans import plan_lock, read_manifest
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApproveLinkPlanOperator,
    Bitrix24CanaryLinkPlanOperator,
)
from tests.operators import applies
from tests.operators.applies import LOCKED, apply, bare, counts, links, make

sandbox = applies.sandbox


# -- parts -------------------------------------------------------------------------------------------------


def test_tasks_that_apply_a_part_each_do_the_whole_plan_together(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 2500)
    done: dict[int, Any] = {}
    tasks = [
        threading.Thread(target=lambda part=part: done.update({part: apply(made, part=part)}))
        for part in range(3)
    ]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    assert [counts(done[part]) for part in range(3)] == [
        {"applied": 1000},
        {"applied": 1000},
        {"applied": 500},
    ]
    assert bare(sandbox) == set(range(1, 2501))
    assert sorted(path.name for path in (tmp_path / "journal").iterdir()) == [
        f"part-0000{part}.jsonl" for part in range(3)
    ]
    # what belongs to the whole plan is left to the check
    assert not (tmp_path / "report.html").exists()
    assert "report" not in done[0]


def test_a_part_may_be_applied_while_another_is_but_not_twice(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 1500)
    manifest = read_manifest(tmp_path / "plan")
    with plan_lock(tmp_path / "plan", manifest, [0]):
        assert counts(apply(made, part=1)) == {"applied": 500}
        with pytest.raises(RetryLater, match=r"another task applies part-00000\.jsonl"):
            apply(made, part=[0, 1])
        with pytest.raises(RetryLater, match="another task applies this plan now"):
            apply(made)
    assert counts(apply(made, part="0")) == {"applied": 1000}
    assert counts(apply(made)) == {"applied": 1500}
    assert sandbox.stats()["commands_in_batches"]["crm.lead.contact.delete"] == 1500


@pytest.mark.parametrize("part", [2, -1, "x", [0, 0], [0, 5], 1.5, True])
def test_a_part_that_there_is_not_is_refused_by_name(part: Any, sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 1500)
    with pytest.raises(InvalidInput, match=r"^part: .* accepted: numbers of parts, from 0 to 1, each once"):
        apply(made, part=part)
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.parametrize("part", ["None", ""])
def test_a_part_that_a_template_made_of_nothing_is_no_whole_plan(
    part: str, sandbox: Any, tmp_path: Path
) -> None:
    made = make(sandbox, tmp_path, 5)
    with pytest.raises(InvalidInput, match=r"^part: "):
        apply(made, part=part)
    assert sandbox.stats()["admitted"] == 0


def test_an_edit_in_another_part_does_not_stop_a_part_and_one_in_its_own_does(
    sandbox: Any, tmp_path: Path
) -> None:
    made = make(sandbox, tmp_path, 1500)
    part = tmp_path / "plan" / "part-00001.jsonl"
    part.write_text(part.read_text().replace("wanted", "edited"))
    assert counts(apply(made, part=0)) == {"applied": 1000}
    with pytest.raises(PlanRefused, match=r"part-00001\.jsonl .* does not match its hash"):
        apply(made, part=1)
    assert bare(sandbox) == set(range(1, 1001))


# -- in part ------------------------------------------------------------------------------------------------


def test_only_the_first_changes_are_applied_where_that_is_asked(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 30)
    assert counts(apply(made, first=7)) == {"applied": 7}
    assert bare(sandbox) == set(range(1, 8))
    assert counts(apply(made)) == {"applied": 30}


def test_a_canary_that_fails_keeps_the_others_from_being_written(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 60)
    sandbox.set_faults(command=1.0, command_error=LOCKED, only_methods=["crm.lead.contact.delete"])
    with pytest.raises(
        AirflowException, match=r"canary: 5 of the first 5 changes failed; those behind them were not"
    ):
        apply(made, canary=5)
    assert sandbox.stats()["commands_in_batches"]["crm.lead.contact.delete"] == 5
    sandbox.clear_faults()
    assert counts(apply(made, canary=5)) == {"applied": 60}


def test_a_canary_is_judged_by_its_own_changes(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 60)
    sandbox.set_faults(command=1.0, command_error=LOCKED, only_methods=["crm.lead.contact.delete"])
    apply(made, max_failed=None)
    sandbox.clear_faults()
    assert counts(apply(made, first=5)) == {"applied": 5}


def test_too_large_a_share_of_failures_stops_the_apply(
    sandbox: Any, tmp_path: Path, logged: Callable[[], list[str]]
) -> None:
    """The error has the figures of the log and of the report, and says that others were applied."""
    made = make(sandbox, tmp_path, 1000)
    sandbox.set_faults(seed=3, command=0.5, command_error=LOCKED, only_methods=["crm.lead.contact.delete"])
    with pytest.raises(AirflowException) as stopped:
        apply(made, max_failure_share=0.1, max_failed=None)
    (figures,) = [line for line in logged() if line.startswith("info: Outcomes of")]
    assert str(stopped.value) == (
        "stopped, as more than 10.0% (max_failure_share) of the changes that were written failed. "
        + figures.removeprefix("info: ")
    )
    assert re.search(r"Outcomes of 1,000 leads: \d+ applied, \d+ failed, \d+ open$", str(stopped.value))
    assert 0 < len(bare(sandbox)) < 200
    assert "Not finished" in (tmp_path / "report.html").read_text()
    sandbox.clear_faults()
    assert counts(apply(made, max_failure_share=0.1)) == {"applied": 1000}


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        ({"max_failed": 3}, None),
        ({"max_failed": None}, None),
        ({"max_failed": None, "max_failure_share": 0.3}, None),
        ({"max_failed": 2}, r"3 of 10 changes failed \(max_failed is 2\)"),
        (
            {"max_failed": None, "max_failure_share": 0.29},
            r"3 of 10 changes failed \(max_failure_share is 29.0%\)",
        ),
    ],
)
def test_the_task_fails_when_more_rows_failed_than_may(
    allowed: dict[str, Any], said: str | None, sandbox: Any, tmp_path: Path
) -> None:
    made = make(sandbox, tmp_path, 10)
    for lead in (2, 4, 6):
        sandbox.state.delete("lead", lead)
    if said is None:
        assert counts(apply(made, **allowed)) == {"applied": 7, "failed": 3}
    else:
        with pytest.raises(AirflowException, match=said):
            apply(made, **allowed)
    assert bare(sandbox) == {1, 3, 5, 7, 8, 9, 10}


# -- quiet hours --------------------------------------------------------------------------------------------


def around_now(*, quiet: bool) -> str:
    now = datetime.now(UTC)
    begin = now - timedelta(hours=1) if quiet else now + timedelta(hours=2)
    return f"{begin:%H:%M}-{begin + timedelta(hours=3):%H:%M}"


def test_in_quiet_hours_the_task_is_deferred_until_they_end_and_nothing_is_written(
    sandbox: Any, tmp_path: Path
) -> None:
    made = make(sandbox, tmp_path, 20)
    with pytest.raises(TaskDeferred) as deferred:
        apply(made, quiet_hours=around_now(quiet=True), timezone="UTC")
    moment = deferred.value.trigger.moment
    assert timedelta(hours=1, minutes=58) < moment - datetime.now(UTC) <= timedelta(hours=2)
    assert sandbox.stats()["writes"] == 0
    assert counts(apply(made, quiet_hours=around_now(quiet=False))) == {"applied": 20}


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"quiet_hours": "08:00-08:00"}, "quiet_hours"),
        ({"timezone": "Mars/Phobos"}, "timezone"),
        ({"max_failure_share": 2}, "max_failure_share"),
    ],
)
@pytest.mark.parametrize("idle", [{"first": 0}, {"first": 5, "is_dry_run": True}], ids=["none", "dry run"])
def test_a_canary_that_tries_nothing_refuses_what_the_applies_behind_it_would(
    arguments: dict[str, Any], argument: str, idle: dict[str, Any], sandbox: Any, tmp_path: Path
) -> None:
    made = {**make(sandbox, tmp_path, 20), "parts": [[0]]}
    fields = {"plan": made, "is_dry_run": False, "needs_approval": False, **idle}
    assert Bitrix24CanaryLinkPlanOperator(task_id="canary", **fields).execute({}) == [[0]]
    with pytest.raises(InvalidInput, match=rf"^{argument}: ") as refused:
        Bitrix24CanaryLinkPlanOperator(task_id="canary", **fields, **arguments).execute({})
    assert isinstance(refused.value, AirflowFailException)
    assert sandbox.stats()["admitted"] == 0


def test_without_deferral_quiet_hours_are_left_to_airflow_s_retries(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 20)
    with pytest.raises(RetryLater, match=r"quiet hours .* nothing is written before they end"):
        apply(made, quiet_hours=around_now(quiet=True), deferrable=False)


def test_a_dry_run_looks_in_quiet_hours_too(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 20)
    assert counts(apply(made, quiet_hours=around_now(quiet=True), is_dry_run=True)) == {"skipped": 20}


# -- what may not run ---------------------------------------------------------------------------------------


def approved(made: dict[str, Any], folder: Path, until: datetime | str) -> None:
    at, end = datetime.now(UTC).isoformat(), until if isinstance(until, str) else until.isoformat()
    write_approval(folder, Approval(made["hash"], "approved", at, "Olga", end))


def test_an_approval_that_has_expired_is_refused_before_anything_is_sent(
    sandbox: Any, tmp_path: Path
) -> None:
    made = make(sandbox, tmp_path, 5)
    past = datetime.now(UTC) - timedelta(seconds=1)
    approved(made, tmp_path, past)
    told = rf"the plan in .* its approval expired at {past:%Y-%m-%d %H:%M} UTC: clear"
    with pytest.raises(PlanRefused, match=told) as refused:
        apply(made)
    assert isinstance(refused.value, AirflowFailException)
    for odd in ("tomorrow", "2026-11-01T10:00"):  # whether that is over, nobody can tell
        approved(made, tmp_path, odd)
        with pytest.raises(PlanRefused, match=f"its approval expired at {odd}: clear"):
            apply(made)
    assert sandbox.stats()["admitted"] == 0
    approved(made, tmp_path, datetime.now(UTC) + timedelta(hours=1))
    assert counts(apply(made)) == {"applied": 5}


def test_an_approval_counts_for_what_has_begun(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 30)
    past, ahead = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    approved(made, tmp_path, past)
    apply(made, is_dry_run=True)
    with pytest.raises(PlanRefused, match="expired"):
        apply(made)
    approved(made, tmp_path, ahead)
    apply(made, first=10)
    approved(made, tmp_path, past)
    assert counts(apply(made)) == {"applied": 30}


@pytest.mark.parametrize(
    ("guards", "said"),
    [
        ({"max_changes": 4}, "it has 5 changes, and max_changes allows 4"),
        ({"max_share": 0.5}, "it changes 100.0% of the 5 owners read, and max_share allows 50.0%"),
        ({"portals": ("https://test.bitrix24.com",)}, "and portals allows https://test.bitrix24.com"),
    ],
)
def test_a_plan_that_breaks_a_guard_is_refused_before_anything_is_sent(
    guards: dict[str, Any], said: str, sandbox: Any, tmp_path: Path
) -> None:
    made = make(sandbox, tmp_path, 5, **guards)
    with pytest.raises(PlanRefused, match=said):
        apply(made)
    assert sandbox.stats()["admitted"] == 0
    assert counts(apply(made, is_dry_run=True)) == {"skipped": 5}


def test_a_plan_that_was_let_pass_as_a_dry_run_is_not_applied_for_good(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 5)
    passed = Bitrix24ApproveLinkPlanOperator(task_id="approve", plan=made).execute({})
    with pytest.raises(PlanRefused, match="nobody was asked"):
        apply(passed)
    assert sandbox.stats()["admitted"] == 0
    assert counts(apply(passed, is_dry_run=True)) == {"skipped": 5}


def test_a_plan_that_leaves_owners_without_contacts_is_refused_unless_a_rule_says_so(
    sandbox: Any, tmp_path: Path
) -> None:
    def clear(lead: int) -> Change:
        return Change(links(lead, (1, 10, True), (2, 20, False)), links(lead), ("wanted",))

    made = make(sandbox, tmp_path, 5, clear)
    with pytest.raises(
        PlanRefused, match="it leaves 5 owners without contacts, and no rule says that it may"
    ):
        apply(made)
    assert sandbox.stats()["admitted"] == 0
