"""What the operators that make a plan share: guards, the files of the plan, and what they tell of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

from airflow.sdk import Context

from airflow_bitrix.client.flow import Meter
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.progress import Progress
from airflow_bitrix.compat import conf
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.kind_words import kind_words, owners, read_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.quiet_hours import QuietHours
from airflow_bitrix.core.restores import Origin
from airflow_bitrix.core.rule_notes import RuleNote
from airflow_bitrix.crm.owners import count_owners
from airflow_bitrix.files.own_files import write_new
from airflow_bitrix.files.plans import Manifest, PlanWriter
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.operators.shared.artifacts import task_folder
from airflow_bitrix.operators.shared.constants import check_constants
from airflow_bitrix.operators.shared.lineage import file_of, lineage, links_of
from airflow_bitrix.operators.shared.names import shows_names
from airflow_bitrix.operators.shared.other_hosts import this_host
from airflow_bitrix.operators.shared.parameters import (
    is_open,
    optional_count,
    optional_share,
    quiet_hours,
    switch,
)
from airflow_bitrix.operators.shared.pipeline import LinkPlanOperator
from airflow_bitrix.operators.shared.task_arguments import PipelineArguments
from airflow_bitrix.report.approval import plan_markdown
from airflow_bitrix.report.texts import no_match

SUMMARY = "summary.md"

MOST_TASKS = 1000
"""Mapped tasks that an apply may be spread over, where ``[core] max_map_length`` allows as many."""


class LinkPlanMaker(LinkPlanOperator):
    """Makes a plan and changes nothing. A subclass says what the plan is about and fills it.

    Returns ``{"plan": folder, "hash": …, "summary": path, "changes": n, "read": n, "hidden_links": n,
    "emptied": n, "by_rule": {rule: n}, "left_out": {why: n}, "partial": […], "parts": […]}``. ``summary`` is
    the plan in short, in Markdown; ``parts`` is what an apply may be mapped over. ``partial`` says why the
    plan may be about a part of the portal only, as where the webhook's user is no administrator: a sentence
    for each portal, none where all was seen.

    :param max_changes: The most changes allowed; a plan with more is written, but apply refuses it. ``None``
        for no limit. (templated)
    :param max_share: The largest share of the owners of the plan's kind on the portal that may be changed,
        ``"20%"`` or 0.2, however few of them the plan reads; ``None`` for no limit. 1 is refused: it might be
        meant as percent. It takes a request to count them. (templated)
    :param portals: Addresses of the only portals that may be changed; empty for any. (templated)
    :param allow_saving: Whether the plan may be about owners whose links are written by saving them: invoices
        and items of smart processes. A save starts the portal's automation, sets the order of the contacts by
        tens and makes the first of them the primary one. (templated)
    :param quiet: The ``quiet_hours`` and ``timezone`` that the applies of the plan will go by. The plan has
        no use for them but to refuse them before anything is sent, as later somebody would have approved
        already what then cannot be applied. ``carry_out`` tells them; ``None`` for none. (templated)
    """

    template_fields: Sequence[str] = (
        *LinkPlanOperator.template_fields,
        "max_changes",
        "max_share",
        "portals",
        "allow_saving",
        "quiet",
    )

    def __init__(
        self,
        *,
        max_changes: int | str | None = None,
        max_share: float | str | None = None,
        portals: Sequence[str] | str = (),
        allow_saving: bool | str = False,
        quiet: Mapping[str, Any] | None = None,
        **kwargs: Unpack[PipelineArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.max_changes = max_changes
        self.max_share = max_share
        self.portals = portals
        self.allow_saving = allow_saving
        self.quiet = quiet
        check_constants(
            self,
            ("max_changes max_share portals", self._guards),
            ("allow_saving", self._may_save),
        )

    @abstractmethod
    def plan_kind(self) -> OwnerKind:
        """Give the kind of owners that the plan is about.

        :raises InvalidInput: There is no such kind.
        """

    @abstractmethod
    def plan_rules(self) -> tuple[str, ...]:
        """Give the names of the rules, and check all parameters that the plan goes by.

        :raises InvalidInput: A parameter that cannot be right; nothing was sent.
        """

    def plan_notes(self) -> tuple[RuleNote, ...]:
        """Give what readers of the plan are told of its rules; nothing where their names say it all."""
        return ()

    def plan_origin(self) -> Origin | None:
        """Give what a restore goes by; ``None`` for any other plan."""
        return None

    def left_out_on(self) -> str:
        """Give the address of the portal that those are on who are left out."""
        return self.settings.portal

    @abstractmethod
    async def fill(self, plan: PlanWriter, portal: AsyncPortal, progress: Progress) -> None:
        """Write the changes, and the owners that are left out; count each owner read in ``progress``.

        Once what can be refused without the portal is refused, it asks who sees the portal.
        """

    def work(self, context: Context, *, deferrals: int) -> dict[str, Any]:
        """Make the plan."""
        self.begin(context)
        if deferrals:
            # A scan begins anew after a deferral: deferred each time, a long one would never come to its end.
            self._wait_here()
        with final_failures():
            self._quiet_hours()
            shows_names()  # what the approval and the check go by
            may_save = self._may_save()
            kind, rules, guards = self.plan_kind(), self.plan_rules(), self._guards()
            if family_of(kind).is_saved and not may_save:
                accepted = gettext(
                    "True, as links of {kinds_of} are written by saving them, which starts the portal's "
                    "automation (in the trigger form: Allow saving)",
                    **kind_words(kind),
                )
                raise InvalidInput("allow_saving", may_save, accepted)
            base = self.own_folder or task_folder(context)
            folder = base / "plan"
            portal, left_out_on = self.settings.portal, self.left_out_on()
            bucket = self.settings.bucket
            self.log.info(
                "%s",
                gettext(
                    "Planning for the {kinds} of {portal}: {rules}",
                    portal=portal,
                    rules=", ".join(rules),
                    **kind_words(kind),
                ),
            )
            meter = Meter()
            with PlanWriter(folder, left_out_on=left_out_on, portal=portal) as plan:
                read, population = self.run_loop(self._fill(plan, kind, meter))
                manifest = plan.finish(
                    read=read,
                    hidden_links=meter.hidden_links,
                    kind=kind,
                    portal=portal,
                    created=datetime.now(UTC).isoformat(timespec="seconds"),
                    rules=rules,
                    rule_notes=self.plan_notes(),
                    guards=replace(guards, population=population),
                    run=self.run_name,
                    task=self.task_id if self.run_name else "",
                    origin=self.plan_origin(),
                    partial=self.seen_partially,
                    pace=bucket and (bucket.rate, bucket.burst),
                )
            write_new(folder / SUMMARY, plan_markdown(folder, manifest))
        self._tell(folder, manifest)
        read_from = [links_of(left_out_on, kind, read), links_of(portal, kind)]
        self.lineage = lineage(read_from, [file_of(folder, manifest.changes)])
        told = ("changes", "read", "hidden_links", "emptied", "by_rule", "left_out")
        return {
            "plan": str(folder),
            "hash": manifest.hash,
            "summary": str(folder / SUMMARY),
            **{name: manifest.counts[name] for name in told},
            "partial": list(manifest.partial),
            "parts": parts_of(manifest),
            "host": this_host(),
        }

    def _quiet_hours(self) -> QuietHours | None:
        given = {} if self.quiet is None else self.quiet
        if not isinstance(given, Mapping):
            raise InvalidInput("quiet", given, gettext("a dict with quiet_hours and timezone, or None"))
        return quiet_hours(given.get("quiet_hours"), given.get("timezone", "UTC"))

    def _may_save(self) -> bool:
        return switch("allow_saving", self.allow_saving)

    def _guards(self) -> Guards:
        portals: Any = () if self.portals is None else self.portals
        return Guards(
            max_changes=optional_count("max_changes", self.max_changes),
            max_share=optional_share("max_share", self.max_share),
            portals=tuple(portals) if isinstance(portals, (list, tuple)) else portals,
        )

    async def _fill(self, plan: PlanWriter, kind: OwnerKind, meter: Meter) -> tuple[int, int | None]:
        """Fill the plan; give the numbers of owners read and, where a guard goes by it, of all owners."""
        async with self.hook.portal(meter) as portal:
            # A plan may read only those that it changes, of which any share would be all.
            population = None if is_open(self.max_share) else await count_owners(portal, kind, {})
            progress = Progress(self.log, read_words(kind), meter, tell=self.tell_progress)
            await self.fill(plan, portal, progress)
            progress.say()
        return progress.done, population

    def _tell(self, folder: Path, manifest: Manifest) -> None:
        if none := no_match(manifest):
            self.log.warning("%s", gettext("The plan is empty: {none}", none=none))
        to_change = owners(manifest.kind, manifest.changes) if manifest.changes else gettext("Nothing")
        self.log.info("%s", gettext("{owners} to change", owners=to_change))
        by_rule = manifest.counts["by_rule"]
        for rule, number in by_rule.items() if len(manifest.rules) > 1 else ():
            self.log.info("%s", gettext("{number} by {rule}", number=number, rule=rule))
        for why, number in manifest.counts["left_out"].items():
            self.log.info("%s", gettext("{number} left out: {why}", number=number, why=gettext(why)))
        for broken in manifest.broken_guards:
            self.log.warning("%s", gettext("Apply will refuse this plan: {broken}", broken=broken))
        self.log_place(gettext("Plan"), folder)


def parts_of(manifest: Manifest) -> list[list[int]]:
    """Give the numbers of a plan's parts, in as many groups as an apply may be spread over.

    Where there are more parts than tasks, each task gets several: Airflow refuses a longer list when it
    comes, and then somebody has approved already.
    """
    tasks = max(min(MOST_TASKS, conf.getint("core", "max_map_length", fallback=MOST_TASKS)), 1)
    numbers = range(len(manifest.parts))
    size = -(-len(numbers) // tasks) or 1
    return [list(numbers[at : at + size]) for at in range(0, len(numbers), size)]
