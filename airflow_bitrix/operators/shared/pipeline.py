"""What the pipeline operators share: a connection, a folder, and the numbers of their progress."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from airflow.sdk import Context

from airflow_bitrix.client.pacing import LONGEST_REST
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.crm.users import View, view_of
from airflow_bitrix.files.approvals import named_run
from airflow_bitrix.hooks.opening import DEFAULT_CONN_ID, opened, opened_async
from airflow_bitrix.links import Bitrix24ReportLink
from airflow_bitrix.operators.shared.artifacts import given_folder, is_in_tab, progress_teller, tab_folder
from airflow_bitrix.operators.shared.base import Bitrix24BaseOperator
from airflow_bitrix.operators.shared.lineage import TellsLineage
from airflow_bitrix.operators.shared.parameters import is_nothing
from airflow_bitrix.operators.shared.task_arguments import DeferrableArguments
from airflow_bitrix.operators.shared.timeouts import timeout_stops

if TYPE_CHECKING:
    from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook
    from airflow_bitrix.hooks.settings import Settings

T = TypeVar("T")


class LinkPlanOperator(TellsLineage, Bitrix24BaseOperator):
    """What the pipeline operators share: a connection and a folder."""

    template_fields: Sequence[str] = ("bitrix24_conn_id", "artifacts_path")

    operator_extra_links = (Bitrix24ReportLink(),)

    tell_progress: Callable[[dict[str, Any]], object] | None = None

    tab_folder: Path | None = None
    """Folder that the report tab of the DAG run reads."""

    seen_partially: tuple[str, ...] = ()
    """Why what was seen of a portal may be a part of it only, a sentence a portal."""

    run_name = ""
    """The DAG run, as people read it; empty outside of one."""

    def __init__(
        self,
        *,
        bitrix24_conn_id: str = DEFAULT_CONN_ID,
        artifacts_path: str = "",
        **kwargs: Unpack[DeferrableArguments],
    ) -> None:
        """Take what all pipeline operators take.

        :param bitrix24_conn_id: Id of a connection of type ``bitrix24``. (templated)
        :param artifacts_path: Folder for the files. By default that of the task in the DAG run, under
            ``[bitrix24] artifacts_path``; what goes by a plan writes beside the plan. (templated)
        :param deferrable: Whether the task is deferred while the portal lets a method rest; without it
            Airflow's retries have to bridge the rest.
        """
        super().__init__(**kwargs)
        self.bitrix24_conn_id = bitrix24_conn_id
        self.artifacts_path = artifacts_path

    @cached_property
    def settings(self) -> Settings:
        """What the operator's connection says, read and checked once."""
        return opened(self.bitrix24_conn_id).settings

    @cached_property
    def hook(self) -> Bitrix24AsyncHook:
        """The hook of the operator's connection."""
        hook = opened_async(self.bitrix24_conn_id, self.settings)
        hook.stop = self.stop
        return hook

    @property
    def own_folder(self) -> Path | None:
        """The folder that ``artifacts_path`` names; ``None`` where it is left open.

        :raises InvalidInput: It names none.
        """
        if is_nothing(self.artifacts_path):
            return None
        return given_folder("artifacts_path", self.artifacts_path)

    def begin(self, context: Context) -> None:
        """Keep what the work goes by, whatever it is about."""
        self.tell_progress = progress_teller(context)
        self.seen_partially = ()
        if run_id := context.get("run_id"):
            dag_id = context["dag"].dag_id
            self.tab_folder = tab_folder(dag_id, run_id)
            self.run_name = named_run(dag_id, run_id)

    async def look_who_sees(self, portal: AsyncPortal, whose: str = "") -> View:
        """Ask who the webhook's user is, and say ahead of all else where that one may not see all."""
        view = await view_of(portal, whose)
        if view.partial:
            self.seen_partially = (*self.seen_partially, view.partial)
            self.log.warning("%s", gettext("Partial view: {partial}", partial=view.partial))
        return view

    def log_place(self, what: str, path: Path) -> None:
        """Log where a file or folder lies, and where people see what is in it."""
        self.log.info("%s: %s", what, path)
        if is_in_tab(path, self.tab_folder):
            self.log.info("%s", gettext("See the tab Bitrix24 report of this run."))

    def run_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the work that asks the portal on an event loop of its own, until it ends or is told to stop.

        :raises ToldToStopError: It was told to stop.
        """
        with timeout_stops(self.stop):
            return self.stop.run(work)

    def _wait_here(self) -> None:
        """Wait for the end of each rest on the worker, where the work would begin anew after a deferral."""
        self.hook.patience = replace(self.hook.patience, max_wait=2 * LONGEST_REST)
