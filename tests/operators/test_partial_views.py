"""A webhook that sees only part of a portal: every result says so first, and none is wrong for it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import Bitrix24Error, PlanRefused
from airflow_bitrix.files.checks import read_check
from airflow_bitrix.files.partial_views import read_partial
from airflow_bitrix.files.plans import read_manifest
from airflow_bitrix.files.snapshots import read_snapshot
from airflow_bitrix.operators.link_plans import (
    Bitrix24CheckLinkPlanOperator,
    Bitrix24ExportContactLinksOperator,
    Bitrix24PlanLinkCleanupOperator,
    Bitrix24ReconcileContactLinksOperator,
)
from airflow_bitrix.sandbox.links import Link
from tests.operators.restores import apply, changes_of, restore

STRANGER = 77
"""A user whose records the webhook's user does not see."""

SAID = (
    "the webhook's user is no administrator, and may see a part of the portal only: what is not seen is not "
    "looked at, and not counted"
)


@pytest.fixture
def sandbox(make_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Three repeat leads with a contact, one of them somebody else's."""
    sandbox = make_sandbox(plan="self_hosted")
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    for owner in (1, 1, STRANGER):
        contact = sandbox.state.add("contact", {"NAME": "Olga", "ASSIGNED_BY_ID": owner})
        sandbox.state.add("lead", {"CONTACT_IDS": [contact], "ASSIGNED_BY_ID": owner})
    return sandbox


def plan(folder: Path, rule: str, **arguments: Any) -> Any:
    fields = {"rules": [rule], "artifacts_path": str(folder), **arguments}
    return Bitrix24PlanLinkCleanupOperator(task_id="plan", **fields).execute({})


def export(folder: Path, **arguments: Any) -> Any:
    return Bitrix24ExportContactLinksOperator(
        task_id="export", artifacts_path=str(folder), **arguments
    ).execute({})


def reconcile(folder: Path, **arguments: Any) -> Any:
    fields = {"migration": "contact_map", "kind": "lead", "contact_map": {1: 2}, **arguments}
    return Bitrix24ReconcileContactLinksOperator(
        task_id="reconcile", artifacts_path=str(folder), **fields
    ).execute({})


def test_a_plan_and_its_check_say_first_that_they_saw_a_part(
    sandbox: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = plan(tmp_path / "whole", "release_repeat_leads")
    assert (whole["read"], whole["partial"]) == (3, [])
    assert "Partial view" not in capsys.readouterr().out

    sandbox.set_switches(limited_user=True)
    made = plan(tmp_path, "release_repeat_leads")
    assert (made["read"], made["partial"]) == (2, [SAID])
    log = capsys.readouterr().out
    assert (
        log.index(f"Partial view: {SAID}") < log.index("2 of 2 leads read") < log.index("2 leads to change")
    )
    assert read_manifest(tmp_path / "plan").partial == (SAID,)
    assert (tmp_path / "plan" / "summary.md").read_text().startswith(f"**Partial view: {SAID}.**\n\n")

    apply(tmp_path, made)
    capsys.readouterr()
    told = Bitrix24CheckLinkPlanOperator(task_id="check", plan=made, is_dry_run=False).execute({})
    assert (told["partial"], told["counts"]["applied"]) == ([SAID], 2)
    log = capsys.readouterr().out
    assert log.index(f"Partial view: {SAID}") < log.index("Outcomes of 2 leads")
    assert log.index(f"Partial view: {SAID}.") < log.index("| outcome ")
    check = read_check(tmp_path, made["hash"], 0)
    assert check
    assert check.partial == (SAID,)
    page = (tmp_path / "report.html").read_text()
    assert page.index("Partial view:") < page.index("What became of the changes")
    assert page.count("Partial view:") == 1


def test_where_the_portal_does_not_tell_who_looks_the_view_counts_as_a_part(
    sandbox: Any, tmp_path: Path
) -> None:
    sandbox.set_switches(missing_methods=("profile",))
    made = plan(tmp_path, "release_repeat_leads")
    (said,) = made["partial"]
    assert said.startswith("whether the webhook's user may see all of the portal cannot be told (")
    with pytest.raises(PlanRefused, match="cannot be told"):
        plan(tmp_path / "other", "remove_dangling")


@pytest.mark.parametrize(("survivor", "is_refused"), [("most_links", True), ("oldest", False)])
def test_what_would_be_counted_wrongly_is_refused(
    survivor: str, sandbox: Any, tmp_path: Path, *, is_refused: bool
) -> None:
    rule, options = "merge_same_person", {"survivor": survivor}
    sandbox.set_switches(limited_user=True)
    if is_refused:
        with pytest.raises(
            PlanRefused,
            match=r"^merge_same_person keeps the contact with most links, and counts none that the webhook's "
            r"user does not see, and the webhook's user is no administrator.*'believe_any_user': True}}$",
        ):
            plan(tmp_path, rule, rule_options={rule: options})
        options["believe_any_user"] = "True"
    assert plan(tmp_path, rule, rule_options={rule: options})["partial"] == [SAID]


def test_a_portal_that_counts_more_than_it_shows_gives_no_plan_and_no_snapshot(
    sandbox: Any, tmp_path: Path
) -> None:
    sandbox.set_switches(limited_user=True, counts_hidden=True)
    with pytest.raises(Bitrix24Error, match="2 rows came where the portal counts 3"):
        plan(tmp_path, "release_repeat_leads")
    with pytest.raises(Bitrix24Error, match="2 rows came where the portal counts 3"):
        export(tmp_path)
    assert not list(tmp_path.glob("*/manifest.json"))


def test_a_snapshot_of_a_part_is_marked_and_compared_with_those_of_the_same_user_alone(
    sandbox: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = export(tmp_path / "whole")
    assert read_snapshot(Path(whole["snapshot"])).view == "whole"
    sandbox.set_switches(limited_user=True)
    with pytest.raises(
        PlanRefused, match="cannot be compared: the view was whole, and is that of user 1 now"
    ):
        export(tmp_path / "other", compare_with=whole["snapshot"])
    part = export(tmp_path / "part")
    assert (part["owners"], part["partial"]) == (2, [SAID])

    sandbox.state.update("lead", 1, {"ASSIGNED_BY_ID": STRANGER})
    capsys.readouterr()
    again = export(tmp_path / "again", compare_with=part["snapshot"])
    assert again["changes"] == {"gone": 1}
    log = capsys.readouterr().out
    assert log.index(f"Partial view: {SAID}") < log.index("Snapshot: ")
    assert read_partial(tmp_path / "again") == [SAID]
    page = (tmp_path / "again" / "changes.html").read_text()
    assert page.index("Partial view:") < page.index("Kinds of change")
    assert "no longer there, or only no longer seen" in page

    sandbox.reset_switches()
    with pytest.raises(
        PlanRefused, match="cannot be compared: the view was that of user 1, and is whole now"
    ):
        export(tmp_path / "again", compare_with=part["snapshot"])
    export(tmp_path / "again", compare_with=whole["snapshot"])
    assert read_partial(tmp_path / "again") == []


def test_a_comparison_with_a_migration_says_that_it_saw_a_part(
    sandbox: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.state.update("lead", 1, {"CONTACT_IDS": [2]})
    assert reconcile(tmp_path)["partial"] == []
    assert "No differences: " in capsys.readouterr().out
    sandbox.set_switches(limited_user=True)
    assert reconcile(tmp_path)["partial"] == [SAID]
    log = capsys.readouterr().out
    assert log.index(f"Partial view: {SAID}") < log.index("No differences in what was seen: ")
    assert read_partial(tmp_path) == [SAID]


def test_a_contact_that_is_not_seen_is_not_taken_for_gone_by_a_restore(sandbox: Any, tmp_path: Path) -> None:
    lead = sandbox.state.add("lead", {"CONTACT_IDS": [1, 3]})
    taken = export(tmp_path, detail="full", filter={"id": lead})
    sandbox.state.write_links("lead", lead, (Link(10, 2, primary=True),))
    sandbox.set_switches(limited_user=True)
    made = restore(tmp_path, snapshot=taken)
    assert (made["changes"], made["left_out"]) == (0, {"contacts not seen": 1})
    with (Path(made["plan"]) / "left_out.csv").open(newline="") as rows:
        (row,) = csv.DictReader(rows)
    assert row["reason"] == (
        "contact 3 may be gone, or not be seen by the webhook's user; believe_any_user=True (in the trigger "
        "form: Take unseen contacts for gone) says gone"
    )
    made = restore(tmp_path, snapshot=taken, believe_any_user="True")
    assert changes_of(made)[lead].after.contact_ids == (1,)


def test_a_company_that_is_not_seen_is_not_taken_for_gone_by_a_restore(sandbox: Any, tmp_path: Path) -> None:
    mine, theirs = (
        sandbox.state.add("company", {"TITLE": "Case", "ASSIGNED_BY_ID": user}) for user in (1, STRANGER)
    )
    contact = sandbox.state.add("contact", {"COMPANY_IDS": [mine, theirs], "ASSIGNED_BY_ID": 1})
    taken = export(tmp_path, kind="contact", detail="full", filter={"id": contact})
    sandbox.state.update("contact", contact, {"COMPANY_IDS": []})
    sandbox.set_switches(limited_user=True)
    made = restore(tmp_path, snapshot=taken)
    assert (made["changes"], made["left_out"]) == (0, {"companies not seen": 1})
    with (Path(made["plan"]) / "left_out.csv").open(newline="") as rows:
        (row,) = csv.DictReader(rows)
    assert row["reason"].startswith(f"company {theirs} may be gone, or not be seen by the webhook's user; ")
    made = restore(tmp_path, snapshot=taken, believe_any_user="True")
    assert changes_of(made)[contact].after.contact_ids == (mine,)
