"""Removing what runs have left long ago."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from airflow.sdk import BaseOperator, Context

from airflow_bitrix.compat import AirflowException, conf
from airflow_bitrix.core.errors import InvalidInput, RetryLater
from airflow_bitrix.core.languages import gettext, ngettext, ngettext_noop, number
from airflow_bitrix.core.numbers import as_whole
from airflow_bitrix.files.old_runs import DAY, OldRun, old_runs, remove_names_of, remove_run
from airflow_bitrix.hooks.failures import final_failures, says_why
from airflow_bitrix.operators.shared.artifacts import artifacts_root, given_folder
from airflow_bitrix.operators.shared.constants import check_constants
from airflow_bitrix.operators.shared.parameters import is_nothing, switch
from airflow_bitrix.operators.shared.task_arguments import TaskArguments

__all__ = ["Bitrix24HousekeepingOperator"]

SHOWN = 50
"""Folders that the log names."""

_FOLDERS = ngettext_noop(
    "{count} folder of runs, {size}, {older}", "{count} folders of runs, {size}, {older}"
)
_NAMES_IN = ngettext_noop(
    "Names in {count} folder of runs, {size}, {older}", "Names in {count} folders of runs, {size}, {older}"
)
_FAILED = ngettext_noop(
    "{count} folder could not be removed: {first}", "{count} folders could not be removed: {first}"
)


class Bitrix24HousekeepingOperator(BaseOperator):
    """Remove what runs have left, when nothing in it was written for so many days.

    That is the folder of a DAG run, with its plan, journal, snapshots and reports, and files of parked
    owners. What waits for approval stays, what an approval may still be used for, what a task is at, and the
    last snapshot that the next one is compared with; so does what no task of this package has left. A run
    that is gone cannot be taken back.

    Names of owners and contacts are personal data, and wanted for a shorter time than the way back.
    With ``only_names`` they alone go: the files of names, the columns of tables that have them, and
    ``report.html``, of which the report tab shows all else as before. On an object storage a run whose
    tables were so written anew counts as written then.

    Returns ``removed``, the number of folders and files of parked owners; ``bytes`` that this freed;
    ``kept``, how many are as old and stay, by the reason (``last snapshot``, ``waits for approval``,
    ``approved``, ``decision not readable``, ``in use``), which is the same in each language; and
    ``is_dry_run``: nothing was removed then.
    With ``only_names`` these are about the runs that have names, and no others.

    :param keep_days: Days for which it stays, at least 1; ``None`` for ``[bitrix24] keep_days``. (templated)
    :param is_dry_run: Whether to say only what would go, as by default. (templated)
    :param only_names: Whether names alone are removed, and what a restore needs stays. (templated)
    :param artifacts_path: The folder of all DAGs; by default ``[bitrix24] artifacts_path``. (templated)
    """

    template_fields: Sequence[str] = ("keep_days", "is_dry_run", "only_names", "artifacts_path")
    ui_color = "#d8f3fb"

    def __init__(
        self,
        *,
        keep_days: int | str | None = None,
        is_dry_run: bool | str = True,
        only_names: bool | str = False,
        artifacts_path: str = "",
        **kwargs: Unpack[TaskArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.keep_days = keep_days
        self.is_dry_run = is_dry_run
        self.only_names = only_names
        self.artifacts_path = artifacts_path
        check_constants(
            self,
            ("keep_days", self._days),
            ("is_dry_run", self._is_dry_run),
            ("only_names", self._is_about_names),
        )

    def execute(self, context: Context) -> dict[str, Any]:
        """Look at all runs, and remove what is old."""
        return self._keep_house(context)

    @says_why
    def _keep_house(self, context: Context) -> dict[str, Any]:
        del context
        with final_failures():
            days, is_dry, root = self._days(), self._is_dry_run(), self._root()
            only_names = self._is_about_names()
        take = remove_names_of if only_names else remove_run
        kept: Counter[str] = Counter()
        removed = freed = 0
        failed: list[str] = []
        for run in old_runs(root, days=days, now=time.time()):
            if only_names and not run.names:
                continue
            try:
                stays = run.kept or (None if is_dry else take(run))
                if stays:
                    kept[stays.why] += 1
                    self.log.info("%s", gettext("Stays: {path}, {why}", path=run.path, why=stays.said))
                    continue
            except (OSError, RetryLater) as error:
                failed.append(f"{run.path}: {error}")
                continue
            size = run.bytes_of_names if only_names else run.bytes
            removed, freed = removed + 1, freed + size
            self._tell(run, removed, size, is_dry=is_dry)
        what = _NAMES_IN if only_names else _FOLDERS
        older = ngettext("older than {count} day", "older than {count} days", days)
        self.log.info("%s", ngettext(*what, removed, size=_megabytes(freed), older=older))
        if is_dry:
            self.log.info("%s", gettext("Dry run: nothing was removed."))
        if failed:
            raise AirflowException(ngettext(*_FAILED, len(failed), first=failed[0]))
        return {"removed": removed, "bytes": freed, "kept": dict(kept), "is_dry_run": is_dry}

    def _tell(self, run: OldRun, place: int, size: int, *, is_dry: bool) -> None:
        if place <= SHOWN:
            what = gettext("Would go") if is_dry else gettext("Removed")
            age = ngettext("{count} day old", "{count} days old", int((time.time() - run.written) / DAY))
            self.log.info("%s: %s, %s, %s", what, run.path, _megabytes(size), age)
        elif place == SHOWN + 1:
            self.log.info("%s", gettext("… and others"))

    def _days(self) -> int:
        given: object = self.keep_days
        argument = "keep_days"
        if is_nothing(given):
            argument, given = "[bitrix24] keep_days", conf.get("bitrix24", "keep_days", fallback="90") or "90"
        days = as_whole(given)
        if days is None or days < 1:
            raise InvalidInput(argument, given, gettext("a whole number of days, 1 or above"))
        return days

    def _is_dry_run(self) -> bool:
        return switch("is_dry_run", self.is_dry_run)

    def _is_about_names(self) -> bool:
        return switch("only_names", self.only_names)

    def _root(self) -> Path:
        given = self.artifacts_path
        return artifacts_root() if is_nothing(given) else given_folder("artifacts_path", given)


def _megabytes(size: int) -> str:
    return gettext("{size} MB", size=number(round(size / 1e6, 1)))
