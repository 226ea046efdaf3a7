"""Comparing a snapshot with the one before: exactly what changed, and no good one is ever lost."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput, PlanRefused
from airflow_bitrix.files.snapshot_changes import SnapshotChanges, read_snapshot_changes
from airflow_bitrix.files.snapshots import read_snapshot
from airflow_bitrix.operators.link_snapshots import Bitrix24ExportContactLinksOperator
from airflow_bitrix.sandbox.links import Link


@pytest.fixture
def sandbox(make_sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    sandbox = make_sandbox(leads=300, deals=300, contacts=300, plan="self_hosted")
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", str(tmp_path / "root"))
    return sandbox


Night = Callable[..., Any]


@pytest.fixture
def night(sandbox: Any) -> Night:
    """Export the deals of one night, as a task of a DAG run does."""
    assert sandbox

    def run(number: int, task_id: str = "deals", **arguments: Any) -> Any:
        ti = SimpleNamespace(task_id=task_id, map_index=-1)
        context: Any = {"ti": ti, "dag": SimpleNamespace(dag_id="nightly"), "run_id": f"night_{number}"}
        fields = {"kind": "deal", "detail": "full", "compare_with": "previous", **arguments}
        return Bitrix24ExportContactLinksOperator(task_id=task_id, **fields).execute(context)

    return run


def rows_of(made: Any) -> list[dict[str, str]]:
    with Path(made["changed_csv"]).open(newline="") as rows:
        return list(csv.DictReader(rows))


def test_the_first_night_has_nothing_to_compare_with_and_says_so(night: Night) -> None:
    made = night(1)
    assert (made["compared_with"], made["changes"], made["changed_owners"]) == (None, {}, 0)
    assert made["remark"] == "This is the first snapshot of this task."
    assert rows_of(made) == []
    assert "Nothing to compare with." in Path(made["report"]).read_text()
    assert read_snapshot_changes(Path(made["report"]).parent) == SnapshotChanges("", made["remark"])
    again = night(2)
    compared = read_snapshot_changes(Path(again["report"]).parent)
    assert compared
    assert (compared.since, compared.remark) == (read_snapshot(Path(made["snapshot"])).created, "")


def test_each_kind_of_change_is_told_exactly(night: Night, sandbox: Any) -> None:
    state = sandbox.state
    removed, both, swapped, moved, flagged, dropped = (
        int(state.add("deal", {"TITLE": "Pair", "CONTACT_IDS": [1, 2]})) for _ in range(6)
    )
    first = night(1)
    same = night(2)
    assert (same["compared_with"], same["changes"], rows_of(same)) == (first["snapshot"], {}, [])
    assert "None: every link is as it was." in Path(same["report"]).read_text()

    state.write_links("deal", removed, (Link(20, 2, primary=True),))
    state.write_links("deal", both, (Link(10, 1, primary=True), Link(20, 3)))
    state.write_links("deal", swapped, (Link(10, 2), Link(20, 1, primary=True)))
    state.write_links("deal", moved, (Link(10, 1, primary=True), Link(70, 2)))
    state.write_links("deal", flagged, (Link(10, 1), Link(20, 2, primary=True)))
    state.delete("deal", dropped)
    new = int(state.add("deal", {"TITLE": "New"}))
    made = night(3)
    assert made["compared_with"] == same["snapshot"]
    assert [(int(row["owner_id"]), row["what"], row["contacts"]) for row in rows_of(made)] == [
        (removed, "removed", "1"),
        (removed, "primary", "1 2"),
        (both, "added", "3"),
        (both, "removed", "2"),
        (swapped, "order", "2 1"),
        (moved, "sort", "2"),
        (flagged, "primary", "1 2"),
        (dropped, "gone", "1 2"),
        (new, "new", ""),
    ]
    assert made["changes"] == {
        "new": 1, "gone": 1, "added": 1, "removed": 2, "order": 1, "sort": 1, "primary": 2,
    }  # fmt: skip
    assert made["changed_owners"] == 7
    compared = read_snapshot_changes(Path(made["report"]).parent)
    assert compared
    assert compared.earlier == tuple(
        (read_snapshot(Path(one["snapshot"])).created, one["snapshot"]) for one in (same, first)
    )
    assert f"holds the changes already. <code>{same['snapshot']}</code>" in Path(made["report"]).read_text()
    row = next(row for row in rows_of(made) if row["what"] == "sort")
    assert (row["before"], row["after"]) == ("1* (10), 2 (20)", "1* (10), 2 (70)")
    assert row["address"] == f"{sandbox.base_url}/crm/deal/details/{moved}/"
    assert f'href="{row["address"]}"' in Path(made["report"]).read_text()
    assert sandbox.stats()["writes"] == 0


def test_a_night_that_fails_loses_nothing(night: Night, sandbox: Any) -> None:
    first = night(1)
    deal = int(sandbox.state.add("deal", {"TITLE": "New"}))
    sandbox.set_faults(seed=1, command=1.0, command_error={"error": "X", "error_description": "No"})
    with pytest.raises(Bitrix24Error):
        night(2)
    sandbox.clear_faults()
    made = night(3)
    assert made["compared_with"] == first["snapshot"]
    assert [row["owner_id"] for row in rows_of(made)] == [str(deal)]


def test_a_task_that_is_run_again_keeps_the_snapshot_of_its_first_try(night: Night, sandbox: Any) -> None:
    first = night(1)
    kept = (Path(first["snapshot"]) / "links.jsonl").read_bytes()
    sandbox.state.add("deal", {"TITLE": "New"})
    again = night(1)
    assert again["snapshot"] == f"{first['snapshot']}-2"
    assert again["compared_with"] == first["snapshot"]
    assert again["changes"] == {"new": 1}
    assert (Path(first["snapshot"]) / "links.jsonl").read_bytes() == kept


def test_tasks_kinds_and_portals_are_compared_with_their_own(
    night: Night, make_sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(1)
    assert night(2, kind="lead")["compared_with"] is None
    assert night(2, task_id="other")["compared_with"] is None
    other = make_sandbox(deals=10, contacts=10, plan="self_hosted")
    monkeypatch.setenv(
        "AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps({"conn_type": "bitrix24", "password": other.webhook_url})
    )
    assert night(3)["compared_with"] is None


def test_a_damaged_snapshot_is_passed_over_for_the_one_before(night: Night, sandbox: Any) -> None:
    first, second = night(1), night(2)
    deal = int(sandbox.state.add("deal", {"TITLE": "New"}))
    (Path(second["snapshot"]) / "links.jsonl").write_text("")
    made = night(3)
    assert made["compared_with"] == first["snapshot"]
    assert [row["owner_id"] for row in rows_of(made)] == [str(deal)]
    said = (
        f"Passed over: the snapshot in {second['snapshot']} is damaged: links.jsonl does not match its hash"
    )
    assert made["remark"].startswith(said)
    assert said in Path(made["report"]).read_text()


def test_another_filter_begins_anew_and_says_why(night: Night) -> None:
    night(1)
    made = night(2, filter={"<=id": 40})
    assert made["compared_with"] is None
    assert "the filter was none, and is {'<=id': 40} now" in made["remark"]


def test_ids_are_compared_with_full_snapshots_as_far_as_both_know(night: Night, sandbox: Any) -> None:
    pair = int(sandbox.state.add("deal", {"TITLE": "Pair", "CONTACT_IDS": [1, 2]}))
    night(1)
    assert night(2, detail="ids")["changes"] == {}
    sandbox.state.write_links("deal", pair, (Link(10, 1, primary=True), Link(30, 2)))
    assert night(3)["changes"] == {}  # nobody knew the sorts of the night before
    sandbox.state.write_links("deal", pair, (Link(10, 2), Link(30, 1, primary=True)))
    made = night(4, detail="ids")
    assert [(row["owner_id"], row["what"]) for row in rows_of(made)] == [(str(pair), "order")]
    assert "of different detail (full and ids)" in Path(made["report"]).read_text()


def test_only_so_many_snapshots_are_kept_and_what_they_reported_stays(night: Night) -> None:
    made = [night(number, keep="2") for number in range(1, 5)]
    there = [Path(one["snapshot"]).exists() for one in made]
    assert there == [False, False, True, True]
    assert [one["deleted"] for one in made] == [0, 0, 1, 1]
    assert all(Path(one["report"]).exists() and Path(one["changed_csv"]).exists() for one in made)
    assert night(5, keep=1)["compared_with"] == made[3]["snapshot"]


def test_keeping_deletes_nothing_of_other_tasks_and_nothing_that_lies_beside(night: Night) -> None:
    other = night(1, task_id="other")
    first = night(1)
    note = Path(first["snapshot"]) / "note.txt"
    note.write_text("mine")
    night(2, keep=1)
    assert Path(other["snapshot"], "manifest.json").exists()
    assert [path.name for path in note.parent.iterdir()] == ["note.txt"]


def test_a_snapshot_can_be_compared_with_any_other(night: Night, sandbox: Any, tmp_path: Path) -> None:
    first = night(1)
    night(2)
    deal = int(sandbox.state.add("deal", {"TITLE": "New"}))
    made = night(3, compare_with=first["snapshot"])
    assert [row["owner_id"] for row in rows_of(made)] == [str(deal)]
    sandbox.reset_stats()
    for wrong, said in ((str(tmp_path), "there is no snapshot in"), (first["snapshot"], "the kind was deal")):
        with pytest.raises(PlanRefused, match=said):
            night(4, compare_with=wrong, kind="lead")
    assert sandbox.stats()["admitted"] == 0


def test_a_damaged_pointer_is_refused_before_anything_is_sent(night: Night, sandbox: Any) -> None:
    night(1)
    (pointer,) = Path(os.environ["AIRFLOW__BITRIX24__ARTIFACTS_PATH"], "nightly").glob("deals.deal.*.json")
    pointer.write_text("{")
    sandbox.reset_stats()
    with pytest.raises(PlanRefused, match="is damaged; remove it"):
        night(2)
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"keep": 0}, "keep"),
        ({"keep": 5, "compare_with": None}, "keep"),
        ({"keep": "many"}, "keep"),
        ({"ordered": False}, "ordered"),
        ({"compare_with": 7}, "compare_with"),
    ],
)
def test_a_parameter_that_cannot_be_right_is_refused(
    arguments: dict[str, Any], argument: str, night: Night, sandbox: Any
) -> None:
    with pytest.raises(InvalidInput, match=rf"^{argument}: "):
        night(1, **arguments)
    assert sandbox.stats()["admitted"] == 0
