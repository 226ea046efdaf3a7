"""What a rule says: of an owner that a test makes up, and of those of a sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import aiohttp

from airflow_bitrix.client.allowance import Unlimited
from airflow_bitrix.client.auth import webhook
from airflow_bitrix.client.flow import Manners
from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.transport import aiohttp_transport, open_session
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.rules import Facts, Rule, judge, rules_for
from airflow_bitrix.engine.judging import Judged, judge_all
from airflow_bitrix.engine.registered_rules import registered_rules
from airflow_bitrix.sandbox.server import Sandbox

_SECONDS = 60.0


def judged(rule: Rule | type[Rule] | str, owner: OwnerState, facts: Facts | None = None) -> Judged:
    """Say what a rule makes of an owner: ``.change`` with ``.after`` and ``.reasons``, or ``.left_out``.

    A rule that raises an error, or says what no rule may, leaves the owner out here, too:
    ``.left_out[0].reason`` has the error.

    :param rule: A rule, its class or, where it is registered, its name.
    :param facts: What it is to know; nothing by default.
    :raises InvalidInput: It cannot be a rule, or is for other owners.
    """
    rules = rules_for(owner.owner.kind, [rule], None, registered_rules())
    return Judged(owner, *judge(owner, rules, facts))


def judged_on(
    sandbox: Sandbox,
    *rules: Rule | type[Rule] | str,
    kind: OwnerKind = "lead",
    only: Sequence[int] | None = None,
    region: str = "",
) -> dict[int, Judged]:
    """Say what rules make of the owners of a sandbox, by owner id, as a plan would.

    :param only: Only of the owners with these ids; ``None`` for all that the rules look at.
    :param region: The country whose phones are written without their country code, two letters.
    """
    chosen, now = rules_for(kind, rules, None, registered_rules()), datetime.now(UTC)
    wanted = next(iter(chosen.values())).filter(now) if len(chosen) == 1 else {}

    async def run() -> dict[int, Judged]:
        login = webhook(host="", login="", password=sandbox.webhook_url)
        async with open_session(login, _SECONDS) as session:

            async def post(method: str, body: bytes) -> aiohttp.ClientResponse:
                return await session.post(f"{login.portal}/{method}", data=body, allow_redirects=False)

            portal = AsyncPortal(aiohttp_transport(post, _SECONDS), Manners(Unlimited(), Retries()), 5)
            found = judge_all(portal, kind, wanted, chosen, now, only=only, region=region)
            return {one.state.owner.id: one async for one in found}

    return asyncio.run(run())
