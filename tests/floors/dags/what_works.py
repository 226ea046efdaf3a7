"""What an Airflow has to bring along for this package, one DAG for each."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, BaseOperator, task
from floor_triggers import CountLeads  # type: ignore[import-not-found]  # it lies in the plugins folder

from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook
from airflow_bitrix.operators.contact_links import Bitrix24MethodOperator
from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkCleanupOperator
from airflow_bitrix.pipelines.carry_out import carry_out


class Resting(Bitrix24MethodOperator):
    """Finds at first that the method rests for two seconds."""

    def work(self, context: Any, *, deferrals: int) -> Any:
        """Call the method once it may be called."""
        if not deferrals:
            raise RetryLater("the method rests", until=time.time() + 2)
        return super().work(context, deferrals=deferrals)


async def count_leads() -> int:
    """Read all leads, several requests in flight, the connection read twice at once."""
    first, second = Bitrix24AsyncHook(), Bitrix24AsyncHook()
    profile, name = await asyncio.gather(first.call("profile"), second.call("profile"))
    assert profile == name
    return len([state async for state in first.scan("lead")])


class CountInTrigger(BaseOperator):
    """Lets the triggerer ask the portal."""

    def execute(self, context: Any) -> None:
        """Wait for the trigger."""
        del context
        self.defer(trigger=CountLeads(), method_name="counted")

    def counted(self, context: Any, event: Any = None) -> Any:
        """Give what the trigger fired with."""
        del context
        return event


with DAG("floor_trigger", schedule=None):
    CountInTrigger(task_id="count")

with DAG("floor_defers", schedule=None):
    Resting(task_id="rest", api_method="profile")

with DAG("floor_async_hook", schedule=None):

    @task
    def count() -> int:
        """Use the async hook in a task that is not async itself."""
        return asyncio.run(count_leads())

    count()

with DAG("floor_native_async", schedule=None):

    @task(task_id="count")
    async def count_natively() -> int:
        """Use the async hook in an async task, which Airflow has since 3.2."""
        return await count_leads()

    count_natively()

with DAG("floor_unanswered", schedule=None):
    plan = Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=["release_repeat_leads"])
    carry_out(plan, is_dry_run=False, response_timeout=timedelta(seconds=2))
