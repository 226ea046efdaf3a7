"""Plans for sandboxes' repeat leads, and journals in memory of what applying them did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from airflow_bitrix.client.flow import Manners
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.rules import judge, rules_for
from airflow_bitrix.crm.scan import scan
from airflow_bitrix.engine.apply import apply_changes
from airflow_bitrix.sandbox.server import Sandbox
from tests.engine.notes import Notes

Planned = Callable[..., list[Change]]
Applied = Callable[..., Notes]


@pytest.fixture
def planned(connect_async: Any) -> Planned:
    """Plan the release of a sandbox's repeat leads."""

    def run(sandbox: Sandbox) -> list[Change]:
        async def collect() -> list[Change]:
            rules = rules_for("lead", ["release_repeat_leads"])
            async with connect_async(sandbox.webhook_url) as portal:
                judged = [judge(state, rules)[0] async for state in scan(portal, "lead")]
            return [change for change in judged if change]

        return asyncio.run(collect())

    return run


@pytest.fixture
def applied(connect_async: Any) -> Applied:
    """Apply changes to a sandbox, and give the journal."""

    def run(
        sandbox: Sandbox, changes: Sequence[Change], manners: Manners | None = None, **options: Any
    ) -> Notes:
        async def apply() -> Notes:
            notes = Notes()
            async with connect_async(sandbox.webhook_url, manners) as portal:
                await apply_changes(portal, changes[0].owner.kind, changes, notes, **options)
            return notes

        return asyncio.run(apply())

    return run
