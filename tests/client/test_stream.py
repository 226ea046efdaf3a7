"""Streams: outcomes come back in order while calls are still being made, and memory stays flat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.flow import Manners
from airflow_bitrix.client.pacing import SLOW_BATCH, batch_size
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.wire import Call, Lost, Reply, Request
from airflow_bitrix.core.errors import InvalidInput, RetryLater


def get(lead: int) -> Call:
    return Call("crm.lead.get", {"id": lead})


@pytest.mark.parametrize("number", [0, 1, 49, 50, 51, 101, 751, 2000])
def test_every_call_has_its_outcome_in_its_place(number: int, make_sandbox: Any, connect_async: Any) -> None:
    sandbox = make_sandbox(leads=800, contacts=10, plan="self_hosted")
    sandbox.set_faults(seed=number, html=0.05, drop_before=0.05, drop_after=0.05, command=0.02)

    async def run() -> list[Any]:
        async with connect_async(sandbox.webhook_url) as portal:
            return [outcome async for outcome in portal.stream(get(n % 900 + 1) for n in range(number))]

    outcomes = asyncio.run(run())
    assert [outcome.call.params["id"] for outcome in outcomes] == [n % 900 + 1 for n in range(number)]
    for outcome in outcomes:
        lead = outcome.call.params["id"]
        assert outcome.ok == (lead <= 800)
        assert outcome.result["ID"] == str(lead) if outcome.ok else "Not found" in str(outcome.error)


def test_calls_are_taken_no_further_ahead_than_a_few_batches(make_sandbox: Any, connect_async: Any) -> None:
    sandbox = make_sandbox(leads=10, contacts=10, plan="self_hosted")
    made = 0

    async def calls() -> AsyncIterator[Call]:
        nonlocal made
        for number in range(5000):
            made += 1
            yield get(number % 10 + 1)

    async def run() -> int:
        furthest = given = 0
        async with connect_async(sandbox.webhook_url, in_flight=2) as portal:
            async for outcome in portal.stream(calls()):
                assert outcome.ok
                given += 1
                furthest = max(furthest, made - given)
        assert given == 5000
        return furthest

    assert asyncio.run(run()) <= 50 * 2 * 2


def test_a_stream_that_nobody_reads_to_its_end_stops_its_requests(
    make_sandbox: Any, connect_async: Any
) -> None:
    sandbox = make_sandbox(leads=10, contacts=10, plan="self_hosted")

    async def run() -> None:
        async with connect_async(sandbox.webhook_url) as portal:
            stream = portal.stream(get(1) for _ in range(5000))
            async for _ in stream:
                break
            await stream.aclose()
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())
    assert sandbox.stats()["admitted"] <= 10


def test_a_portal_that_is_gone_fails_the_calls_that_are_left_without_asking_again(
    make_sandbox: Any, connect_async: Any
) -> None:
    sandbox = make_sandbox(leads=10, contacts=10, plan="self_hosted")

    def calls() -> Iterator[Call]:
        for number in range(3000):
            if number == 1500:
                sandbox.set_faults(html=1.0)
            yield get(1)

    async def run() -> list[Any]:
        async with connect_async(sandbox.webhook_url) as portal:
            return [outcome async for outcome in portal.stream(calls())]

    outcomes = asyncio.run(run())
    assert len(outcomes) == 3000
    failed = [outcome for outcome in outcomes if not outcome.ok]
    assert 0 < len(failed) < 3000
    assert {type(outcome.error) for outcome in failed} == {RetryLater}
    assert sandbox.stats()["faults"]["html"] <= 5 * 9


def test_a_call_that_cannot_be_said_ends_a_stream_where_it_stands(
    make_sandbox: Any, connect_async: Any
) -> None:
    sandbox = make_sandbox(leads=10, contacts=10, plan="self_hosted")

    async def run() -> None:
        async with connect_async(sandbox.webhook_url) as portal:
            async for _ in portal.stream([get(1), Call("crm.lead.get", {"id": None})]):
                pass

    with pytest.raises(InvalidInput, match=r"crm\.lead\.get"):
        asyncio.run(run())


# -- size of batches ---------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 70), max_size=60))
def test_a_batch_is_never_empty_and_never_too_large(times: list[float]) -> None:
    size = 50
    for seconds in times:
        size = batch_size(size, seconds, most=50)
        assert 1 <= size <= 50


def test_a_slow_batch_halves_the_next_and_quick_ones_bring_it_back() -> None:
    assert batch_size(50, SLOW_BATCH + 1, most=50) == 25
    assert batch_size(1, SLOW_BATCH + 1, most=50) == 1
    assert batch_size(25, 1, most=50) == 30
    assert batch_size(48, 1, most=50) == 50


def test_a_portal_that_gets_slow_is_asked_for_less_at_a_time(manners: Manners) -> None:
    now = 0.0
    sizes: list[int] = []

    async def slow(request: Request) -> Reply | Lost:
        nonlocal now
        size = request.body.count(b"profile")
        sizes.append(size)
        now += 40 if len(sizes) < 3 else 1
        results = ",".join(f'"c{number}":1' for number in range(size))
        return Reply(200, f'{{"result":{{"result":{{{results}}},"result_error":[]}}}}'.encode())

    async def run() -> int:
        portal = AsyncPortal(slow, manners, in_flight=1, clock=lambda: now)
        return len([one async for one in portal.stream(Call("profile") for _ in range(300))])

    assert asyncio.run(run()) == 300
    assert sizes[0] == 50
    assert min(sizes) < 30
    assert sizes[-2] > min(sizes)
