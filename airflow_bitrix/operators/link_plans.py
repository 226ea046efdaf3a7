"""Link work in bulk: make a plan, apply exactly that plan, tell what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, Context, XComArg

from airflow_bitrix.client.apply import apply_changes
from airflow_bitrix.client.flow import Meter
from airflow_bitrix.client.listing import both
from airflow_bitrix.client.progress import Progress
from airflow_bitrix.client.scan import check_filter, scan
from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import OwnerKind, owner_kind, whole_number
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.rules import Rule, judge, rules_for
from airflow_bitrix.files.journals import (
    final_outcomes,
    journal_folder,
    write_failed,
)
from airflow_bitrix.files.plans import (
    Manifest,
    PlanWriter,
    check_parts,
    plan_lock,
    read_changes,
    read_manifest,
)
from airflow_bitrix.files.runs import RunJournal
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.operators.artifacts import as_folder, progress_teller, task_folder
from airflow_bitrix.operators.pipeline import LinkPlanOperator
from airflow_bitrix.report.page import as_html
from airflow_bitrix.report.summary import Effort, Summary, as_json, as_markdown, summarise

FRUITLESS = 3
"""Deferrals in a row after which an apply that got nowhere waits on its worker."""

REPORT, FAILED = "report.html", "failed.csv"

__all__ = ["Bitrix24ApplyLinkPlanOperator", "Bitrix24PlanLinkCleanupOperator"]


class Bitrix24PlanLinkCleanupOperator(LinkPlanOperator):
    """Scan leads or deals, ask the clean-up rules about each, and write a plan. Changes nothing.

    Returns ``{"plan": folder, "hash": …, "changes": n, "read": n, "hidden_links": n, "left_out": {why:
    n}}``. The plan holds
    each change with its links before and after and its reasons; ``left_out.csv`` beside it names the owners
    that a rule is about but does not touch, and why.

    :param rules: Names of rules, see :data:`airflow_bitrix.core.rules.RULES`. (templated)
    :param kind: ``lead`` or ``deal``. (templated)
    :param stages: Only owners in these stages, for example ``["NEW"]``; empty for all. (templated)
    :param older_than_days: Only owners created at least so many days ago; ``None`` or 0 for all. (templated)
    :param filter: A further ``crm.item.list`` filter, camelCase names, such as ``{"assignedById": 7}``. An
        unknown field is refused. (templated)
    :param max_changes: The most changes allowed; a plan with more is written, but apply refuses it. ``None``
        for no limit. (templated)
    :raises InvalidInput: A parameter that cannot be right. Airflow does not retry it.
    """

    template_fields: Sequence[str] = (
        *LinkPlanOperator.template_fields,
        "rules",
        "kind",
        "stages",
        "older_than_days",
        "filter",
        "max_changes",
    )
    ui_color = "#fdf3d0"

    def __init__(
        self,
        *,
        rules: Sequence[str] | str,
        kind: str = "lead",
        stages: Sequence[str] | str = (),
        older_than_days: int | str | None = None,
        filter: Mapping[str, Any] | str | None = None,  # noqa: A002 (the portal's own word for it)
        max_changes: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rules = rules
        self.kind = kind
        self.stages = stages
        self.older_than_days = older_than_days
        self.filter = filter
        self.max_changes = max_changes

    def work(self, context: Context, *, deferrals: int) -> dict[str, Any]:
        """Scan and write the plan."""
        self.tell_progress = progress_teller(context)
        if deferrals:
            # A scan begins anew after a deferral: deferred each time, a long one would never come to its end.
            self._wait_here()
        with final_failures():
            kind = owner_kind(self.kind)
            rules = rules_for(kind, self.rules)
            limit = None if self.max_changes is None else _count("max_changes", self.max_changes)
            wanted = self._filter(rules)
            folder = (
                as_folder(self.artifacts_path) if self.artifacts_path else task_folder(context)
            ) / "plan"
            portal = self.settings.webhook.portal
            self.log.info("Scanning the %ss of %s for %s", kind, portal, ", ".join(rules))
            with PlanWriter(folder) as plan:
                meter = Meter()
                read = asyncio.run(self._scan(plan, kind, rules, wanted, meter))
                manifest = plan.finish(
                    read=read,
                    hidden_links=meter.hidden_links,
                    kind=kind,
                    portal=portal,
                    created=datetime.now(UTC).isoformat(timespec="seconds"),
                    rules=tuple(rules),
                    guards=Guards(max_changes=limit),
                )
        self._tell(folder, manifest)
        return {
            "plan": str(folder),
            "hash": manifest.hash,
            "changes": manifest.changes,
            "read": read,
            "hidden_links": manifest.counts["hidden_links"],
            "left_out": manifest.counts["left_out"],
        }

    def _filter(self, rules: Mapping[str, Rule]) -> dict[str, Any]:
        wanted: dict[str, Any] = {}
        if len(rules) == 1:  # several rules look for different owners, so all have to be read
            wanted |= next(iter(rules.values())).filter
        if isinstance(self.stages, str) or not all(isinstance(stage, str) for stage in self.stages or ()):
            raise InvalidInput("stages", self.stages, "a list of stage ids, such as ['NEW']")
        if self.stages:
            wanted["@stageId"] = list(self.stages)
        if days := _count("older_than_days", self.older_than_days or 0):
            wanted["<=createdTime"] = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
        own = self.filter if self.filter is not None else {}
        if not isinstance(own, Mapping):
            raise InvalidInput(
                "filter", own, "a dict of crm.item.list field to value, such as {'stageId': 'NEW'}"
            )
        if twice := sorted(wanted.keys() & own.keys()):
            raise InvalidInput(
                "filter", twice[0], "fields that no other parameter or rule filters by already"
            )
        return both(own, wanted)

    async def _scan(
        self,
        plan: PlanWriter,
        kind: OwnerKind,
        rules: Mapping[str, Rule],
        wanted: Mapping[str, Any],
        meter: Meter,
    ) -> int:
        async with self.hook.portal(meter) as portal:
            progress = Progress(self.log, f"{kind}s read", meter, tell=self.tell_progress)
            if isinstance(self.filter, Mapping) and self.filter:
                await check_filter(portal, kind, self.filter)
            async for state in scan(portal, kind, wanted):
                change, left_out = judge(state, rules)
                if change:
                    plan.add(change)
                for reason in left_out:
                    plan.leave_out(state.owner, reason.why, reason.reason)
                progress.add(1)
            progress.say()
        return progress.done

    def _tell(self, folder: Path, manifest: Manifest) -> None:
        if not manifest.counts["read"]:
            self.log.warning("No %s matches the stages, the age and the filter", manifest.kind)
        self.log.info("%s %ss to change", f"{manifest.changes:,}", manifest.kind)
        for why, count in manifest.counts["left_out"].items():
            self.log.info("%s left out: %s", f"{count:,}", why)
        for broken in manifest.guards.broken_by(changes=manifest.changes):
            self.log.warning("Apply will refuse this plan: %s", broken)
        self.log.info("Plan: %s", folder)


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
            dry_run = _switch("is_dry_run", self.is_dry_run)
            if deferrals > (0 if dry_run else FRUITLESS):
                self._wait_here()  # looking begins anew each time, and comes before the first write
            max_failed = _count("max_failed", self.max_failed)
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
        for broken in manifest.guards.broken_by(changes=manifest.changes):
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


def _switch(argument: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("True", "False"):  # a rendered template, without native objects
        return value == "True"
    raise InvalidInput(argument, value, "True or False")


def _count(argument: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    number = whole_number(value) if isinstance(value, str) else None
    if number is None:
        raise InvalidInput(argument, value, "a whole number, 0 or above")
    return number
