"""A retry goes on where the last one ended: what is settled costs hardly a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.runs import LATELY
from airflow_bitrix.operators.link_plans import Bitrix24ApplyLinkPlanOperator
from airflow_bitrix.sandbox.links import Link
from tests.operators import applies
from tests.operators.applies import apply, counts, links, make
from tests.operators.stops import Writes

sandbox = applies.sandbox

LEADS, LIVES = 1200, 6


def trade_places(lead: int) -> Change:
    """The second contact comes first: sorts and flags count, which a look at many owners does not show."""
    before = links(lead, (1, 10, True), (2, 20, False))
    return Change(before, links(lead, (2, 10, True), (1, 20, False)), ("wanted",), ("made_up",))


def live(sandbox: Any, made: Any, writes: int) -> tuple[int, int]:
    """One life of an apply, which is told to stop after so many writes; its requests, and its writes."""
    task = Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=made, is_dry_run=False, needs_approval=False)
    sandbox.reset_stats()
    sandbox.portal.writes = Writes(task.on_kill, after=writes)
    with pytest.raises(RetryLater, match="told to stop"):
        task.execute({})
    stats = sandbox.stats()
    return stats["admitted"], stats["writes"]


def grow_old(folder: Path) -> None:
    """Let the journal be one of another day."""
    for path in (folder / "journal").glob("part-*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        aged = [{**line, "at": line["at"] - LATELY} if "at" in line else line for line in lines]
        path.write_text("".join(json.dumps(line) + "\n" for line in aged))


@pytest.mark.parametrize("old", [False, True], ids=["young", "old"])
def test_each_life_of_an_apply_takes_the_requests_of_its_own_writes(
    sandbox: Any, tmp_path: Path, record_property: Any, *, old: bool
) -> None:
    """One holds 16 changes or so. Before them one looks at the plan, and two read the first links exactly."""
    made = make(sandbox, tmp_path, LEADS, trade_places)
    spent = []
    for _ in range(LIVES - 1):
        requests, writes = live(sandbox, made, LEADS // LIVES - 5 * 16)
        spent.append((requests, writes))
        assert requests <= 1 + 2 + writes / 14
        if old:
            grow_old(tmp_path)
    sandbox.reset_stats()
    assert counts(apply(made)) == {"applied": LEADS}
    stats = sandbox.stats()
    spent.append((stats["admitted"], stats["writes"]))
    record_property("requests and writes of each life", spent)
    assert stats["admitted"] <= 1 + 2 + stats["writes"] / 14 + 5
    assert sum(writes for _, writes in spent) == LEADS


def test_what_was_settled_before_and_changed_since_is_drift(sandbox: Any, tmp_path: Path) -> None:
    """A retry soon after looks at it no more; one later does, and so does any run behind one that ended."""
    made = make(sandbox, tmp_path, 200, trade_places)
    live(sandbox, made, 20)
    done = [
        line["owner"]
        for line in map(json.loads, (tmp_path / "journal" / "part-00000.jsonl").read_text().splitlines())
        if "owner" in line
    ]
    with sandbox.portal.lock:
        for lead in done[:3]:
            sandbox.state.place_links("lead", lead, (Link(10, 3, primary=True),))
    live(sandbox, made, 20)
    assert "drift" not in (tmp_path / "journal" / "part-00000.jsonl").read_text()
    grow_old(tmp_path)
    assert counts(apply(made)) == {"applied": 197, "drift": 3}
    assert sandbox.links("lead")[str(done[0])]["links"] == [[3, 10, "Y", 0]]


def test_a_run_behind_one_that_ended_looks_at_all(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 60, trade_places)
    assert counts(apply(made)) == {"applied": 60}
    with sandbox.portal.lock:
        sandbox.state.place_links("lead", 7, (Link(10, 3, primary=True),))
    sandbox.reset_stats()
    assert counts(apply(made)) == {"applied": 59, "drift": 1}
    assert sandbox.stats()["admitted"] == 1
