"""The progress of an export, its waits, and what becomes of them where Airflow fails to keep them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_bitrix.client import flow
from airflow_bitrix.operators.link_snapshots import Bitrix24ExportContactLinksOperator
from airflow_bitrix.operators.shared.artifacts import progress_teller
from airflow_bitrix.sandbox.clock import Clock

NOON = 1_772_366_400


@dataclass
class Hands:
    """A clock for portal and operator, moved by its waits."""

    now: float = NOON

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class Store:
    """Keeps what is set, or fails as an API server that is away."""

    def __init__(self, error: Exception | None = None) -> None:
        self.told: list[dict[str, Any]] = []
        self.error = error

    def set(self, key: str, value: Any) -> None:
        assert key == "progress"
        if self.error:
            raise self.error
        self.told.append(value)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def sandbox(make_sandbox: Any, hands: Hands, monkeypatch: pytest.MonkeyPatch) -> Any:
    clock = Clock(monotonic=lambda: hands.now, time=lambda: hands.now)
    sandbox = make_sandbox(leads=9000, contacts=100, plan="enterprise", clock=clock)
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


def exporter(hands: Hands, folder: Path) -> Bitrix24ExportContactLinksOperator:
    operator = Bitrix24ExportContactLinksOperator(task_id="export", artifacts_path=str(folder))
    operator.hook.clock = flow.Clock(now=lambda: hands.now, sleep_async=hands.sleep)
    return operator


@pytest.mark.usefixtures("sandbox")
def test_an_export_tells_how_many_owners_there_are(hands: Hands, tmp_path: Path) -> None:
    store = Store()
    context: Any = {"task_state_store": store}
    exporter(hands, tmp_path).execute(context)
    assert (store.told[-1]["done"], store.told[-1]["total"]) == (9000, 9000)


@pytest.mark.usefixtures("sandbox")
def test_progress_that_cannot_be_kept_is_told_once_and_fails_nothing(
    hands: Hands, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context: Any = {"task_state_store": Store(RuntimeError("API server 503"))}
    assert exporter(hands, tmp_path).execute(context)["owners"] == 9000
    tell = progress_teller(context)
    assert tell is not None
    caplog.clear()
    for _ in range(3):
        tell({"done": 1})
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "API server 503" in caplog.text


def test_an_export_is_deferred_once_and_then_waits_on_its_worker(
    sandbox: Any, hands: Hands, tmp_path: Path
) -> None:
    """A scan begins anew after a deferral, so to defer again and again would never come to an end."""
    sandbox.set_switches(operating_seconds={"crm.item.list": 9})
    with pytest.raises(TaskDeferred) as deferred:
        exporter(hands, tmp_path).execute({})
    hands.now = deferred.value.trigger.moment.timestamp()
    began = hands.now
    try:
        made = exporter(hands, tmp_path).execute_again({}, **(deferred.value.kwargs or {}))
    except TaskDeferred:
        pytest.fail("it was deferred again")
    assert made["owners"] == 9000
    assert hands.now - began > 300
