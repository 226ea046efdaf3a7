"""Plans for sandboxes' repeat leads, and journals in memory of what applying them did."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import pytest

from airflow_bitrix.client.flow import Manners
from airflow_bitrix.client.wire import Request
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.rules import judge, rules_for
from airflow_bitrix.crm.scan import scan
from airflow_bitrix.engine.apply import apply_changes
from airflow_bitrix.sandbox.server import Sandbox
from tests.engine.notes import Notes

Post = Callable[[Request], Awaitable[Any]]
Between = Callable[[Post, Request], Awaitable[Any]]
Planned = Callable[..., list[Change]]
Applied = Callable[..., Notes]


@pytest.fixture
def planned(connect_async: Any) -> Planned:
    """Plan the release of a sandbox's repeat leads, with options of the rule."""

    def run(sandbox: Sandbox, **options: str) -> list[Change]:
        async def collect() -> list[Change]:
            rules = rules_for("lead", ["release_repeat_leads"], {"release_repeat_leads": options})
            async with connect_async(sandbox.webhook_url) as portal:
                judged = [judge(state, rules)[0] async for state in scan(portal, "lead")]
            return [change for change in judged if change]

        return asyncio.run(collect())

    return run


@pytest.fixture
def applied(connect_async: Any) -> Applied:
    """Apply changes to a sandbox, and give the journal.

    ``between`` stands between the client and the portal: it is given what posts a request, and the request.
    """

    def run(
        sandbox: Sandbox,
        changes: Sequence[Change],
        between: Between | None = None,
        *,
        manners: Manners | None = None,
        notes: Notes | None = None,
        in_flight: int = 5,
        **options: Any,
    ) -> Notes:
        notes = notes or Notes()

        async def apply() -> None:
            async with connect_async(sandbox.webhook_url, manners, in_flight=in_flight) as portal:
                if between:
                    portal._post = partial(between, portal._post)
                await apply_changes(portal, changes[0].owner.kind, changes, notes, **options)

        (manners.stop.run if manners else asyncio.run)(apply())
        return notes

    return run


@pytest.fixture
def run(applied: Applied) -> Applied:
    """Apply changes one request after the other."""
    return partial(applied, in_flight=1)
