"""The approval of a plan: who is asked about what, what is refused, and how long an answer counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk import DAG

from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.files.approvals import Approval, read_approval
from airflow_bitrix.operators.link_approval import _deadline
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24ApproveLinkPlanOperator,
    Bitrix24CanaryLinkPlanOperator,
)
from airflow_bitrix.operators.shared.plan_words import meaning_of_answers
from tests.operators import approvals
from tests.operators.approvals import answer, approval, ask, plan, run
from tests.operators.rendered import rendered

sandbox, made = approvals.sandbox, approvals.made


@pytest.mark.parametrize(
    ("arguments", "mode"),
    [
        ({"mode": "never"}, "never"),
        ({"is_dry_run": True}, "always"),
        ({"is_dry_run": "True", "mode": "over_limit"}, "over_limit"),
        ({"mode": "over_limit", "over": 10**6}, "over_limit"),
        ({"mode": "over_limit", "over": "1000000"}, "over_limit"),
    ],
)
def test_a_plan_that_nobody_is_asked_about_passes_as_it_is(
    arguments: dict[str, Any], mode: str, made: Any
) -> None:
    passed = approval(made, **arguments).execute(run())
    told = passed.pop("approval")
    assert passed == made
    assert (told["mode"], told["by"], told["valid_until"]) == (mode, "", None)
    assert datetime.now(UTC) - datetime.fromisoformat(told["at"]) < timedelta(minutes=1)


def test_an_empty_plan_is_not_asked_about(sandbox: Any, tmp_path: Path) -> None:
    assert sandbox.truth()
    made = plan(tmp_path, filter={"=id": 10**6})
    assert (made["changes"], made["parts"]) == (0, [])
    passed = approval(made, mode="always").execute(run())
    assert passed["hash"] == made["hash"]
    assert Bitrix24CanaryLinkPlanOperator(task_id="canary", plan=passed, first=5).execute(run()) == [[]]


def test_with_the_limit_exactly_reached_nobody_is_asked_and_one_more_asks(made: Any) -> None:
    operator = approval(made, mode="over_limit", over=made["changes"])
    assert operator.execute(run())["hash"] == made["hash"]
    # Whether somebody would be asked; asking itself needs a running Airflow.
    number = made["changes"]
    assert approval(made, mode="over_limit", over=number - 1)._needs_nobody(number) is None
    assert approval(made, mode="always")._needs_nobody(1) is None


@pytest.mark.parametrize("mode", ["always", "over_limit", "never"])
def test_a_plan_that_breaks_a_guard_is_refused_and_nobody_is_asked(
    mode: str, sandbox: Any, tmp_path: Path
) -> None:
    made = plan(tmp_path, max_changes=5)
    sandbox.reset_stats()
    with pytest.raises(PlanRefused, match=r"may not run: .* max_changes allows 5") as refused:
        approval(made, mode=mode).execute(run())
    assert isinstance(refused.value, AirflowFailException)
    assert approval(made, mode=mode, is_dry_run=True).execute(run())["hash"] == made["hash"]
    assert sandbox.stats()["admitted"] == 0


def test_what_is_passed_on_is_the_plan_that_was_shown(sandbox: Any, made: Any, tmp_path: Path) -> None:
    """Its task may be cleared and make another one while the question waits: that one nobody has seen."""
    ask(made)
    other = plan(tmp_path, max_changes=10**6)
    assert other["hash"] != made["hash"]
    sandbox.reset_stats()
    with pytest.raises(PlanRefused, match=r"made again after it was shown to Olga: ") as refused:
        approval(other).execute_complete(run(), answer())
    assert isinstance(refused.value, AirflowFailException)
    (tmp_path / "approval.json").unlink()
    with pytest.raises(PlanRefused, match=r"what was shown to Olga is not known any more: the decision in "):
        approval(other).execute_complete(run(), answer())
    ask(other)
    assert approval(other).execute_complete(run(), answer())["hash"] == other["hash"]
    assert sandbox.stats()["admitted"] == 0


def edit(folder: Path) -> None:
    part = folder / "plan" / "part-00000.jsonl"
    part.write_text(part.read_text().replace('"after":[]', '"after":[[1,10,true,0]]', 1))


def replace(folder: Path) -> None:
    plan(folder, max_changes=10**6)


@pytest.mark.parametrize(("meddle", "said"), [(edit, "was edited"), (replace, "it was replaced")])
def test_a_plan_that_was_changed_is_refused_before_the_question_and_after_the_answer(
    meddle: Any, said: str, made: Any, tmp_path: Path
) -> None:
    ask(made)
    meddle(tmp_path)
    operator = approval(made)
    with pytest.raises(PlanRefused, match=said):
        operator.execute(run())
    with pytest.raises(PlanRefused, match=said) as refused:
        operator.execute_complete(run(), answer())
    assert isinstance(refused.value, AirflowFailException)


@pytest.mark.parametrize(
    ("valid_for", "until"),
    [
        (24, timedelta(hours=24)),
        ("1.5", timedelta(hours=1.5)),
        (timedelta(minutes=5), timedelta(minutes=5)),
        (None, None),
        ("None", None),
    ],
)
def test_an_approval_tells_who_gave_it_and_how_long_it_counts(
    valid_for: Any, until: timedelta | None, made: Any
) -> None:
    at = datetime(2026, 11, 21, 12, tzinfo=UTC)
    ask(made)
    passed = approval(made, valid_for=valid_for).execute_complete(run(), answer(at=at))
    told = passed.pop("approval")
    assert passed == made
    assert told == {
        "mode": "always",
        "by": "Olga",
        "at": "2026-11-21T12:00:00+00:00",
        "valid_until": until and (at + until).isoformat(),
    }


def test_an_approval_that_expired_is_refused_before_the_first_write_and_a_fresh_one_is_not(
    sandbox: Any, made: Any, tmp_path: Path
) -> None:
    operator = approval(made, valid_for=1)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    ask(made)
    expired = operator.execute_complete(run(), answer(at=yesterday))
    for refused in (
        Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=expired, is_dry_run=False),
        Bitrix24CanaryLinkPlanOperator(task_id="canary", plan=expired, first=3, is_dry_run=False),
    ):
        with pytest.raises(PlanRefused, match=r"expired at .*: clear “Ask for approval” with all"):
            refused.execute(run())
    assert sandbox.stats()["admitted"] == 0
    ask(made)
    fresh = operator.execute_complete(run(), answer())
    folder = str(tmp_path)
    apply = Bitrix24ApplyLinkPlanOperator(
        task_id="apply", plan=fresh, is_dry_run=False, artifacts_path=folder
    )
    assert apply.execute(run())["counts"]["applied"] == made["changes"]


def test_a_rejected_plan_is_no_plan_any_more(
    sandbox: Any, made: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even a task that runs in spite of a rejection gets nothing that it could apply."""
    operator = approval(made)
    ask(made)
    rejected = operator.execute_complete(run(), answer("Reject"))
    assert rejected.keys() == {"approval"}
    assert (rejected["approval"]["answer"], rejected["approval"]["by"]) == ("rejected", "Olga")
    assert "Rejected by Olga; nothing was written" in capsys.readouterr().out
    with pytest.raises(InvalidInput, match=r"^plan: "):
        Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=rejected, is_dry_run=False).execute(run())
    assert sandbox.stats()["admitted"] == 0


def test_a_question_is_asked_once(made: Any) -> None:
    """Airflow would repeat it after a timeout, and after a rejection that is to fail the task."""
    late = {"error": "too late", "error_type": "timeout"}
    with pytest.raises(AirflowFailException, match="nobody answered in time"):
        approval(made).execute_complete(run(), late)
    with pytest.raises(AirflowFailException, match="rejected by Olga"):
        approval(made, fail_on_reject=True).execute_complete(run(), answer("Reject"))


def test_a_default_after_the_timeout_is_nobody_s_answer(made: Any) -> None:
    ask(made)
    passed = approval(made, defaults=["Approve"]).execute_complete(run(), answer(user=None))
    assert passed["approval"]["by"] == "nobody, by default"


def noted(made: Any) -> tuple[str, str, str, str]:
    """Tell what the report is told of the question."""
    approval = read_approval(Path(made["plan"]).parent, made["hash"])
    assert isinstance(approval, Approval)
    return approval.answer, approval.by, approval.until, approval.reason


def test_the_report_is_told_how_the_question_stands(made: Any) -> None:
    folder = Path(made["plan"]).parent
    assert read_approval(folder, made["hash"]) is None
    approval(made, mode="never").execute(run())
    assert noted(made) == ("not asked", "", "", "approval is switched off")
    at = datetime(2026, 11, 21, 12, tzinfo=UTC)
    ask(made, assigned_users=[{"id": "7", "name": "Olga"}])
    assert noted(made)[:2] == ("waiting", "Olga")
    approval(made, valid_for=1).execute_complete(run(), answer(at=at))
    assert noted(made) == ("approved", "Olga", "2026-11-21T13:00:00+00:00", "")
    with pytest.raises(AirflowFailException):
        approval(made, fail_on_reject=True).execute_complete(run(), answer("Reject", at=at))
    assert noted(made) == ("rejected", "Olga", "", "")
    ask(made)
    with pytest.raises(AirflowFailException):
        approval(made).execute_complete(run(), {"error": "too late", "error_type": "timeout"})
    assert noted(made) == ("unanswered", "", "", "")


@pytest.mark.parametrize("event", [answer("Reject"), {"error": "too late", "error_type": "timeout"}])
def test_an_answer_is_noted_of_the_plan_that_was_shown(event: Any, made: Any, tmp_path: Path) -> None:
    """While its question waited another plan was made, about which nobody has asked."""
    ask(made)
    other = plan(tmp_path, max_changes=10**6)
    with pytest.raises(AirflowFailException):
        approval(other, fail_on_reject=True).execute_complete(run(), event)
    assert read_approval(tmp_path, other["hash"]) is None
    assert noted(made)[0] in ("rejected", "unanswered")


@pytest.mark.parametrize("event", [answer("Reject"), {"error": "too late", "error_type": "timeout"}])
def test_an_answer_counts_while_the_plan_is_made_again(event: Any) -> None:
    """Its task has told nothing yet then. Airflow is not to ask once more for that."""
    with pytest.raises(AirflowFailException, match="nothing was written"):
        approval(None, fail_on_reject=True).execute_complete(run(), event)


def test_a_decision_that_cannot_be_kept_is_none(made: Any) -> None:
    """An apply would not find it: the task fails, in place of one that nobody can apply."""
    ask(made)
    file = Path(made["plan"]).parent / "approval.json"
    file.unlink()
    file.mkdir()
    told = "the decision cannot be kept beside the plan in .*, and nothing is applied without it: "
    for arguments in ({"is_dry_run": True}, {"mode": "never"}, {}):
        with pytest.raises(AirflowException, match=told):
            approval(made, **arguments).execute(run())


def test_a_plan_made_again_has_not_been_approved(made: Any, tmp_path: Path) -> None:
    """And what is moved aside takes the answer about it along."""
    ask(made)
    approved = approval(made).execute_complete(run(), answer())
    apply = Bitrix24ApplyLinkPlanOperator(
        task_id="apply", plan=approved, is_dry_run=False, artifacts_path=str(tmp_path)
    )
    apply.execute(run())
    again = plan(tmp_path, max_changes=10**6)
    assert read_approval(tmp_path, again["hash"]) is None
    (aside,) = tmp_path.glob("earlier-*")
    assert read_approval(aside, made["hash"]) is not None


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"mode": "sometimes"}, "mode"),
        ({"mode": None}, "mode"),
        ({"over": -1}, "over"),
        ({"over": "many"}, "over"),
        ({"is_dry_run": "no"}, "is_dry_run"),
        ({"valid_for": 0}, "valid_for"),
        ({"valid_for": "soon"}, "valid_for"),
        ({"valid_for": True}, "valid_for"),
        ({"applied_by": {"canary": -1}}, "canary"),
        ({"applied_by": {"max_failed": -1}}, "max_failed"),
        ({"applied_by": {"max_failure_share": 2}}, "max_failure_share"),
        ({"applied_by": {"max_failed": "few"}, "mode": "never"}, "max_failed"),
        ({"applied_by": {"wait_for_turn": "long"}}, "wait_for_turn"),
        ({"plan": None}, "plan"),
        ({"plan": "/some/folder"}, "plan"),
        ({"plan": {"plan": "/some/folder"}}, "plan"),
    ],
)
def test_a_parameter_that_cannot_be_right_is_refused_by_name(
    arguments: dict[str, Any], argument: str, made: Any
) -> None:
    given = {"plan": made, "is_dry_run": False, **arguments}
    with pytest.raises(InvalidInput, match=rf"^{argument}: .* accepted: ") as refused:
        rendered(Bitrix24ApproveLinkPlanOperator, task_id="approve", **given).execute(run())
    assert isinstance(refused.value, AirflowFailException)


def test_how_long_an_answer_is_awaited_is_no_matter_of_how_long_the_task_may_work() -> None:
    """Airflow's own operator takes the one for the other, that of a DAG's default_args too."""
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    given = {"plan": "a folder", "hash": "0"}
    for arguments, awaited in (({}, None), ({"response_timeout": hour}, hour)):
        with DAG("asks", schedule=None, default_args={"execution_timeout": minute}):
            task = approval(given, **arguments)
        assert (task.execution_timeout, task.response_timeout) == (minute, awaited)
    task = approval(given, execution_timeout=hour)
    assert (task.execution_timeout, task.response_timeout) == (hour, None)


@pytest.mark.parametrize("argument", ["response_timeout", "execution_timeout"])
@pytest.mark.parametrize("value", [0, 3600, "1h", timedelta(0), timedelta(hours=-1)])
def test_a_period_that_is_none_is_refused_when_the_dag_is_parsed(argument: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=rf"^{argument}: .* accepted: a timedelta above 0, or None"):
        approval({"plan": "a folder", "hash": "0"}, **{argument: value})


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "1e9"])
def test_a_deadline_of_the_configuration_that_is_none_is_refused_before_anybody_is_asked(
    value: str, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__BITRIX24__APPROVAL_DEADLINE", value)
    with pytest.raises(
        InvalidInput, match=r"^\[bitrix24\] approval_deadline: .* accepted: a number of hours"
    ):
        approval(made).execute(run())


@pytest.mark.parametrize(("value", "hours"), [(None, 72), ("", 72), ("1.5", 1.5)])
def test_an_answer_is_awaited_as_the_configuration_says(
    value: str | None, hours: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv("AIRFLOW__BITRIX24__APPROVAL_DEADLINE", value)
    assert _deadline() == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("defaults", "told"), [(None, "nothing is written."), (["Reject"], "it counts as **Reject**.")]
)
def test_whoever_approves_is_told_until_when_and_what_comes_after(defaults: Any, told: str) -> None:
    meaning = meaning_of_answers(datetime(2026, 11, 21, 12, tzinfo=UTC), timedelta(hours=24), defaults)
    assert meaning.endswith(f"Without an answer until 2026-11-21 12:00 UTC {told}")


def test_who_approves_is_asked_what_its_author_asks_and_not_what_the_dag_asks() -> None:
    with DAG("asks", schedule=None, params={"dry_run": True}):
        task = approval({"plan": "a folder", "hash": "0"}, params={"why": "because"})
    assert list(task.params) == ["why"]
