"""Checking what an apply left: looking again at every owner that it wrote, and telling the whole of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Unpack

from airflow.sdk import Context

from airflow_bitrix.client.flow import Meter
from airflow_bitrix.client.progress import Progress
from airflow_bitrix.compat import AirflowFailException, AirflowSkipException
from airflow_bitrix.core.kind_words import checked_words, linked_words, owners
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.plan import Change, ChangeOutcome, shown_state, standing
from airflow_bitrix.crm.owner_reads import OwnerReads, Seen
from airflow_bitrix.files import part_name
from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.apply_times import read_apply_times
from airflow_bitrix.files.approvals import read_approval, read_contradiction
from airflow_bitrix.files.checks import Check, write_check
from airflow_bitrix.files.journals import (
    final_outcomes,
    journal_folder,
    read_effort,
    read_ledger,
    write_failed,
)
from airflow_bitrix.files.names import NamesInTurn, read_names
from airflow_bitrix.files.old_runs import FAILED, REPORT
from airflow_bitrix.files.outcome_index import SINCE, keep_index
from airflow_bitrix.files.own_files import write_new
from airflow_bitrix.files.plans import Manifest, check_parts, read_changes
from airflow_bitrix.files.taken_back import read_taken_back
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.operators.shared.apply_parts import effort_of, note_restore
from airflow_bitrix.operators.shared.constants import check_constants
from airflow_bitrix.operators.shared.decisions import may_not_go_on, note_contradiction
from airflow_bitrix.operators.shared.handed_plans import TakesPlan, named_plan
from airflow_bitrix.operators.shared.names import doing_without_names, forget_names, read_all, shows_names
from airflow_bitrix.operators.shared.other_hosts import find_journal, this_host
from airflow_bitrix.operators.shared.parameters import optional_count, optional_share, switch
from airflow_bitrix.operators.shared.pipeline import LinkPlanOperator
from airflow_bitrix.operators.shared.plan_words import check_portal, log_report, without_outcome
from airflow_bitrix.operators.shared.row_policy import RowPolicy
from airflow_bitrix.operators.shared.task_arguments import PipelineArguments, PlanGiven
from airflow_bitrix.report.messages import Told, ended
from airflow_bitrix.report.page import as_html
from airflow_bitrix.report.summary import Summary, as_json, shown_owners, summarise, trouble_lines, with_names
from airflow_bitrix.report.texts import as_line, as_markdown

AT_ONCE = 2500
"""Owners that one request looks at."""


class Bitrix24CheckLinkPlanOperator(TakesPlan, LinkPlanOperator):
    """Look again at what an apply wrote, tell what became of every change, and fail where too many failed.

    It changes nothing on the portal. It reads the journals of all parts of the plan, looks at each owner that
    was applied or right already, and writes ``report.html`` and ``failed.csv``. Who is no longer as the apply
    left it counts as ``drift``.

    Returns ``{"report": path, "failed_csv": path, "plan": folder, "journal": folder, "host": name, "counts":
    {outcome: n}, "checked": n, "changed_since": n, …}``. Where the plan was rejected, or there is none, the
    task is skipped.

    :param plan: What the plan operator or the approval returned. (templated)
    :param plan_number: Which plan, from 0 on, of an approval of several; ``None`` for the only one.
    :param is_dry_run: Whether the apply only looked. (templated)
    :param max_failed: Changes that may fail before this task fails; ``None`` for any number. (templated)
    :param max_failure_share: The share of changes that may fail, such as ``"20%"`` or 0.2; ``None`` for any.
        (templated)
    :raises AirflowFailException: More changes failed than are allowed, or some have no outcome. A retry would
        find the same: clear the apply to try those again.
    """

    template_fields: Sequence[str] = (
        *LinkPlanOperator.template_fields,
        "plan",
        "made_in",
        "is_dry_run",
        "max_failed",
        "max_failure_share",
    )
    ui_color = "#d9f2dd"

    told: Told | None = None
    """What notifiers tell of it."""

    def __init__(
        self,
        *,
        plan: PlanGiven,
        plan_number: int | None = None,
        is_dry_run: bool | str = True,
        max_failed: int | str | None = 0,
        max_failure_share: float | str | None = None,
        **kwargs: Unpack[PipelineArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.take(plan, plan_number)
        self.is_dry_run = is_dry_run
        self.max_failed = max_failed
        self.max_failure_share = max_failure_share
        check_constants(
            self,
            ("is_dry_run", lambda: switch("is_dry_run", self.is_dry_run)),
            ("max_failed", lambda: optional_count("max_failed", self.max_failed)),
            ("max_failure_share", lambda: optional_share("max_failure_share", self.max_failure_share)),
        )

    def work(self, context: Context, *, deferrals: int) -> dict[str, Any]:
        """Look, write the report, and judge."""
        self.begin(context)
        if deferrals:
            self._wait_here()  # looking begins anew after a deferral
        with final_failures():
            dry_run, policy = self._orders()
            plan, manifest = self._plan()
            note_contradiction(self.handed(), plan, manifest)
            folder = self.own_folder or plan.parent
            find_journal(plan, folder, range(len(manifest.parts)))
            journal = journal_folder(folder, manifest.hash)
            meter = Meter()
            progress = Progress(
                self.log,
                checked_words(manifest.kind),
                meter,
                tell=self.tell_progress,
            )
            changed = self.run_loop(self._changed(plan, manifest, journal, meter, progress))
            if named := shows_names():
                self.run_loop(self._read_names(plan, manifest, journal))
            else:
                forget_names(plan, folder)
            summary = self._report(
                plan, manifest, journal, changed, effort_of(meter, progress), dry_run=dry_run, named=named
            )
        if broken := policy.broken_by(failed=summary.counts["failed"], of=manifest.changes):
            raise AirflowFailException(
                gettext("{broken}; see {folder}", broken=broken, folder=folder / FAILED)
            )
        if not summary.complete:
            without = without_outcome(summary.open, manifest.changes)
            if not dry_run and (why := may_not_go_on(plan, manifest, folder)):
                raise AirflowFailException(gettext("{without}: the plan {why}", without=without, why=why))
            raise AirflowFailException(
                gettext("{without}: clear the tasks that apply the plan, and they go on", without=without)
            )
        return {
            "report": str(folder / REPORT),
            "failed_csv": str(folder / FAILED),
            "plan": str(plan),
            "journal": str(journal),
            "host": this_host(),
            "checked": progress.done,
            "changed_since": len(changed),
            **as_json(summary),
        }

    def _orders(self) -> tuple[bool, RowPolicy]:
        policy = RowPolicy(
            optional_count("max_failed", self.max_failed),
            optional_share("max_failure_share", self.max_failure_share),
        )
        return switch("is_dry_run", self.is_dry_run), policy

    def _plan(self) -> tuple[Path, Manifest]:
        given = self.handed()
        if given is None:
            raise AirflowSkipException(gettext("there is no plan to check"))
        if isinstance(given, Mapping) and "plan" not in given and _is_rejection(given.get("approval")):
            raise AirflowSkipException(gettext("the plan was rejected: there is nothing to check"))
        named = named_plan(given)
        folder, manifest = self.read_plan(given, named["plan"], named["hash"], self.run_name)
        check_parts(folder, manifest)
        check_portal(manifest, self.settings.portal)
        return folder, manifest

    async def _changed(
        self, plan: Path, manifest: Manifest, journal: Path, meter: Meter, progress: Progress
    ) -> dict[int, str]:
        """Look at the owners that were written, and say what those are now that were changed since, by id."""
        changed: dict[int, str] = {}
        left = _left(plan, manifest, journal)
        if first := list(islice(left, AT_ONCE)):
            async with self.hook.portal(meter) as portal:
                await self.look_who_sees(portal)
                looks = OwnerReads(portal, manifest.kind)
                while first:
                    seen = await looks.look([change.owner.id for change in first])
                    if seen.later:
                        raise seen.later
                    changed |= {change.owner.id: why for change in first if (why := _since(change, seen))}
                    progress.add(len(first))
                    first = list(islice(left, AT_ONCE))
        progress.say()
        return changed

    async def _read_names(self, plan: Path, manifest: Manifest, journal: Path) -> None:
        """Read names for the report. What that costs is no cost of the apply, and is told in the log."""
        with doing_without_names():
            async with self.hook.portal(meter := Meter()) as portal:
                await read_all(portal, plan, manifest, journal, meter)

    def _report(
        self,
        plan: Path,
        manifest: Manifest,
        journal: Path,
        changed: Mapping[int, str],
        effort: ApplyCost,
        *,
        dry_run: bool,
        named: bool,
    ) -> Summary:
        folder, parts = journal.parent, range(len(manifest.parts))
        names = NamesInTurn(folder)

        def outcomes() -> Iterator[ChangeOutcome]:
            for number in parts:
                names.turn_to(number)
                for outcome in final_outcomes(journal, manifest.kind, [number]):
                    why = changed.get(outcome.owner.id)
                    yield replace(outcome, outcome="drift", reason=why) if why else outcome

        changes = (one for number in parts for one in read_changes(plan, manifest, number))
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        summary = summarise(
            manifest,
            changes,
            outcomes(),
            read_effort(journal) + effort,
            dry_run=dry_run,
            finished=finished,
            approval=read_approval(plan.parent, manifest.hash),
            contradiction=read_contradiction(plan.parent, manifest.hash),
            taken_back=read_taken_back(folder, manifest.hash),
            checked_partially=self.seen_partially,
            checked=finished,
            times=read_apply_times(journal / part_name(number) for number in range(len(manifest.parts))),
        )
        if not dry_run:
            note_restore(plan, manifest, self.run_name, summary.counts)
        summary = with_names(summary, read_names(folder, parts, shown_owners(summary)))
        self.told = ended(summary)
        write_failed(folder / FAILED, outcomes(), manifest.portal, names.of if named else None)
        write_new(folder / REPORT, as_html(summary, folder=str(folder)))
        write_check(folder, Check(manifest.hash, finished, effort, self.seen_partially))
        if plan.parent == folder:
            keep_index(folder)
        self.log.info("%s", as_line(summary))
        log_report(self.log, as_markdown(summary).splitlines())
        for line in trouble_lines(summary):
            self.log.warning("%s", line)
        if changed:
            self.log.warning(
                "%s",
                gettext(
                    "Changed by somebody after it was applied: {owners}",
                    owners=owners(manifest.kind, len(changed)),
                ),
            )
        self.log_place(gettext("Report"), folder / REPORT)
        return summary


def _is_rejection(approval: object) -> bool:
    return isinstance(approval, Mapping) and approval.get("answer") == "rejected"


def _left(plan: Path, manifest: Manifest, journal: Path) -> Iterator[Change]:
    """Give the changes that the journal calls applied, or right already."""
    for number in range(len(manifest.parts)):
        last = read_ledger(journal / part_name(number), manifest.kind).last
        for change in read_changes(plan, manifest, number):
            outcome = last.get(change.owner.id)
            if outcome and outcome.outcome in ("applied", "already"):
                yield change


def _since(change: Change, seen: Seen) -> str:
    """Say what an owner is now, where it is not as the change left it."""
    now = seen.states.get(change.owner.id)
    if now is None:
        return gettext(SINCE) + gettext("now: {missing}", missing=seen.missing(change.owner))
    if standing(change, now)[0] == "done":
        return ""
    repeat = gettext(", a repeat lead again") if change.ends_repeat and now.is_repeat else ""
    words = {"linked": shown_state(change, now), "repeat": repeat, **linked_words(change.owner.kind)}
    return gettext(SINCE) + gettext("changed since: {kinds} are now {linked}{repeat}", **words)
