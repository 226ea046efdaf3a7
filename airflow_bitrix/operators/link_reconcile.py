"""Comparing links with what a migration wants them to be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from airflow.sdk import Context

from airflow_bitrix.client.flow import Meter
from airflow_bitrix.client.progress import Progress
from airflow_bitrix.compat import AirflowFailException
from airflow_bitrix.core.kind_words import read_words
from airflow_bitrix.core.languages import gettext, ngettext, number
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.migrations import Left
from airflow_bitrix.files.partial_views import write_partial
from airflow_bitrix.files.reconciliations import ReconciliationWriter
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.operators.shared.artifacts import task_folder
from airflow_bitrix.operators.shared.constants import check_constants
from airflow_bitrix.operators.shared.lineage import file_of, lineage, links_of
from airflow_bitrix.operators.shared.migration_arguments import MigrationArguments
from airflow_bitrix.operators.shared.parameters import optional_count
from airflow_bitrix.operators.shared.task_arguments import MappedArguments

RECONCILE = "reconcile.csv"


class Bitrix24ReconcileContactLinksOperator(MigrationArguments):
    """Compare links with what a migration wants them to be, link by link. Changes nothing.

    Takes the arguments of the migration, see
    :class:`~airflow_bitrix.operators.shared.migration_arguments.MigrationArguments`, and writes
    ``reconcile.csv`` with a row for each difference: ``missing`` (a contact is not linked), ``extra`` (one
    is linked that is not wanted), ``primary``, ``order``, ``sort``, ``parked`` (has no counterpart yet) or
    ``left out``. With ``extra="keep"``, links that only the target has are no difference.

    Returns ``{"reconcile_csv": path, "read": n, "compared": n, "differences": n, "by_difference": {what: n},
    "requests": n, "partial": […]}``. ``compared`` counts owners that the migration is about and that could be
    compared. ``partial`` says why a part of a portal only may have been seen, as where the webhook's user is
    no administrator: a sentence for each portal, none where all was seen.

    :param max_differences: Differences above which the task fails, when the file is written; ``None``: never.
        (templated)
    :raises InvalidInput: An argument that cannot be right. Airflow does not retry it.
    :raises AirflowFailException: There are more differences than ``max_differences``.
    """

    template_fields: Sequence[str] = (*MigrationArguments.template_fields, "max_differences")
    ui_color = "#e8e3f7"

    def __init__(
        self, *, max_differences: int | str | None = None, **kwargs: Unpack[MappedArguments]
    ) -> None:
        super().__init__(**kwargs)
        self.max_differences = max_differences
        check_constants(self, ("max_differences", self._most))

    def work(self, context: Context, *, deferrals: int) -> dict[str, Any]:
        """Compare, write the file, and count."""
        self.begin(context)
        if deferrals:
            self._wait_here()  # a scan begins anew after a deferral
        with final_failures():
            most = self._most()
            kind = self.owners_kind()
            self.check_arguments()
            folder = self.own_folder or task_folder(context)
            told = self.run_loop(self._compare(kind, folder / RECONCILE))
            write_partial(folder, self.seen_partially)
        read = [
            links_of(self.source_portal, kind, told["read"]),
            links_of(self.settings.portal, kind),
        ]
        self.lineage = lineage(read, [file_of(told["reconcile_csv"], told["differences"])])
        for what, count in told["by_difference"].items():
            self.log.info("%s %s", number(count), what)
        found = (
            ngettext("{count} difference", "{count} differences", told["differences"])
            if told["differences"]
            else gettext("No differences")
        )
        found += gettext(" in what was seen") * bool(self.seen_partially)
        self.log_place(found, folder / RECONCILE)
        if most is not None and told["differences"] > most:
            limit = gettext("{found} (max_differences is {most})", found=found, most=most)
            raise AirflowFailException(
                gettext("{limit}; see {reconcile_csv}", limit=limit, reconcile_csv=told["reconcile_csv"])
            )
        return told

    def _most(self) -> int | None:
        return optional_count("max_differences", self.max_differences)

    async def _compare(self, kind: OwnerKind, path: Path) -> dict[str, Any]:
        meter = Meter()
        progress = Progress(self.log, read_words(kind), meter, tell=self.tell_progress)
        async with self.hook.portal(meter) as portal:
            with ReconciliationWriter(path, kind, self.source_portal, self.settings.portal) as file:
                async for step in self.steps(portal, progress.add):
                    if isinstance(step, Left):
                        file.leave(step)
                    else:
                        file.add(step)
        progress.say()
        return {
            "reconcile_csv": str(path),
            "read": progress.done,
            "compared": file.compared,
            "differences": file.counts.total(),
            "by_difference": dict(sorted(file.counts.items())),
            "requests": meter.requests,
            "partial": list(self.seen_partially),
        }
