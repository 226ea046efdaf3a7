"""What old runs have left is removed, and nothing that anybody may need."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, cast

import fsspec  # type: ignore[import-untyped]
import pytest
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]
from upath import UPath

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.languages import speaking
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.names import OwnerNames
from airflow_bitrix.core.plan import Change, ChangeOutcome
from airflow_bitrix.files import old_runs
from airflow_bitrix.files.approvals import Answer, Approval, write_approval
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.journals import write_failed
from airflow_bitrix.files.named_tables import OF_OWNERS, owner_cells, rewriting
from airflow_bitrix.files.names import write_part_names
from airflow_bitrix.files.own_files import make_folder, write_new
from airflow_bitrix.files.plan_locks import plan_held
from airflow_bitrix.files.plans import MANIFEST, PlanWriter
from airflow_bitrix.files.snapshot_history import SnapshotHistory
from airflow_bitrix.files.snapshots import SnapshotWriter, read_snapshot
from airflow_bitrix.operators.housekeeping import Bitrix24HousekeepingOperator

PORTAL = "https://acme.bitrix24.com"
LATER = 100 * old_runs.DAY
"""Seconds from the time at which the runs were made to that of the clean-up."""


def made_plan(task: Path, answer: Answer = "approved", until: str = "") -> None:
    with PlanWriter(task / "plan") as plan:
        manifest = plan.finish(
            read=1, guards=Guards(), kind="lead", portal=PORTAL, created="", rules=("fix_primary",)
        )
    write_approval(task, Approval(manifest.hash, answer, "2026-01-01T00:00:00+00:00", until=until))


def made_snapshot(folder: Path) -> None:
    with SnapshotWriter(folder) as snapshot:
        snapshot.add(LinkSet(Owner("lead", 1)))
        snapshot.finish(kind="lead", portal=PORTAL, created="", detail="ids")


Clean = Callable[..., Any]


@pytest.fixture
def clean(place: Path, monkeypatch: pytest.MonkeyPatch) -> Clean:
    """Clean up a hundred days later."""
    now = time.time() + LATER

    def clean(**how: Any) -> Any:
        monkeypatch.setattr("airflow_bitrix.operators.housekeeping.time.time", lambda: now)
        arguments = {"artifacts_path": str(place), "is_dry_run": False, **how}
        return Bitrix24HousekeepingOperator(task_id="keep", **arguments).execute({})

    return clean


def there(place: Path) -> set[str]:
    return {"/".join(path.parts[-2:]) for path in place.glob("*/*")}


def test_what_nobody_needs_goes_and_all_else_stays(place: Path, clean: Clean) -> None:
    made_plan(place / "dag" / "done" / "plan")
    made_plan(place / "dag" / "answered too late" / "plan", "waiting", "2026-01-02T00:00:00+00:00")
    made_plan(place / "dag" / "waits" / "plan", "waiting", "2999-01-01T00:00:00+00:00")
    made_plan(place / "dag" / "under way" / "plan")
    for night in ("first", "last"):
        made_snapshot(place / "nights" / night / "leads" / "snapshot")
        history = SnapshotHistory(place / "nights" / "leads.lead.portal.json")
        history.add(read_snapshot(place / "nights" / night / "leads" / "snapshot"))
    make_folder(place / "pairs")
    write_new(place / "pairs" / "parked-lead.old.new.1f0c7a2e.jsonl", "{}\n")
    write_new(place / "pairs" / "notes.txt", "of a colleague")
    make_folder(place / "other" / "run" / "task")
    write_new(place / "other" / "run" / "task" / "data.csv", "1,2")
    all_of_it = there(place)

    dry = clean(is_dry_run=True)
    assert there(place) == all_of_it
    with plan_held(place / "dag" / "under way" / "plan" / "plan", MANIFEST):
        done = clean()
    gone = {"dag/done", "dag/answered too late", "nights/first", "pairs/parked-lead.old.new.1f0c7a2e.jsonl"}
    assert there(place) == all_of_it - gone
    assert (done["removed"], dry["removed"]) == (len(gone), len(gone) + 1)  # nobody looks who is at a plan
    assert 0 < done["bytes"] < dry["bytes"]
    assert done["kept"] == {"in use": 1, "last snapshot": 1, "waits for approval": 1}

    assert clean()["removed"] == 1  # what was under way
    assert clean()["removed"] == 0


OTHERS = ("report.html", "changes.html", "plans/next year.csv", "journals/2026.txt", "snapshots/disk.img")


@pytest.mark.attack
@pytest.mark.parametrize("name", OTHERS)
def test_what_others_keep_under_such_names_stays(place: Path, clean: Clean, name: str) -> None:
    file = place / "site" / "nightly" / "build" / name
    make_folder(file.parent)
    write_new(file, "of a colleague")
    assert clean()["removed"] == 0
    assert file.exists()


class Untimed(MemoryFileSystem):  # type: ignore[misc]
    """A storage that does not tell when a file was written."""

    protocol: ClassVar[str] = "untimed"

    def find(self, *given: Any, **how: Any) -> Any:
        """Find files."""
        return {name: {"size": one["size"]} for name, one in super().find(*given, **how).items()}


@pytest.mark.attack
def test_what_was_written_at_no_known_time_is_not_old() -> None:
    fsspec.register_implementation("untimed", Untimed, clobber=True)
    root = cast("Path", UPath("untimed://shared/artifacts"))
    (root / "dag" / "run" / "compare" / "reconcile.csv").write_text("what\n")
    assert list(old_runs.old_runs(root, days=1, now=time.time() + LATER)) == []


def test_a_run_that_only_compared_portals_goes_as_well(place: Path, clean: Clean) -> None:
    make_folder(place / "dag" / "run" / "compare")
    write_new(place / "dag" / "run" / "compare" / "reconcile.csv", "what\n")
    assert clean()["removed"] == 1


def test_a_plan_that_may_still_be_applied_stays(place: Path, clean: Clean) -> None:
    made_plan(place / "dag" / "run" / "plan", until="2999-01-01T00:00:00+00:00")
    assert clean()["kept"] == {"approved": 1}


def test_what_stays_is_counted_under_one_name_in_each_language(place: Path, clean: Clean) -> None:
    made_plan(place / "dag" / "run" / "plan", until="2999-01-01T00:00:00+00:00")
    with speaking("ru"):
        assert clean()["kept"] == {"approved": 1}


def test_the_last_snapshot_stays_by_whatever_way_its_folder_is_named(tmp_path: Path, clean: Clean) -> None:
    made_snapshot(tmp_path / "root" / "nights" / "last" / "leads" / "snapshot")
    history = SnapshotHistory(tmp_path / "root" / "nights" / "leads.lead.portal.json")
    history.add(read_snapshot(tmp_path / "root" / "nights" / "last" / "leads" / "snapshot"))
    (tmp_path / "mounted").symlink_to(tmp_path / "root")
    done = clean(artifacts_path=str(tmp_path / "mounted"))
    assert done["kept"] == {"last snapshot": 1}


def test_what_somebody_put_beside_the_tasks_of_a_run_lately_keeps_it(tmp_path: Path) -> None:
    run = tmp_path / "dag" / "run"
    made_plan(run / "plan")
    for path in run.rglob("*"):
        os.utime(path, (0, time.time() - LATER))
    write_new(run / "notes.txt", "why we did this")
    task = Bitrix24HousekeepingOperator(task_id="keep", artifacts_path=str(tmp_path), is_dry_run=False)
    assert task.execute({})["removed"] == 0


def test_days_are_those_of_the_form_and_else_of_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days in (5, 50, 95):
        task = tmp_path / "dag" / f"{days}" / "plan"
        made_plan(task)
        for path in task.rglob("*"):
            os.utime(path, (0, time.time() - days * old_runs.DAY - 60))

    def would_go(**how: Any) -> Any:
        task = Bitrix24HousekeepingOperator(task_id="keep", artifacts_path=str(tmp_path), **how)
        return task.execute({})["removed"]

    assert would_go() == 1
    assert [would_go(keep_days=days) for days in (1, "50", 51, 96)] == [3, 2, 1, 0]
    monkeypatch.setenv("AIRFLOW__BITRIX24__KEEP_DAYS", "5")
    assert would_go() == would_go(keep_days="None") == 3
    assert is_on_disk(tmp_path / "dag" / "5" / "plan")
    monkeypatch.setenv("AIRFLOW__BITRIX24__KEEP_DAYS", "0")
    with pytest.raises(InvalidInput, match=r"\[bitrix24\] keep_days"):
        would_go()


@pytest.mark.parametrize("given", [0, -1, 2.5, "soon"])
def test_days_that_cannot_be_are_refused_with_the_dag(given: Any) -> None:
    with pytest.raises(InvalidInput, match="keep_days"):
        Bitrix24HousekeepingOperator(task_id="keep", keep_days=given)


def made_names(task: Path, until: str = "") -> None:
    """Leave a run that was checked, with names wherever there are some."""
    lead = Owner("lead", 1)
    with PlanWriter(task / "plan", left_out_on=PORTAL) as plan:
        plan.add(Change(LinkSet.of_ids(lead, [7], 7), LinkSet(lead), ("why",), ("x",), may_empty=True))
        plan.leave_out(Owner("lead", 2), "converted", "it is converted")
        manifest = plan.finish(
            read=2, guards=Guards(), kind="lead", portal=PORTAL, created="", rules=("fix_primary",)
        )
    write_approval(task, Approval(manifest.hash, "approved", "2026-01-01T00:00:00+00:00", until=until))
    names = OwnerNames("Title of Anna", "New", "Anna", {7: "Anna"})
    write_part_names(task, 0, [(1, names)])
    write_failed(task / "failed.csv", [ChangeOutcome(lead, "failed", "why")], PORTAL, lambda _: names)
    write_new(task / "report.html", "<p>Anna</p>" * 99)
    with rewriting(task / "plan" / "left_out.csv", OF_OWNERS) as (_, rows, write):
        for row in rows:
            write(row, owner_cells(names))


def texts(folder: Path) -> dict[str, str]:
    return {
        "/".join(path.parts[-3:]): path.read_bytes().decode()
        for path in folder.glob("**/*")
        if path.is_file()
    }


def test_names_alone_go_and_what_a_restore_needs_stays(place: Path, clean: Clean) -> None:
    made_names(place / "dag" / "old" / "plan")
    made_names(place / "dag" / "wanted" / "plan", until="2999-01-01T00:00:00+00:00")
    made_plan(place / "dag" / "nameless" / "plan")
    before = texts(place)
    size = sum(len(before[f"old/plan/{name}"]) for name in ("report.html",))
    size += len(before["plan/names/part-00000.jsonl"])
    dry = clean(only_names=True, is_dry_run=True)
    assert texts(place) == before
    done = clean(only_names=True)
    assert (dry["removed"], dry["bytes"]) == (done["removed"], done["bytes"]) == (1, size)
    assert done["kept"] == {"approved": 1}
    after = texts(place / "dag" / "old")
    assert "Anna" not in "".join(after.values())
    with_names = texts(place / "dag" / "wanted")
    assert "Anna" in "".join(with_names.values())
    assert {name.rpartition("/")[2] for name in after if ".d/" not in name} >= {
        "manifest.json",
        "part-00000.jsonl",
        "left_out.csv",
        "failed.csv",
        "approval.json",
    }
    assert after["old/plan/failed.csv"].splitlines() == [
        "owner,owner_id,outcome,reason,address",
        f"lead,1,failed,why,{PORTAL}/crm/lead/details/1/",
    ]
    assert after["plan/plan/left_out.csv"].splitlines()[1:] == [
        f"lead,2,converted,it is converted,{PORTAL}/crm/lead/details/2/"
    ]
    assert clean(only_names=True)["removed"] == 0


def test_a_run_is_as_old_as_before_when_its_names_are_gone(tmp_path: Path) -> None:
    run = tmp_path / "dag" / "run"
    made_names(run / "plan")
    for path in run.rglob("*"):
        os.utime(path, (0, time.time() - LATER))

    def remove(**how: Any) -> Any:
        task = Bitrix24HousekeepingOperator(
            task_id="keep", artifacts_path=str(tmp_path), is_dry_run=False, **how
        )
        return task.execute({})["removed"]

    assert [remove(only_names="True"), remove(only_names=True), remove()] == [1, 0, 1]


@pytest.mark.attack
@pytest.mark.parametrize("content", ["", "a;b\n1;2\n", "owner,owner_id\n" + '"' * 200_000, "\0"])
def test_a_table_that_somebody_touched_stays_as_it_is(tmp_path: Path, clean: Clean, content: str) -> None:
    task = tmp_path / "dag" / "run" / "plan"
    made_names(task)
    (task / "failed.csv").write_text(content)
    (task / "plan" / "left_out.csv").unlink()
    assert clean(artifacts_path=str(tmp_path), only_names=True)["removed"] == 1
    assert (task / "failed.csv").read_text() == content
    assert not (task / "report.html").exists()


def test_a_link_into_other_files_is_not_followed(tmp_path: Path) -> None:
    others = tmp_path / "others"
    made_plan(others / "plan")
    root = tmp_path / "root"
    (root / "dag").mkdir(parents=True)
    (root / "dag" / "run").symlink_to(others)
    task = Bitrix24HousekeepingOperator(task_id="keep", artifacts_path=str(root), is_dry_run=False)
    assert task.execute({})["removed"] == 0
    assert (others / "plan" / "plan" / MANIFEST).exists()
