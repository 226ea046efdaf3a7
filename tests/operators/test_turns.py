"""Two runs that write owners of one kind on one portal: one does, and the other waits or is refused."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_bitrix.core.errors import InvalidInput, PlanRefused, RetryLater
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.files.writers import Writer, only_writer, read_wait
from airflow_bitrix.operators.link_plans import Bitrix24ApplyLinkPlanOperator, Bitrix24CanaryLinkPlanOperator
from airflow_bitrix.operators.shared.turns import LONGEST, SHORTEST, Patience
from tests.operators.applies import make, sandbox

__all__ = ["sandbox"]

OTHER = Writer("my_own", "manual__1", "2026-11-21T10:00:00+00:00")
WRITES = r"run manual__1 of the DAG my_own has been writing leads on http://127\.0\.0\.1:\d+ since 2026-11-21"


@pytest.fixture
def made(sandbox: Any, tmp_path: Path) -> Any:
    made = make(sandbox, tmp_path, 5, run="run manual__1 of the DAG clean_up")
    sandbox.reset_stats()
    return made


def context(dag_id: str = "clean_up") -> Any:
    ti = SimpleNamespace(xcom_push=lambda **_: None)
    return {"dag": SimpleNamespace(dag_id=dag_id), "run_id": "manual__1", "ti": ti}


@contextmanager
def other_run(sandbox: Any, kind: OwnerKind = "lead") -> Iterator[None]:
    """Another run writes meanwhile."""
    folder = Path(os.environ["AIRFLOW__BITRIX24__ARTIFACTS_PATH"]) / "writing"
    with only_writer(folder, sandbox.base_url, kind, OTHER):
        yield


def applier(made: Any, **arguments: Any) -> Any:
    """By folder and hash, as tasks of several runs apply the plan here."""
    named = {"plan": made["plan"], "plan_hash": made["hash"], "needs_approval": False}
    return Bitrix24ApplyLinkPlanOperator(task_id="apply", **{**named, "is_dry_run": False, **arguments})


def test_an_apply_waits_for_another_run_holding_no_worker_slot_and_then_writes(
    sandbox: Any, made: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with other_run(sandbox):
        with pytest.raises(TaskDeferred) as deferred:
            applier(made).execute(context())
        told = read_wait(tmp_path, made["hash"])
        moment: Any = deferred.value.trigger.serialize()[1]["moment"]
        again: Any = deferred.value.kwargs
        with pytest.raises(TaskDeferred) as still:
            applier(made).execute_again(context(), moment, **again)
        assert still.value.kwargs == again  # it is still reckoned from the beginning
    assert sandbox.stats()["admitted"] == 0
    assert 0 < moment.timestamp() - time.time() <= SHORTEST
    assert told
    assert (told.writer, told.writes_since) == (OTHER.name, OTHER.since)
    waits = datetime.fromisoformat(told.until) - datetime.fromisoformat(told.since)
    assert waits == timedelta(hours=12)
    assert "run manual__1 of the DAG my_own has been writing leads on" in capsys.readouterr().out

    done = applier(made).execute_again(context(), moment, **again)
    assert done["counts"]["applied"] == 5
    assert read_wait(tmp_path, made["hash"]) is None


def test_two_runs_on_the_same_owners_write_each_of_them_once(sandbox: Any, tmp_path: Path) -> None:
    """Each of them would look before the other has written."""
    plans = [make(sandbox, tmp_path / name, 5) for name in ("one", "two")]
    sandbox.set_faults(slow=1.0, slow_seconds=0.2)
    with ThreadPoolExecutor(2) as both:
        runs = [both.submit(applier(plan).execute, context(plan["plan"])) for plan in plans]
    sandbox.clear_faults()
    ends = [type(run.exception()) for run in runs]
    assert sandbox.stats()["writes"] == 5
    assert sorted(ends, key=str) == [type(None), TaskDeferred]
    waited = plans[ends.index(TaskDeferred)]
    assert applier(waited).execute(context(waited["plan"]))["counts"]["already"] == 5
    assert sandbox.stats()["writes"] == 5


def test_waiting_has_an_end(sandbox: Any, made: Any, tmp_path: Path) -> None:
    with other_run(sandbox):
        with pytest.raises(TaskDeferred):
            applier(made, wait_for_turn="0.5").execute(context())
        refused = rf"^waited 0\.5 hours, and still {WRITES} .*\. Clear this task, and it waits again"
        with pytest.raises(PlanRefused, match=refused) as over:
            applier(made, wait_for_turn="0.5").execute_again(context(), waits_since=time.time() - 1800)
    assert isinstance(over.value, AirflowFailException)
    assert read_wait(tmp_path, made["hash"]) is None
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.parametrize("at_once", [0, "0", timedelta(0)])
def test_who_is_not_to_wait_is_refused_at_once_and_told_for_whom(
    at_once: Any, sandbox: Any, made: Any
) -> None:
    with other_run(sandbox), pytest.raises(PlanRefused, match=f"^{WRITES} .*not to wait for it") as refused:
        applier(made, wait_for_turn=at_once).execute(context())
    assert isinstance(refused.value, AirflowFailException)
    assert sandbox.stats()["admitted"] == 0


def test_without_a_triggerer_airflow_s_retries_wait(sandbox: Any, made: Any) -> None:
    with other_run(sandbox), pytest.raises(RetryLater, match=WRITES) as refused:
        applier(made, deferrable=False).execute(context())
    assert not isinstance(refused.value, AirflowFailException)


def test_a_dry_run_and_another_kind_of_owner_do_not_wait(sandbox: Any, made: Any) -> None:
    with other_run(sandbox):
        assert applier(made, is_dry_run=True).execute(context())["counts"]["skipped"] == 5
    with other_run(sandbox, "deal"):
        assert applier(made).execute(context())["counts"]["applied"] == 5


def test_where_the_lock_cannot_lie_among_the_artifacts_the_log_says_that_other_hosts_do_not_see_it(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As where another user of the workers' hosts has made its folder."""
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "writing").touch()
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", str(tmp_path / "artifacts"))
    applier(made).execute(context())
    told = [one.getMessage() for one in caplog.records if "writes on another host" in one.getMessage()]
    assert len(told) == 1
    assert "File exists" in told[0]


def test_another_task_of_the_same_run_does_not_wait(sandbox: Any, made: Any) -> None:
    with other_run(sandbox):
        assert applier(made).execute(context(OTHER.dag_id))["counts"]["applied"] == 5


@pytest.mark.parametrize("first", [0, 3])
def test_the_canary_waits_for_all_that_come_behind_it(first: int, sandbox: Any, made: Any) -> None:
    """Else each of a hundred mapped tasks would."""
    canary: dict[str, Any] = {
        "task_id": "canary",
        "plan": made,
        "artifacts_path": str(Path(made["plan"]).parent),
        "first": first,
        "is_dry_run": False,
        "needs_approval": False,
    }
    with other_run(sandbox), pytest.raises(TaskDeferred):
        Bitrix24CanaryLinkPlanOperator(**canary).execute(context())
    assert sandbox.stats()["admitted"] == 0
    assert Bitrix24CanaryLinkPlanOperator(**canary).execute(context()) == [[0]]
    assert sandbox.stats()["writes"] == first


def test_how_long_to_wait_is_a_number_of_hours_or_refused(sandbox: Any, made: Any) -> None:
    refused = r"^wait_for_turn: '' is not accepted; accepted: a number of hours, 0 or above, or a timedelta"
    with pytest.raises(InvalidInput, match=refused):
        applier(made, wait_for_turn="").execute(context())
    assert sandbox.stats()["admitted"] == 0


def test_looks_come_further_apart_the_longer_it_takes_and_never_after_the_end() -> None:
    patience = Patience(timedelta(hours=2), 0.0)
    assert patience.next_look(0) == SHORTEST
    assert patience.next_look(1000) == 1100
    assert patience.next_look(7000) == 7200 < 7000 + LONGEST
    assert Patience(timedelta(days=2), 0.0).next_look(90_000) == 90_000 + LONGEST
