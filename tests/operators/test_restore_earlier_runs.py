"""Restoring runs of plans that were made again: one by one, the newest first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.links import LinkSet
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.plans import read_manifest
from tests.operators import restores
from tests.operators.restores import (
    Rows,
    apply,
    changes_of,
    exact,
    linked,
    plan_of,
    remove_dangling,
    restore,
    rows_of,
)

sandbox = restores.sandbox


def with_deleted_contacts(sandbox: Any, count: int) -> set[int]:
    return {linked(sandbox, "lead", (1, 10, True), (9000 + number, 20, False)) for number in range(count)}


def all_rows(sandbox: Any) -> dict[str, Rows]:
    return {owner_id: rows_of(owner) for owner_id, owner in sandbox.links("lead").items()}


def test_a_run_that_was_cleared_and_made_again_can_be_taken_back_whole(
    sandbox: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same folder, and another plan: the newest run first, then the one before it."""
    apply(tmp_path / "seeded", remove_dangling(tmp_path / "seeded"))
    first_leads = with_deleted_contacts(sandbox, 5)
    before = all_rows(sandbox)
    apply(tmp_path, remove_dangling(tmp_path))
    second_leads = with_deleted_contacts(sandbox, 2)
    before = {**all_rows(sandbox), **before}
    apply(tmp_path, remove_dangling(tmp_path))

    newest = restore(tmp_path, journal=str(tmp_path), link_missing=True)
    assert set(changes_of(newest)) == second_leads
    assert newest["earlier"] == [str(place) for place in tmp_path.glob("earlier-*")]
    assert (
        f"Not taken back by this plan, as it is an earlier run: {newest['earlier'][0]}"
        in capsys.readouterr().out
    )
    apply(tmp_path / "restore", newest)

    (place,) = newest["earlier"]
    earlier = restore(tmp_path / "again", journal=place, link_missing=True)
    assert set(changes_of(earlier)) == first_leads
    assert earlier["earlier"] == []
    apply(tmp_path / "again" / "restore", earlier)
    assert all_rows(sandbox) == before


@pytest.mark.usefixtures("sandbox")
def test_where_only_earlier_runs_wrote_they_are_named(tmp_path: Path) -> None:
    done = apply(tmp_path, remove_dangling(tmp_path))
    remove_dangling(tmp_path)  # made again, and not applied
    (earlier,) = tmp_path.glob("earlier-*")
    for journal in (str(tmp_path), done):
        with pytest.raises(
            PlanRefused,
            match=f"^there is nothing to take back: the plan in .* is empty, .*one by one: {earlier}$",
        ):
            restore(tmp_path, journal=journal)
    taken_back = restore(tmp_path, journal=str(earlier), link_missing=True)
    assert taken_back["changes"] == done["counts"]["applied"] > 0


def test_several_earlier_runs_are_named_the_newest_first(tmp_path: Path, sandbox: Any) -> None:
    for number, created in enumerate(["2026-11-20", "2026-11-22", "2026-11-21", "2026-11-23"]):
        before = exact(sandbox, "lead", linked(sandbox, "lead", (1, 10, True), (2, 20, False)))
        wanted = LinkSet(before.owner, before.links[:1])
        made = plan_of(tmp_path, sandbox, "lead", [Change(before, wanted, (str(number),))], created=created)
        apply(tmp_path, made)
    earlier = restore(tmp_path, journal=str(tmp_path))["earlier"]
    plans = [read_manifest(Path(run) / "plan").created for run in earlier]
    assert plans == ["2026-11-22", "2026-11-21", "2026-11-20"]
