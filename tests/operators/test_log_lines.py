"""What operators log: sentences for a person, and none about nothing."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_bitrix.core.errors import InvalidInput, PlanRefused, Rejected
from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook
from airflow_bitrix.operators.contact_links import Bitrix24LeadContactItemsGetOperator
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24ApproveLinkPlanOperator,
    Bitrix24CheckLinkPlanOperator,
)

Logged = Callable[[], list[str]]


@pytest.fixture
def sandbox(make_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A portal behind the connection, on which nobody else works."""
    sandbox = make_sandbox(leads=60, contacts=50, plan="self_hosted")
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


def test_a_task_that_fails_says_why_in_a_line_of_its_own(tmp_path: Path, logged: Logged) -> None:
    """Once, though errors pass several of our layers; the traceback comes behind it."""
    apply = Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=str(tmp_path), plan_hash="abc")
    with pytest.raises(PlanRefused):
        apply.execute({})
    assert logged() == [f"error: there is no plan in {tmp_path}"]


def test_an_approval_that_fails_says_why(tmp_path: Path, logged: Logged) -> None:
    given = {"plan": str(tmp_path), "hash": "abc", "parts": []}
    with pytest.raises(PlanRefused):
        Bitrix24ApproveLinkPlanOperator(task_id="approve", plan=given).execute({})
    assert logged() == [f"error: there is no plan in {tmp_path}"]


def test_a_task_that_is_skipped_logs_no_error(logged: Logged) -> None:
    rejected = {"approval": {"answer": "rejected"}}
    with pytest.raises(AirflowSkipException):
        Bitrix24CheckLinkPlanOperator(task_id="check", plan=rejected).execute({})
    assert logged() == []


@pytest.mark.usefixtures("sandbox")
def test_an_error_that_a_caller_catches_is_not_logged(logged: Logged) -> None:
    with pytest.raises(Rejected):
        Bitrix24Hook().call("crm.lead.get", {"id": 999_999})
    assert not [line for line in logged() if line.startswith("error")]


def test_an_error_has_the_name_that_the_documentation_gives_it() -> None:
    """Airflow shows the name of the class ahead of the sentence."""
    with pytest.raises(InvalidInput) as caught:
        Bitrix24LeadContactItemsGetOperator(task_id="get", owner_id=0).execute({})
    assert isinstance(caught.value, AirflowFailException)
    assert type(caught.value).__name__ == "InvalidInput"
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 (our own error)
    assert (type(again), str(again)) == (type(caught.value), str(caught.value))
