"""Streams: outcomes come back in order while calls are still being made, and memory stays flat."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.allowance import Unlimited
from airflow_bitrix.client.flow import Clock, Manners
from airflow_bitrix.client.pacing import SLOW_BATCH, batch_size
from airflow_bitrix.client.portal import AsyncPortal, Portal
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


def touch(lead: int) -> Call:
    return Call("crm.lead.update", {"id": lead, "fields": {"TITLE": "touched"}})


def touched(sandbox: Any) -> int:
    return sum(row.get("TITLE") == "touched" for row in sandbox.state.tables["lead"].rows.values())


@pytest.mark.parametrize("slow", [False, True])
def test_an_error_of_whoever_makes_the_calls_comes_after_the_outcomes_of_those_that_were_made(
    slow: bool,  # noqa: FBT001
    make_sandbox: Any,
    connect_async: Any,
) -> None:
    """What was written and not told would be written again."""
    sandbox = make_sandbox(leads=400, contacts=10, plan="self_hosted")
    outcomes: list[Any] = []

    async def later() -> AsyncIterator[Call]:
        for call in at_once():
            yield call
            await asyncio.sleep(0)

    def at_once() -> Iterator[Call]:
        yield from map(touch, range(1, 371))
        raise LookupError("the source went away")

    async def run() -> None:
        async with connect_async(sandbox.webhook_url) as portal:
            async for outcome in portal.stream(later() if slow else at_once()):
                outcomes.append(outcome)  # noqa: PERF401 (what came before the error shall be kept)

    with pytest.raises(LookupError, match="the source went away"):
        asyncio.run(run())
    assert len(outcomes) == touched(sandbox) == 370
    assert all(outcome.ok for outcome in outcomes)


def test_a_call_that_cannot_be_said_comes_after_the_outcomes_of_those_before_it(
    make_sandbox: Any, connect_async: Any
) -> None:
    sandbox = make_sandbox(leads=400, contacts=10, plan="self_hosted")
    outcomes: list[Any] = []

    async def run() -> None:
        calls = [*map(touch, range(1, 321)), Call("crm.lead.get", {"id": None}), touch(350)]
        async with connect_async(sandbox.webhook_url) as portal:
            async for outcome in portal.stream(calls):
                outcomes.append(outcome)  # noqa: PERF401 (what came before the error shall be kept)

    with pytest.raises(InvalidInput, match=r"crm\.lead\.get"):
        asyncio.run(run())
    assert len(outcomes) == touched(sandbox) == 320


def test_outcomes_come_while_later_calls_are_still_being_made(make_sandbox: Any, connect_async: Any) -> None:
    sandbox = make_sandbox(leads=400, contacts=10, plan="self_hosted")
    made_at_first = 0
    made = 0

    async def calls() -> AsyncIterator[Call]:
        nonlocal made
        for lead in range(1, 401):
            made += 1
            yield get(lead)
            await asyncio.sleep(0.002)

    async def run() -> int:
        nonlocal made_at_first
        count = 0
        async with connect_async(sandbox.webhook_url) as portal:
            async for outcome in portal.stream(calls()):
                made_at_first = made_at_first or made
                count += outcome.ok
        return count

    assert asyncio.run(run()) == 400
    assert made_at_first <= 150
    assert sandbox.stats()["admitted"] <= 10


def test_calls_may_be_made_from_outcomes_of_earlier_ones(make_sandbox: Any, connect_async: Any) -> None:
    sandbox = make_sandbox(leads=100, contacts=10, plan="self_hosted")
    told: asyncio.Queue[int] = asyncio.Queue()

    async def calls() -> AsyncIterator[Call]:
        for lead in range(1, 71):
            yield get(lead)
        for _ in range(70):
            yield Call("crm.lead.contact.items.get", {"id": await told.get()})

    async def run() -> list[str]:
        methods: list[str] = []
        async with asyncio.timeout(20), connect_async(sandbox.webhook_url) as portal:
            async for outcome in portal.stream(calls()):
                methods.append(outcome.call.method)
                if outcome.call.method == "crm.lead.get":
                    told.put_nowait(int(outcome.result["ID"]))
        return methods

    assert asyncio.run(run()) == ["crm.lead.get"] * 70 + ["crm.lead.contact.items.get"] * 70


def test_no_more_batches_are_on_their_way_than_agreed(make_sandbox: Any, connect_async: Any) -> None:
    """A reader that is slow shall not make the rest pile up."""
    sandbox = make_sandbox(leads=10, contacts=10, plan="self_hosted")
    taken = 0

    def calls() -> Iterator[Call]:
        nonlocal taken
        for _ in range(5000):
            taken += 1
            yield get(1)

    async def run() -> int:
        async with (
            connect_async(sandbox.webhook_url, in_flight=3) as portal,
            aclosing(portal.stream(calls())) as outcomes,
        ):
            await anext(outcomes)
            await asyncio.sleep(0.3)
            return taken

    assert 50 * 5 <= asyncio.run(run()) <= 50 * 2 * 3 + 50


@pytest.mark.parametrize(
    "calls",
    [None, 5, "profile", b"profile", {"profile": {}}, Call("profile")],
    ids=lambda value: type(value).__name__,
)
def test_calls_that_are_no_list_of_calls_are_refused_before_anything_is_sent(
    calls: Any, make_sandbox: Any, connect_async: Any, connect: Any
) -> None:
    sandbox = make_sandbox(leads=10, contacts=10, plan="self_hosted")

    async def stream() -> None:
        async with connect_async(sandbox.webhook_url) as portal:
            expected = r"^calls: .*accepted: a list of \(method, params\) pairs"
            with pytest.raises(InvalidInput, match=expected):
                portal.stream(calls)
            with pytest.raises(InvalidInput, match=r"^calls: "):
                await portal.batch(calls)

    asyncio.run(stream())
    with pytest.raises(InvalidInput, match=r"^calls: "):
        connect(sandbox.webhook_url).batch(calls)
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.parametrize("call", ["profile", 5, None, {}, ("profile", {}, 1), ()], ids=repr)
def test_an_entry_that_is_no_call_is_refused_before_anything_is_sent(
    call: Any, make_sandbox: Any, connect_async: Any, connect: Any
) -> None:
    sandbox = make_sandbox(leads=10, contacts=10, plan="self_hosted")

    async def batch() -> None:
        async with connect_async(sandbox.webhook_url) as portal:
            await portal.batch([get(1), call])

    with pytest.raises(InvalidInput, match=r"^calls: .* accepted: \(method, params\) pairs"):
        asyncio.run(batch())
    with pytest.raises(InvalidInput, match=r"^calls: "):
        connect(sandbox.webhook_url).batch([get(1), call])
    assert sandbox.stats()["admitted"] == 0


def test_a_stream_takes_pairs_as_a_batch_does(make_sandbox: Any, connect_async: Any) -> None:
    sandbox = make_sandbox(leads=10, contacts=10, plan="self_hosted")

    async def run() -> list[Any]:
        async with connect_async(sandbox.webhook_url) as portal:
            pairs = [("crm.lead.get", {"id": 3}), ("profile",)]
            return [outcome.result["ID"] async for outcome in portal.stream(pairs)]

    assert asyncio.run(run()) == ["3", "1"]


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


class Cutting:
    """A portal that carries out a command in 1.5 s and cuts a batch off after 60."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sizes: list[int] = []

    def __call__(self, request: Request) -> Reply | Lost:
        commands = json.loads(request.body)["cmd"]
        self.sizes.append(len(commands))
        self.now += min(len(commands) * 1.5, 60)
        if len(commands) * 1.5 > 60:
            return Lost(sent=True, reason="cut")
        return Reply(200, json.dumps({"result": {"result": commands, "result_error": []}}).encode())

    async def later(self, request: Request) -> Reply | Lost:
        return self(request)


@pytest.mark.parametrize("way", ["stream", "batch", "sync"])
def test_batches_that_are_cut_off_become_smaller_and_all_calls_come_through(way: str) -> None:
    cutting = Cutting()

    async def sleep(seconds: float) -> None:
        cutting.now += seconds

    clock = Clock(now=lambda: cutting.now, sleep=lambda _: None, sleep_async=sleep)
    manners = Manners(Unlimited(), clock=clock)
    calls = [get(lead) for lead in range(1, 501)]

    async def run() -> list[Any]:
        portal = AsyncPortal(cutting.later, manners, in_flight=1, clock=lambda: cutting.now)
        if way == "batch":
            return await portal.batch(calls)
        return [outcome async for outcome in portal.stream(calls)]

    if way == "sync":
        outcomes = Portal(cutting, manners, clock=lambda: cutting.now).batch(calls)
    else:
        outcomes = asyncio.run(run())
    assert [outcome.result for outcome in outcomes] == [f"crm.lead.get?id={lead}" for lead in range(1, 501)]
    assert sum(size > 40 for size in cutting.sizes) <= 3
    assert len(cutting.sizes) <= 40
