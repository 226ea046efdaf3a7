"""Runs before the newest one in a folder: a plan and its journal, moved aside before another plan is made.

Without its plan a journal takes nothing back, so the two stay together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.approvals import APPROVAL, CONTRADICTION
from airflow_bitrix.files.checks import CHECK
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.journal_lines import journal_lines, move_part
from airflow_bitrix.files.json_texts import read_json
from airflow_bitrix.files.own_files import in_its_folder, make_folder
from airflow_bitrix.files.plan_locks import TAKEN, plan_held, refuse_if_applied, turn_at
from airflow_bitrix.files.taken_back import NOTES

_REPORTS = ("report.html", "failed.csv", APPROVAL, CONTRADICTION, CHECK)


def make_room(manifest: Path) -> None:
    """Let the folder of a plan hold none, so that another can be made there; see :func:`set_aside`.

    :param manifest: The manifest, which need not be there.
    """
    if manifest.exists():
        with plan_held(manifest.parent, manifest.name) as leases:

            def check() -> None:
                for lease in leases:
                    lease.check()

            set_aside(manifest, _told_hash(manifest), check)
            check()
            # Without a manifest there is no plan: a run that dies now leaves none behind.
            manifest.unlink(missing_ok=True)
    (manifest.parent / TAKEN).unlink(missing_ok=True)


def _told_hash(manifest: Path) -> str:
    """Give the hash that a manifest of any format tells; nothing where it tells none."""
    try:
        told = str(read_json(manifest)["hash"])
    except (KeyError, TypeError, ValueError):
        return ""
    return told if re.fullmatch("[0-9a-f]{64}", told) else ""


def set_aside(manifest: Path, plan_hash: str, check: Callable[[], object] = lambda: None) -> None:
    """Move a plan aside with its journal and report, where something was or may have been written.

    The report of a dry run is removed, as its plan is to be replaced.

    They keep the shape of a run's folder: ``earlier-<hash>/plan``, ``earlier-<hash>/journal``. The manifest
    goes last: while it stands, the next try goes on with a move that broke off, and no apply begins, as parts
    are missing. The caller holds the manifest.

    :param manifest: The manifest, in the folder of its plan, beside which journal and report lie.
    :param plan_hash: The plan's hash; empty where it can no longer be read.
    :param check: Called before each file is moved: whether the caller holds the manifest still.
    :raises RetryLater: The journal is being read or written now.
    :raises PlanRefused: The journal is damaged where it tells whose it is.
    """
    plan, run = manifest.parent, manifest.parent.parent
    with turn_at(run):
        journal = _journal_of(run, plan_hash)
        aside = _unfinished(run / f"earlier-{plan_hash[:12] or 'unknown'}", manifest.name)
        was_applied = may_have_written(journal) if journal else (plan / TAKEN).exists()
        reports = (
            [path for name in (*_REPORTS, NOTES) for path in run.glob(name)]
            if journal == run / "journal"
            else []
        )
        if not was_applied and not aside.exists():
            for path in reports:  # of a dry run: nothing takes it back, and the next plan has its own
                path.unlink()
            return
        parts = journal_parts(journal) if journal else []
        for path in parts:
            refuse_if_applied(path, gettext("another task is at {path} now", path=path), plan_hash)
        files = sorted(path for path in plan.iterdir() if path.is_file() and path != manifest)
        _move(files, aside / "plan", check)
        _move(reports, aside, check)
        for path in parts:
            check()
            make_folder(aside / "journal")
            move_part(path, aside / "journal" / path.name)
        _move([manifest], aside / "plan", check)
        if journal and is_on_disk(journal) and not any(journal.iterdir()):
            journal.rmdir()


def home_of(run: Path, plan_hash: str) -> Path:
    """Give the folder in which plan and journal of a run lie now: they may have been moved aside since.

    :param run: The folder in which they lay.
    """
    return max(run.glob(f"earlier-{plan_hash[:12]}*"), key=str, default=run)


def earlier_journals(run: Path) -> Iterator[Path]:
    """Give the journals in a run's folder that were moved aside, other than those of dry runs."""
    for pattern in ("earlier-*/journal", "journal-*"):
        folders = {path.parent for path in run.glob(f"{pattern}/part-*.jsonl")}
        yield from (folder for folder in sorted(folders) if may_have_written(folder))


def journal_parts(journal: Path) -> list[Path]:
    """Give the parts of a journal, in order; none where there is no journal."""
    return sorted(journal.glob("part-*.jsonl"))


def may_have_written(journal: Path) -> bool:
    """Whether a journal tells of any run that was not dry, or is damaged and may."""
    lines = (line for path in journal_parts(journal) for line in journal_lines(path))
    try:
        return any("journal" in line and line.get("dry_run") is not True for line in lines)
    except PlanRefused:
        return True


def _journal_of(run: Path, plan_hash: str) -> Path | None:
    """Find the journal of a plan: in its place, or aside where a plan from elsewhere was applied here."""
    aside = sorted(run.glob(f"journal-{plan_hash[:12]}*")) if plan_hash else []
    for folder in (run / "journal", *aside):
        firsts = (next(journal_lines(path), {}) for path in journal_parts(folder))
        found = next((first["plan"] for first in firsts if "plan" in first), None)
        if found and plan_hash in (found, ""):
            return folder
    return None


def _unfinished(aside: Path, manifest: str) -> Path:
    """Give the folder to move to: one that has a manifest is complete, and the next one is taken."""
    number, name = 1, aside.name
    while (aside / "plan" / manifest).exists():
        number += 1
        aside = aside.with_name(f"{name}-{number}")
    return aside


def _move(files: Iterable[Path], folder: Path, check: Callable[[], object]) -> None:
    for path in files:
        check()
        make_folder(folder)
        target = folder / path.name
        in_its_folder(target, partial(path.rename, target))
