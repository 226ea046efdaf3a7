"""A task that calls a portal both ways, whatever comes of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from airflow.sdk import DAG, task

from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook, Bitrix24Hook

with DAG("telltale", schedule=None):

    @task
    def call() -> None:
        """Call a method with each hook."""
        Bitrix24Hook().call("profile")
        hook = Bitrix24AsyncHook()
        hook.retries = Retries(times=0)
        with suppress(Bitrix24Error):
            asyncio.run(hook.call("profile"))

    call()
