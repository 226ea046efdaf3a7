"""A pipe, a device or a file without an end in the folder of a run holds up nobody, whatever its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copytree, rmtree

import pytest

from airflow_bitrix.core.errors import PlanRefused, RetryLater
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.approvals import Approval, read_approval, write_approval
from airflow_bitrix.files.checks import Check, read_check, write_check
from airflow_bitrix.files.earlier_runs import earlier_journals, may_have_written
from airflow_bitrix.files.journals import JournalPart, journal_folder, write_failed
from airflow_bitrix.files.outcome_index import read_index
from airflow_bitrix.files.owner_lists import read_owner_ids
from airflow_bitrix.files.partial_views import read_partial, write_partial
from airflow_bitrix.files.plans import Manifest, plan_lock, read_manifest
from airflow_bitrix.files.restores import JournalSource, SnapshotSource
from airflow_bitrix.files.snapshot_changes import (
    SnapshotChanges,
    read_snapshot_changes,
    write_snapshot_changes,
)
from airflow_bitrix.files.snapshots import SnapshotWriter
from airflow_bitrix.files.taken_back import TakenBack, read_taken_back, write_taken_back
from airflow_bitrix.files.writers import Wait, Writer, only_writer, read_wait, write_wait
from airflow_bitrix.report.indexed import summary_of
from tests.files.obstacles import huge, pipe, soon
from tests.plugins.runs import PORTAL, change, make_plan, note, outcome

pytestmark = pytest.mark.attack

NOW = "2026-11-21T10:00:00+00:00"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every file that a run can leave, and those beside it."""
    run = tmp_path_factory.mktemp("whole") / "run"
    manifest = make_plan(run, [change(1), change(2)])
    note(run, manifest, {0: [outcome(1), outcome(2, "failed", "why")]})
    write_failed(run / "failed.csv", [outcome(2, "failed", "why")], PORTAL)
    write_approval(run, Approval(manifest.hash, "approved", NOW))
    write_check(run, Check(manifest.hash, NOW, ApplyCost()))
    write_partial(run, ["why"])
    write_snapshot_changes(run, SnapshotChanges(NOW))
    write_taken_back(run, TakenBack(manifest.hash, "0" * 64, str(run), NOW))
    write_wait(run, Wait(manifest.hash, "another", NOW, NOW, NOW))
    with SnapshotWriter(run / "snapshot") as snapshot:
        snapshot.add(LinkSet.of_ids(Owner("lead", 1), (7,), 7))
        snapshot.finish(kind="lead", portal=PORTAL, created=NOW, detail="ids")
    with (
        only_writer(run / "writing", PORTAL, "lead", Writer("dag", "run", NOW)),
        plan_lock(run / "plan", manifest),
    ):
        pass
    copytree(run / "plan", run / "earlier-0" / "plan")
    copytree(run / "journal", run / "earlier-0" / "journal")
    return run


@contextmanager
def held(run: Path, manifest: Manifest) -> Iterator[None]:
    """Be the one who writes, as an apply is."""
    with (
        only_writer(run / "writing", PORTAL, "lead", Writer("dag", "run", NOW)),
        plan_lock(run / "plan", manifest),
    ):
        yield


def take_back(run: Path) -> None:
    source = JournalSource.of(run)
    source.check()
    list(source.images())
    list(source.earlier)


def bring_back(run: Path) -> None:
    source = SnapshotSource.of(run / "snapshot")
    source.check()
    list(source.images())


def plan_again(run: Path) -> None:
    make_plan(run, [change(3)])


def apply(run: Path) -> None:
    manifest = read_manifest(run / "plan")
    with (
        only_writer(run / "writing", PORTAL, "lead", Writer("dag", "run", NOW)),
        plan_lock(run / "plan", manifest),
    ):
        journal = journal_folder(run, manifest.hash)
        with JournalPart(journal / "part-00000.jsonl", plan_hash=manifest.hash, dry_run=False) as part:
            part.note(outcome(2))


def write_beside(run: Path) -> None:
    for write in (
        lambda: write_approval(run, Approval("0" * 64, "approved", NOW)),
        lambda: write_check(run, Check("0" * 64, NOW, ApplyCost())),
        lambda: write_partial(run, ["why"]),
        lambda: write_snapshot_changes(run, SnapshotChanges(NOW)),
        lambda: write_taken_back(run, TakenBack("0" * 64, "0" * 64, str(run), NOW)),
        lambda: write_wait(run, Wait("0" * 64, "another", NOW, NOW, NOW)),
        lambda: write_failed(run / "failed.csv", [], PORTAL),
    ):
        with suppress(OSError):
            write()


def read_beside(run: Path) -> None:
    read_approval(run, "0" * 64)
    read_check(run, "0" * 64, 0)
    read_partial(run)
    read_snapshot_changes(run)
    read_taken_back(run, "0" * 64)
    read_wait(run, "0" * 64)
    for journal in earlier_journals(run):
        may_have_written(journal)
    with suppress(ValueError):  # of an argument
        read_owner_ids(run / "failed.csv", "lead")


def show(run: Path) -> None:
    summary_of(read_index(run))


WORKS = [take_back, bring_back, plan_again, apply, write_beside, read_beside, show]


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
@pytest.mark.parametrize("make", [pipe, huge], ids=lambda make: make.__name__)
def test_whatever_lies_in_a_file_s_place_the_work_ends(
    whole: Path, tmp_path: Path, make: Callable[[Path], None], work: Callable[[Path], None]
) -> None:
    """By a clear refusal where it needs the file, as usual where it does not."""
    names = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert len(names) > 15
    refused = []
    for name in names:
        run = tmp_path / "run"
        copytree(whole, run)
        (run / name).unlink()
        make(run / name)
        with soon():
            try:
                work(run)
            except (PlanRefused, RetryLater) as error:
                refused.append(str(error))
        rmtree(run)
    assert all("is no plain file" in one or "bytes, and is not read" in one for one in refused), refused
