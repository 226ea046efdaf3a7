"""Planning a migration: contacts that were merged, contacts of leads, links of another portal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

from airflow.sdk import Context

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.progress import Progress
from airflow_bitrix.core.kind_words import named, owners
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.migrations import Left
from airflow_bitrix.files.parked_owners import (
    ParkedOwner,
    add_parked,
    parked_file,
    read_parked,
    write_parked,
)
from airflow_bitrix.files.plans import PlanWriter
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.operators.shared.artifacts import as_folder, given_folder, task_folder
from airflow_bitrix.operators.shared.constants import check_constants
from airflow_bitrix.operators.shared.migration_arguments import MigrationArguments
from airflow_bitrix.operators.shared.parameters import is_nothing, switch
from airflow_bitrix.operators.shared.plan_maker import LinkPlanMaker
from airflow_bitrix.operators.shared.task_arguments import MigrationPlanArguments

PARKED = "parked.jsonl"

PLANNED = "planned"
"""Why an owner that was parked is still kept: its change is not known to be applied."""


class Bitrix24PlanLinkMigrationOperator(MigrationArguments, LinkPlanMaker):
    """Plan a migration of contact links, for one kind of owners. Changes nothing.

    What it returns is told at :class:`~airflow_bitrix.operators.shared.plan_maker.LinkPlanMaker`; the
    arguments of the migration at
    :class:`~airflow_bitrix.operators.shared.migration_arguments.MigrationArguments`. Only owners whose
    links differ get a change, so that a second run after the apply plans nothing.

    With ``portal_to_portal``, owners of the source that have no counterpart yet, or one of whose contacts has
    none or cannot be read, or for which several match, are **parked**: they stand in ``left_out.csv`` (by
    their ids in the source) and in a file that the task keeps, and the next run reads them again whatever its
    filter says. An owner leaves that file when a run finds that the target is right. There is one such file
    for each kind, source, target and matching (``match``, ``originator``, ``match_field``); a run leaves
    those of others alone. ``plan/parked.jsonl`` holds the same, and in a dry run it alone is written. The
    result holds ``parked``, their number, and ``parked_file``.

    :param is_dry_run: With ``portal_to_portal``: whether this is a dry run, which leaves the file of parked
        owners as it is. (templated)
    :param parked_path: Folder of the files of parked owners; by default one for each DAG and task, beside the
        folders of its runs. (templated)
    :raises InvalidInput: An argument that cannot be right, a map with bad rows, or a new contact that does
        not exist. Airflow does not retry it.
    """

    template_fields: Sequence[str] = (
        *MigrationArguments.template_fields,
        *(name for name in LinkPlanMaker.template_fields if name not in MigrationArguments.template_fields),
        "is_dry_run",
        "parked_path",
    )
    ui_color = "#d9e8f7"

    def __init__(
        self,
        *,
        is_dry_run: bool | str = False,
        parked_path: str | None = None,
        **kwargs: Unpack[MigrationPlanArguments],
    ) -> None:
        # The next class in line is MigrationArguments, which hands the guards on to LinkPlanMaker.
        super().__init__(**kwargs)  # type: ignore[misc]
        self.is_dry_run = is_dry_run
        self.parked_path = parked_path
        check_constants(self, ("is_dry_run", self._is_dry_run))
        self._were_parked: dict[int, ParkedOwner] = {}
        self._parked: dict[int, ParkedOwner] = {}

    def plan_kind(self) -> OwnerKind:
        """Give the kind of owners that the plan is about."""
        return self.owners_kind()

    def plan_rules(self) -> tuple[str, ...]:
        """Give the name of the migration, and check all that the plan goes by."""
        self.check_arguments()
        return (self.migration_name(),)

    def left_out_on(self) -> str:
        """Give the address of the portal that those are on who are left out: with two that of the source."""
        return self.source_portal

    def work(self, context: Context, *, deferrals: int) -> dict[str, Any]:
        """Make the plan; when it is written, park what it could not do."""
        if self.migration != "portal_to_portal":
            return super().work(context, deferrals=deferrals)
        with final_failures():
            is_dry_run = self._is_dry_run()
            self.check_arguments()
            pairing = self.pairing()
            lasting = parked_file(self._parked_folder(context), pairing)
            self._were_parked, self._parked = read_parked(lasting, pairing), {}
        told: dict[str, Any] = super().work(context, deferrals=deferrals)
        path = as_folder(told["plan"]) / PARKED
        write_parked(path, pairing, self._parked.values())
        if is_dry_run:
            said = gettext_noop("Dry run: {owners} would be parked: {path}")
        else:
            path = lasting
            with final_failures():
                add_parked(path, pairing, self._parked, instead_of=self._were_parked)
            said = gettext_noop("{owners} parked: {path}")
        if self._parked:
            parked = owners(pairing.kind, len(self._parked))
            self.log.info("%s", gettext(said, owners=parked, path=path))
        return {**told, "parked": len(self._parked), "parked_file": str(path)}

    def _is_dry_run(self) -> bool:
        return switch("is_dry_run", self.is_dry_run)

    def _parked_folder(self, context: Context) -> Path:
        if not is_nothing(self.parked_path):
            return given_folder("parked_path", self.parked_path)
        task = task_folder(context)  # <root>/<dag id>/<run id>/<task id>
        return task.parent.parent / "parked" / task.name

    async def fill(self, plan: PlanWriter, portal: AsyncPortal, progress: Progress) -> None:
        """Write a change for each owner whose links differ, and name those that are left out."""
        name = self.migration_name()
        async for step in self.steps(portal, progress.add, self._were_parked.keys()):
            if isinstance(step, Left):
                plan.leave_out(step.owner, step.why, f"{named(step.owner)}: {step.reason}")
                if step.is_parked:
                    self._park(step.owner.id, step.why, step.reason)
            elif change := step.change(name):
                plan.add(change)
                if step.source and step.source.id in self._were_parked:
                    self._park(
                        step.source.id,
                        PLANNED,
                        gettext("a change of {owner} is planned", owner=named(step.owner)),
                    )

    def _park(self, owner: int, why: str, reason: str) -> None:
        before = self._were_parked.get(owner)
        since = before.since if before else datetime.now(UTC).isoformat(timespec="seconds")
        self._parked[owner] = ParkedOwner(owner, why, reason, since)
