"""What the tab reads of a file of differences: all of it once, however often its page is asked for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from airflow_bitrix.plugins.differences import SHOWN, found_in

MANY = 50_000


@pytest.mark.attack
def test_looking_at_the_differences_again_costs_next_to_nothing(tmp_path: Path) -> None:
    rows = (f"missing,lead,{number},1\n" for number in range(MANY))
    (tmp_path / "reconcile.csv").write_text("difference,kind,source_owner,target_owner\n" + "".join(rows))

    def cost() -> float:
        began = time.process_time()
        found = found_in(tmp_path)
        assert found
        assert (found.total, len(found.rows)) == (MANY, SHOWN)
        return time.process_time() - began

    first = cost()
    assert min(cost() for _ in range(5)) < first / 10


def test_differences_that_were_written_again_are_read_again(tmp_path: Path) -> None:
    for number in (1, 2):
        path = tmp_path / "reconcile.csv.new"
        path.write_text("difference,kind\n" + "missing,lead\n" * number)
        Path(path).replace(tmp_path / "reconcile.csv")
        found = found_in(tmp_path)
        assert found
        assert found.total == number
