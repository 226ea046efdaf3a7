"""What one try of an apply is to do, and what has become of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from airflow_bitrix.client.flow import Meter
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.progress import Progress
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.plan import Change, ChangeOutcome, companies_of
from airflow_bitrix.core.quiet_hours import QuietHours
from airflow_bitrix.engine.apply_interfaces import Gate
from airflow_bitrix.engine.comments import Comments
from airflow_bitrix.files import part_name
from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.apply_times import read_apply_times
from airflow_bitrix.files.approvals import read_approval, read_contradiction
from airflow_bitrix.files.earlier_runs import home_of
from airflow_bitrix.files.journals import final_outcomes, read_effort
from airflow_bitrix.files.plans import Manifest, read_changes
from airflow_bitrix.files.runs import RunJournal
from airflow_bitrix.files.taken_back import TakenBack, read_taken_back, write_taken_back
from airflow_bitrix.operators.shared.artifacts import as_folder
from airflow_bitrix.operators.shared.lineage import Lineage, file_of, lineage, links_of
from airflow_bitrix.operators.shared.row_policy import RowPolicy
from airflow_bitrix.report.card_comments import CardComment, card_comment, comment_mark
from airflow_bitrix.report.summary import Summary, reason_of, summarise

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Orders:
    """How a plan is to be applied, whichever it is.

    :param first: Only so many changes; ``None`` for all.
    :param canary: So many changes come first, and none of them may fail.
    :param comment: Whether the card of what was changed says so.
    :param wait: How long another run that writes is waited for; nothing for not at all.
    """

    dry_run: bool
    first: int | None
    canary: int
    policy: RowPolicy
    quiet: QuietHours | None
    wait: timedelta
    comment: bool = False


@dataclass(frozen=True, slots=True)
class ApplyTask:
    """What one try is to do.

    :param plan: Folder of the plan.
    :param parts: Numbers of the parts; ``None`` for all.
    :param folder: Where journal and report go.
    """

    plan: Path
    manifest: Manifest
    parts: Sequence[int] | None
    folder: Path
    orders: Orders

    @property
    def numbers(self) -> Sequence[int]:
        """Numbers of the parts."""
        return range(len(self.manifest.parts)) if self.parts is None else self.parts

    @property
    def changes(self) -> int:
        """How many changes are to get an outcome."""
        planned = sum(int(self.manifest.parts[number]["changes"]) for number in self.numbers)
        return planned if self.orders.first is None else min(planned, self.orders.first)


def summary_of(task: ApplyTask, journal: Path) -> Summary:
    """Gather what became of a task's changes so far.

    :param journal: Folder of the journal.
    """

    def changes() -> Iterable[Change]:
        for number in task.numbers:
            yield from read_changes(task.plan, task.manifest, number)

    outcomes = final_outcomes(journal, task.manifest.kind, task.parts)
    if task.orders.first is not None:
        # What an earlier run made of other changes is not this one's to judge.
        first = {change.owner.id for change in islice(changes(), task.orders.first)}
        outcomes = (outcome for outcome in outcomes if outcome.owner.id in first)
    return summarise(
        task.manifest,
        changes(),
        outcomes,
        read_effort(journal, task.parts),
        dry_run=task.orders.dry_run,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        planned=task.changes,
        approval=read_approval(task.plan.parent, task.manifest.hash),
        contradiction=read_contradiction(task.plan.parent, task.manifest.hash),
        taken_back=read_taken_back(journal.parent, task.manifest.hash),
        times=read_apply_times(journal / part_name(number) for number in task.numbers),
    )


def comments_of(
    task: ApplyTask, run: RunJournal, portal: AsyncPortal, gate: Gate, by: str
) -> Comments | None:
    """Give the comments of an apply; ``None`` where none are to be made.

    :param by: The DAG run.
    """
    if not task.orders.comment or task.orders.dry_run:
        return None
    manifest = task.manifest
    approval, mark = read_approval(task.plan.parent, manifest.hash), comment_mark(manifest.hash)

    def text(change: Change, outcome: ChangeOutcome) -> str:
        before = outcome.before or change.before
        why, companies = [reason_of(change)], companies_of(change, outcome)
        told = CardComment(manifest.portal, before, change.after, why, approval, by, mark, companies)
        return card_comment(told)

    return Comments(portal, run, text, mark, gate)


def effort_of(meter: Meter, progress: Progress) -> ApplyCost:
    """Give what a try cost."""
    return ApplyCost(
        meter.requests, meter.refused, meter.repeats, meter.waited, progress.seconds, meter.hidden_links
    )


def note_restore(plan: Path, manifest: Manifest, by: str, counts: Mapping[str, int] | None = None) -> None:
    """Note beside the run that a restore takes back that it does; of any other plan nothing is noted.

    Where that cannot be written, the restore goes on: nothing is allowed by it.

    :param plan: Folder of the restore's plan.
    :param by: The DAG run of the restore.
    :param counts: What became of its changes, once that is told.
    """
    origin = manifest.origin
    if not (origin and origin.plan and manifest.changes):
        return
    at = datetime.now(UTC).isoformat(timespec="seconds")
    note = TakenBack(origin.plan, manifest.hash, str(plan), at, by, counts or {})
    try:
        write_taken_back(home_of(as_folder(origin.folder), origin.plan), note)
    except Exception as error:  # noqa: BLE001 (whatever a storage raises)
        log.warning(
            "%s", gettext("The report of the run that is taken back will not tell so: {error}", error=error)
        )


def lineage_of(task: ApplyTask, summary: Summary) -> Lineage:
    """Give what an apply read and wrote."""
    applied = links_of(task.manifest.portal, task.manifest.kind, summary.counts["applied"])
    return lineage([file_of(task.plan, task.changes)], [] if task.orders.dry_run else [applied])
