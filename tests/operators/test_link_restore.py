"""Restoring: what an apply changed becomes what it was, and what cannot is named."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import InvalidInput, PlanRefused, RetryLater
from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner, OwnerKind
from airflow_bitrix.core.plan import Change, save_command, write_commands
from airflow_bitrix.files.journals import JournalPart
from airflow_bitrix.files.plans import PlanWriter, read_changes, read_manifest
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24CheckLinkPlanOperator,
    Bitrix24ExportContactLinksOperator,
    Bitrix24PlanLinkCleanupOperator,
    Bitrix24PlanLinkRestoreOperator,
)
from airflow_bitrix.operators.shared.artifacts import artifacts_root, folder_names
from airflow_bitrix.sandbox.links import Link

Rows = list[tuple[int, int, bool]]


@pytest.fixture
def sandbox(make_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    sandbox = make_sandbox(leads=700, deals=300, contacts=300, plan="self_hosted")
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


@pytest.fixture
def carry_out(sandbox: Any, connect: Any) -> Callable[[Any], None]:
    """Send the commands of a plan, each once and in order."""

    def send(made: Any) -> None:
        manifest = read_manifest(Path(made["plan"]))
        changes = [
            change for part in range(len(manifest.parts)) for change in read_changes_of(made, manifest, part)
        ]
        calls = [command for change in changes for command in write_commands(change)]
        calls += [save_command(change) for change in changes if change.save]
        assert all(outcome.ok for outcome in connect(sandbox.webhook_url).batch(calls))

    return send


def read_changes_of(made: Any, manifest: Any, part: int) -> list[Change]:
    return list(read_changes(Path(made["plan"]), manifest, part))


def changes_of(made: Any) -> dict[int, Change]:
    manifest = read_manifest(Path(made["plan"]))
    return {
        change.owner.id: change
        for part in range(len(manifest.parts))
        for change in read_changes_of(made, manifest, part)
    }


def left_out_of(made: Any) -> dict[int, str]:
    with (Path(made["plan"]) / "left_out.csv").open(newline="") as rows:
        return {int(row["owner_id"]): row["why"] for row in csv.DictReader(rows)}


def export(folder: Path, **arguments: Any) -> Any:
    fields = {"artifacts_path": str(folder), **arguments}
    return Bitrix24ExportContactLinksOperator(task_id="export", **fields).execute({})


def clean_up(folder: Path) -> Any:
    made = Bitrix24PlanLinkCleanupOperator(
        task_id="plan", rules=["release_repeat_leads"], artifacts_path=str(folder)
    ).execute({})
    return apply(folder, made)


def remove_dangling(folder: Path) -> Any:
    return Bitrix24PlanLinkCleanupOperator(
        task_id="plan", rules=["remove_dangling"], artifacts_path=str(folder)
    ).execute({})


def apply(folder: Path, made: Any, **arguments: Any) -> Any:
    fields = {"plan": made, "is_dry_run": False, "artifacts_path": str(folder), **arguments}
    return Bitrix24ApplyLinkPlanOperator(task_id="apply", **fields).execute({})


def restore(folder: Path, **arguments: Any) -> Any:
    fields = {"artifacts_path": str(folder / "restore"), **arguments}
    return Bitrix24PlanLinkRestoreOperator(task_id="restore", **fields).execute({})


def plan_of(
    folder: Path, sandbox: Any, kind: OwnerKind, changes: list[Change], *, created: str | None = None
) -> Any:
    """Write a plan by hand."""
    with PlanWriter(folder / "plan") as writer:
        for change in changes:
            writer.add(change)
        manifest = writer.finish(
            read=len(changes),
            kind=kind,
            portal=sandbox.base_url,
            created=created or datetime.now(UTC).isoformat(timespec="seconds"),
            rules=("by_hand",),
            guards=Guards(),
        )
    return {"plan": str(folder / "plan"), "hash": manifest.hash}


def exact(sandbox: Any, kind: OwnerKind, owner_id: int) -> LinkSet:
    links = tuple(
        ContactLink(link.contact_id, link.sort, link.primary, link.role_id)
        for link in sandbox.state.links(kind, owner_id)
    )
    row = sandbox.state.row(kind, owner_id)
    return LinkSet(Owner(kind, owner_id), links).with_scalar(row.get("CONTACT_ID"))


def linked(sandbox: Any, kind: OwnerKind, *rows: Any) -> int:
    """An owner with links of (contact, sort, is primary)."""
    owner_id = int(sandbox.state.add(kind, {"TITLE": "Owner"}))
    sandbox.state.write_links(kind, owner_id, tuple(Link(sort, one, flag) for one, sort, flag in rows))
    return owner_id


def rows_of(owner: Mapping[str, Any]) -> Rows:
    """Contact, sort and primary of each link; roles are the portal's own business."""
    return sorted((row[0], row[1], row[2] == "Y") for row in owner["links"])


def as_far_as_possible(owner: Mapping[str, Any]) -> Rows:
    """The rows that a portal can be brought to: it flags exactly one contact, the one that it shows."""
    rows = rows_of(owner)
    first_by_sort = min(rows, key=lambda row: (row[1], row[0]), default=(0, 0, False))[0]
    flagged = [contact for contact, _, flag in rows if flag]
    shown = owner["contact_id"] if owner["contact_id"] in {row[0] for row in rows} else None
    primary = shown or (flagged or [first_by_sort])[0]
    return [(contact, sort, contact == primary) for contact, sort, _ in rows]


def test_applying_and_then_restoring_gives_the_first_links_again_with_sort_and_primary(
    sandbox: Any, tmp_path: Path, carry_out: Any
) -> None:
    first = sandbox.links("lead")
    applied = clean_up(tmp_path)
    emptied = {
        lead for lead, owner in first.items() if owner["links"] and not sandbox.links("lead")[lead]["links"]
    }
    assert len(emptied) == sum(bool(first[str(one)]["links"]) for one in changes_of_run(tmp_path))
    made = restore(tmp_path, journal=applied, link_missing=True)
    assert made["changes"] == len(emptied)
    carry_out(made)
    after = sandbox.links("lead")
    assert {lead: rows_of(after[lead]) for lead in after} == {
        lead: as_far_as_possible(owner) if lead in emptied else rows_of(owner)
        for lead, owner in first.items()
    }
    exact_again = [lead for lead in emptied if rows_of(after[lead]) == rows_of(first[lead])]
    at_odds = {
        lead for lead in emptied if as_far_as_possible(first[lead]) != rows_of(first[lead])
    }  # no primary contact, or another one than the portal shows
    assert at_odds
    assert len(exact_again) == len(emptied) - len(at_odds) > 150
    reasons = {str(owner_id): change.reasons[0] for owner_id, change in changes_of(made).items()}
    assert {
        lead for lead in emptied if "the portal always flags the one that it shows" in reasons[lead]
    } == at_odds
    again = restore(tmp_path, journal=applied, link_missing=True)
    assert again["changes"] == 0
    assert sum(again["left_out"].values()) == again["read"] == made["read"]


def changes_of_run(folder: Path) -> list[int]:
    return list(changes_of({"plan": str(folder / "plan")}))


@pytest.mark.parametrize("form", ["what apply returned", "run folder", "journal folder"])
def test_a_journal_is_found_in_each_form(form: str, sandbox: Any, tmp_path: Path) -> None:
    applied = clean_up(tmp_path / "run")
    given = {
        "what apply returned": applied,
        "run folder": str(tmp_path / "run"),
        "journal folder": applied["journal"],
    }[form]
    sandbox.reset_stats()
    made = restore(tmp_path, journal=given)
    assert made["by_rule"] == {"restore": made["changes"]}
    assert made["changes"] > 100
    assert sandbox.stats()["writes"] == 0


RUN = ("some_dag", "manual__2026-11-25T08:56:20+00:00")


@pytest.fixture
def run_folder() -> Iterator[Path]:
    """The folder of a DAG run under the artifacts root."""
    folder = artifacts_root().joinpath(*folder_names(*RUN))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("task", ["plan", "leads.plan"])
@pytest.mark.parametrize(
    "given",
    [
        "{folder}",
        "https://airflow.example.com/prefix/dags/some_dag/runs/manual__2026-11-25T08%3A56%3A20%2B00%3A00",
        "http://127.0.0.1:8080/dags/some_dag/runs/manual__2026-11-25T08:56:20+00:00/tasks/check?try_number=1",
    ],
    ids=["folder", "page", "page of a task"],
)
def test_a_run_is_enough_where_one_of_its_tasks_was_applied(
    given: str, task: str, run_folder: Path, tmp_path: Path
) -> None:
    applied = clean_up(run_folder / task)
    (run_folder / "deals.plan" / "plan").mkdir(parents=True)  # of a task that applied nothing
    made = restore(tmp_path, journal=given.format(folder=run_folder))
    assert made["changes"] == restore(tmp_path / "told", journal=applied)["changes"] > 100


@pytest.mark.usefixtures("sandbox")
def test_of_a_run_with_several_journals_or_snapshots_one_has_to_be_named(
    run_folder: Path, tmp_path: Path
) -> None:
    for task in ("leads.plan", "deals.plan"):
        for name in ("plan/manifest.json", "journal/part-00000.jsonl", "snapshot/links.jsonl"):
            (run_folder / task / name).parent.mkdir(parents=True, exist_ok=True)
            (run_folder / task / name).touch()
    for argument, below in (("journal", ""), ("snapshot", "/snapshot")):
        with pytest.raises(InvalidInput) as refused:
            restore(tmp_path, **{argument: str(run_folder)})
        assert str(refused.value) == (
            f"{argument}: the run in {run_folder} has several {argument}s; accepted: "
            f"the folder of one of them: {run_folder}/deals.plan{below}, {run_folder}/leads.plan{below}"
        )


@pytest.mark.usefixtures("sandbox")
def test_a_run_whose_tasks_were_moved_aside_in_part_takes_more_than_its_name(
    run_folder: Path, tmp_path: Path
) -> None:
    """A restore of what is left in place would take back a part of the run without a word."""
    clean_up(run_folder / "leads.plan")
    remove_dangling(run_folder / "leads.plan")
    apply(run_folder / "deals.plan", remove_dangling(run_folder / "deals.plan"))
    with pytest.raises(InvalidInput, match=r"has several journals; .*/deals\.plan, .*/leads\.plan$"):
        restore(tmp_path, journal=str(run_folder))
    shutil.rmtree(run_folder / "deals.plan")
    with pytest.raises(PlanRefused, match=r"earlier runs are kept, .*/leads\.plan/earlier-\w+$"):
        restore(tmp_path, journal=str(run_folder))


@pytest.mark.usefixtures("sandbox")
def test_the_only_snapshot_of_a_run_is_found(run_folder: Path, tmp_path: Path) -> None:
    export(run_folder / "leads")
    address = f"http://127.0.0.1:8080/dags/{RUN[0]}/runs/{RUN[1]}"
    assert restore(tmp_path, snapshot=address)["changes"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {},
            r"journal, snapshot: none of the two is given; accepted: one .*: Journal \(the.* or Snapshot \(",
        ),
        ({"journal": "/a", "snapshot": "/b"}, "journal, snapshot: both are given; accepted: one of"),
        (
            {"journal": "/nowhere"},
            "there is no journal in /nowhere; the tab Bitrix24 report of the run to take",
        ),
        ({"snapshot": "/nowhere"}, "there is no snapshot in /nowhere .*; the tab Bitrix24 report of the run"),
        (
            {"journal": "http://127.0.0.1:8080/dags/some_dag/runs/none"},
            "there is no journal in .*/some_dag/none; the tab Bitrix24 report",
        ),
        ({"journal": "http://127.0.0.1:8080/dags"}, r"a folder, or the address of a run's page .*<run id>$"),
    ],
)
def test_what_is_no_run_is_refused_with_where_to_find_one(
    arguments: dict[str, Any], said: str, sandbox: Any, tmp_path: Path
) -> None:
    with pytest.raises((InvalidInput, PlanRefused), match=said):
        restore(tmp_path, **arguments)
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.usefixtures("sandbox")
def test_the_folder_of_a_plan_is_not_taken_for_a_journal(tmp_path: Path) -> None:
    made = remove_dangling(tmp_path)
    apply(tmp_path, made)
    with pytest.raises(PlanRefused, match=r"part-00000\.jsonl is no part of a journal"):
        restore(tmp_path, journal=made["plan"])


def test_replaced_reordered_and_added_links_come_back_exactly_from_journal_and_from_snapshot(
    sandbox: Any, tmp_path: Path, carry_out: Any
) -> None:
    before = {
        linked(sandbox, "deal", (1, 10, True), (2, 20, False), (3, 30, False)): (4, 5),  # replaced
        linked(sandbox, "deal", (1, 10, False), (2, 25, True), (3, 70, False)): (3, 2, 1, 9),  # reordered
        linked(sandbox, "deal", (7, 40, True), (8, 41, False)): (8,),  # one taken away
        linked(sandbox, "deal", (5, 10, True)): (6,),
        linked(sandbox, "deal"): (1, 2),  # had none
        linked(sandbox, "deal", (1, 10, True), (2, 10, False)): (3,),  # equal sorts
    }
    first = sandbox.links("deal")
    taken = export(tmp_path / "first", kind="deal", detail="full")
    changes = []
    for deal, ids in before.items():
        links = tuple(ContactLink(one, 10 * place, place == 1, 0) for place, one in enumerate(ids, start=1))
        was = exact(sandbox, "deal", deal)
        changes.append(Change(was, LinkSet(was.owner, links), ("by hand",), ("by_hand",)))
    applied = apply(tmp_path, plan_of(tmp_path, sandbox, "deal", changes))
    assert applied["counts"]["applied"] == len(before)
    changed = sandbox.links("deal")
    assert {int(deal) for deal in first if first[deal] != changed[deal]} == set(before)

    from_journal = restore(tmp_path, journal=applied)
    from_snapshot = restore(tmp_path / "other", snapshot=taken)
    wanted = {owner: change.after for owner, change in changes_of(from_journal).items()}
    assert {owner: change.after for owner, change in changes_of(from_snapshot).items()} == wanted
    assert set(wanted) == set(before)
    assert from_snapshot["read"] == taken["owners"]
    assert from_snapshot["left_out"]["as it was already"] == taken["owners"] - len(before)
    carry_out(from_journal)
    assert sandbox.links("deal") == first


def test_a_snapshot_of_ids_brings_contacts_order_and_primary_back(
    sandbox: Any, tmp_path: Path, carry_out: Any
) -> None:
    deal = linked(sandbox, "deal", (1, 10, False), (2, 25, True))
    taken = export(tmp_path / "first", kind="deal", filter={">=id": deal})
    sandbox.state.write_links("deal", deal, (Link(10, 2, primary=True),))
    made = restore(tmp_path, snapshot=taken["snapshot"])
    carry_out(made)
    assert rows_of(sandbox.links("deal")[str(deal)]) == [(1, 10, False), (2, 20, True)]
    assert "its sorts were not known and are numbered anew" in changes_of(made)[deal].reasons[0]


def test_what_somebody_changed_since_is_left_alone_unless_it_shall_be_overwritten(
    sandbox: Any, tmp_path: Path, carry_out: Any
) -> None:
    first = sandbox.links("lead")
    applied = clean_up(tmp_path)
    lead, *_ = (one for one in changes_of_run(tmp_path) if len(first[str(one)]["links"]) == 1)
    sandbox.state.write_links("lead", lead, (Link(10, 299, primary=True),))
    made = restore(tmp_path, journal=applied)
    assert left_out_of(made)[lead] == "changed since"
    assert lead not in changes_of(made)
    made = restore(tmp_path, journal=applied, overwrite="True", owners=[lead])
    assert set(changes_of(made)) == {lead}
    carry_out(made)
    assert rows_of(sandbox.links("lead")[str(lead)]) == rows_of(first[str(lead)])


def test_owners_that_are_gone_or_not_in_the_journal_are_named(sandbox: Any, tmp_path: Path) -> None:
    first = sandbox.links("lead")
    applied = clean_up(tmp_path)
    gone, kept, *_ = (one for one in changes_of_run(tmp_path) if first[str(one)]["links"])
    (other, *_) = {int(lead) for lead in first} - set(changes_of_run(tmp_path))
    sandbox.state.delete("lead", gone)
    made = restore(tmp_path, journal=applied, owners=[gone, str(kept), other], link_missing=True)
    assert left_out_of(made) == {gone: "no longer there", other: "not in the journal"}
    assert set(changes_of(made)) == {kept}


def test_contacts_that_were_deleted_meanwhile_are_not_linked_again(
    sandbox: Any, tmp_path: Path, carry_out: Any
) -> None:
    pair = linked(sandbox, "deal", (1, 10, True), (2, 25, False), (3, 30, False))
    alone = linked(sandbox, "deal", (1, 10, True))
    taken = export(tmp_path / "first", kind="deal", detail="full", filter={">=id": pair})
    for deal in (pair, alone):
        sandbox.state.clear_links("deal", deal)
    sandbox.state.delete("contact", 1)
    made = restore(tmp_path, snapshot=taken)
    assert left_out_of(made) == {alone: "contacts no longer exist"}
    assert "contact 1 no longer exists and is left out" in changes_of(made)[pair].reasons[0]
    carry_out(made)
    assert rows_of(sandbox.links("deal")[str(pair)]) == [(2, 25, True), (3, 30, False)]
    assert sandbox.links("deal")[str(alone)]["links"] == []


def test_a_lead_is_saved_only_where_that_is_asked_for(sandbox: Any, tmp_path: Path, carry_out: Any) -> None:
    applied = clean_up(tmp_path)
    lead, *_ = (one for one in changes_of(restore(tmp_path, journal=applied)))
    carry_out(restore(tmp_path, journal=applied, owners=[lead]))
    assert sandbox.links("lead")[str(lead)]["is_return_customer"] == "N"
    sandbox.state.write_links("lead", lead, ())
    carry_out(restore(tmp_path, journal=applied, owners=[lead], save=True))
    assert sandbox.links("lead")[str(lead)]["is_return_customer"] == "Y"


def journal_line(**line: Any) -> str:
    return json.dumps(line) + "\n"


@pytest.fixture
def run_of_three(sandbox: Any, tmp_path: Path) -> tuple[list[int], Path, str]:
    """A plan for three deals, to be applied by whom a test pretends to have been there."""
    deals = [linked(sandbox, "deal", (1, 15, True), (2, 25, False)) for _ in range(3)]
    befores = [exact(sandbox, "deal", deal).as_scanned() for deal in deals]
    changes = [Change(was, LinkSet(was.owner), ("by hand",), ("by_hand",), may_empty=True) for was in befores]
    made = plan_of(tmp_path, sandbox, "deal", changes)
    (tmp_path / "journal").mkdir()
    return deals, tmp_path / "journal" / "part-00000.jsonl", made["hash"]


def test_nothing_that_may_have_been_written_is_left_behind(
    run_of_three: Any, sandbox: Any, tmp_path: Path, carry_out: Any
) -> None:
    """A failed change with an image, one whose image a later run lost, one that was begun and never told."""
    (failed, retried, begun), journal, plan_hash = run_of_three
    image = [[1, 15, True, 0], [2, 25, False, 0]]
    scanned = [[1, None, True, None], [2, None, False, None]]
    journal.write_text(
        journal_line(journal=2, plan=plan_hash, dry_run=False)
        + journal_line(writing=[failed, retried])
        + journal_line(owner=failed, outcome="failed", reason="no answer", before=image)
        + journal_line(owner=retried, outcome="failed", reason="no answer", before=image)
        + journal_line(journal=2, plan=plan_hash, dry_run=False)
        + journal_line(writing=[begun])
        + journal_line(owner=retried, outcome="applied", reason="", before=scanned)
        + '{"owner":'
    )
    for deal in (failed, retried, begun):
        sandbox.state.clear_links("deal", deal)
    made = restore(tmp_path, journal=str(tmp_path))
    carry_out(made)
    links = {deal: rows_of(sandbox.links("deal")[str(deal)]) for deal in (failed, retried, begun)}
    assert links == {
        failed: [(1, 15, True), (2, 25, False)],
        retried: [(1, 15, True), (2, 25, False)],
        begun: [(1, 10, True), (2, 20, False)],
    }
    assert "which broke off" in changes_of(made)[begun].reasons[0]


def test_what_was_planned_but_not_written_is_no_business_of_a_restore(
    run_of_three: Any, sandbox: Any, tmp_path: Path
) -> None:
    (skipped, drifted, refused), journal, plan_hash = run_of_three
    journal.write_text(
        journal_line(journal=2, plan=plan_hash, dry_run=False)
        + journal_line(owner=skipped, outcome="already", reason="", before=None)
        + journal_line(owner=drifted, outcome="drift", reason="changed", before=None)
        + journal_line(writing=[refused])
        + journal_line(owner=refused, outcome="failed", reason="busy", before=None)
    )
    for deal in (skipped, drifted, refused):
        sandbox.state.clear_links("deal", deal)
    made = restore(tmp_path, journal=str(tmp_path))
    assert (made["changes"], made["read"], left_out_of(made)) == (0, 0, {})


def damage_lines(folder: Path) -> None:
    lines = folder / "links.jsonl"
    lines.write_text(lines.read_text().replace("true", "false", 1))


def cut_lines(folder: Path) -> None:
    lines = folder / "links.jsonl"
    lines.write_text("".join(lines.read_text().splitlines(keepends=True)[:-1]))


def remove_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def other_format(folder: Path) -> None:
    about = folder / "manifest.json"
    about.write_text(about.read_text().replace('"format": 2', '"format": 7'))


def cut_manifest(folder: Path) -> None:
    about = folder / "manifest.json"
    about.write_text(about.read_text()[:40])


def remove_lines(folder: Path) -> None:
    (folder / "links.jsonl").unlink()


@pytest.mark.parametrize(
    ("meddle", "said"),
    [
        (damage_lines, "does not match its hash"),
        (cut_lines, "does not match its hash"),
        (remove_lines, "links.jsonl is missing"),
        (remove_manifest, "the export did not end"),
        (other_format, "has format 7, this version reads 2"),
        (cut_manifest, "manifest of the snapshot .* is damaged"),
    ],
)
def test_a_snapshot_that_is_not_whole_is_refused_before_anything_is_sent(
    meddle: Any, said: str, sandbox: Any, tmp_path: Path
) -> None:
    taken = export(tmp_path)
    meddle(Path(taken["snapshot"]))
    sandbox.reset_stats()
    with pytest.raises(PlanRefused, match=said):
        restore(tmp_path, snapshot=taken)
    assert sandbox.stats()["admitted"] == 0
    assert not (tmp_path / "restore" / "plan").exists()


def damage_journal(folder: Path) -> None:
    part = folder / "journal" / "part-00000.jsonl"
    part.write_text(part.read_text().replace('"before":[', '"before":{', 1))


def replace_plan(folder: Path) -> None:
    Bitrix24PlanLinkCleanupOperator(
        task_id="plan", rules=["release_repeat_leads"], artifacts_path=str(folder / "other")
    ).execute({})
    shutil.rmtree(folder / "plan")
    (folder / "other" / "plan").rename(folder / "plan")


def edit_plan(folder: Path) -> None:
    part = folder / "plan" / "part-00000.jsonl"
    part.write_text(part.read_text().replace("true", "false", 1))


def remove_journal(folder: Path) -> None:
    for part in (folder / "journal").iterdir():
        part.unlink()


@pytest.mark.parametrize(
    ("meddle", "said"),
    [
        (damage_journal, "line .* is damaged"),
        (replace_plan, "is not that of the plan in"),
        (edit_plan, "part-00000.jsonl .* was edited"),
        (remove_journal, "there is no journal in"),
    ],
)
def test_a_journal_that_cannot_be_trusted_is_refused(
    meddle: Any, said: str, sandbox: Any, tmp_path: Path
) -> None:
    clean_up(tmp_path / "run")
    meddle(tmp_path / "run")
    sandbox.reset_stats()
    with pytest.raises(PlanRefused, match=said):
        restore(tmp_path, journal=str(tmp_path / "run"))
    assert sandbox.stats()["admitted"] == 0


def test_a_journal_that_is_still_being_written_is_read_later(sandbox: Any, tmp_path: Path) -> None:
    applied = clean_up(tmp_path)
    sandbox.reset_stats()
    plan_hash = read_manifest(tmp_path / "plan").hash
    with (
        JournalPart(tmp_path / "journal" / "part-00000.jsonl", plan_hash=plan_hash, dry_run=False),
        pytest.raises(RetryLater, match=r"an apply writes .* now"),
    ):
        restore(tmp_path, journal=applied)
    assert sandbox.stats()["admitted"] == 0


def test_a_journal_of_another_portal_is_refused(
    sandbox: Any, make_sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied = clean_up(tmp_path)
    other = make_sandbox(leads=700, contacts=300, plan="self_hosted")
    monkeypatch.setenv(
        "AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps({"conn_type": "bitrix24", "password": other.webhook_url})
    )
    said = f"the journal is of {sandbox.base_url}, the connection leads to {other.base_url}"
    with pytest.raises(PlanRefused, match=said):
        restore(tmp_path, journal=applied)
    assert other.stats()["admitted"] == 0


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({}, "journal, snapshot"),
        ({"journal": "a", "snapshot": "b"}, "journal, snapshot"),
        ({"snapshot": {"journal": "a"}}, "snapshot"),
        ({"owners": "5"}, "owners"),
        ({"owners": [0]}, "owners"),
        ({"owners": [5], "owners_file": "failed.csv"}, "owners"),
        ({"owners_file": 17}, "owners_file"),
        ({"owners_file": "ftpx://host/failed.csv"}, "owners_file"),
        ({"owners_file": "/nowhere/failed.csv"}, "owners_file"),
        ({"overwrite": "perhaps"}, "overwrite"),
        ({"save": 1}, "save"),
    ],
)
def test_a_parameter_that_cannot_be_right_is_refused(
    arguments: dict[str, Any], argument: str, sandbox: Any, tmp_path: Path
) -> None:
    taken = export(tmp_path)
    sandbox.reset_stats()
    given = arguments if "snapshot" in argument else {"snapshot": taken, **arguments}
    with pytest.raises(InvalidInput, match=rf"^{argument}: "):
        restore(tmp_path, **given)
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.usefixtures("sandbox")
def test_a_restore_does_not_write_over_the_plan_that_it_takes_back(tmp_path: Path) -> None:
    applied = clean_up(tmp_path)
    hash_before = read_manifest(tmp_path / "plan").hash
    with pytest.raises(InvalidInput, match=r"^artifacts_path: "):
        restore(tmp_path, journal=applied, artifacts_path=str(tmp_path))
    assert read_manifest(tmp_path / "plan").hash == hash_before


# -- runs of plans that were made again --------------------------------------------------------------------


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
        with pytest.raises(PlanRefused, match=f"there is no journal in .*one by one: {earlier}$"):
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


@pytest.mark.parametrize("is_told", [True, False], ids=["told by the check", "given"])
@pytest.mark.usefixtures("sandbox")
def test_the_plan_of_a_run_that_was_checked_elsewhere_is_found(tmp_path: Path, *, is_told: bool) -> None:
    made = remove_dangling(tmp_path / "a")
    apply(tmp_path / "b", made)
    checked = Bitrix24CheckLinkPlanOperator(
        task_id="check", plan=made, is_dry_run=False, artifacts_path=str(tmp_path / "b")
    ).execute({})
    if is_told:
        arguments = {"journal": checked}
    else:
        arguments = {"journal": {"journal": checked["journal"]}, "plan": made["plan"]}
    assert restore(tmp_path, link_missing=True, **arguments)["changes"] == made["changes"] > 0


@pytest.mark.usefixtures("sandbox")
def test_failed_csv_narrows_a_restore(tmp_path: Path) -> None:
    applied = clean_up(tmp_path)
    wanted = sorted(changes_of(restore(tmp_path, journal=applied)))[:3]
    listed = tmp_path / "failed.csv"
    listed.write_text("owner,owner_id,outcome\n" + "".join(f"lead,{one},failed\n" for one in wanted))
    assert sorted(changes_of(restore(tmp_path, journal=applied, owners_file=str(listed)))) == wanted
    listed.write_text("owner,owner_id,outcome\n")
    made = restore(tmp_path, journal=applied, owners_file=str(listed))
    assert (made["changes"], made["read"]) == (0, 0)


def test_a_restore_plan_costs_one_look_for_2500_owners_and_one_command_for_each_that_has_links(
    sandbox: Any, tmp_path: Path
) -> None:
    taken = export(tmp_path / "first", kind="deal", detail="full")
    applied = clean_up(tmp_path)
    sandbox.reset_stats()
    made = restore(tmp_path, journal=applied)
    # the released leads have no links now: one look at them, one at the contacts to be linked
    assert made["changes"] > 150
    assert sandbox.stats()["admitted"] == 2
    sandbox.reset_stats()
    restore(tmp_path, snapshot=taken)
    linked_deals = sum(bool(owner["links"]) for owner in sandbox.links("deal").values())
    assert sandbox.stats()["admitted"] == 1 + math.ceil(linked_deals / 50)
    assert sandbox.stats()["writes"] == 0


def test_a_portal_that_leaves_links_out_of_its_lists_is_restored_all_the_same(
    sandbox: Any, tmp_path: Path
) -> None:
    applied = clean_up(tmp_path)
    plain = changes_of(restore(tmp_path, journal=applied))
    sandbox.set_switches(hide_contact_ids=True)
    made = restore(tmp_path, journal=applied)
    assert changes_of(made) == plain
    assert made["hidden_links"] == made["read"]
