"""One question about several plans: what it says, and what its answer counts for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import DAG

from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.files.approvals import Approval, read_decision
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24CanaryLinkPlanOperator,
    Bitrix24CheckLinkPlanOperator,
    Bitrix24PlanLinkCleanupOperator,
)
from tests.operators import approvals
from tests.operators.approvals import answer, approval, ask, plan, run
from tests.operators.rendered import rendered

sandbox = approvals.sandbox


@pytest.fixture
def made(sandbox: Any, tmp_path: Path) -> list[Any]:
    """A plan of leads, one of deals, and none in between, as its task was skipped."""
    for contacts in ([1, 7777], [8888], [2]):
        sandbox.state.add("deal", {"CONTACT_IDS": contacts})
    plans = [plan(tmp_path / "leads"), None, of_deals(tmp_path)]
    assert plans[0]["changes"] > 2 == plans[2]["changes"]
    sandbox.reset_stats()
    return plans


def of_deals(folder: Path, **arguments: Any) -> Any:
    return plan(folder / "deals", **{"kind": "deal", "rules": ["remove_dangling"], **arguments})


def decision(made: Any) -> Approval:
    found = read_decision(Path(made["plan"]).parent)
    assert found
    return found


def answers(made: list[Any]) -> list[str]:
    return [decision(one).answer for one in made if one]


def apply(approved: Any, number: int, kind: Any = Bitrix24ApplyLinkPlanOperator, **arguments: Any) -> Any:
    return kind(task_id="apply", plan=approved, plan_number=number, is_dry_run=False, **arguments).execute(
        run()
    )


def test_one_answer_counts_for_each_of_them(made: list[Any]) -> None:
    operator = approval(made, valid_for=1)
    with pytest.raises(KeyError):  # who is asked needs a running Airflow
        operator.execute(run())
    number = made[0]["changes"]
    assert operator.subject.startswith(f"Change the contacts of {number} leads and 2 deals on 127.0.0.1:")
    assert operator.body is not None
    assert operator.body.index("\n## Leads\n") < operator.body.index("\n## Deals\n")
    assert operator.told is not None
    assert operator.told.counts["changes"] == number + 2
    assert answers(made) == ["waiting", "waiting"]
    assert decision(made[0]).together == (made[0]["hash"], made[2]["hash"])

    at = datetime(2036, 11, 21, 12, tzinfo=UTC)
    approved = approval(made, valid_for=1).execute_complete(run(), answer(at=at))
    assert [one and {**one, "approval": None} for one in approved] == [
        one and {**one, "approval": None} for one in made
    ]
    assert {one["approval"]["by"] for one in approved if one} == {"Olga"}
    assert [(decision(one).plan, decision(one).until) for one in made if one] == [
        (one["hash"], "2036-11-21T13:00:00+00:00") for one in made if one
    ]
    assert apply(approved, 0)["counts"]["applied"] == number
    assert apply(approved, 2)["counts"]["applied"] == 2
    checked = Bitrix24CheckLinkPlanOperator(
        task_id="check", plan=approved, plan_number=2, is_dry_run=False
    ).execute(run())
    assert checked["counts"]["applied"] == 2


def test_what_was_skipped_stays_so(sandbox: Any, made: list[Any]) -> None:
    ask(made)
    approved = approval(made).execute_complete(run(), answer())
    for kind in (
        Bitrix24CanaryLinkPlanOperator,
        Bitrix24ApplyLinkPlanOperator,
        Bitrix24CheckLinkPlanOperator,
    ):
        with pytest.raises(AirflowSkipException, match="the task that makes it was skipped"):
            apply(approved, 1, kind)
    with pytest.raises(AirflowSkipException, match="the tasks that make them were skipped"):
        approval([None, None]).execute(run())
    assert sandbox.stats()["writes"] == 0


def test_a_rejection_is_one_of_all(sandbox: Any, made: list[Any]) -> None:
    ask(made)
    rejected = approval(made).execute_complete(run(), answer("Reject"))
    assert [one and one["approval"]["answer"] for one in rejected] == ["rejected", None, "rejected"]
    assert answers(made) == ["rejected", "rejected"]
    for number in (0, 2):
        with pytest.raises(PlanRefused, match="was rejected by Olga"):
            apply(made, number)
        with pytest.raises(InvalidInput, match=r"^plan: "):
            apply(rejected, number)
    assert sandbox.stats()["admitted"] == 0


def test_no_answer_in_time_is_one_for_all(made: list[Any]) -> None:
    ask(made)
    with pytest.raises(AirflowFailException, match="nobody answered in time"):
        approval(made).execute_complete(run(), {"error": "too late", "error_type": "timeout"})
    assert answers(made) == ["unanswered", "unanswered"]


@pytest.mark.parametrize(
    ("over", "answer"), [(2, "waiting"), (10**6, "not asked")], ids=["more", "within the limit"]
)
def test_the_limit_counts_the_changes_of_all(over: int, answer: str, made: list[Any]) -> None:
    ask(made, mode="over_limit", over=over)
    assert answers(made) == [answer, answer]


def test_the_limit_is_that_of_their_sum(made: list[Any]) -> None:
    together = sum(one["changes"] for one in made if one)
    ask(made, mode="over_limit", over=together - 1)
    assert answers(made) == ["waiting", "waiting"]
    passed = approval(made, mode="over_limit", over=together).execute(run())
    assert answers(made) == ["not asked", "not asked"]
    assert [one["hash"] for one in passed if one] == [one["hash"] for one in made if one]


def test_a_dry_run_asks_nobody_about_any(sandbox: Any, made: list[Any]) -> None:
    passed = approval(made, is_dry_run=True).execute(run())
    assert [decision(one).unasked for one in made if one] == ["dry run", "dry run"]
    with pytest.raises(PlanRefused, match="passed as a dry run"):
        apply(passed, 2)
    assert sandbox.stats()["admitted"] == 0


def test_a_plan_without_changes_needs_no_question_and_stands_beside_the_others(
    sandbox: Any, made: list[Any], tmp_path: Path
) -> None:
    made = [made[0], plan(tmp_path / "deals", kind="deal", rules=["remove_dangling"], filter={"=id": 10**6})]
    assert made[1]["changes"] == 0
    ask(made)
    assert answers(made) == ["waiting", "not asked"]
    assert decision(made[1]).unasked == "empty"
    approved = approval(made).execute_complete(run(), answer())
    assert answers(made) == ["approved", "not asked"]
    assert apply(approved, 1, Bitrix24CanaryLinkPlanOperator, first=3) == [[]]
    assert apply(approved, 0)["counts"]["applied"] == made[0]["changes"]

    ask(made)
    again = of_deals(tmp_path)  # and not empty any more
    assert again["changes"]
    sandbox.reset_stats()
    with pytest.raises(PlanRefused, match="made again after it was shown"):
        approval([made[0], again]).execute_complete(run(), answer())
    with pytest.raises(PlanRefused, match="nobody has decided about the plan"):
        apply([made[0], again], 1)
    assert sandbox.stats()["admitted"] == 0


def test_where_one_was_made_again_none_is_approved(sandbox: Any, made: list[Any], tmp_path: Path) -> None:
    ask(made)
    other = of_deals(tmp_path, max_changes=10**6)
    sandbox.reset_stats()
    with pytest.raises(PlanRefused, match="made again after it was shown"):
        approval([made[0], None, other]).execute_complete(run(), answer())
    with pytest.raises(PlanRefused, match="Olga was shown 2 plans, 1 of which are not there any more"):
        approval([made[0], None, None]).execute_complete(run(), answer())
    assert decision(made[0]).answer == "waiting"
    with pytest.raises(PlanRefused, match="has waited for an approval since"):
        apply(made, 0)
    assert sandbox.stats()["admitted"] == 0


def test_one_that_breaks_a_guard_or_was_edited_keeps_all_from_being_asked_about(
    made: list[Any], tmp_path: Path
) -> None:
    guarded = of_deals(tmp_path, max_changes=1)
    with pytest.raises(PlanRefused, match="max_changes allows 1"):
        approval([made[0], guarded]).execute(run())
    part = Path(made[0]["plan"]) / "part-00000.jsonl"
    part.write_text(part.read_text() + "\n")
    with pytest.raises(PlanRefused, match="was edited"):
        approval([of_deals(tmp_path), made[0]]).execute(run())
    assert read_decision(tmp_path / "leads") is None


@pytest.mark.attack
def test_no_plan_takes_the_place_of_another(made: list[Any]) -> None:
    """What tasks return may be rewritten: each place of the list is that of the task that the DAG names."""
    with DAG("cleans", schedule=None):
        tasks = [
            Bitrix24PlanLinkCleanupOperator(task_id=name, rules=["fix_primary"]) for name in ("plan", "other")
        ]
        asks = approval([task.output for task in tasks])
        applies = Bitrix24ApplyLinkPlanOperator(
            task_id="apply", plan=asks.output, plan_number=1, is_dry_run=False
        )
    assert (list(asks.makers), list(applies.makers)) == (["plan", "other"], ["other"])
    asks.plan = [made[0], made[2]]  # both of them made by the task “plan”
    with pytest.raises(PlanRefused, match="was not made by the task other"):
        asks.execute(run())
    applies.plan = [made[2], made[0]]
    with pytest.raises(PlanRefused, match="was not made by the task other"):
        applies.execute(run())


@pytest.mark.attack
def test_what_was_left_out_of_the_question_is_not_applied(sandbox: Any, made: list[Any]) -> None:
    ask([made[0], None, None])
    approved = approval([made[0], None, None]).execute_complete(run(), answer())
    with pytest.raises(PlanRefused, match="nobody has decided about the plan"):
        apply([approved[0], None, made[2]], 2)
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.parametrize(
    ("number", "accepted"),
    [
        (None, "a number from 0 to 1: which of"),
        (2, "a number from 0 to 1: which of"),
        (-1, "a whole number, 0 or above, or None for the only plan"),
        ("last", "a whole number, 0 or above, or None for the only plan"),
    ],
)
def test_which_plan_is_meant_has_to_be_said(number: Any, accepted: str) -> None:
    with DAG("cleans", schedule=None):
        tasks = [Bitrix24PlanLinkCleanupOperator(task_id=name, rules=["fix_primary"]) for name in ("a", "b")]
        asks = approval([task.output for task in tasks])
        with pytest.raises(InvalidInput, match=f"^plan_number: .* accepted: {accepted}"):
            Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=asks.output, plan_number=number)


@pytest.mark.parametrize("given", [None, {}, [], [None], "/some/folder"])
def test_a_place_that_there_is_not_is_refused(given: Any) -> None:
    operator = rendered(
        Bitrix24ApplyLinkPlanOperator, task_id="apply", plan=given, plan_number=1, is_dry_run=False
    )
    with pytest.raises(InvalidInput, match=r"^plan: .* accepted: what an approval returned"):
        operator.execute(run())
