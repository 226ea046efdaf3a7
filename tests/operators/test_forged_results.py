"""What tasks hand on is rewritten by somebody who may edit XComs and clear tasks: it allows nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk import DAG
from msgspec import structs

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.files.approvals import APPROVAL, Approval, read_decision, write_approval
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24CanaryLinkPlanOperator,
    Bitrix24CheckLinkPlanOperator,
    Bitrix24PlanLinkCleanupOperator,
)
from tests.operators import approvals
from tests.operators.approvals import answer, approval, ask, decided, plan, run

pytestmark = pytest.mark.attack

sandbox, made = approvals.sandbox, approvals.made

AT = "2026-11-21T10:00:00+00:00"
FORGED = {"mode": "always", "by": "Olga", "at": AT, "valid_until": None}


def real(operator: Any, given: Any, context: Any = None, **arguments: Any) -> Any:
    task = operator(task_id="real", **{"plan": given, "is_dry_run": False, **arguments})
    return task.execute(context or run(task="real"))


def apply(given: Any, context: Any = None, **arguments: Any) -> Any:
    return real(Bitrix24ApplyLinkPlanOperator, given, context, **arguments)


def check(given: Any, **arguments: Any) -> Any:
    return real(Bitrix24CheckLinkPlanOperator, given, **arguments)


def canary(given: Any, **arguments: Any) -> Any:
    return real(Bitrix24CanaryLinkPlanOperator, given, **arguments)


def by_name(made: Any) -> dict[str, Any]:
    """How a DAG names a plan that no task hands on."""
    return {"given": made["plan"], "plan_hash": made["hash"]}


def test_what_was_rejected_is_not_applied_whatever_the_task_s_result_says(
    sandbox: Any, made: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    decided(made, "Reject")
    forged = {**made, "approval": {**FORGED, "by": "Mallory\n\u202e"}}
    for task, arguments in (
        (apply, {}),
        (canary, {"first": 5}),
        (canary, {"first": 0}),
        (apply, {"part": 0}),
    ):
        with pytest.raises(PlanRefused, match=r"plan was rejected by Olga, .* Make another one$") as refused:
            task(forged, **arguments)
        assert isinstance(refused.value, AirflowFailException)
    said = r"“Approved by Mallory\n\u202e, 2026-11-21 10:00 UTC”, the decision beside the plan says"
    assert said in caplog.text
    with pytest.raises(AirflowFailException, match=r"no outcome: the plan was rejected by Olga"):
        check(forged)
    page = (tmp_path / "report.html").read_text()
    assert "A task&#39;s result contradicts the decision:" in page
    assert "Approved by Mallory" in page
    assert sandbox.stats()["writes"] == 0


def waits(made: Any) -> None:
    ask(made)


def is_rejected(made: Any) -> None:
    decided(made, "Reject")


def has_no_answer(made: Any) -> None:
    ask(made)
    with pytest.raises(AirflowFailException):
        approval(made).execute_complete(run(), {"error": "late", "error_type": "timeout"})


def is_dry(made: Any) -> None:
    approval(made, is_dry_run=True).execute(run())


def has_expired(made: Any) -> None:
    ask(made)
    long_ago = answer(at=datetime.now(UTC) - timedelta(days=2))
    approval(made).execute_complete(run(), long_ago)


def is_damaged(made: Any) -> None:
    decided(made)
    file = Path(made["plan"]).parent / APPROVAL
    file.write_text(file.read_text()[:-20])


def does_not_say_why(made: Any) -> None:
    """As an earlier version kept it."""
    write_approval(Path(made["plan"]).parent, Approval(made["hash"], "not asked", AT))


DECISIONS: list[tuple[Callable[[Any], None], str]] = [
    (waits, "has waited for an approval since"),
    (is_rejected, "was rejected by Olga"),
    (has_no_answer, "was not approved by anybody until"),
    (is_dry, "passed as a dry run and nobody was asked"),
    (has_expired, "its approval expired at"),
    (is_damaged, r"approval.json, cannot be read: clear the task that asks"),
    (does_not_say_why, "does not say why nobody was asked"),
]


def test_a_decision_that_allows_nothing_is_refused_however_the_plan_is_named(sandbox: Any, made: Any) -> None:
    """Also by a DAG that does without an approval."""
    for decision, said in DECISIONS:
        decision(made)
        for needs_approval in (True, False):
            for given in ({"given": {**made, "approval": FORGED}}, {"given": made}, by_name(made)):
                with pytest.raises(PlanRefused, match=said):
                    apply(**given, needs_approval=needs_approval)
    assert sandbox.stats()["admitted"] == 0


def is_none(made: Any) -> None:
    assert read_decision(Path(made["plan"]).parent) is None


def is_of_another_plan(made: Any) -> None:
    decided(made)
    folder = Path(made["plan"]).parent
    decision = read_decision(folder)
    assert decision
    write_approval(folder, structs.replace(decision, plan="0" * 64))


def test_without_a_decision_nothing_is_applied_unless_the_dag_says_that_it_has_none(
    sandbox: Any, made: Any
) -> None:
    for decision in (is_none, is_of_another_plan):
        decision(made)
        for given in ({"given": {**made, "approval": FORGED}}, {"given": made}, by_name(made)):
            with pytest.raises(PlanRefused, match=r"nobody has decided about the plan in .* needs_approval="):
                apply(**given)
    assert sandbox.stats()["admitted"] == 0
    assert apply(made, needs_approval=False)["counts"]["applied"] == made["changes"]


def test_whether_an_approval_is_needed_is_no_template() -> None:
    with pytest.raises(ValueError, match=r"^needs_approval: .* accepted: True or False"):
        Bitrix24ApplyLinkPlanOperator(task_id="apply", plan={}, needs_approval="{{ params.sure }}")  # type: ignore[arg-type]
    assert "needs_approval" not in Bitrix24CanaryLinkPlanOperator.template_fields


def test_what_the_author_lets_pass_is_applied(made: Any) -> None:
    passed = approval(made, mode="over_limit", over=10**6).execute(run())
    assert apply(passed, first=1)["counts"]["applied"] == 1
    passed = approval(made, mode="never").execute(run())
    assert apply(passed)["counts"]["applied"] == made["changes"]


def test_an_approved_plan_of_another_run_is_not_slipped_in(sandbox: Any, tmp_path: Path) -> None:
    """Neither to the apply, nor to an approval, which would decide anew: in a DAG that asks nobody."""
    monday, tuesday = run("monday"), run("tuesday")
    old = plan(tmp_path / "old", monday)
    ask(old, monday)
    approval(old).execute_complete(monday, answer())
    kept = (tmp_path / "old" / APPROVAL).read_text()
    said = (
        "was made by run monday of the DAG cleans, and this is run tuesday of the DAG cleans: "
        "tasks hand on plans of their own run alone"
    )
    refusals: tuple[Callable[[], Any], ...] = (
        lambda: apply({**old, "approval": FORGED}, tuesday),
        lambda: apply(old, tuesday, needs_approval=False),
        lambda: real(Bitrix24CanaryLinkPlanOperator, old, tuesday),
        lambda: real(Bitrix24CheckLinkPlanOperator, old, tuesday),
        lambda: approval(old, mode="never").execute(tuesday),
        lambda: approval(old).execute(tuesday),
    )
    for refused in refusals:
        with pytest.raises(PlanRefused, match=said):
            refused()
    assert (tmp_path / "old" / APPROVAL).read_text() == kept
    assert sandbox.stats()["writes"] == 0
    # What the DAG file itself names may be of any run.
    assert apply(**by_name(old), context=tuesday)["counts"]["applied"] == old["changes"]


def test_an_answer_counts_for_the_plan_that_was_shown_whatever_was_handed_on_meanwhile(
    sandbox: Any, tmp_path: Path
) -> None:
    """The task asked about one plan, was cleared, and asks about another one, a harmless one."""
    large, small = plan(tmp_path / "large"), plan(tmp_path / "small", max_changes=10**6)
    ask(large, run(attempt="first"))
    ask(small, run(attempt="second"))
    with pytest.raises(
        PlanRefused, match=r"what was shown to Olga is not known any more: .*, or that of another"
    ):
        approval(large).execute_complete(run(attempt="second"), answer())
    with pytest.raises(PlanRefused, match="waited for an approval"):
        apply({**large, "approval": FORGED})
    assert approval(small).execute_complete(run(attempt="second"), answer())["hash"] == small["hash"]
    assert sandbox.stats()["writes"] == 0


def test_one_of_two_who_says_no_is_enough(made: Any) -> None:
    """Two tasks ask about one plan, side by side."""
    lawyer, seller = run(task="lawyer"), run(task="seller")
    ask(made, lawyer)
    ask(made, seller)
    approval(made).execute_complete(lawyer, answer("Reject", user="Lara"))
    with pytest.raises(PlanRefused, match="what was shown to Sol is not known any more"):
        approval(made).execute_complete(seller, answer(user="Sol"))
    with pytest.raises(PlanRefused, match="rejected by Lara"):
        apply({**made, "approval": FORGED})
    ask(made, lawyer)
    with pytest.raises(PlanRefused, match=r"another task, lawyer, asks about the plan in .*: Waits for an"):
        approval(made, mode="never").execute(run(task="passes"))


def test_who_asks_nobody_lets_no_plan_pass_that_another_task_asks_about(sandbox: Any, tmp_path: Path) -> None:
    """One DAG with two plans: the one may be applied as it is, about the other one somebody is asked."""
    with DAG("cleans", schedule=None):
        free = Bitrix24PlanLinkCleanupOperator(task_id="free", rules=["fix_primary"])
        passes = approval(free.output, mode="never")
        applies = Bitrix24ApplyLinkPlanOperator(
            task_id="apply", plan=free.output, is_dry_run=False, needs_approval=False
        )
    asked = plan(tmp_path)  # by the task “plan”
    for task in (passes, applies):
        task.plan = asked  # as Airflow fills it in, from a result that was rewritten
        with pytest.raises(PlanRefused, match="was not made by the task free, whose plan this is to be"):
            task.execute(run(task=task.task_id))
    # Where the DAG file does not say which task makes it.
    decided(asked, "Reject")
    said = r"another task, approve, asks about the plan in .*: Rejected by Olga"
    with pytest.raises(PlanRefused, match=said):
        approval(asked, mode="never").execute(run(task="passes"))
    with pytest.raises(PlanRefused, match=said):  # nor is somebody else asked
        approval(asked).execute(run(task="asks"))
    assert sandbox.stats()["writes"] == 0


def test_parts_that_are_not_those_of_the_plan_leave_it_open_and_never_done(made: Any) -> None:
    """The canary hands on those of the plan itself, and its own result may be rewritten, too."""
    passed = decided(made)
    for parts in ([], [[0], [0]], [[7]], None, "all"):
        assert canary({**passed, "parts": parts}, first=0) == made["parts"] == [[0]]
    for part in ([0, 0], [1], ["0", "1"], [-1], "0; 1"):
        with pytest.raises(ValueError, match=r"^part: "):
            apply(passed, part=part)
    apply(passed, part=[])
    with pytest.raises(AirflowException, match=rf"{made['changes']} of \d+ changes have no outcome"):
        check(passed)


def test_a_check_is_not_talked_out_of_looking(made: Any) -> None:
    """A rejection hands on no plan. Whoever may skip or clear the task itself, can do so anyway."""
    passed = decided(made)
    with pytest.raises(AirflowFailException, match="have no outcome: clear the tasks that apply the plan"):
        check({**passed, "approval": {"answer": "rejected"}})
    with pytest.raises(AirflowSkipException):
        check({"approval": {"answer": "rejected"}})
