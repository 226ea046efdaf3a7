"""A task that waits in the triggerer for what a portal says there, and asks it once more itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn

from airflow.sdk import DAG, BaseOperator
from who_am_i import WhoAmI  # type: ignore[import-not-found]

from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook

CONN_ID = "bitrix24_tokens"


class Defers(BaseOperator):
    """Waits for the name of the connection's user."""

    def execute(self, context: Any) -> NoReturn:  # noqa: ARG002 (as all operators have it)
        """Ask in the triggerer."""
        self.defer(trigger=WhoAmI(CONN_ID), method_name="resume")

    def resume(self, context: Any, event: str) -> list[str]:  # noqa: ARG002 (likewise)
        """Ask again, in a worker."""
        told = Bitrix24Hook(CONN_ID).call("profile")
        return [event, f"{told['NAME']} {told['LAST_NAME']}"]


# Where a task is woken before the scheduler has heard that it was deferred, Airflow fails that try.
with DAG("deferred_call", schedule=None):
    Defers(task_id="ask", retries=2, retry_delay=timedelta(seconds=1))
