"""Restoring: what an apply changed becomes what it was, and what cannot is named."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.link_writes import save_command, write_commands
from airflow_bitrix.core.links import ContactLink, LinkSet
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.plans import read_manifest
from airflow_bitrix.sandbox.links import Link
from tests.operators import restores
from tests.operators.restores import (
    Rows,
    apply,
    changes_of,
    clean_up,
    exact,
    export,
    linked,
    plan_of,
    read_changes_of,
    restore,
    rows_of,
)

sandbox = restores.sandbox


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


def left_out_of(made: Any) -> dict[int, str]:
    with (Path(made["plan"]) / "left_out.csv").open(newline="") as rows:
        return {int(row["owner_id"]): row["why"] for row in csv.DictReader(rows)}


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
    taken = sum(len(first[lead]["links"]) for lead in emptied)
    without_missing = told_of(restore(tmp_path, journal=applied))
    assert without_missing["back"] + without_missing["gone_links"] <= without_missing["taken"] == taken
    assert without_missing["away"] == taken - without_missing["back"] > 0
    made = restore(tmp_path, journal=applied, link_missing=True)
    assert made["changes"] == len(emptied)
    told = told_of(made)
    assert (told["taken"], told["back"], told.get("away", 0)) == (taken, taken, 0)
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


def told_of(made: Any) -> dict[str, int]:
    counts: dict[str, int] = read_manifest(Path(made["plan"])).counts["restore"]
    return counts


def changes_of_run(folder: Path) -> list[int]:
    return list(changes_of({"plan": str(folder / "plan")}))


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
    """A failed change with an image, one that a later run went on with, one that was begun and never told."""
    (failed, retried, begun), journal, plan_hash = run_of_three
    image = [[1, 15, True, 0], [2, 25, False, 0]]
    journal.write_text(
        journal_line(journal=2, plan=plan_hash, dry_run=False)
        + journal_line(writing=[[failed, image], [retried, image]])
        + journal_line(owner=failed, outcome="failed", reason="no answer", before=image)
        + journal_line(owner=retried, outcome="failed", reason="no answer", before=image)
        + journal_line(journal=2, plan=plan_hash, dry_run=False)
        + journal_line(writing=[[begun, image]])
        + journal_line(owner=retried, outcome="applied", reason="", before=image)
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
        begun: [(1, 15, True), (2, 25, False)],
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
        + journal_line(owner=refused, outcome="failed", reason="it could not be looked at", before=None)
    )
    for deal in (skipped, drifted, refused):
        sandbox.state.clear_links("deal", deal)
    made = restore(tmp_path, journal=str(tmp_path))
    assert (made["changes"], made["read"], left_out_of(made)) == (0, 0, {})


@pytest.mark.parametrize(
    "odd",
    [[[1, 15, True, 0], [1, 25, False, 0]], [["1", 15, True, 0]], [[0, 15, True, 0]], [[1, 15]], "1", {}],
    ids=["twice", "text", "zero", "short", "no list", "map"],
)
def test_one_image_that_cannot_be_read_holds_up_no_other(
    odd: Any, run_of_three: Any, sandbox: Any, tmp_path: Path, carry_out: Any
) -> None:
    (first, strange, last), journal, plan_hash = run_of_three
    image = [[1, 15, True, 0], [2, 25, False, 0]]
    journal.write_text(
        journal_line(journal=2, plan=plan_hash, dry_run=False)
        + journal_line(writing=[[first, odd], [strange, odd], [last, image]])
        + journal_line(owner=first, outcome="applied", reason="", before=image)
    )
    for deal in (first, strange, last):
        sandbox.state.clear_links("deal", deal)
    made = restore(tmp_path, journal=str(tmp_path))
    assert left_out_of(made).keys() == {strange}
    assert "cannot be read" in str(left_out_of(made)[strange])
    carry_out(made)
    assert rows_of(sandbox.links("deal")[str(last)]) == [(1, 15, True), (2, 25, False)]


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
    # the released leads have no links now: who sees them, one look at them, one at the contacts to be linked
    assert made["changes"] > 150
    assert sandbox.stats()["admitted"] == 3
    sandbox.reset_stats()
    restore(tmp_path, snapshot=taken)
    linked_deals = sum(bool(owner["links"]) for owner in sandbox.links("deal").values())
    assert sandbox.stats()["admitted"] == 2 + math.ceil(linked_deals / 50)
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
