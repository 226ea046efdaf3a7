"""A trigger as an author may write one: it asks the portal from the triggerer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook


class CountLeads(BaseTrigger):
    """Fires with the number of leads."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Tell Airflow how to make it again."""
        return "floor_triggers.CountLeads", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Read all leads, several requests in flight."""
        count = len([state async for state in Bitrix24AsyncHook().scan("lead")])
        yield TriggerEvent(count)  # type: ignore[no-untyped-call]
