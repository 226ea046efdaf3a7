"""What runs have left long ago, and whether anybody may still need it.

Folders are as tasks make them: ``<root>/<dag id>/<run id>/<task id>/…``, and beside the runs of a DAG what
its tasks keep from one to the next. What looks otherwise is none of ours, and left alone.
"""

from __future__ import annotations

import csv
import math
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

from airflow_bitrix.core.errors import PlanRefused, RetryLater
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.approvals import APPROVAL, Approval, read_decision
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.named_tables import without_names
from airflow_bitrix.files.names import NAMES, remove_names
from airflow_bitrix.files.object_files import remove, time_told
from airflow_bitrix.files.plan_locks import plan_held
from airflow_bitrix.files.plans import LEFT_OUT, MANIFEST
from airflow_bitrix.files.snapshot_history import SnapshotHistory
from airflow_bitrix.files.storage_errors import storing

_OURS = re.compile(
    r"plan[\w-]*/(?:manifest\.json|part-\d{5}\.jsonl)$|journal[\w-]*/part-\d{5}\.jsonl(?:\.d/|$)"
    r"|snapshot[\w-]*/(?:manifest\.json|links\.jsonl)$|(?:changed|reconcile)\.csv$"
)
"""What one file at least in a task's folder is called; reports of others have such names as ours have."""

FAILED, REPORT = "failed.csv", "report.html"
"""What a check leaves for people."""

_LASTING = len(("dag id", "file"))
_DEPTH = len(("dag id", "run id", "task id", "file"))

DAY = 86400.0


class Kept(NamedTuple):
    """Why a run may not be removed.

    :param why: The group that it is counted under, the same in each language.
    :param said: That for people.
    """

    why: str
    said: str


@dataclass(slots=True)
class OldRun:
    """What a run has left, or a file of parked owners.

    :param path: Its folder; the file.
    :param bytes: How much it takes.
    :param files: How many files that are.
    :param written: When something in it was written last, unix time.
    :param kept: Why it may not be removed; ``None`` where it may.
    :param names: Bytes of the names that tasks have kept, by task.
    :param reports: Bytes of the reports that they have left, by task.
    """

    path: Path
    bytes: int = 0
    files: int = 0
    written: float = 0.0
    kept: Kept | None = None
    tasks: set[str] = field(default_factory=set)
    is_ours: bool = False
    names: dict[str, int] = field(default_factory=dict)
    reports: dict[str, int] = field(default_factory=dict)

    @property
    def bytes_of_names(self) -> int:
        """How much those files take that go with the names."""
        return sum(size + self.reports.get(task, 0) for task, size in self.names.items())

    def take(self, parts: tuple[str, ...], size: int, written: float) -> None:
        """Take a file of it into account.

        :param parts: The names of its path from the folder of DAGs on.
        """
        self.bytes += size
        self.files += 1
        self.written = max(self.written, written)
        self.is_ours |= len(parts) == _LASTING or bool(_OURS.match("/".join(parts[3:])))
        if len(parts) >= _DEPTH:
            task = parts[2]
            self.tasks.add(task)
            if parts[3] == NAMES:
                self.names[task] = self.names.get(task, 0) + size
            elif parts[3:] == (REPORT,):
                self.reports[task] = size


@dataclass(frozen=True, slots=True)
class _File:
    parts: tuple[str, ...]
    size: int
    written: float


def old_runs(root: Path, *, days: float, now: float) -> Iterator[OldRun]:
    """Give what was written last more than so many days ago, by the name of its folder.

    :param root: The folder that the folders of DAGs lie in.
    :param now: Unix time, by the clock of the storage.
    :raises RetryLater: The storage is away.
    """
    runs: dict[tuple[str, ...], OldRun] = {}
    histories: list[Path] = []
    for file in _files(root):
        is_lasting = len(file.parts) == _LASTING
        if is_lasting and file.parts[1].endswith(".json"):
            histories.append(root.joinpath(*file.parts))
        is_parked = is_lasting and file.parts[1].startswith("parked-") and file.parts[1].endswith(".jsonl")
        if not is_parked and len(file.parts) <= _LASTING:
            continue
        run = runs.setdefault(file.parts[:2], OldRun(root.joinpath(*file.parts[:2])))
        run.take(file.parts, file.size, file.written)
    last = _last_snapshots(histories)
    for _, run in sorted(runs.items()):
        if run.is_ours and run.written < now - days * DAY:
            run.kept = _why_kept(run, last, now)
            yield run


def _why_kept(run: OldRun, last: Mapping[str, str], now: float) -> Kept | None:
    # The way to it may be named otherwise: by a link, or another connection.
    inside = f"/{run.path.parent.name}/{run.path.name}/"
    if snapshot := next((one for one in last if inside in f"/{one}/"), ""):
        return Kept("last snapshot", gettext("the last snapshot of {last}", last=last[snapshot]))
    for task in sorted(run.tasks):
        try:
            decision = read_decision(run.path / task)
        except PlanRefused:
            said = gettext("{task}/{approval} cannot be read", task=task, approval=APPROVAL)
            return Kept("decision not readable", said)
        if decision and (why := _why_wanted(decision, datetime.fromtimestamp(now, UTC))):
            return why
    return None


def _why_wanted(decision: Approval, now: datetime) -> Kept | None:
    """Say why a plan may still be wanted; an approval for ever keeps none."""
    try:
        is_past = bool(decision.until) and datetime.fromisoformat(decision.until) < now
    except (ValueError, TypeError):  # damaged
        is_past = False
    if decision.answer == "waiting" and not is_past:
        return Kept("waits for approval", gettext("it waits for approval"))
    if decision.answer == "approved" and decision.until and not is_past:
        return Kept("approved", gettext("its approval may still be used"))
    return None


def _last_snapshots(histories: list[Path]) -> dict[str, str]:
    """Give the folder of the last snapshot of each history, and the name of the history."""
    found: dict[str, str] = {}
    for path in histories:
        with suppress(PlanRefused, OSError):  # another file of the folder
            for folder, _ in SnapshotHistory(path).newest_first():
                found[folder] = path.name.removesuffix(".json")
                break
    return found


def remove_run(run: OldRun) -> Kept | None:
    """Remove what a run has left; or say why it stays: somebody may be at one of its plans.

    :raises RetryLater: The storage is away.
    """
    if why := _in_use(run):
        return why
    with storing(run.path, "deleted"):
        if not is_on_disk(run.path):
            storage = cast("Any", run.path)
            storage.fs.rm(storage.path, recursive=True)
        elif run.tasks:
            shutil.rmtree(run.path)
        else:
            run.path.unlink()
    return None


def remove_names_of(run: OldRun) -> Kept | None:
    """Remove the names that a run has kept, and what a restore needs stays; or say why they stay.

    Gone are the files of names and the reports that show them; tables lose the columns of names.

    :raises RetryLater: The storage is away.
    """
    if why := _in_use(run):
        return why
    for task in sorted(run.names):
        folder = run.path / task
        for table in (folder / FAILED, folder / "plan" / LEFT_OUT):
            with suppress(FileNotFoundError, ValueError, csv.Error):  # no table of ours has other names
                without_names(table)
        remove([folder / REPORT])
        remove_names(folder)  # last: they tell that there is something to do
    return None


def _in_use(run: OldRun) -> Kept | None:
    """Say who is at one of the plans of a run; then it stays."""
    try:
        for task in sorted(run.tasks):
            if (run.path / task / "plan" / MANIFEST).exists():
                with plan_held(run.path / task / "plan", MANIFEST):
                    pass
    except RetryLater as error:
        return Kept("in use", str(error))
    return None


def _files(root: Path) -> Iterator[_File]:
    """Give all files below a folder, symbolic links not followed; none where there is no such folder."""
    with storing(root, "read"):
        if is_on_disk(root):
            yield from _on_disk(root)
            return
        storage = cast("Any", root)
        storage.fs.invalidate_cache()
        base = storage.path.rstrip("/")
        try:
            found = storage.fs.find(base, detail=True)
        except FileNotFoundError:
            return
        for path, about in found.items():
            parts = tuple(str(path).removeprefix(base).strip("/").split("/"))
            # What was written nobody knows when may have been written just now.
            yield _File(parts, int(about.get("size") or 0), time_told(about) or math.inf)


def _on_disk(root: Path) -> Iterator[_File]:
    for folder, _, names in os.walk(root):
        parts = Path(folder).relative_to(root).parts
        for name in names:
            with suppress(FileNotFoundError):  # somebody else removed it just now
                about = (Path(folder) / name).lstat()
                if stat.S_ISREG(about.st_mode):
                    yield _File((*parts, name), about.st_size, about.st_mtime)
