"""What the report offers to bring links back to, and that a run was taken back."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from airflow_bitrix.core.differences import Difference
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.checks import Check, write_check
from airflow_bitrix.files.partial_views import write_partial
from airflow_bitrix.files.snapshot_changes import (
    CHANGED,
    ChangedFile,
    SnapshotChanges,
    write_snapshot_changes,
)
from airflow_bitrix.files.snapshots import SnapshotWriter
from airflow_bitrix.files.taken_back import TakenBack, write_taken_back
from tests.plugins.applied_run import RUN, applied_plan, at
from tests.plugins.conftest import MakeRun
from tests.plugins.picky import MINE
from tests.plugins.runs import PORTAL, make_plan, sealed


def test_links_can_be_brought_back_to_a_snapshot(reader: TestClient, make_run: MakeRun) -> None:
    """To whole ones only: what a scan had begun to write is none."""
    folder = make_run(MINE, RUN) / "leads"
    snapshot(folder / "snapshot", "2026-11-27T02:00:00+00:00")
    snapshot(folder / "snapshot-2", "2026-11-27T03:00:00+00:00")
    SnapshotWriter(folder / "begun").__exit__()
    page = reader.get(at("?task=leads")).text
    assert offered(page) == [
        ("Snapshot of 2026-11-27 02:00 UTC", f"{folder}/snapshot"),
        ("Snapshot of 2026-11-27 03:00 UTC", f"{folder}/snapshot-2"),
    ]
    assert "Bring links back to what they were before" not in page


def test_what_changed_is_brought_back_to_a_snapshot_from_before_it(
    reader: TestClient, make_run: MakeRun, tmp_path: Path
) -> None:
    """The run's own holds the change already. Those that are no longer kept are not offered."""
    folder = make_run(MINE, RUN) / "leads"
    earlier = [(f"2026-11-{day}T02:00:00+00:00", str(tmp_path / day)) for day in ("26", "25", "24")]
    for created, place in earlier[:2]:
        snapshot(Path(place), created)
    new = snapshot(folder / "snapshot", "2026-11-27T02:00:00+00:00")
    with ChangedFile(folder / CHANGED, PORTAL) as file:
        file.add(Difference(Owner("lead", 5), "gone", LinkSet(Owner("lead", 5)), None))
    write_snapshot_changes(folder, SnapshotChanges(earlier[0][0], "", tuple(earlier)))
    page = reader.get(at("?task=leads")).text
    assert offered(page) == [
        ("Snapshot of 2026-11-26 02:00 UTC", str(tmp_path / "26")),
        ("Snapshot of 2026-11-25 02:00 UTC", str(tmp_path / "25")),
        ("Snapshot of 2026-11-27 02:00 UTC", str(new)),
    ]
    assert page.index("the first is the last one before the changes") < page.index(str(new))
    assert page.index("It holds the changes") < page.index(str(new))


def test_a_snapshot_with_nobody_in_it_says_so_and_is_not_offered(
    reader: TestClient, make_run: MakeRun
) -> None:
    folder = make_run(MINE, RUN)
    wanted: dict[str, Any]
    for name, wanted, said in (
        ("all", {}, "no deal is there to be seen."),
        ("some", {"id": 7}, "no deal matches its filter, {&#39;id&#39;: 7}."),
    ):
        with SnapshotWriter(folder / name / "snapshot") as writer:
            created = "2026-11-27T02:00:00+00:00"
            writer.finish(kind="deal", portal=PORTAL, created=created, detail="ids", wanted=wanted)
        page = reader.get(at(f"?task={name}")).text
        assert f"<b>The snapshot is empty:</b> {said}" in page
        assert offered(page) == []


def test_a_partial_view_is_told_first(reader: TestClient, make_run: MakeRun) -> None:
    """Of a plan, and of what a task has found without one."""
    said = "the webhook's user is no <administrator>"
    folder = make_run(MINE, RUN)
    manifest = applied_plan(folder / "plan")
    write_check(folder / "plan", Check(manifest.hash, "2999-01-01T00:00:00+00:00", ApplyCost(), (said,)))
    (folder / "compare").mkdir()
    (folder / "compare" / "reconcile.csv").write_text("difference,kind\n")
    write_partial(folder / "compare", [said])
    shown = "<b>Partial view:</b> the webhook&#39;s user is no &lt;administrator&gt;."
    for task, next_thing in (("plan", "What became of the changes"), ("compare", "<h2>Differences</h2>")):
        page = reader.get(at(f"?task={task}")).text
        assert page.index(shown) < page.index(next_thing)
    write_partial(folder / "compare", [])
    assert "Partial view" not in reader.get(at("?task=compare")).text
    sealed(folder / "plan", partial=["only leads of user 7 are seen"])
    assert "<b>Partial view:</b> only leads of user 7 are seen." in reader.get(at("?task=plan")).text


def snapshot(folder: Path, created: str) -> Path:
    with SnapshotWriter(folder) as writer:
        writer.add(LinkSet(Owner("lead", 5)))
        writer.finish(kind="lead", portal=PORTAL, created=created, detail="ids")
    return folder


def offered(page: str) -> list[tuple[str, str]]:
    """What the page offers to copy: what it is, and the folder."""
    return [(what, value) for value, what in re.findall(r'readonly value="(.*?)" aria-label="(.*?)"', page)]


def test_a_run_over_several_kinds_is_taken_back_as_a_whole(reader: TestClient, make_run: MakeRun) -> None:
    """What was not applied is none of it, and of two plans for one kind each is taken back alone."""
    folder = make_run(MINE, RUN)
    for task in ("leads.plan", "deals.plan"):
        applied_plan(folder / task)
    make_plan(folder / "quotes.plan", [])
    sealed(folder / "quotes.plan", kind="quote")
    page = reader.get(at("?task=deals.plan")).text
    assert offered(page) == [("Folder", f"{folder}/deals.plan")]
    sealed(folder / "deals.plan", kind="deal")
    page = reader.get(at("?task=leads.plan")).text
    assert offered(page) == [
        ("Folder of the run", str(folder)),
        ("Folder of the leads alone", f"{folder}/leads.plan"),
    ]
    assert "it takes back all kinds that the run was about" in page


def test_two_smart_processes_are_taken_back_one_by_one(reader: TestClient, make_run: MakeRun) -> None:
    folder = make_run(MINE, RUN)
    for task, kind in (("leads.plan", "lead"), ("one.plan", "dynamic_1036"), ("other.plan", "dynamic_1038")):
        applied_plan(folder / task)
        if kind != "lead":
            sealed(folder / task, kind=kind)
    page = reader.get(at("?task=leads.plan")).text
    assert offered(page) == [("Folder", f"{folder}/leads.plan")]
    assert "it takes back all kinds that the run was about" not in page


def test_a_run_over_several_kinds_tells_what_became_of_each(reader: TestClient, make_run: MakeRun) -> None:
    """Whichever plan the page is about, one table tells of all that can be read."""
    folder = make_run(MINE, RUN)
    for task in ("leads.plan", "deals.plan"):
        applied_plan(folder / task)
    sealed(folder / "deals.plan", kind="deal")  # another plan by that, of which nothing is applied
    make_plan(folder / "quotes.plan", [])
    sealed(folder / "quotes.plan", kind="quote")
    (folder / "torn.plan" / "plan").mkdir(parents=True)
    page = reader.get(at("?task=quotes.plan")).text
    rows = re.findall(
        r'<tr><th scope="row"><a href="\?task=(.*?)&amp;lang=en">(.*?)</a></th>(.*?)</tr>', page
    )
    counts = {task: (what, re.findall(r"<td.*?>(.*?)</td>", cells)) for task, what, cells in rows}
    assert {*counts} == {"leads.plan", "deals.plan", "quotes.plan"}
    assert counts["leads.plan"] == ("1,020 leads", ["999", "0", "0", "1", "0", "20"])
    assert counts["deals.plan"] == ("1,020 deals", ["0", "0", "0", "0", "0", "1,020"])
    assert counts["quotes.plan"] == ("0 quotes", ["0"] * 6)


def test_a_run_says_by_which_restore_it_was_taken_back_and_when(
    reader: TestClient, make_run: MakeRun
) -> None:
    folder = make_run(MINE, RUN) / "plan"
    manifest = applied_plan(folder)
    begun = TakenBack(
        manifest.hash, "b" * 64, "/x/plan", "2026-11-27T09:00:00+00:00", "run again of restores"
    )
    write_taken_back(folder, begun)
    page = reader.get(at()).text
    assert (
        "A restore by run again of restores began to take it back, 2026-11-27 09:00 UTC, and has not told "
        "what came of it." in page
    )
    write_taken_back(folder, replace(begun, at="later", counts={"applied": 950, "drift": 49, "failed": 0}))
    page = reader.get(at()).text
    assert (
        "Taken back by run again of restores, 2026-11-27 09:00 UTC. Of its changes: 950 applied, 49 drift. "
        "Its own report names what it left alone, and why." in page
    )
    assert "has not told" not in page
    sealed(folder, created="2026-11-21T10:00:01+00:00")  # another plan, of which that says nothing
    assert "Taken back by" not in reader.get(at()).text
