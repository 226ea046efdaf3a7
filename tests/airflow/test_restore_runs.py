"""Snapshots and restores, run by Airflow in this process on sandboxes, to the exact expected end."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.files.plans import read_manifest
from airflow_bitrix.files.taken_back import read_taken_back
from tests.airflow.sample_dags import CLEANUP, REAL, RESTORE, SNAPSHOT, folder_of, of_groups, outcomes


def as_rows(owner: Any) -> list[tuple[int, int, bool]]:
    return sorted((row[0], row[1], row[2] == "Y") for row in owner["links"])


def of_kinds(states: dict[str, Any]) -> set[str]:
    """The task groups of a restore that have done their work; what is about other kinds was skipped."""
    ended: dict[str, set[str]] = {}
    for task, state in states.items():
        group = task.removeprefix("plans.").partition(".")[0]
        ended.setdefault(group if "." in task else "", set()).add(state)
    assert ended.pop("") == {"success"}
    done = {group for group, found in ended.items() if found == {"success"}}
    assert {state for group in ended.keys() - done for state in ended[group]} <= {"skipped"}
    return done


def test_a_clean_up_is_taken_back_to_the_first_links_with_sort_and_primary(
    run: Any, make_sandbox: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox = make_sandbox(leads=600, deals=50, contacts=300, plan="self_hosted")
    gone = {lead for lead in map(int, sandbox.links("lead")) if has_no_such_contact(sandbox, lead)}
    odd = gone | {lead for lead in map(int, sandbox.links("lead")) if is_at_odds(sandbox, lead)}
    first, deals = sandbox.links("lead"), sandbox.links("deal")
    done, _ = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **REAL)
    cleaned = sandbox.links("lead")
    emptied = {int(lead) for lead in first if first[lead]["links"] and not cleaned[lead]["links"]}
    journal = str(folder_of(done))

    sandbox.reset_stats()
    dry, states = run(RESTORE, sandbox, {"plan": "self_hosted"}, journal=journal)
    assert of_kinds(states) == {"leads"}
    assert sandbox.stats()["writes"] == 0
    dry_folder = folder_of(dry, "plans.leads")
    assert set(outcomes(dry_folder).values()) == {"skipped"}
    _, states = run(RESTORE, sandbox, {"plan": "self_hosted"}, journal=str(dry_folder))
    assert states["chosen"] == "failed"
    said = f"there is nothing to take back: the run in {dry_folder} was a dry run and wrote nothing; "
    assert said in "".join(capfd.readouterr())

    sandbox.reset_stats()
    done, states = run(RESTORE, sandbox, {"plan": "self_hosted"}, journal=journal, **REAL)
    assert of_kinds(states) == {"leads"}
    ended = outcomes(folder_of(done, "plans.leads"))
    assert set(ended.values()) == {"applied"}
    assert sandbox.stats()["writes"] == len(ended)
    after = sandbox.links("lead")
    assert len(emptied - odd) > 100
    assert {lead: as_rows(after[str(lead)]) for lead in emptied - odd} == {
        lead: as_rows(first[str(lead)]) for lead in emptied - odd
    }
    # contacts that do not exist are not linked, and the portal flags exactly one
    assert {lead: {row[0] for row in as_rows(after[str(lead)])} for lead in emptied & odd} == {
        lead: {row[0] for row in as_rows(first[str(lead)]) if sandbox.state.row("contact", row[0])}
        for lead in emptied & odd
    }
    untouched = [lead for lead in first if int(lead) not in emptied]
    assert {lead: after[lead] for lead in untouched} == {lead: cleaned[lead] for lead in untouched}
    assert {after[str(lead)]["is_return_customer"] for lead in emptied} == {"N"}  # nobody saved them
    assert sandbox.links("deal") == deals

    sandbox.reset_stats()
    done, states = run(RESTORE, sandbox, {"plan": "self_hosted"}, journal=journal, **REAL)
    assert of_kinds(states) == {"leads"}
    again = folder_of(done, "plans.leads")
    assert (outcomes(again), sandbox.stats()["writes"]) == ({}, 0)
    with (again / "plan" / "left_out.csv").open(newline="") as rows:
        whys = Counter(row["why"] for row in csv.DictReader(rows))
    assert "changed since" not in whys
    assert whys["brought back already, as far as can be"] > 10
    (note,) = read_taken_back(Path(journal), read_manifest(Path(journal) / "plan").hash)
    assert re.fullmatch(r"run \S+ of the DAG bitrix24_link_restore", note.by)
    assert note.counts["applied"] == len(emptied - gone) + sum(
        bool(as_rows(after[str(lead)])) for lead in emptied & gone
    )


def has_no_such_contact(sandbox: Any, lead: int) -> bool:
    return any(
        not sandbox.state.row("contact", link.contact_id) for link in sandbox.state.links("lead", lead)
    )


def is_at_odds(sandbox: Any, lead: int) -> bool:
    """Whether flags and scalar contact say different things, which no link method can bring about."""
    links = sandbox.state.links("lead", lead)
    flagged = [link.contact_id for link in links if link.primary]
    return bool(links) and flagged != [sandbox.state.row("lead", lead).get("CONTACT_ID")]


def test_two_nights_tell_exactly_what_changed_between_them(run: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(leads=60, deals=60, contacts=50, plan="self_hosted")
    deal = sandbox.state.add("deal", {"TITLE": "Deal", "CONTACT_IDS": [3, 1, 2]})
    pair = sandbox.state.add("deal", {"TITLE": "Deal", "CONTACT_IDS": [4, 5]})
    night, states = run(SNAPSHOT, sandbox, {"plan": "self_hosted"}, detail="full")
    assert of_groups(states, "chosen", "leads", "deals") == {"success"}
    folder = folder_of(night)
    assert "Nothing to compare with" in (folder.parent / "deals" / "changes.html").read_text()

    sandbox.state.update("deal", deal, {"CONTACT_IDS": [1, 7]})
    sandbox.state.update("deal", pair, {"CONTACT_IDS": [5, 4]})
    next_night, states = run(SNAPSHOT, sandbox, {"plan": "self_hosted"}, detail="full", keep=1)
    assert of_groups(states, "chosen", "leads", "deals") == {"success"}
    with (folder_of(next_night).parent / "deals" / "changed.csv").open(newline="") as rows:
        told = [(int(row["owner_id"]), row["what"]) for row in csv.DictReader(rows)]
    assert told == [
        (deal, "added"),
        (deal, "removed"),
        (deal, "sort"),
        (deal, "primary"),
        (pair, "order"),
        (pair, "primary"),
    ]
    assert not (folder.parent / "deals" / "snapshot").exists()

    sandbox.set_switches(limited_user=True)
    night, states = run(SNAPSHOT, sandbox, {"plan": "self_hosted"}, detail="full")
    assert of_groups(states, "chosen", "leads", "deals") == {"success"}
    page = (folder_of(night).parent / "deals" / "changes.html").read_text()
    assert page.index("<b>Partial view:</b>") < page.index("Nothing to compare with.")
    assert "cannot be compared: the view was whole, and is that of user 1 now" in page
    assert sandbox.stats()["writes"] == 0


def test_a_restore_from_a_snapshot_ends_at_the_snapshot(run: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(plan="self_hosted", contacts=50)
    deals = [sandbox.state.add("deal", {"TITLE": "Deal", "CONTACT_IDS": [3, 1, 2]}) for _ in range(3)]
    night, _ = run(SNAPSHOT, sandbox, {"plan": "self_hosted"}, detail="full")
    snapshot = str(folder_of(night).parent / "deals" / "snapshot")
    for number, deal in enumerate(deals):
        sandbox.state.update("deal", deal, {"CONTACT_IDS": [[1, 7], [2, 1, 3], [9]][number]})
    changed = sandbox.links("deal")
    done, states = run(RESTORE, sandbox, {"plan": "self_hosted"}, snapshot=snapshot, owners=deals[:2], **REAL)
    assert of_kinds(states) == {"deals"}
    after = sandbox.links("deal")
    assert [as_rows(after[str(deal)]) for deal in deals[:2]] == [
        [(1, 20, False), (2, 30, False), (3, 10, True)]
    ] * 2
    assert after[str(deals[2])] == changed[str(deals[2])]
    assert outcomes(folder_of(done, "plans.deals")) == dict.fromkeys(deals[:2], "applied")


def test_a_restore_without_a_source_fails_before_anything_is_sent(
    run: Any, make_sandbox: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox = make_sandbox(plan="self_hosted")
    _, states = run(RESTORE, sandbox, {"plan": "self_hosted"})
    assert states.pop("chosen") == "failed"  # and says so once
    assert set(states.values()) == {"upstream_failed"}
    assert sandbox.stats()["admitted"] == 0
    assert "none of the two is given; accepted: one of the two, and only one" in "".join(capfd.readouterr())
