"""What a pipeline tells by any notifier of Airflow: an approval is wanted, it has ended, it has failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG
from airflow.sdk.bases.notifier import BaseNotifier

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.notifications.bitrix24 import Bitrix24Notifier
from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkCleanupOperator
from airflow_bitrix.pipelines.carry_out import carry_out
from tests.operators import approvals
from tests.operators.approvals import answer, run

sandbox, made = approvals.sandbox, approvals.made

TEXT = "{{ bitrix24.event }}: {{ bitrix24.title }} | {{ bitrix24.numbers }} | {{ bitrix24.reason }}"
Tasks = Callable[..., dict[str, Any]]


class Foreign(BaseNotifier):
    """A notifier of somebody else's."""

    template_fields: Sequence[str] = ("text",)

    def __init__(self, heard: list[str], text: str = TEXT) -> None:
        self.heard, self.text = heard, text
        super().__init__()

    def notify(self, context: Any) -> None:
        del context
        if self.text == "away":
            raise ConnectionError("https://b24.example/rest/1/abcdef123456/ is away")
        self.heard.append(self.text)


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def tasks(heard: list[str]) -> Tasks:
    """Make a DAG that tells what becomes of it, and give its tasks by id."""

    def build(notify: Any = None, **default_args: Any) -> dict[str, Any]:
        with DAG("cleans", schedule=None, default_args=default_args) as dag:
            plan = Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=["release_repeat_leads"])
            carry_out(plan, is_dry_run=False, notify=[Foreign(heard)] if notify is None else notify)
        return dict(dag.task_dict)

    return build


def callbacks(task: Any, kind: str, **more: Any) -> None:
    """Call back as Airflow does when a task has come to an end."""
    for callback in getattr(task, f"on_{kind}_callback"):
        callback({**run(task=task.task_id), "dag": task.dag, "task": task, **more})


def test_who_may_approve_is_told_what_it_is_about_and_where(
    made: Any, tasks: Tasks, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://localhost:8080/af")
    link = Foreign(
        heard, "{{ bitrix24.approval_url }} {{ bitrix24.report_url }} {{ bitrix24.counts.changes }}"
    )
    approve = tasks([Foreign(heard), link])["approve"]
    approve.plan = made
    with suppress(KeyError):  # asking needs a running Airflow
        approve.execute(run())
    for notifier in approve.notifiers:
        notifier({**run(), "dag": approve.dag, "task": approve})
    number = made["changes"]
    assert heard[0].startswith(
        f"approval: An approval is wanted: Change the contacts of {number} leads on 127.0.0.1:"
    )
    assert f"125 leads read, {number} changes planned" in heard[0]
    assert "An answer is awaited until " in heard[0]
    there = "http://localhost:8080/af/dags/cleans/runs/monday"
    assert heard[1] == (f"{there}/tasks/approve/required_actions {there}/plugin/bitrix24_report {number}")


def test_a_rejection_is_told_and_an_approval_is_not(made: Any, tasks: Tasks, heard: list[str]) -> None:
    for option, told in (
        ("Approve", []),
        ("Reject", ["rejected: The plan was rejected by Olga; nothing was written |  | "]),
    ):
        approve = tasks()["approve"]
        approve.plan = made
        with suppress(KeyError):
            approve.execute(run())
        with suppress(Exception):  # skipping what follows needs a running Airflow
            approve.execute_complete(run(), answer(option))
        heard.clear()
        callbacks(approve, "success")
        assert heard == told


def test_the_end_is_told_with_its_numbers_and_a_failure_with_its_reason(
    made: Any, tasks: Tasks, heard: list[str]
) -> None:
    check = tasks()["check"]
    check.plan = made
    with pytest.raises(Exception, match="changes have no outcome") as failed:
        check.execute(run(task="check"))
    callbacks(check, "failure", exception=failed.value)
    callbacks(check, "success")
    number = made["changes"]
    assert heard[0].startswith(
        f"failed: The task “Check and report” has failed | Outcomes of {number} leads: {number} open | "
        f"{number} of {number} changes have no outcome: clear the tasks"
    )
    assert (
        heard[1] == f"finished: Lead link clean-up: finished | Outcomes of {number} leads: {number} open | "
    )


def test_callbacks_of_a_dag_s_own_stay_and_each_failure_is_told_once(tasks: Tasks) -> None:
    def mine(context: Any) -> None:
        del context

    found = tasks(on_failure_callback=mine, on_success_callback=[mine])
    assert {name: len(task.on_failure_callback) for name, task in found.items() if name != "apply"} == {
        "plan": 2,
        "approve": 2,
        "canary": 1,
        "check": 2,
    }
    assert all(task.on_success_callback[0] is mine for name, task in found.items() if name != "apply")
    assert len(tasks(notify=())["check"].on_failure_callback) == 0


def test_a_notifier_that_fails_keeps_nobody_from_approving_and_others_are_told(
    tasks: Tasks, heard: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    check = tasks([Foreign(heard, "away"), Foreign(heard, "{{ nothing.of_it }}"), Foreign(heard, "told")])[
        "check"
    ]
    callbacks(check, "success")
    assert heard == ["told"]
    lines = [line for line in caplog.messages if line.startswith("Nobody is told by Foreign: ")]
    assert len(lines) == 2
    assert "abcdef123456" not in lines[0]


def test_airflow_s_own_notifiers_fit_in_and_anything_else_is_refused(tasks: Tasks, tmp_path: Path) -> None:
    mail = SmtpNotifier(to="sales@example.com", subject="{{ bitrix24.title }}", html_content="{{ bitrix24 }}")
    given = [mail, Bitrix24Notifier(users=[1])]
    assert tasks(given)["check"].on_success_callback[0].notifiers == given
    assert tasks(mail)["approve"].notifiers == [mail]
    for wrong in ("olga@example.com", [print], 7, tmp_path):
        with pytest.raises(InvalidInput, match=r"^notify: .* is not accepted; accepted: a notifier, such as"):
            tasks(wrong)
