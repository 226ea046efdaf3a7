"""Restoring what was restored already: who did what is known, and said in the report of both runs."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.files.approvals import Answer, Approval, write_approval
from airflow_bitrix.files.plans import read_manifest
from airflow_bitrix.files.taken_back import NOTES, read_taken_back
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24CheckLinkPlanOperator,
    Bitrix24PlanLinkCleanupOperator,
    Bitrix24PlanLinkRestoreOperator,
)
from airflow_bitrix.sandbox.links import Link
from tests.operators import restores
from tests.operators.restores import apply, clean_up, remove_dangling, restore

sandbox = restores.sandbox


def context(dag: str, run: str) -> Any:
    ti = SimpleNamespace(task_id="plan", map_index=-1)
    return {"dag": SimpleNamespace(dag_id=dag), "run_id": run, "ti": ti}


def restored(folder: Path, run: str, cleaned: Path, *, is_dry_run: bool = False) -> Any:
    """Take a run back as a DAG run does: plan, apply, check."""
    told, within = context("restores", run), str(folder)
    made = Bitrix24PlanLinkRestoreOperator(
        task_id="plan", journal=str(cleaned), artifacts_path=within
    ).execute(told)
    applied = {"plan": made, "is_dry_run": is_dry_run, "needs_approval": False}
    Bitrix24ApplyLinkPlanOperator(task_id="apply", **applied).execute(told)
    Bitrix24CheckLinkPlanOperator(task_id="check", plan=made, is_dry_run=is_dry_run).execute(told)
    return made


def left_out_of(made: Any) -> list[dict[str, str]]:
    with (Path(made["plan"]) / "left_out.csv").open(newline="") as rows:
        return list(csv.DictReader(rows))


def test_a_second_restore_knows_what_the_first_one_did_and_both_runs_tell_so(
    sandbox: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cleaned = tmp_path / "cleaned"
    made = Bitrix24PlanLinkCleanupOperator(
        task_id="plan", rules=["release_repeat_leads"], artifacts_path=str(cleaned)
    ).execute(context("cleans", "one"))
    apply(cleaned, made)
    wiped = made["changes"]

    dry = restored(tmp_path / "dry", "zero", cleaned, is_dry_run=True)
    assert not list(cleaned.glob(NOTES))  # a dry run takes nothing back

    first = restored(tmp_path / "first", "one", cleaned)
    assert first["changes"] == dry["changes"]
    assert (
        "Takes back run one of the DAG cleans, planned "
        in (tmp_path / "first" / "plan" / "summary.md").read_text()
    )
    page = (tmp_path / "first" / "report.html").read_text()
    assert re.search(rf"Takes back run one of the DAG cleans, planned .* UTC: {cleaned}\.", page)
    (note,) = read_taken_back(cleaned, made["hash"])
    assert (note.by, note.counts["applied"]) == ("run one of the DAG restores", first["changes"])

    stranger = int(next(iter(left_for_a_stranger(sandbox, made))))
    sandbox.state.write_links("lead", stranger, (Link(10, 299, primary=True),))
    capsys.readouterr()
    second = restored(tmp_path / "second", "two", cleaned)
    assert "Taken back by run one of the DAG restores" in capsys.readouterr().out
    assert second["changes"] == 0
    rows = left_out_of(second)
    whys = Counter(row["why"] for row in rows)
    assert whys["changed since"] == 1
    assert {row["owner_id"] for row in rows if row["why"] == "changed since"} == {str(stranger)}
    assert whys["brought back already, as far as can be"] > 10
    assert sum(whys.values()) == wiped
    for row in rows:
        if row["why"] == "brought back already, as far as can be":
            assert "(run one of the DAG restores); " in row["reason"]
            assert re.search("no longer exists|primary was |its card showed ", row["reason"])
    assert [one.by for one in read_taken_back(cleaned, made["hash"])] == ["run one of the DAG restores"]

    again = Bitrix24CheckLinkPlanOperator(task_id="check", plan=made, is_dry_run=False, max_failed=None)
    again.execute(context("cleans", "one"))
    assert "Taken back by run one of the DAG restores" in (cleaned / "report.html").read_text()


def left_for_a_stranger(sandbox: Any, made: Any) -> list[str]:
    part = Path(made["plan"]) / "part-00000.jsonl"
    leads = [str(json.loads(line)["owner"]) for line in part.read_text().splitlines()]
    return [lead for lead in leads if len(sandbox.links("lead")[lead]["links"]) == 2]


@pytest.mark.usefixtures("sandbox")
def test_a_restore_goes_on_where_the_run_that_it_takes_back_takes_no_note(tmp_path: Path) -> None:
    done = clean_up(tmp_path)
    made = restore(tmp_path, journal=done)
    manifest = read_manifest(Path(made["plan"]))
    note = tmp_path / NOTES.replace("*", manifest.hash[:12])
    note.mkdir()
    assert apply(tmp_path / "restore", made)["counts"]["applied"] == made["changes"] > 0
    cleaned = read_manifest(tmp_path / "plan").hash
    assert read_taken_back(tmp_path, cleaned) == []
    note.rmdir()
    apply(tmp_path / "restore", made)  # alone, with no check behind it
    (told,) = read_taken_back(tmp_path, cleaned)
    assert (told.by, told.counts["applied"]) == ("", made["changes"])


def test_a_run_that_wrote_nothing_is_told_as_that(sandbox: Any, tmp_path: Path) -> None:
    run = tmp_path / "dag" / "run" / "plan"
    made = remove_dangling(run)
    sandbox.reset_stats()
    at = "2026-11-21T10:00:00+00:00"
    answers: list[tuple[Answer, str]] = [
        (
            "rejected",
            "the plan in .* was rejected by Olga, 2026-11-21 10:00 UTC, and nothing was written; the",
        ),
        (
            "unanswered",
            "nobody approved the plan in .* until 2026-11-21 10:00 UTC, and nothing was written; the",
        ),
        ("approved", "the plan in .* was not applied, and nothing was written; the tab"),
    ]
    for answer, said in answers:
        write_approval(run, Approval(made["hash"], answer, at, "Olga"))
        for given in (run, run / "journal", run.parent):
            with pytest.raises(PlanRefused, match=f"^there is nothing to take back: {said}"):
                restore(tmp_path, journal=str(given))
    assert sandbox.stats()["admitted"] == 0
    apply(run, made, is_dry_run=True)
    for given in (run, run / "journal"):
        with pytest.raises(PlanRefused, match=r"back: the run in .*/plan was a dry run and wrote nothing"):
            restore(tmp_path, journal=str(given))
    assert sandbox.stats()["writes"] == 0


@pytest.mark.usefixtures("sandbox")
def test_the_note_lies_with_the_plan_that_was_taken_back_though_it_was_moved_aside_meanwhile(
    tmp_path: Path,
) -> None:
    cleaned, within = tmp_path / "cleaned", str(tmp_path / "back")
    wiped = read_manifest(Path(clean_up(cleaned)["plan"])).hash
    back = restore(tmp_path / "back", journal=str(cleaned))
    remove_dangling(cleaned)
    Bitrix24ApplyLinkPlanOperator(
        task_id="apply", plan=back, is_dry_run=False, needs_approval=False, artifacts_path=within
    ).execute({})
    (aside,) = cleaned.glob("earlier-*")
    assert [note.restore for note in read_taken_back(aside, wiped)] == [back["hash"]]
    assert not list(cleaned.glob(NOTES))
