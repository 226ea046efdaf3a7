"""Asking clean-up rules about owners.

Owners are judged some 2,500 at a time. Those whose links are to change and stay in part are read by
``items.get`` and judged again, so that a plan holds their sorts, flags and roles; and, where a rule goes by
flags, all others whose contacts are not to be cleared.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.table_sweep import Expect
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.rules import LeftOut, Rule, is_ready, judge
from airflow_bitrix.crm.owners import in_chunks
from airflow_bitrix.crm.scan import ask_links, scan, scan_ids
from airflow_bitrix.engine.rule_facts import Questions


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rules say of one owner.

    :param state: The owner as the rules saw it.
    :param change: What is to be done, ``None`` for nothing. Where links stay it holds them exactly.
    :param left_out: Every reason to leave the owner out.
    """

    state: OwnerState
    change: Change | None
    left_out: Sequence[LeftOut]


async def judge_all(
    portal: AsyncPortal,
    kind: OwnerKind,
    wanted: Mapping[str, Any],
    rules: Mapping[str, Rule],
    now: datetime,
    *,
    only: Sequence[int] | None = None,
    expect: Expect | None = None,
    region: str | None = None,
) -> AsyncGenerator[Judged, None]:
    """Scan the owners that a filter matches, and give what the rules say of each.

    :param wanted: A ``crm.item.list`` filter, camelCase names.
    :param rules: See :func:`airflow_bitrix.core.rules.rules_for`.
    :param now: When the plan is made, with a time zone.
    :param only: Only the owners with these ids; ``None`` for all.
    :param expect: Told now and then how many owners there are in all, as far as can be told yet.
    :param region: The country whose phones may lack their country code, two letters, empty where it is not
        known; ``None`` where no rule reads phones by numbering plans.
    :raises Rejected: The portal does not accept the filter.
    """
    also = tuple(dict.fromkeys(name for rule in rules.values() for name in rule.also))
    wants_exact = any(rule.wants_exact for rule in rules.values())
    ask = Questions(portal, rules, now, region)
    found = (
        scan(portal, kind, wanted, also=also, expect=expect)
        if only is None
        else scan_ids(portal, kind, only, wanted, also=also)
    )
    async with aclosing(found) as states:
        async for chunk in in_chunks(states):
            facts, failed = await ask.facts(chunk)

            def judged(state: OwnerState) -> Judged:
                if left_out := failed.get(state.owner):  # noqa: B023 (called within the round)
                    return Judged(state, None, [left_out])
                return Judged(state, *judge(state, rules, facts))  # noqa: B023

            first = [judged(state) for state in chunk]
            unclear = [one.state for one in first if _is_unclear(one, wants_exact=wants_exact)]
            exact = {state.owner: state for state in await ask_links(portal, unclear, full=True)}
            second = [judged(exact[one.state.owner]) if one.state.owner in exact else one for one in first]
            lost = await ask.lost([one.change for one in second if one.change])
            for one in second:
                why_not = lost.get(one.state.owner)
                yield Judged(one.state, None, [*one.left_out, why_not]) if why_not else one


def _is_unclear(judged: Judged, *, wants_exact: bool) -> bool:
    """Whether an owner has to be judged again on exact links. One that is cleared need not be."""
    if judged.change:
        return not is_ready(judged.change)
    return wants_exact and not judged.state.links.is_exact
