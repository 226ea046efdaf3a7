"""A task that calls a portal both ways, whatever comes of it."""

from __future__ import annotations

import asyncio
import logging

from airflow.sdk import DAG, task

from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook, Bitrix24Hook

log = logging.getLogger(__name__)

with DAG("telltale", schedule=None):

    @task
    def call() -> None:
        """Call a method with each hook."""
        now, later = Bitrix24Hook(), Bitrix24AsyncHook()
        now.retries = later.retries = Retries(times=0)
        for is_now in (True, False):
            try:
                now.call("profile") if is_now else asyncio.run(later.call("profile"))
            except Bitrix24Error as error:
                log.warning("%s", error, exc_info=True)

    call()
