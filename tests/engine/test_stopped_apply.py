"""An apply that is told to stop while its requests wait for the portal's bucket."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_bitrix.client.allowance import MemoryAllowance
from airflow_bitrix.client.flow import Clock, Manners
from airflow_bitrix.client.pacing import Bucket
from airflow_bitrix.client.stopping import Stop, ToldToStopError
from tests.engine.conftest import Applied, Planned
from tests.engine.notes import Notes


def test_a_write_that_waits_for_the_bucket_does_not_leave_any_more(
    make_sandbox: Any, planned: Planned, applied: Applied
) -> None:
    """It was no request under way yet; those that were are accounted for."""
    sandbox = make_sandbox(leads=1500, contacts=300, plan="self_hosted")
    changes = planned(sandbox)
    sandbox.reset_stats()
    stop, notes, now = Stop(grace=60.0), Notes(), [0.0]

    async def told(seconds: float) -> None:
        stop.tell()
        now[0] += seconds

    # It admits a look, a read of exact links and two writes; the three others of five lanes wait.
    allowance = MemoryAllowance(Bucket(rate=2, burst=4), clock=lambda: now[0])
    manners = Manners(allowance, clock=Clock(sleep_async=told), stop=stop)

    def gate() -> Exception | None:
        return ToldToStopError() if stop.told else None

    with pytest.raises(ToldToStopError):
        applied(sandbox, changes, manners=manners, notes=notes, gate=gate)
    assert sandbox.stats()["methods"] == {"batch": 4}
    written = {write.owner_id for write in sandbox.portal.writes}
    assert len(written) == 2 * 16 < len(notes.begun) < len(changes)
    assert notes.by_name() == {"applied": sorted(written)}
