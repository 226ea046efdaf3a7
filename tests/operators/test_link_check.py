"""The check after an apply: it looks again, tells all of it, and fails where too much failed."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)

from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.links import Owner
from airflow_bitrix.files import plans
from airflow_bitrix.files.approvals import Approval, write_approval
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24CanaryLinkPlanOperator,
    Bitrix24CheckLinkPlanOperator,
    Bitrix24PlanLinkCleanupOperator,
)
from airflow_bitrix.operators.shared import names, shown_limits

PART = 100


@pytest.fixture
def sandbox(make_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    for module in (plans, names, shown_limits):
        monkeypatch.setattr(module, "PART_CHANGES", PART)
    sandbox = make_sandbox(leads=450, contacts=300, plan="self_hosted", code="abcdef123456")
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


@pytest.fixture
def made(sandbox: Any, tmp_path: Path) -> Any:
    """A plan of several parts."""
    made = plan(tmp_path)
    assert len(made["parts"]) > 1
    sandbox.reset_stats()
    return made


def plan(folder: Path, **arguments: Any) -> Any:
    fields = {"rules": ["release_repeat_leads"], "artifacts_path": str(folder), **arguments}
    return Bitrix24PlanLinkCleanupOperator(task_id="plan", **fields).execute({})


def apply(made: Any, part: Any = None, **arguments: Any) -> Any:
    fields = {
        "plan": made,
        "part": part,
        "is_dry_run": False,
        "needs_approval": False,
        "max_failed": None,
        **arguments,
    }
    return Bitrix24ApplyLinkPlanOperator(task_id="apply", **fields).execute({})


NAMES = 2
"""Requests for the names of 2,500 records, and of those who are responsible for them."""


def check(made: Any, **arguments: Any) -> Any:
    fields = {"plan": made, "is_dry_run": False, **arguments}
    return Bitrix24CheckLinkPlanOperator(task_id="check", **fields).execute({})


def rows(folder: Path) -> dict[int, dict[str, str]]:
    with (folder / "failed.csv").open() as file:
        return {int(row["owner_id"]): row for row in csv.DictReader(file)}


def released(sandbox: Any) -> list[int]:
    found: list[int] = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    return found


def test_the_parts_of_a_plan_become_one_report(sandbox: Any, made: Any, tmp_path: Path) -> None:
    done = [apply(made, part) for part in made["parts"]]
    assert not (tmp_path / "report.html").exists()
    writes = sandbox.stats()["writes"]
    sandbox.reset_stats()
    told = check(made)
    assert told["counts"] == {
        "applied": made["changes"],
        "already": 0,
        "drift": 0,
        "failed": 0,
        "skipped": 0,
    }
    assert (told["checked"], told["changed_since"], told["complete"]) == (made["changes"], 0, True)
    assert sandbox.stats()["admitted"] == 1 + -(-made["changes"] // 2500) + NAMES
    assert (writes > 0, sandbox.stats()["writes"]) == (True, 0)
    assert told["requests"] == sandbox.stats()["admitted"] - NAMES + sum(one["requests"] for one in done)
    page = Path(told["report"]).read_text()
    assert page.startswith("<!doctype html>")
    assert f"{made['changes']:,}" in page
    assert rows(tmp_path) == {}


def test_what_somebody_changed_after_the_apply_is_named(sandbox: Any, made: Any, tmp_path: Path) -> None:
    """Linked again, gone, and a repeat lead again: nobody shall believe that these are as they were left."""
    apply(made)
    linked, gone, *_ = released(sandbox)
    sandbox.state.update("lead", linked, {"CONTACT_IDS": [5, 6]})
    sandbox.state.delete("lead", gone)
    before = sandbox.links("lead")
    told = check(made)
    assert told["changed_since"] == told["counts"]["drift"] == 2
    assert told["counts"]["applied"] == made["changes"] - 2
    assert sandbox.links("lead") == before
    found = rows(tmp_path)
    assert found.keys() == {linked, gone}
    assert found[linked]["outcome"] == "drift"
    assert found[linked]["reason"].startswith("applied, and changed since: contacts are now 5*, 6")
    assert found[gone]["reason"].startswith(f"applied, and now: {Owner('lead', gone)} is not there")
    assert "applied, and changed since" in (tmp_path / "report.html").read_text()
    journal = "".join(path.read_text() for path in (tmp_path / "journal").glob("*.jsonl"))
    assert "changed since" not in journal


def test_a_dry_run_is_reported_without_a_look(sandbox: Any, made: Any) -> None:
    for part in made["parts"]:
        apply(made, part, is_dry_run=True)
    sandbox.reset_stats()
    told = check(made, is_dry_run=True)
    assert told["counts"]["skipped"] == made["changes"]
    assert told["dry_run"]
    assert sandbox.stats()["admitted"] == NAMES
    assert "dry run" in Path(told["report"]).read_text()


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"max_failed": 0}, r"of \d+ changes failed \(max_failed is 0\); see .*failed.csv"),
        (
            {"max_failed": None, "max_failure_share": 0.001},
            r"changes failed \(max_failure_share is 0.1%\); see",
        ),
        ({"max_failed": "100000", "max_failure_share": "0.9"}, None),
        ({"max_failed": None}, None),
    ],
)
def test_the_row_policy_decides_whether_failed_changes_fail_the_task(
    policy: dict[str, Any], said: str | None, sandbox: Any, made: Any, tmp_path: Path
) -> None:
    sandbox.set_faults(
        seed=4,
        command=0.05,
        only_methods=["crm.lead.update"],
        command_error={"error": "", "error_description": "Locked"},
    )
    done = [apply(made, part) for part in made["parts"]]
    sandbox.clear_faults()
    failed = sum(one["counts"]["failed"] for one in done)
    assert failed > 5
    if said:
        with pytest.raises(AirflowFailException, match=said):
            check(made, **policy)
    else:
        assert check(made, **policy)["counts"]["failed"] == failed
    assert len(rows(tmp_path)) == failed
    assert "Locked" in (tmp_path / "report.html").read_text()


def test_changes_without_an_outcome_fail_the_check_until_their_part_is_applied(
    made: Any, tmp_path: Path
) -> None:
    apply(made, made["parts"][0])
    left = made["changes"] - PART
    with pytest.raises(AirflowFailException, match=f"{left} of {made['changes']} changes have no outcome"):
        check(made)
    assert "Not finished" in (tmp_path / "report.html").read_text()
    for part in made["parts"][1:]:
        apply(made, part)
    assert check(made)["counts"]["applied"] == made["changes"]


def test_where_the_approval_expired_before_anything_began_the_check_says_what_to_clear(
    made: Any, tmp_path: Path
) -> None:
    """Clearing the apply would not help. What has begun may go on."""
    until = "2026-11-21T10:00:00+00:00"
    write_approval(tmp_path, Approval(made["hash"], "approved", until, "Olga", until))
    with pytest.raises(
        PlanRefused, match=r"expired at 2026-11-21 10.* UTC: clear “Ask for approval” with all that"
    ):
        apply(made)
    late = r"no outcome: the plan may not be applied any more, its approval expired at .* UTC: clear “Ask for"
    with pytest.raises(AirflowFailException, match=late):
        check(made)
    assert "run it again" not in (tmp_path / "report.html").read_text()
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    write_approval(tmp_path, Approval(made["hash"], "approved", until, "Olga", later))
    apply(made, made["parts"][0])
    write_approval(tmp_path, Approval(made["hash"], "approved", until, "Olga", until))
    with pytest.raises(AirflowFailException, match=r"no outcome: clear the tasks that apply the plan"):
        check(made)


def test_where_there_is_nothing_to_check_the_task_is_skipped(sandbox: Any) -> None:
    with pytest.raises(AirflowSkipException, match="there is no plan"):
        check(None)
    with pytest.raises(AirflowSkipException, match="the plan was rejected"):
        check({"approval": {"answer": "rejected", "by": "Olga"}})
    assert sandbox.stats()["admitted"] == 0


def test_an_empty_plan_has_a_report_too(sandbox: Any, tmp_path: Path) -> None:
    made = plan(tmp_path, filter={"=id": 10**6})
    sandbox.reset_stats()
    apply(made, [])
    told = check(made)
    assert (told["checked"], told["complete"]) == (0, True)
    assert Path(told["report"]).read_text().startswith("<!doctype html>")
    assert sandbox.stats()["admitted"] == 0


def test_a_canary_applies_the_first_changes_and_gives_the_parts(sandbox: Any, made: Any) -> None:
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))
    canary = Bitrix24CanaryLinkPlanOperator(
        task_id="canary", plan=made, first=20, is_dry_run=False, needs_approval=False
    )
    before = sandbox.links("lead")
    assert canary.execute({"ti": ti}) == made["parts"]  # type: ignore[typeddict-item]
    assert pushed["canary"]["counts"]["applied"] == 20
    after = sandbox.links("lead")
    assert sorted(int(lead) for lead in before if before[lead] != after[lead]) == released(sandbox)[:20]
    for part in made["parts"]:
        apply(made, part)
    assert check(made)["counts"]["applied"] == made["changes"]
    assert sandbox.stats()["commands_in_batches"]["crm.lead.update"] == made["changes"]


def test_a_canary_that_fails_gives_no_parts(sandbox: Any, made: Any) -> None:
    sandbox.set_faults(
        seed=4,
        command=1.0,
        only_methods=["crm.lead.update"],
        command_error={"error": "", "error_description": "Locked"},
    )
    canary = Bitrix24CanaryLinkPlanOperator(
        task_id="canary", plan=made, first=5, is_dry_run=False, needs_approval=False
    )
    with pytest.raises(AirflowException, match="5 of 5 changes failed"):
        canary.execute({})
    assert sandbox.stats()["commands_in_batches"]["crm.lead.update"] <= 5


@pytest.mark.parametrize("arguments", [{"first": 0}, {"first": "0"}, {"first": 9, "is_dry_run": True}])
def test_without_a_canary_the_parts_are_given_and_nothing_is_sent(
    arguments: dict[str, Any], sandbox: Any, made: Any
) -> None:
    fields = {"plan": made, "is_dry_run": False, "needs_approval": False, **arguments}
    assert Bitrix24CanaryLinkPlanOperator(task_id="canary", **fields).execute({}) == made["parts"]
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"plan": "/some/folder"}, "plan"),
        ({"plan": {"plan": "/some/folder"}}, "plan"),
        ({"is_dry_run": "no"}, "is_dry_run"),
        ({"max_failed": -1}, "max_failed"),
        ({"max_failure_share": 2}, "max_failure_share"),
    ],
)
def test_a_parameter_that_cannot_be_right_is_refused_by_name(
    arguments: dict[str, Any], argument: str, sandbox: Any, made: Any
) -> None:
    with pytest.raises(InvalidInput, match=rf"^{argument}: .* accepted: "):
        check(**{"made": arguments.pop("plan", made), **arguments})
    assert sandbox.stats()["admitted"] == 0


def test_another_portal_or_another_plan_is_not_checked(
    sandbox: Any, made: Any, make_sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PlanRefused, match="it was replaced"):
        check({**made, "hash": "f" * 64})
    other = make_sandbox(leads=10, plan="self_hosted")
    monkeypatch.setenv(
        "AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps({"conn_type": "bitrix24", "password": other.webhook_url})
    )
    with pytest.raises(PlanRefused, match=f"is for {sandbox.base_url}"):
        check(made)
    assert other.stats()["admitted"] == 0
