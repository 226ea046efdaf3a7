"""Applying a plan: exactly that one, and telling what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, Context, XComArg

from airflow_bitrix.client.apply import apply_changes
from airflow_bitrix.client.flow import Meter
from airflow_bitrix.client.progress import Progress
from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.journals import final_outcomes, journal_folder, write_failed
from airflow_bitrix.files.plans import Manifest, check_parts, plan_lock, read_changes, read_manifest
from airflow_bitrix.files.runs import RunJournal
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.operators.artifacts import as_folder, progress_teller
from airflow_bitrix.operators.parameters import count, switch
from airflow_bitrix.operators.pipeline import LinkPlanOperator
from airflow_bitrix.report.page import as_html
from airflow_bitrix.report.summary import Effort, Summary, as_json, as_markdown, summarise

FRUITLESS = 3
"""Deferrals in a row after which an apply that got nowhere waits on its worker."""

REPORT, FAILED = "report.html", "failed.csv"


class Bitrix24ApplyLinkPlanOperator(LinkPlanOperator):
    """Apply a plan: exactly that one, each owner looked at before and after it is written.

    Each change gets one outcome: ``applied`` (written and read back), ``already`` (was right), ``drift``
    (somebody changed it since; left alone), ``failed`` (with the reason) or ``skipped`` (dry run). Outcomes
    go into a journal as they happen. A retry goes on where the last try ended and writes nothing twice; so
    does a second run of the same plan.

    Returns ``{"report": path, "failed_csv": path, "journal": folder, "counts": {outcome: n}, …}``.

    :param plan: What the plan operator returned, or the folder of a plan. (templated)
    :param plan_hash: The hash of the plan that may run; needed where ``plan`` is a folder. (templated)
    :param is_dry_run: Look only, write nothing. (templated)
    :param max_failed: Changes that may fail before the task fails. (templated)
    :raises PlanRefused: The plan was edited, belongs to another portal, or breaks a guard; nothing was
        written, and Airflow does not retry.
    :raises AirflowException: More than ``max_failed`` changes failed; a retry tries those again.
    """

    template_fields: Sequence[str] = (
        *LinkPlanOperator.template_fields,
        "plan",
        "plan_hash",
        "is_dry_run",
        "max_failed",
    )
    ui_color = "#d9f2dd"

    def __init__(
        self,
        *,
        plan: Mapping[str, Any] | XComArg | str,
        plan_hash: str | None = None,
        is_dry_run: bool | str = True,
        max_failed: int | str = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.plan_hash = plan_hash
        self.is_dry_run = is_dry_run
        self.max_failed = max_failed

    def work(self, context: Context, *, deferrals: int) -> dict[str, Any]:
        """Check the plan, apply it, and write the report, also where the apply ends early."""
        self.tell_progress = progress_teller(context)
        with final_failures():
            dry_run = switch("is_dry_run", self.is_dry_run)
            if deferrals > (0 if dry_run else FRUITLESS):
                self._wait_here()  # looking begins anew each time, and comes before the first write
            max_failed = count("max_failed", self.max_failed)
            plan, plan_hash = self._plan()
            manifest = self._checked(plan, plan_hash, dry_run=dry_run)
            folder = as_folder(self.artifacts_path) if self.artifacts_path else plan.parent
            with plan_lock(plan):
                summary = self._run(plan, manifest, folder, dry_run=dry_run)
        paths = {"report": str(folder / REPORT), "failed_csv": str(folder / FAILED)}
        if summary.counts["failed"] > max_failed:
            failed = f"{summary.counts['failed']} of {manifest.changes} changes failed"
            raise AirflowException(f"{failed} (max_failed is {max_failed}); see {paths['failed_csv']}")
        if not summary.complete:
            raise AirflowException(f"{summary.open} of {manifest.changes} changes have no outcome")
        return {**paths, "journal": str(folder / "journal"), **as_json(summary)}

    def _run(self, plan: Path, manifest: Manifest, folder: Path, *, dry_run: bool) -> Summary:
        journal = journal_folder(folder, manifest.hash)
        meter = Meter()
        progress = Progress(self.log, "changes", meter, total=manifest.changes, tell=self.tell_progress)

        def report() -> Summary:
            effort = Effort(
                meter.requests,
                meter.refused,
                meter.repeats,
                meter.waited,
                progress.seconds,
                meter.hidden_links,
            )
            summary = _summary(plan, manifest, journal, effort, dry_run=dry_run)
            write_failed(folder / FAILED, final_outcomes(journal, manifest.kind), manifest.portal)
            (folder / REPORT).write_text(as_html(summary), encoding="utf-8")
            return summary

        # A folder that takes no report shall show it before anything is written to the portal.
        before = report()
        try:
            asyncio.run(self._apply(plan, manifest, journal, progress, meter, dry_run=dry_run))
        finally:
            summary = report()
            self.got_on = _applied(summary) > _applied(before)
            self._tell(summary, folder / REPORT)
        return summary

    def _plan(self) -> tuple[Path, str]:
        given = self.plan if isinstance(self.plan, Mapping) else {"plan": self.plan, "hash": self.plan_hash}
        place, plan_hash = given.get("plan"), given.get("hash")
        if not isinstance(place, str) or not place:
            raise InvalidInput("plan", self.plan, "what the plan operator returned, or the folder of a plan")
        if not isinstance(plan_hash, str) or not plan_hash or self.plan_hash not in (None, plan_hash):
            raise InvalidInput("plan_hash", self.plan_hash, "the hash of the plan that may run")
        return as_folder(place), plan_hash

    def _checked(self, plan: Path, plan_hash: str, *, dry_run: bool) -> Manifest:
        """Read the plan and refuse it where it is not the one that was made, or may not run."""
        manifest = read_manifest(plan)
        if manifest.hash != plan_hash:
            raise PlanRefused(f"the plan in {plan} is not the one with hash {plan_hash}: it was replaced")
        check_parts(plan, manifest)
        portal = self.settings.webhook.portal
        if manifest.portal != portal:
            raise PlanRefused(f"the plan is for {manifest.portal}, the connection leads to {portal}")
        for broken in manifest.broken_guards:
            if not dry_run:
                raise PlanRefused(f"the plan may not run: {broken}")
            self.log.warning("A real run would be refused: %s", broken)
        return manifest

    async def _apply(
        self,
        plan: Path,
        manifest: Manifest,
        journal: Path,
        progress: Progress,
        meter: Meter,
        *,
        dry_run: bool,
    ) -> None:
        with ExitStack() as files:
            parts = RunJournal(plan, manifest, journal, dry_run=dry_run, files=files)
            async with self.hook.portal(meter) as portal:
                await apply_changes(
                    portal,
                    manifest.kind,
                    parts.changes(),
                    parts,
                    written_before=frozenset(parts.begun),
                    applied_before=parts.applied,
                    dry_run=dry_run,
                    progress=progress.add,
                )
        progress.say()

    def _tell(self, summary: Summary, report: Path) -> None:
        self.log.info("::group::Report")
        for line in as_markdown(summary).splitlines():
            self.log.info("%s", line)
        self.log.info("::endgroup::")
        self.log.info("Report: %s", report)


def _summary(plan: Path, manifest: Manifest, journal: Path, effort: Effort, *, dry_run: bool) -> Summary:
    def changes() -> Iterable[Change]:
        for number in range(len(manifest.parts)):
            yield from read_changes(plan, manifest, number)

    return summarise(
        manifest,
        changes(),
        final_outcomes(journal, manifest.kind),
        effort,
        dry_run=dry_run,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _applied(summary: Summary) -> int:
    return summary.counts["applied"] + summary.counts["already"]
