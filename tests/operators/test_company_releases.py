"""Leads that a company holds, released without it by real tasks, and given back as they were."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.files.journal_lines import journal_lines
from airflow_bitrix.files.plans import read_manifest
from airflow_bitrix.operators.link_plans import Bitrix24CheckLinkPlanOperator, Bitrix24PlanLinkRestoreOperator
from airflow_bitrix.report.approval import plan_markdown
from tests.operators.releases import apply, plan, sandbox  # noqa: F401 (a fixture)

UNLINK = {"release_repeat_leads": {"company": "unlink"}}


def check(made: Any, **arguments: Any) -> Any:
    fields = {"plan": made, "is_dry_run": False, "max_failed": None, **arguments}
    return Bitrix24CheckLinkPlanOperator(task_id="check", **fields).execute({})


def restore(folder: Path, journal: Any, **arguments: Any) -> Any:
    fields = {"journal": journal, "artifacts_path": str(folder), **arguments}
    return Bitrix24PlanLinkRestoreOperator(task_id="restore", **fields).execute({})


def left_out(made: Any) -> dict[int, dict[str, str]]:
    with (Path(made["plan"]) / "left_out.csv").open(newline="") as rows:
        return {int(row["owner_id"]): row for row in csv.DictReader(rows)}


def bare(leads: dict[str, Any]) -> dict[str, Any]:
    """What a restore brings back of leads: all but when they were saved, and roles."""
    return {
        lead: (one["company_id"], one["is_return_customer"], [link[:3] for link in one["links"]])
        for lead, one in leads.items()
    }


@pytest.fixture
def held(sandbox: Any) -> list[int]:  # noqa: F811
    """The leads that a company holds; each company is there."""
    companies = sandbox.state.tables["company"]
    largest = max(lead["company_id"] for lead in sandbox.links("lead").values())
    while companies.next_id <= largest:
        sandbox.state.add("company", {"TITLE": "Held"})
    ids: list[int] = sandbox.truth()["expected"]["release_repeat_leads"]["held_by_company"]
    return ids


def test_they_are_released_reported_and_given_back(
    sandbox: Any,  # noqa: F811
    held: list[int],
    tmp_path: Path,
) -> None:
    before, truth = sandbox.links("lead"), sandbox.truth()["expected"]["release_repeat_leads"]
    made = plan(tmp_path, rule_options=UNLINK)
    assert made["left_out"] == {"converted": len(truth["converted"])}
    page = plan_markdown(Path(made["plan"]), read_manifest(Path(made["plan"])))
    assert f"- company taken off **{len(held)} leads**" in page
    applied = apply(tmp_path, made)
    told = check(made)
    assert (told["counts"]["applied"], told["changed_since"]) == (len(truth["released"]) + len(held), 0)
    now = sandbox.links("lead")
    for lead in held:
        one = now[str(lead)]
        assert (one["links"], one["company_id"], one["is_return_customer"]) == ([], 0, "N")
    report = Path(told["report"]).read_text()
    assert f"company: {before[str(held[0])]['company_id']} Held → none" in report

    way_back = restore(tmp_path / "back", applied, owners=held)
    folder = Path(way_back["plan"])
    page = plan_markdown(folder, read_manifest(folder))
    assert way_back["changes"] == len(held)
    assert f"| get their company back, and are saved for it | {len(held)} |" in page
    assert f"- company given back to **{len(held)} leads**" in page
    assert f"- **{len(held)} leads** saved, which starts the portal's automation" in page
    done = apply(tmp_path / "back", way_back)
    assert done["counts"]["applied"] == len(held)
    again = sandbox.links("lead")
    assert {lead: bare(again)[lead] for lead in map(str, held)} == {
        lead: bare(before)[lead] for lead in map(str, held)
    }
    assert restore(tmp_path / "twice", applied, owners=held)["changes"] == 0

    # And the restore itself is taken back.
    off_again = restore(tmp_path / "off", done)
    assert apply(tmp_path / "off", off_again)["counts"]["applied"] == len(held)
    assert bare(sandbox.links("lead")) == bare(now)


def test_what_became_of_companies_since_is_told_and_left_alone(
    sandbox: Any,  # noqa: F811
    held: list[int],
    tmp_path: Path,
) -> None:
    before = sandbox.links("lead")
    each = list({before[str(lead)]["company_id"]: lead for lead in held}.values())[:4]
    drifted, came_back, given, bereft = each
    companies = [before[str(lead)]["company_id"] for lead in each]
    made = plan(tmp_path, rule_options=UNLINK)
    other = sandbox.state.add("company", {"TITLE": "Other"})
    sandbox.state.update("lead", drifted, {"COMPANY_ID": other})
    applied = apply(tmp_path, made)
    assert (applied["counts"]["drift"], applied["counts"]["failed"]) == (1, 0)
    lines = [line for line in journal_lines(tmp_path / "journal" / "part-00000.jsonl") if "owner" in line]
    noted = {line["owner"]: line for line in lines}
    assert noted[drifted]["reason"] == f"company id is now {other}, planned from {companies[0]}"
    assert "company" not in noted[drifted]
    assert noted[came_back]["company"] == companies[1]

    sandbox.state.update("lead", came_back, {"COMPANY_ID": companies[1]})
    assert check(made)["changed_since"] == 1
    with (tmp_path / "failed.csv").open(newline="") as rows:
        reasons = {int(row["owner_id"]): row["reason"] for row in csv.DictReader(rows)}
    said = f"contacts are now none, of company {companies[1]}, a repeat lead again"
    assert reasons[came_back].endswith(said)

    sandbox.state.update("lead", given, {"COMPANY_ID": other})
    sandbox.state.delete("company", companies[3])
    way_back = restore(tmp_path / "back", applied, owners=each)
    told = left_out(way_back)
    assert told[drifted]["why"] == "not in the journal"
    assert told[given]["why"] == "changed since"
    assert (
        f"it is now of company {other}, the apply was to leave it without a company" in told[given]["reason"]
    )
    apply(tmp_path / "back", way_back)
    now = sandbox.links("lead")
    assert [now[str(lead)]["company_id"] for lead in each] == [other, companies[1], other, 0]
    plans = (Path(way_back["plan"]) / "part-00000.jsonl").read_text() + told.get(bereft, {}).get("reason", "")
    assert f"company {companies[3]} no longer exists" in plans

    forced = restore(tmp_path / "forced", applied, owners=[given], overwrite=True, link_missing=True)
    apply(tmp_path / "forced", forced)
    assert sandbox.links("lead")[str(given)]["company_id"] == companies[2]


def test_a_webhook_that_sees_only_a_part_does_not_take_companies_for_gone(
    sandbox: Any,  # noqa: F811
    held: list[int],
    tmp_path: Path,
) -> None:
    before = sandbox.links("lead")
    lead = next(one for one in held if not before[str(one)]["links"])
    applied = apply(tmp_path, plan(tmp_path, rule_options=UNLINK))
    sandbox.state.row("lead", lead)["ASSIGNED_BY_ID"] = 1
    sandbox.state.row("company", before[str(lead)]["company_id"])["ASSIGNED_BY_ID"] = 77
    sandbox.set_switches(limited_user=True)
    assert left_out(restore(tmp_path / "back", applied, owners=[lead]))[lead]["why"] == "company not seen"
    believing = restore(tmp_path / "back", applied, owners=[lead], believe_any_user=True)
    assert left_out(believing)[lead]["why"] == "cannot be brought nearer"


@pytest.mark.parametrize("options", [None, {}, {"release_repeat_leads": {"company": "keep"}}])
def test_by_default_all_is_as_it_was_before_there_was_the_option(
    sandbox: Any,  # noqa: F811
    held: list[int],
    tmp_path: Path,
    options: Any,
) -> None:
    before = sandbox.links("lead")
    made = plan(tmp_path, rule_options=options)
    assert made["left_out"]["held by a company"] == len(held)
    assert "companies" not in read_manifest(Path(made["plan"])).counts
    text = (Path(made["plan"]) / "part-00000.jsonl").read_text()
    assert '"company"' not in text
    apply(tmp_path, made)
    assert '"company"' not in (tmp_path / "journal" / "part-00000.jsonl").read_text()
    now = sandbox.links("lead")
    assert {lead: now[str(lead)] for lead in held} == {lead: before[str(lead)] for lead in held}
