"""Operators while the portal lets a method rest: deferred until the right moment, and then they go on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from airflow_bitrix.client import flow
from airflow_bitrix.core.errors import InvalidInput, RetryLater
from airflow_bitrix.operators.contact_links import (
    Bitrix24LeadContactItemsGetOperator,
    Bitrix24MethodOperator,
)
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24PlanLinkCleanupOperator,
)
from airflow_bitrix.operators.shared.base import MOST_DEFERRALS
from airflow_bitrix.sandbox.clock import Clock

NOON = 1_772_366_400
CODE = "abcdef123456"
SAVE, LOOK, GET = "crm.lead.update", "crm.item.list", "crm.lead.contact.items.get"


@dataclass
class Hands:
    """A clock for portal and operators, moved by their waits and by the tests."""

    now: float = NOON

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def sandbox(make_sandbox: Any, hands: Hands, monkeypatch: pytest.MonkeyPatch) -> Any:
    clock = Clock(monotonic=lambda: hands.now, time=lambda: hands.now)
    sandbox = make_sandbox(leads=400, contacts=300, plan="enterprise", code=CODE, clock=clock)
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


def on(hands: Hands, operator: Any) -> Any:
    """Give an operator the portal's clock."""
    operator.hook.clock = flow.Clock(now=lambda: hands.now, sleep_async=hands.sleep)
    return operator


def planner(hands: Hands, folder: Path, **arguments: Any) -> Any:
    fields: dict[str, Any] = {"rules": ["release_repeat_leads"], "artifacts_path": str(folder), **arguments}
    return on(hands, Bitrix24PlanLinkCleanupOperator(task_id="plan", **fields))


def applier(hands: Hands, folder: Path, made: Any, **arguments: Any) -> Any:
    fields = {
        "plan": made,
        "is_dry_run": False,
        "needs_approval": False,
        "artifacts_path": str(folder),
        **arguments,
    }
    return on(hands, Bitrix24ApplyLinkPlanOperator(task_id="apply", **fields))


def moment_of(deferred: TaskDeferred) -> float:
    """The moment until which a task is deferred, after a look at all that is stored with it."""
    trigger = deferred.trigger
    assert type(trigger) is DateTimeTrigger
    path, stored = trigger.serialize()
    assert path == "airflow.providers.standard.triggers.temporal.DateTimeTrigger"
    assert stored.keys() == {"moment", "end_from_trigger"}
    assert stored["end_from_trigger"] is False
    assert deferred.method_name == "execute_again"
    assert (deferred.kwargs or {}).keys() == {"deferrals"}
    assert CODE not in repr((stored, deferred.kwargs))
    moment: datetime = stored["moment"]
    assert moment.utcoffset() == UTC.utcoffset(None)
    return moment.timestamp()


def test_a_method_operator_is_deferred_until_its_method_may_be_called_again(
    sandbox: Any, hands: Hands
) -> None:
    sandbox.set_switches(operating_seconds={GET: 500})
    operator = on(hands, Bitrix24LeadContactItemsGetOperator(task_id="it", owner_id=5))
    first = operator.execute({})
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({})
    assert moment_of(deferred.value) == NOON + 601
    assert sandbox.stats()["refused_429"] == 0
    hands.now = NOON + 601
    event = datetime.fromtimestamp(hands.now, UTC)
    assert operator.execute_again({}, event=event, **(deferred.value.kwargs or {})) == first


def test_a_refusal_defers_also_where_the_portal_has_not_told_until_when(sandbox: Any, hands: Hands) -> None:
    sandbox.set_switches(operating_seconds={GET: 500}, operating_limit=480)
    on(hands, Bitrix24LeadContactItemsGetOperator(task_id="it", owner_id=5)).execute({})
    other = on(hands, Bitrix24LeadContactItemsGetOperator(task_id="it", owner_id=5))
    other.hook.retries = type(other.hook.retries)(times=0)
    with pytest.raises(TaskDeferred) as deferred:
        other.execute({})
    assert moment_of(deferred.value) == NOON + 61


def test_an_operator_that_is_not_to_defer_leaves_it_to_airflow_s_retries(sandbox: Any, hands: Hands) -> None:
    sandbox.set_switches(operating_seconds={"profile": 500})
    operator = on(hands, Bitrix24MethodOperator(task_id="it", api_method="profile", deferrable=False))
    operator.execute({})
    with pytest.raises(RetryLater) as raised:
        operator.execute({})
    assert raised.value.until == NOON + 601


def test_an_operator_that_gets_nowhere_does_not_defer_for_ever(sandbox: Any, hands: Hands) -> None:
    sandbox.set_switches(operating_seconds={"profile": 500})
    operator = on(hands, Bitrix24MethodOperator(task_id="it", api_method="profile"))
    operator.execute({})
    with pytest.raises(TaskDeferred):
        operator.execute_again({}, deferrals=MOST_DEFERRALS - 1)
    with pytest.raises(RetryLater):
        operator.execute_again({}, deferrals=MOST_DEFERRALS)


def test_other_errors_do_not_defer(sandbox: Any, hands: Hands) -> None:
    sandbox.set_faults(html=1.0)
    operator = on(hands, Bitrix24MethodOperator(task_id="it", api_method="profile"))
    operator.hook.retries = type(operator.hook.retries)(times=0)
    with pytest.raises(RetryLater, match="HTTP status 502"):
        operator.execute({})


@pytest.mark.parametrize("billing", ["inner", "envelope"])
@pytest.mark.parametrize("limit", [100, 480], ids=["the portal's refusal", "our limit"])
def test_an_apply_goes_on_after_each_rest_until_all_is_applied(
    billing: str, limit: float, sandbox: Any, hands: Hands, tmp_path: Path
) -> None:
    made = planner(hands, tmp_path).execute({})
    sandbox.set_switches(operating_seconds={SAVE: 12}, operating_limit=limit, batch_billing=billing)
    deferrals: list[float] = []
    kwargs: dict[str, Any] | None = None
    for _ in range(60):
        operator = applier(hands, tmp_path, made)  # each time on another worker
        try:
            done = operator.execute({}) if kwargs is None else operator.execute_again({}, None, **kwargs)
            break
        except TaskDeferred as deferred:
            deferrals.append(moment_of(deferred) - hands.now)
            hands.now = moment_of(deferred)
            kwargs = deferred.kwargs
            assert kwargs == {"deferrals": 1}, "it got on each time"
            assert "Not finished" in (tmp_path / "report.html").read_text()
    assert deferrals
    assert all(30 < seconds <= 601 for seconds in deferrals)
    assert done["counts"] == {
        "applied": made["changes"],
        "already": 0,
        "drift": 0,
        "failed": 0,
        "skipped": 0,
    }
    leads = sandbox.links("lead")
    for lead in sandbox.truth()["expected"]["release_repeat_leads"]["released"]:
        assert (leads[str(lead)]["links"], leads[str(lead)]["is_return_customer"]) == ([], "N")


def test_a_plan_defers_once_and_then_waits_on_its_worker_so_that_it_comes_to_its_end(
    sandbox: Any, hands: Hands, tmp_path: Path
) -> None:
    """A scan begins anew after each deferral: the budget of ten minutes may never hold all of it."""
    made = planner(hands, tmp_path / "one").execute({})
    sandbox.set_switches(operating_seconds={LOOK: 30}, operating_limit=100)
    with pytest.raises(TaskDeferred) as deferred:
        planner(hands, tmp_path / "two").execute({})
    hands.now = moment_of(deferred.value)
    again = planner(hands, tmp_path / "two")
    assert again.execute_again({}, None, **(deferred.value.kwargs or {}))["changes"] == made["changes"]
    assert not (tmp_path / "two" / "plan" / "part-00001.jsonl").exists()


def test_a_dry_run_waits_on_its_worker_after_the_first_deferral(
    sandbox: Any, hands: Hands, tmp_path: Path
) -> None:
    made = planner(hands, tmp_path).execute({})
    sandbox.set_switches(operating_seconds={LOOK: 60}, operating_limit=100)
    with pytest.raises(TaskDeferred) as deferred:
        applier(hands, tmp_path, made, is_dry_run=True).execute({})
    hands.now = moment_of(deferred.value)
    again = applier(hands, tmp_path, made, is_dry_run=True)
    done = again.execute_again({}, None, **(deferred.value.kwargs or {}))
    assert done["counts"]["skipped"] == made["changes"]


@pytest.mark.parametrize("value", ["5", "7.5"])
def test_how_long_a_task_waits_on_its_worker_is_a_setting(
    value: str, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    del sandbox
    monkeypatch.setenv("AIRFLOW__BITRIX24__MAX_WAIT", value)
    monkeypatch.setenv("AIRFLOW__BITRIX24__OPERATING_LIMIT", "300")
    for operator in (
        Bitrix24MethodOperator(task_id="it", api_method="profile"),
        Bitrix24PlanLinkCleanupOperator(task_id="it", rules=["fix_primary"]),
    ):
        assert operator.hook.patience.max_wait == float(value)
        assert operator.hook.patience.operating_limit == 300


@pytest.mark.parametrize("setting", ["max_wait", "operating_limit"])
def test_a_setting_that_is_no_number_of_seconds_is_refused_by_name(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("soon", "-1", "inf"):
        monkeypatch.setenv(f"AIRFLOW__BITRIX24__{setting.upper()}", value)
        with pytest.raises(
            InvalidInput, match=rf"^\[bitrix24\] {setting}: '{value}' is not accepted"
        ) as refused:
            Bitrix24MethodOperator(task_id="it", api_method="profile").execute({})
        assert isinstance(refused.value, AirflowFailException)
