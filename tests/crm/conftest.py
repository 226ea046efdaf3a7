"""Scans of sandboxes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_bitrix.client.flow import Manners
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.crm.scan import scan
from airflow_bitrix.sandbox.server import Sandbox


@pytest.fixture
def scanned(connect_async: Callable[..., Any]) -> Callable[..., tuple[list[OwnerState], int]]:
    """Scan a sandbox: the states and the number of requests."""

    def run(
        sandbox: Sandbox, kind: OwnerKind, wanted: Any = None, manners: Manners | None = None, **options: Any
    ) -> Any:
        async def collect() -> tuple[list[OwnerState], int]:
            async with connect_async(sandbox.webhook_url, manners) as portal:
                states = [state async for state in scan(portal, kind, wanted, **options)]
                return states, portal.manners.meter.requests

        return asyncio.run(collect())

    return run
