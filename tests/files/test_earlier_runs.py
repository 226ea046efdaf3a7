"""A plan made again: what was applied stays restorable, plan and journal together, whatever dies then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from airflow.sdk import ObjectStoragePath
from upath import UPath

from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change, ChangeOutcome
from airflow_bitrix.files.approvals import APPROVAL
from airflow_bitrix.files.checks import CHECK
from airflow_bitrix.files.earlier_runs import earlier_journals
from airflow_bitrix.files.journals import JournalPart, journal_folder
from airflow_bitrix.files.plans import Manifest, PlanWriter, check_parts, plan_lock, read_manifest
from airflow_bitrix.files.restores import JournalSource


def change(number: int) -> Change:
    before = LinkSet(Owner("lead", number), (ContactLink(7, 10, is_primary=True),))
    return Change(before, LinkSet(before.owner), ("why",), ("made_up",))


def make(run: Path, *owners: int) -> Manifest:
    with PlanWriter(run / "plan") as plan:
        for number in owners:
            plan.add(change(number))
        about: dict[str, Any] = {"portal": "https://acme.bitrix24.com", "created": "2026-11-21", "rules": ()}
        return plan.finish(read=len(owners), kind="lead", guards=Guards(), **about)


def apply(run: Path, manifest: Manifest, *, dry_run: bool = False) -> None:
    """Leave what an apply of all parts leaves."""
    journal = journal_folder(run, manifest.hash)
    for part in manifest.parts:
        with JournalPart(journal / part["name"], plan_hash=manifest.hash, dry_run=dry_run) as lines:
            one = change(1)
            lines.note(ChangeOutcome(one.owner, "skipped" if dry_run else "applied", "", one.before))
    for name in ("report.html", "failed.csv"):
        (run / name).write_text(f"{name} of {manifest.hash}")


def held_in(run: Path) -> dict[str, bytes]:
    """Give all files of a run by their paths in it."""
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def aside(run: Path, manifest: Manifest) -> Path:
    return run / f"earlier-{manifest.hash[:12]}"


def test_a_plan_that_was_applied_is_moved_aside_with_its_journal_and_report(tmp_path: Path) -> None:
    first = make(tmp_path, 1, 2)
    apply(tmp_path, first)
    before = held_in(tmp_path)
    second = make(tmp_path, 3)
    assert held_in(aside(tmp_path, first)) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [aside(tmp_path, first).name, "plan"]
    assert read_manifest(tmp_path / "plan") == second
    source = JournalSource.of(aside(tmp_path, first))
    source.check()
    assert [image.links for image in source.images()] == [change(1).before]
    assert list(earlier_journals(tmp_path)) == [aside(tmp_path, first) / "journal"]


def test_every_plan_is_kept_whose_run_wrote_also_one_that_is_the_same_again(tmp_path: Path) -> None:
    first = make(tmp_path, 1)
    for _ in range(3):
        apply(tmp_path, first)
        assert make(tmp_path, 1).hash == first.hash
    name = aside(tmp_path, first).name
    runs = {path.parent.name for path in earlier_journals(tmp_path)}
    assert runs == {name, f"{name}-2", f"{name}-3"}
    for run in runs:
        JournalSource.of(tmp_path / run).check()


@pytest.mark.parametrize("is_dry", [True, False], ids=["dry run", "not applied"])
def test_a_plan_that_wrote_nothing_is_replaced(tmp_path: Path, *, is_dry: bool) -> None:
    first = make(tmp_path, 1)
    if is_dry:
        with plan_lock(tmp_path / "plan", first):
            apply(tmp_path, first, dry_run=True)
    make(tmp_path, 2)
    assert not aside(tmp_path, first).exists()
    assert sorted(held_in(tmp_path / "plan")) == ["left_out.csv", "manifest.json", "part-00000.jsonl"]


def test_the_reports_of_a_dry_run_go_with_its_plan(tmp_path: Path) -> None:
    """They would be taken for those of the plan that replaces it."""
    first = make(tmp_path, 1)
    apply(tmp_path, first, dry_run=True)
    for name in (APPROVAL, CHECK):
        (tmp_path / name).write_text("{}")
    make(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal", "plan"]


def test_the_reports_of_another_plan_stay_where_one_that_was_not_applied_is_replaced(tmp_path: Path) -> None:
    """One that was made elsewhere, and applied or looked at here."""
    run, other = tmp_path / "run", tmp_path / "other"
    elsewhere = make(other, 5)
    make(run, 1)
    apply(run, elsewhere, dry_run=True)
    before = held_in(run)
    make(run, 2)
    assert held_in(run).keys() == before.keys()
    assert (run / "report.html").read_text() == f"report.html of {elsewhere.hash}"


def test_a_real_run_after_a_dry_one_counts_as_a_real_one(tmp_path: Path) -> None:
    first = make(tmp_path, 1)
    apply(tmp_path, first, dry_run=True)
    apply(tmp_path, first)
    make(tmp_path, 2)
    JournalSource.of(aside(tmp_path, first)).check()


def test_a_plan_that_was_applied_into_another_folder_is_kept_too(tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    first = make(run, 1)
    other.mkdir()
    with plan_lock(run / "plan", first):
        apply(other, first)
    make(run, 2)
    JournalSource.of(other, aside(run, first) / "plan").check()


def test_a_plan_applied_here_from_elsewhere_keeps_its_journal_in_place(tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    elsewhere = make(other, 5)
    own = make(run, 1)
    apply(run, own)
    apply(run, elsewhere)  # the journal of the folder's own plan is moved aside
    before = held_in(run / "journal")
    make(run, 2)
    assert held_in(run / "journal") == before
    assert (run / "report.html").read_text() == f"report.html of {elsewhere.hash}"
    JournalSource.of(aside(run, own)).check()
    JournalSource.of(run, other / "plan").check()


def test_a_manifest_that_can_no_longer_be_read_is_kept_with_the_journal(tmp_path: Path) -> None:
    apply(tmp_path, make(tmp_path, 1))
    (tmp_path / "plan" / "manifest.json").write_text("{")
    before = held_in(tmp_path)
    make(tmp_path, 2)
    assert held_in(tmp_path / "earlier-unknown") == before


@pytest.mark.parametrize("parts", [None, [0]], ids=["whole", "part"])
def test_a_plan_that_is_being_applied_is_neither_moved_nor_replaced(
    parts: list[int] | None, tmp_path: Path
) -> None:
    first = make(tmp_path, 1)
    apply(tmp_path, first)
    with plan_lock(tmp_path / "plan", first, parts):
        before = held_in(tmp_path)
        with pytest.raises(RetryLater, match="another task applies this plan now"):
            make(tmp_path, 2)
        assert held_in(tmp_path) == before
    make(tmp_path, 2)


def test_a_journal_that_is_being_read_is_not_moved(tmp_path: Path) -> None:
    first = make(tmp_path, 1)
    apply(tmp_path, first)
    before = held_in(tmp_path)
    path = tmp_path / "journal" / "part-00000.jsonl"
    with (
        JournalPart(path, plan_hash=first.hash, dry_run=True),
        pytest.raises(RetryLater, match=r"another task is at .*part-00000"),
    ):
        make(tmp_path, 2)
    assert held_in(tmp_path).keys() == before.keys()


DIES = """
import os, sys
from pathlib import Path
from airflow_bitrix.files.plans import PlanWriter
left = int(sys.argv[2])
def die(event, _):
    global left
    if event in ("os.rename", "os.remove"):
        left -= 1
        if left < 0:
            os._exit(9)
sys.addaudithook(die)
PlanWriter(Path(sys.argv[1]) / "plan")
"""
"""Begins a plan, and dies before the so-many-th file is moved or removed."""


@pytest.mark.slow
def test_whatever_dies_on_the_way_nothing_is_lost_and_the_next_try_goes_on(tmp_path: Path) -> None:
    deaths = 0
    for moved in range(100):
        run = tmp_path / str(moved)
        first = make(run, *range(1, 1500))
        apply(run, first)
        before = held_in(run)
        died = subprocess.run([sys.executable, "-c", DIES, run, str(moved)], check=False).returncode
        if not died:
            break
        deaths += 1
        assert sorted(held_in(run).values()) == sorted(before.values())
        make(run, 3)
        assert held_in(aside(run, first)) == before
        assert read_manifest(run / "plan").changes == 1
    # two parts of the plan and of the journal, left_out.csv, report, failed.csv and the manifest, at least
    assert deaths >= 8


@pytest.mark.parametrize("store", ["objects in memory", "files by their address"])
def test_on_object_storage_plan_and_journal_are_moved_too(store: str, tmp_path: Path) -> None:
    place = (
        ObjectStoragePath(f"file://{tmp_path}") if "files" in store else UPath(f"memory://{tmp_path.name}")
    )
    run = cast("Path", place / "run")
    first = make(run, 1)
    with plan_lock(run / "plan", first):
        apply(run, first)
    second = make(run, 2)
    source = JournalSource.of(aside(run, first))
    source.check()
    assert [image.links for image in source.images()] == [change(1).before]
    assert (aside(run, first) / "report.html").read_text() == f"report.html of {first.hash}"
    check_parts(run / "plan", second)
    assert [path.name for path in (run / "plan").glob("part-*")] == ["part-00000.jsonl"]
    assert [str(path.parent) for path in earlier_journals(run)] == [str(aside(run, first))]
