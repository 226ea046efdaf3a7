"""The scan gives every owner once, with the fewest requests."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from contextlib import aclosing
from typing import Any

import pytest

from airflow_bitrix.core.errors import InvalidInput, Rejected
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.crm.filter_checks import checked_filter
from airflow_bitrix.crm.scan import scan
from airflow_bitrix.sandbox.server import Sandbox


def keep_only(sandbox: Sandbox, kept: list[int]) -> None:
    """Leads with these ids and no others: what remains after years of deleting."""
    staying = set(kept)
    for lead in range(1, kept[-1] + 1):
        sandbox.state.add("lead", {})
        if lead not in staying:
            sandbox.state.delete("lead", lead)


def ids(states: list[OwnerState]) -> list[int]:
    return sorted(state.owner.id for state in states)


@pytest.mark.parametrize("leads", [0, 1, 49, 50, 51, 99, 100, 101, 2000, 2450, 2451, 2500, 2501, 6000])
def test_every_lead_appears_once_and_dense_ids_take_one_request_for_about_2_400(
    leads: int, make_sandbox: Any, scanned: Any
) -> None:
    sandbox = make_sandbox(leads=leads, contacts=50, plan="self_hosted")
    states, requests = scanned(sandbox, "lead")
    assert ids(states) == list(range(1, leads + 1))
    assert requests <= 1 + math.ceil(max(leads - 2450, 0) / 2500)


def test_several_kinds_share_their_requests(make_sandbox: Any, scanned: Any) -> None:
    """A thousand leads and some of each other kind fit into one request, and each owner comes once."""
    sandbox = make_sandbox(leads=1000, deals=300, contacts=50, plan="self_hosted")
    for kind in ("quote", "company"):
        for _ in range(120):
            sandbox.state.add(kind, {"CONTACT_IDS": [1, 2]})
    kinds = ("lead", "deal", "quote", "company")
    states, requests = scanned(sandbox, kinds)
    found = sorted((state.owner.kind, state.owner.id) for state in states)
    there = sorted((kind, one) for kind in kinds for one in sandbox.state.tables[kind].rows)
    assert found == there
    alone = sum(scanned(sandbox, kind)[1] for kind in kinds)
    assert requests == 2 < alone


def test_links_order_primary_and_facts_are_those_of_the_portal(make_sandbox: Any, scanned: Any) -> None:
    sandbox = make_sandbox(leads=400, deals=300, contacts=200, plan="self_hosted")
    for kind in ("lead", "deal"):
        states, _ = scanned(sandbox, kind)
        truth = sandbox.links(kind)
        assert len(states) == len(truth)
        for state in states:
            owner = truth[str(state.owner.id)]
            assert sorted(state.links.contact_ids) == sorted(link[0] for link in owner["links"])
            sorts = {link[0]: link[1] for link in owner["links"]}
            assert [sorts[contact] for contact in state.links.contact_ids] == sorted(sorts.values())
            scalar = owner["contact_id"]
            assert state.links.primary_id == (scalar if scalar in sorts else None)
            assert state.is_repeat == (owner["is_return_customer"] == "Y")
            assert state.company_id == owner["company_id"]
            assert state.semantic == owner["stage_semantic"]


@pytest.mark.slow
def test_sparse_ids_and_gaps_at_the_start_lose_nothing(make_sandbox: Any, scanned: Any) -> None:
    sandbox = make_sandbox(leads=20000, contacts=10, plan="self_hosted")
    kept = {lead for lead in range(1, 20001) if lead > 5000 and lead % 10 == 3} | {17, 18000, 18001}
    for lead in range(1, 20001):
        if lead not in kept:
            sandbox.state.delete("lead", lead)
    states, requests = scanned(sandbox, "lead")
    assert ids(states) == sorted(kept)
    assert requests <= 6


@pytest.mark.slow
def test_clusters_between_wide_gaps_lose_nothing(make_sandbox: Any, scanned: Any) -> None:
    sandbox = make_sandbox(leads=30000, contacts=10, plan="self_hosted")
    kept = {lead for lead in range(1, 30001) if (lead // 500) % 7 == 0}
    for lead in range(1, 30001):
        if lead not in kept:
            sandbox.state.delete("lead", lead)
    states, _ = scanned(sandbox, "lead")
    assert ids(states) == sorted(kept)


def test_a_filter_gives_exactly_what_matches(make_sandbox: Any, scanned: Any) -> None:
    sandbox = make_sandbox(leads=3000, contacts=300, plan="self_hosted")
    truth = sandbox.links("lead")
    wanted = sorted(int(lead) for lead, owner in truth.items() if owner["is_return_customer"] == "Y")
    states, _ = scanned(sandbox, "lead", {"=isReturnCustomer": "Y"})
    assert ids(states) == wanted


def test_bounds_on_id_in_the_filter_stay_in_force(make_sandbox: Any, scanned: Any) -> None:
    sandbox = make_sandbox(leads=5000, contacts=10, plan="self_hosted")
    states, _ = scanned(sandbox, "lead", {">=id": 1200, "<=id": 4200})
    assert ids(states) == list(range(1200, 4201))


def test_an_or_at_the_top_of_a_filter_binds_the_filter_alone(make_sandbox: Any, scanned: Any) -> None:
    """Beside the bounds of a range it would set them aside, and a scan would read what nobody asked for."""
    sandbox = make_sandbox(leads=3000, contacts=10, plan="self_hosted")
    states, _ = scanned(sandbox, "lead", {"logic": "OR", "=id": 7, "@id": [2995, 2996]})
    assert ids(states) == [7, 2995, 2996]


@pytest.mark.slow
def test_faults_on_the_way_neither_lose_nor_repeat_an_owner(make_sandbox: Any, scanned: Any) -> None:
    for seed in range(4):
        sandbox = make_sandbox(leads=9000, contacts=50, plan="self_hosted")
        sandbox.set_faults(
            seed=seed, throttle=0.05, html=0.05, drop_before=0.05, drop_after=0.05, command=0.05
        )
        states, _ = scanned(sandbox, "lead")
        assert ids(states) == list(range(1, 9001))
        assert sum(sandbox.stats()["faults"].values()) > 0


@pytest.mark.slow
def test_owners_that_stay_appear_once_while_others_come_and_go(make_sandbox: Any, connect_async: Any) -> None:
    sandbox = make_sandbox(leads=12000, contacts=10, plan="self_hosted")

    async def collect() -> list[int]:
        seen: list[int] = []
        gone = iter(range(2, 12000, 3))
        async with connect_async(sandbox.webhook_url) as portal:
            async for state in scan(portal, "lead"):
                seen.append(state.owner.id)
                if len(seen) % 5 == 0:
                    with sandbox.portal.lock:
                        sandbox.state.delete("lead", next(gone))
                        sandbox.state.add("lead", {"TITLE": "new"})
        return seen

    seen = Counter(asyncio.run(collect()))
    assert max(seen.values()) == 1
    assert set(range(1, 12001)) - set(range(2, 12000, 3)) <= set(seen)


def test_a_scan_that_nobody_reads_to_its_end_stops_its_requests(
    make_sandbox: Any, connect_async: Any
) -> None:
    sandbox = make_sandbox(leads=30_000, contacts=10, plan="self_hosted")

    async def some() -> None:
        async with connect_async(sandbox.webhook_url) as portal:
            async with aclosing(scan(portal, "lead")) as states:
                seen = 0
                async for _ in states:
                    seen += 1
                    if seen == 5000:
                        break
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(some())


def test_a_filter_field_that_there_is_not_is_refused_and_names_what_there_is(
    make_sandbox: Any, connect_async: Any
) -> None:
    sandbox = make_sandbox(leads=5, contacts=5)

    async def check(wanted: Any) -> None:
        async with connect_async(sandbox.webhook_url) as portal:
            await checked_filter(portal, "lead", wanted)

    asyncio.run(check({"stageId": "NEW", ">=createdTime": "2026-01-01", "0": {"logic": "OR", "!id": 3}}))
    with pytest.raises(InvalidInput, match=r"filter: 'stagId' is not accepted; accepted: .*stageId"):
        asyncio.run(check({"stagId": "NEW"}))
    with pytest.raises(InvalidInput, match="'nope'"):
        asyncio.run(check({"0": {"logic": "OR", "!nope": 3}}))
    with pytest.raises(InvalidInput, match="filter"):
        asyncio.run(check("stageId=NEW"))
    with pytest.raises(InvalidInput, match=r"filter"):
        asyncio.run(check({0: {"stageId": "NEW"}}))
    with pytest.raises(InvalidInput, match="one contact id"):
        asyncio.run(check({"@contactIds": [1, 2]}))


def test_the_portal_s_own_refusal_of_a_filter_reaches_the_caller(make_sandbox: Any, scanned: Any) -> None:
    sandbox = make_sandbox(leads=5, contacts=5)
    with pytest.raises(Rejected, match=r"INVALID_ARG_VALUE.*STAG_ID"):
        scanned(sandbox, "lead", {"stagId": "NEW"})


@pytest.mark.parametrize("leads", [40, 2000, 9000])
def test_owners_come_in_order_of_id_where_that_is_asked(leads: int, make_sandbox: Any, scanned: Any) -> None:
    sandbox = make_sandbox(leads=leads, contacts=10, plan="self_hosted")
    for lead in range(3, leads, 7):
        sandbox.state.delete("lead", lead)
    sandbox.set_faults(seed=leads, slow=0.3, slow_seconds=0.02)
    states, _ = scanned(sandbox, "lead", ordered=True)
    assert [state.owner.id for state in states] == [
        n for n in range(1, leads + 1) if n not in range(3, leads, 7)
    ]


def test_ids_with_90_percent_gaps_take_at_most_two_and_a_half_times_the_fewest_requests(
    make_sandbox: Any, scanned: Any
) -> None:
    sandbox = make_sandbox(plan="self_hosted")
    rng = random.Random(5)
    kept = sorted(rng.sample(range(1, 50_001), 5000))
    keep_only(sandbox, kept)
    states, requests = scanned(sandbox, "lead")
    assert ids(states) == kept
    assert requests <= 2.5 * math.ceil(5000 / 2500)


def test_a_filter_that_matches_1_percent_takes_at_most_two_and_a_half_times_the_fewest_requests(
    make_sandbox: Any, scanned: Any
) -> None:
    sandbox = make_sandbox(plan="self_hosted")
    rng = random.Random(6)
    chosen = set(rng.sample(range(1, 50_001), 500))
    for lead in range(1, 50_001):
        sandbox.state.add("lead", {"SOURCE_ID": "RARE" if lead in chosen else "WEB"})
    states, requests = scanned(sandbox, "lead", {"sourceId": "RARE"})
    assert ids(states) == sorted(chosen)
    assert requests <= 2.5


@pytest.mark.slow
def test_dense_ids_take_hardly_more_than_the_fewest_requests(make_sandbox: Any, scanned: Any) -> None:
    sandbox = make_sandbox(plan="self_hosted")
    for _ in range(30_000):
        sandbox.state.add("lead", {})
    states, requests = scanned(sandbox, "lead")
    assert ids(states) == list(range(1, 30_001))
    assert requests <= 1.1 * math.ceil(30_000 / 2500) + 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"kind": ["lead", "leads"]}, "kind: 'leads' is not accepted"),
        ({"kind": []}, "kind: \\[\\] is not accepted"),
        ({"kind": "leads"}, "kind: 'leads' is not accepted; accepted: 'lead', 'deal', 'quote'"),
        ({"kind": None}, "kind: None is not accepted"),
        ({"detail": "exact"}, "detail: 'exact' is not accepted; accepted: 'ids' or 'full'"),
        ({"wanted": ""}, "filter: '' is not accepted; accepted: a map of crm.item.list field"),
        ({"wanted": []}, "filter: .* is not accepted"),
        ({"also": "leadId"}, "also: 'leadId' is not accepted"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_arguments_that_cannot_be_right_are_refused_before_anything_is_sent(
    arguments: dict[str, Any], said: str, make_sandbox: Any, scanned: Any
) -> None:
    """A scan of everything in place of what was meant would be a plan against everything."""
    sandbox = make_sandbox(leads=5, contacts=5)
    with pytest.raises(InvalidInput, match=said):
        scanned(sandbox, **{"kind": "lead", **arguments})
    assert sandbox.stats()["admitted"] == 0


SEVERAL: list[dict[str, Any]] = [
    {"contactIds": [1, 2]},
    {"@contactIds": (1, 2)},
    {"contactIds": {"0": 1, "1": 2}},
    {"contactIds": {1, 2}},
    {"contactIds": range(1, 3)},
    {"0": {"logic": "OR", "contactIds": [1, 2]}},
    {"logic": "OR", "0": {"contactIds": 1}, "1": {"contactIds": 2}},
    {"=contactIds": 1, "contactIds": 2},
    {"!contactIds": 1},
    {">contactIds": 0},
]


@pytest.mark.parametrize("wanted", SEVERAL, ids=repr)
def test_a_filter_that_joins_several_contacts_is_refused(
    wanted: dict[str, Any], make_sandbox: Any, connect_async: Any
) -> None:
    """An owner comes once for each of them, so a short page is not the last, and rows would be lost."""
    sandbox = make_sandbox(leads=5, contacts=5)

    async def check(wanted: Any) -> None:
        async with connect_async(sandbox.webhook_url) as portal:
            await checked_filter(portal, "lead", wanted)

    for one in ({"contactIds": 1}, {"@contactIds": "1"}, {"0": {"=contactIds": 1, "stageId": ["NEW"]}}):
        asyncio.run(check(one))
    with pytest.raises(InvalidInput, match=r"accepted: one condition with contactIds, on one contact id"):
        asyncio.run(check(wanted))
