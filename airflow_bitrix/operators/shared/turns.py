"""Waiting for another run that writes owners of the same kind on the same portal."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_bitrix.client.allowance import make_own_folder
from airflow_bitrix.core.errors import InvalidInput, PlanRefused, RetryLater
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.leases import Lease
from airflow_bitrix.files.writers import Occupied, Wait, Writer, forget_wait, only_writer, write_wait
from airflow_bitrix.hooks.folders import pacing_folder
from airflow_bitrix.operators.shared.apply_parts import ApplyTask
from airflow_bitrix.operators.shared.artifacts import artifacts_root

SHORTEST, LONGEST = 10.0, 600.0
"""Seconds between two looks whether the other run has ended: a tenth of what was waited, within these."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long another run is waited for, and since when it is.

    :param most: How long at most; nothing for being refused at once.
    :param since: Since when, unix time.
    """

    most: timedelta
    since: float

    def next_look(self, now: float) -> float:
        """Give the moment at which to look again, unix time."""
        pause = min(max(SHORTEST, (now - self.since) / 10), LONGEST)
        return min(now + pause, self.since + self.most.total_seconds())


def writer_of(context: Mapping[str, Any], task: ApplyTask) -> Writer:
    """Give the run that a task belongs to; outside of Airflow the plan that it applies."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if run_id := context.get("run_id"):
        return Writer(context["dag"].dag_id, run_id, now)
    return Writer("", gettext("an apply of the plan {hash}", hash=task.manifest.hash[:12]), now)


def name_of(context: Mapping[str, Any]) -> str:
    """Give a task as people find it: ``task apply, try 2, of run manual__2026… of the DAG clean_up``."""
    if not (run_id := context.get("run_id")):
        return ""
    ti = context["ti"]
    index = getattr(ti, "map_index", None)
    task = getattr(ti, "task_id", gettext("of a kind")) + (
        f" [{index}]" if index is not None and index >= 0 else ""
    )
    tried = getattr(ti, "try_number", 1)
    return gettext(
        "task {task}, try {tried}, of run {run_id} of the DAG {dag_id}",
        task=task,
        tried=str(tried),
        run_id=str(run_id),
        dag_id=str(context["dag"].dag_id),
    )


@contextmanager
def turn(task: ApplyTask, me: Writer, who: str = "") -> Iterator[list[Lease]]:
    """Be the run that writes for as long as the context lasts; a dry run need not be.

    :param who: The task, as people read it.
    :return: What is to be checked before anything is written.
    :raises Occupied: Another run writes.
    """
    with ExitStack() as held:
        leases: list[Lease] = []
        if not task.orders.dry_run:
            leases = _enter(held, task, me, who)
            with suppress(OSError):
                forget_wait(task.folder)
        yield leases


def _enter(held: ExitStack, task: ApplyTask, me: Writer, who: str) -> list[Lease]:
    """Take the lock where all runs see it: among the artifacts, or on this host alone where these are not."""
    problem: OSError | None = None
    for folder in _folders():
        try:
            leases = held.enter_context(
                only_writer(folder, task.manifest.portal, task.manifest.kind, me, who=who)
            )
        except OSError as error:
            problem = error
        else:
            if problem:
                log.warning(
                    "%s",
                    gettext(
                        "Whether a run writes on another host cannot be told: {problem}", problem=problem
                    ),
                )
            return leases
    log.warning("%s", gettext("Whether another run writes too cannot be told: {problem}", problem=problem))
    return []


def _folders() -> Iterator[Path]:
    with suppress(InvalidInput):  # whoever keeps files there is told; a task with a folder of its own goes on
        yield artifacts_root() / "writing"
    folder = pacing_folder()
    try:
        make_own_folder(folder)
    except OSError as error:
        log.warning("%s", gettext("{folder} is not used: {why}", folder=folder, why=error.strerror or error))
    else:
        yield folder


def told_to_wait(task: ApplyTask, other: Occupied, patience: Patience, now: float) -> float:
    """Say when to look again whether another run has ended, unix time; the report is told who waits for whom.

    :raises PlanRefused: It has been waited for long enough, or is not to be waited for.
    """
    if not patience.most:
        raise PlanRefused(
            gettext(
                "{other}; this task is not to wait for it. Clear this task when that run is over", other=other
            )
        )
    if now >= patience.since + patience.most.total_seconds():
        with suppress(OSError):
            forget_wait(task.folder)
        waited = gettext("waited {hours} hours", hours=f"{patience.most.total_seconds() / 3600:g}")
        raise PlanRefused(
            gettext(
                "{waited}, and still {other}. Clear this task, and it waits again", waited=waited, other=other
            )
        )
    moments = (
        datetime.fromtimestamp(at, UTC)
        for at in (patience.since, patience.since + patience.most.total_seconds())
    )
    since, until = (moment.isoformat(timespec="seconds") for moment in moments)
    wait = Wait(task.manifest.hash, other.writer.name, other.writer.since, since, until)
    try:
        write_wait(task.folder, wait)
    except (OSError, RetryLater) as error:  # a disk, an object storage
        log.warning("%s", gettext("The report will not tell who is waited for: {error}", error=error))
    return patience.next_look(now)
