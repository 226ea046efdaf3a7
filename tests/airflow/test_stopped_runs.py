"""SIGTERM, as Airflow's supervisor sends it after *Mark as failed*, *Clear* or a worker's shutdown."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_bitrix.operators.link_plans import Bitrix24ApplyLinkPlanOperator
from tests.airflow.sample_dags import CLEANUP, REAL, folder_of, outcomes
from tests.operators.stops import Writes

UNDER_WAY = 5 * 16
"""Leads that five requests release."""


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Airflow's task runner leaves its own handler behind."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_the_task_runner_s_sigterm_ends_writing_in_a_mapped_task_and_a_second_run_goes_on(
    run: Any, make_sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler of the task runner calls `on_kill` of the copy that works, in the middle of the work."""
    monkeypatch.setattr(Bitrix24ApplyLinkPlanOperator, "grace", 60.0)
    sandbox = make_sandbox(leads=2000, contacts=500, plan="self_hosted")
    released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    writes = sandbox.portal.writes = Writes(lambda: os.kill(os.getpid(), signal.SIGTERM), after=100)
    done, states = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **REAL)
    written = {write.owner_id for write in writes}
    assert (states["canary"], states["apply"]) == ("success", "failed")
    assert len(written) <= 51 + UNDER_WAY < len(released)
    assert outcomes(folder_of(done)) == dict.fromkeys(written, "applied")

    _, states = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **REAL)
    assert set(states.values()) == {"success"}
    assert {write.owner_id for write in writes} == set(released)
