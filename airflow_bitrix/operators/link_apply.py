"""Applying a plan: exactly that one, and telling what became of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Unpack

from airflow.sdk import Context

from airflow_bitrix.assets.portals import links_applied
from airflow_bitrix.client.flow import Meter
from airflow_bitrix.client.progress import Progress
from airflow_bitrix.compat import AirflowException
from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.languages import gettext, ngettext_noop
from airflow_bitrix.core.plan import Change
from airflow_bitrix.engine.apply import apply_changes
from airflow_bitrix.files.journals import final_outcomes, journal_folder, write_failed
from airflow_bitrix.files.leases import Lease
from airflow_bitrix.files.own_files import write_new
from airflow_bitrix.files.plans import Manifest, check_parts, plan_lock
from airflow_bitrix.files.runs import RunJournal
from airflow_bitrix.files.writers import Occupied
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.operators.shared.apply_parts import (
    ApplyTask,
    Orders,
    comments_of,
    effort_of,
    lineage_of,
    note_restore,
    summary_of,
)
from airflow_bitrix.operators.shared.apply_steps import StoppedError, gate_of, in_order
from airflow_bitrix.operators.shared.asset_events import tell_applied, with_aliases
from airflow_bitrix.operators.shared.constants import check_constants
from airflow_bitrix.operators.shared.decisions import check_decision, note_contradiction
from airflow_bitrix.operators.shared.handed_plans import TakesPlan, given_parts
from airflow_bitrix.operators.shared.other_hosts import find_journal, this_host
from airflow_bitrix.operators.shared.parameters import (
    count,
    optional_count,
    optional_share,
    quiet_hours,
    switch,
    wait,
)
from airflow_bitrix.operators.shared.pipeline import LinkPlanOperator
from airflow_bitrix.operators.shared.plan_words import check_portal, log_report, without_outcome
from airflow_bitrix.operators.shared.row_policy import RowPolicy
from airflow_bitrix.operators.shared.shown_limits import LIMITS, check_limits, check_tried
from airflow_bitrix.operators.shared.task_arguments import PipelineArguments, PlanGiven
from airflow_bitrix.operators.shared.turns import Patience, name_of, told_to_wait, turn, writer_of
from airflow_bitrix.report.page import as_html
from airflow_bitrix.report.summary import Summary, as_json
from airflow_bitrix.report.texts import as_line, as_markdown

GRACE = 3.0
"""Seconds in which an apply that is told to stop awaits what is under way: Airflow kills it after five."""

FRUITLESS = 3
"""Deferrals in a row after which an apply that got nowhere waits on its worker."""

REPORT, FAILED = "report.html", "failed.csv"

_CHANGES = ngettext_noop("change", "changes")


class Bitrix24ApplyLinkPlanOperator(TakesPlan, LinkPlanOperator):
    """Apply a plan: exactly that one, each owner looked at before and after it is written.

    Each change gets one outcome: ``applied`` (written and read back), ``already`` (was right), ``drift``
    (somebody changed it since; left alone), ``failed`` (with the reason) or ``skipped`` (dry run). Outcomes
    go into a journal as they happen. A retry goes on where the last try ended and writes nothing twice; so
    does a second run of the same plan.

    It may be mapped over the ``parts`` that a plan operator returns; each task then writes the journal of its
    parts, and report and ``failed.csv`` are left to
    :class:`~airflow_bitrix.operators.link_check.Bitrix24CheckLinkPlanOperator`.

    Where it has changed something and succeeds, an event of the asset ``bitrix24://<portal>/<kind>/contact-links``
    tells so, by the alias ``bitrix24_<kind>_links_applied``; where it is mapped, one for each task.

    Returns ``{"report": path, "failed_csv": path, "plan": folder, "journal": folder, "host": name, "counts":
    {outcome: n}, …}``.

    :param plan: What the plan operator or the approval returned, or the folder of a plan. (templated)
    :param plan_number: Which plan, from 0 on, of an approval of several; ``None`` for the only one.
    :param plan_hash: The hash of the plan that may run; needed where ``plan`` is a folder. (templated)
    :param part: Number of a part of the plan, from 0 on, or a list of them; ``None`` for all. (templated)
    :param is_dry_run: Look only, write nothing. (templated)
    :param needs_approval: Whether an approval has to have let the plan be applied. ``False`` for a DAG that
        has none; a plan that was rejected, passed as a dry run, or still waits is refused all the same.
    :param first: Only the first so many changes; ``None`` for all. (templated)
    :param canary: So many changes are written first, the others only where none of these failed. (templated)
    :param max_failed: Changes that may fail before the task fails; ``None`` for any number. (templated)
    :param max_failure_share: The largest share of changes that may fail, such as ``"20%"`` or 0.2: beyond
        it the apply stops where it is. ``None`` for any. (templated)
    :param quiet_hours: A time of day in which nothing is written, such as ``08:00-18:00``: the task stops
        between two requests and is deferred until it ends; empty for none. (templated)
    :param timezone: The time zone of the quiet hours. (templated)
    :param wait_for_turn: Hours, or a ``timedelta``, for which the task waits while another run writes owners
        of the same kind on the portal: one run at a time does. 0 to be refused at once. It is deferred
        meanwhile; a dry run does not wait. (templated)
    :param comment: Say on the card of each owner that was changed what it had, what it has now, why,
        who approved it, and in which run, in one comment on its timeline. (templated)
    :raises PlanRefused: The plan was edited, belongs to another portal or run, breaks a guard, was not let be
        applied, or no longer is, or another run still writes; nothing was written, and Airflow does not
        retry.
    :raises AirflowException: More changes failed than are allowed; a retry tries those again.
    """

    template_fields: Sequence[str] = (
        *LinkPlanOperator.template_fields,
        "plan",
        "made_in",
        "plan_hash",
        "part",
        "is_dry_run",
        "first",
        "canary",
        "max_failed",
        "max_failure_share",
        "quiet_hours",
        "timezone",
        "wait_for_turn",
        "comment",
    )
    ui_color = "#d9f2dd"

    grace = GRACE

    limits: Mapping[str, str] = LIMITS

    waits_since: float | None = None

    _leases: Sequence[Lease] = ()

    logs_report = True
    """Whether the log shows the whole report, where the apply is not one of several that a check sums up."""

    tells_changes = True
    """Whether Airflow is told that links have changed: another task applies the rest, and tells all."""

    def __init__(
        self,
        *,
        plan: PlanGiven,
        plan_number: int | None = None,
        plan_hash: str | None = None,
        part: int | Sequence[int] | str | None = None,
        is_dry_run: bool | str = True,
        needs_approval: bool = True,
        first: int | str | None = None,
        canary: int | str = 0,
        max_failed: int | str | None = 0,
        max_failure_share: float | str | None = None,
        quiet_hours: str = "",
        timezone: str = "UTC",
        wait_for_turn: timedelta | float | str = 12,
        comment: bool | str = False,
        **kwargs: Unpack[PipelineArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.outlets = with_aliases(self.outlets, links_applied)
        self.take(plan, plan_number)
        self.plan_hash = plan_hash
        self.part = part
        self.is_dry_run = is_dry_run
        self.needs_approval = switch("needs_approval", needs_approval)
        self.first = first
        self.canary = canary
        self.max_failed = max_failed
        self.max_failure_share = max_failure_share
        self.quiet_hours = quiet_hours
        self.timezone = timezone
        self.wait_for_turn = wait_for_turn
        self.comment = comment
        check_constants(
            self,
            ("wait_for_turn", lambda: wait("wait_for_turn", self.wait_for_turn)),
            (
                (
                    "is_dry_run first canary max_failed max_failure_share quiet_hours timezone "
                    "wait_for_turn comment"
                ),
                self.orders,
            ),
        )

    def execute_again(
        self, context: Context, event: Any = None, deferrals: int = 1, waits_since: float | None = None
    ) -> Any:
        """Do the work again after a rest, or look again whether another run has ended.

        :param waits_since: Since when that run is waited for, unix time.
        """
        self.waits_since = waits_since
        return super().execute_again(context, event, deferrals)

    def work(self, context: Context, *, deferrals: int) -> dict[str, Any]:
        """Check the plan, apply it, and write the report, also where the apply ends early."""
        self.begin(context)
        with final_failures():
            task = self._read()
            if deferrals > (0 if task.orders.dry_run else FRUITLESS):
                self._wait_here()  # looking begins anew each time, and comes before the first write
            how: dict[str, Any] = {
                "run": task.folder,
                "who": name_of(context),
                "writes": not task.orders.dry_run,
            }
            with (
                self.in_turn(context, task, deferrals) as turns,
                plan_lock(task.plan, task.manifest, task.parts, **how) as plans,
            ):
                self._leases = [*turns, *plans]
                summary = self._run(task)
        paths = {"report": str(task.folder / REPORT), "failed_csv": str(task.folder / FAILED)}
        if broken := task.orders.policy.broken_by(failed=summary.counts["failed"], of=task.changes):
            raise AirflowException(
                gettext("{broken}; see {failed_csv}", broken=broken, failed_csv=paths["failed_csv"])
            )
        if not summary.complete:
            raise AirflowException(without_outcome(summary.open, task.changes))
        told = paths if task.parts is None else {"parts": list(task.parts)}
        where = {"plan": str(task.plan), "journal": str(task.folder / "journal"), "host": this_host()}
        if self.tells_changes and not task.orders.dry_run:
            tell_applied(context, task.manifest, summary, where)
        self.lineage = lineage_of(task, summary)
        return {**told, **where, **as_json(summary)}

    @contextmanager
    def in_turn(self, context: Context, task: ApplyTask, deferrals: int) -> Iterator[list[Lease]]:
        """Let no other run write meanwhile; where one does, wait for it.

        :return: What is to be checked before anything is written.
        :raises TaskDeferred: It is waited for, holding no worker slot.
        :raises RetryLater: Likewise, by Airflow's retries where the task is not deferrable.
        :raises PlanRefused: It was waited for long enough, or is not to be.
        """
        with ExitStack() as held:
            leases: list[Lease] = []
            try:
                leases = held.enter_context(turn(task, writer_of(context, task), name_of(context)))
            except Occupied as other:
                now = time.time()
                patience = Patience(task.orders.wait, self.waits_since or now)
                again, said = told_to_wait(task, other, patience, now), str(other)
                if not self.deferrable:
                    raise
                self._defer(again, said, deferrals, waits_since=patience.since)
            yield leases

    def orders(self) -> Orders:
        """Read the parameters, but for the plan.

        :raises InvalidInput: One that cannot be right.
        """
        policy = RowPolicy(
            optional_count("max_failed", self.max_failed),
            optional_share("max_failure_share", self.max_failure_share),
        )
        return Orders(
            dry_run=switch("is_dry_run", self.is_dry_run),
            first=optional_count("first", self.first),
            canary=count("canary", self.canary),
            policy=policy,
            quiet=quiet_hours(self.quiet_hours, self.timezone),
            wait=wait("wait_for_turn", self.wait_for_turn),
            comment=switch("comment", self.comment),
        )

    def _read(self) -> ApplyTask:
        """Read the parameters and the plan, and refuse what may not run."""
        orders = self.orders()
        plan, manifest = self._plan()
        parts = given_parts(self.part, manifest)
        check_parts(plan, manifest, parts)
        check_portal(manifest, self.settings.portal)
        for broken in manifest.broken_guards:
            if not orders.dry_run:
                raise PlanRefused(gettext("the plan may not run: {broken}", broken=broken))
            self.log.warning("%s", gettext("A real run would be refused: {broken}", broken=broken))
        folder = self.own_folder or plan.parent
        if not orders.dry_run:
            given = self.handed()
            note_contradiction(given, plan, manifest)
            decision = check_decision(plan, manifest, folder, needs_approval=self.needs_approval)
            if decision and isinstance(given, Mapping):  # what a DAG file names goes by that file
                check_limits(decision, {name: getattr(self, own) for name, own in self.limits.items()})
                if not orders.canary and not orders.first:
                    check_tried(decision, plan, manifest, folder / "journal")
            wanted = range(len(manifest.parts)) if parts is None else parts
            find_journal(plan, folder, wanted, any_will_do=True)
        return ApplyTask(plan, manifest, parts, folder, orders)

    def _plan(self) -> tuple[Path, Manifest]:
        given = self.handed()
        named = given if isinstance(given, Mapping) else {"plan": given, "hash": self.plan_hash}
        place, plan_hash = named.get("plan"), named.get("hash")
        if not isinstance(place, str) or not place:
            raise InvalidInput(
                "plan", given, gettext("what the plan operator returned, or the folder of a plan")
            )
        if not isinstance(plan_hash, str) or not plan_hash or self.plan_hash not in (None, plan_hash):
            raise InvalidInput("plan_hash", self.plan_hash, gettext("the hash of the plan that may run"))
        return self.read_plan(given, place, plan_hash, self.run_name)

    def _run(self, task: ApplyTask) -> Summary:
        journal = journal_folder(task.folder, task.manifest.hash)
        meter = Meter()
        progress = Progress(self.log, _CHANGES, meter, total=task.changes, tell=self.tell_progress)

        def report() -> Summary:
            summary = summary_of(task, journal)
            if task.parts is None:
                kind, portal = task.manifest.kind, task.manifest.portal
                write_failed(task.folder / FAILED, final_outcomes(journal, kind), portal)
                write_new(task.folder / REPORT, as_html(summary, folder=str(task.folder)))
            return summary

        # A folder that takes no report shall show it before anything is written to the portal.
        before, stopped = report(), ""
        if not task.orders.dry_run:
            note_restore(task.plan, task.manifest, self.run_name)
        try:
            self.run_loop(self._apply(task, journal, progress, meter))
        except StoppedError as error:
            stopped = str(error)
        finally:
            summary = report()
            if not task.orders.dry_run and task.parts is None and task.orders.first is None:
                note_restore(task.plan, task.manifest, self.run_name, summary.counts)
            self.got_on = _applied(summary) > _applied(before)
            self._tell(task, summary)
        if stopped:
            # What was under way at the stop came to its end: these are the figures of that end.
            raise AirflowException(f"{stopped}. {as_line(summary)}")
        return summary

    async def _apply(self, task: ApplyTask, journal: Path, progress: Progress, meter: Meter) -> None:
        with ExitStack() as files:
            run = RunJournal(
                task.plan,
                task.manifest,
                journal,
                dry_run=task.orders.dry_run,
                files=files,
                numbers=task.parts,
                leases=self._leases,
                comments=task.orders.comment,
            )

            gate = gate_of(task.orders, run, self.stop)
            async with self.hook.portal(meter) as portal:
                comments = comments_of(task, run, portal, gate, self.run_name)

                async def apply(changes: Iterable[Change]) -> None:
                    await apply_changes(
                        portal,
                        task.manifest.kind,
                        changes,
                        run,
                        written_before=run.begun,
                        owed_before=run.owed,
                        settled_before=run.settled,
                        settled_lately=run.settled_lately,
                        dry_run=task.orders.dry_run,
                        progress=progress.add,
                        gate=gate,
                        comments=comments,
                    )

                try:
                    await in_order(task, run, apply, comments)
                finally:
                    run.note_effort(effort_of(meter, progress))
        progress.say()

    def _tell(self, task: ApplyTask, summary: Summary) -> None:
        if summary.planned:
            self.log.info("%s", as_line(summary))
        if task.orders.dry_run:
            self.log.info("%s", gettext("Dry run: nothing was written to the portal."))
        elif not summary.planned:
            self.log.info("%s", gettext("The plan is empty: nothing was written to the portal."))
        if task.parts is not None or not self.logs_report:
            return
        log_report(self.log, as_markdown(summary).splitlines())
        self.log_place(gettext("Report"), task.folder / REPORT)


def _applied(summary: Summary) -> int:
    return summary.counts["applied"] + summary.counts["already"] + summary.effort.comments
