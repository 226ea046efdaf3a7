"""Workers of several hosts whose tokens expire all the time, one of them killed while it asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.oauth_race import Race, run


@pytest.mark.slow
def test_one_renewal_for_each_expiry_and_no_call_lost(tmp_path: Path) -> None:
    race = run(Race("redis", hosts=3, workers=1, life=1.5, seconds=5, kill_each=3), tmp_path, starting=3)
    assert race.failed == []
    assert race.killed >= 1
    assert race.calls >= 10
    assert race.refused == 0
    assert 2 <= race.renewals <= race.expiries + 1
