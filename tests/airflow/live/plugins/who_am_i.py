"""A trigger that asks a portal from inside the triggerer, as an author writes one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook


class WhoAmI(BaseTrigger):
    """Tells the name of a connection's user."""

    def __init__(self, conn_id: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give what the triggerer makes it of."""
        return f"{__name__}.{type(self).__name__}", {"conn_id": self.conn_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask once."""
        told = await Bitrix24AsyncHook(self.conn_id).call("profile")
        yield TriggerEvent(f"{told['NAME']} {told['LAST_NAME']}")  # type: ignore[no-untyped-call]
