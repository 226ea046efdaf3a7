"""One call: what is sent, what is repeated, how long it waits, and when it gives up."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from airflow_bitrix.client.allowance import MemoryAllowance, Turn, Unlimited
from airflow_bitrix.client.flow import Admit, Full, Manners, Send, Wait, call_flow, drive, drive_async
from airflow_bitrix.client.flow import Clock as WallClock
from airflow_bitrix.client.pacing import Bucket, Retries
from airflow_bitrix.client.wire import Answer, Call, Lost, Reply, Request, request_of
from airflow_bitrix.core.errors import (
    AuthFailed,
    Bitrix24Error,
    OutcomeUnknown,
    Rejected,
    RetryLater,
)

Walking = Callable[..., Any]

LINK = Call("crm.lead.contact.add", {"id": 5, "fields": {"CONTACT_ID": 7}})
MAKE = Call("crm.lead.add", {"fields": {"TITLE": "x"}})

YES = Reply(200, b'{"result": true}')
BUSY = Reply(503, b'{"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}')
TIRED = Reply(429, b'{"error": "OPERATION_TIME_LIMIT", "error_description": "Method is blocked"}')
PAGE_502 = Reply(502, b"<html><title>502 Bad Gateway</title></html>")
PAGE_200 = Reply(200, b"<html>maintenance</html>")
BROKEN = Reply(500, b'{"error": "INTERNAL_SERVER_ERROR", "error_description": "oops"}')
CUT = Lost(sent=True, reason="the connection was closed before an answer came")
REFUSED = Lost(sent=False, reason="Connection refused")
FORGED = Lost(sent=False, reason="self-signed certificate", final=True)
DENIED = Reply(403, b'{"error": "ACCESS_DENIED", "error_description": "Access denied!"}')
WRONG = Reply(401, b'{"error": "INVALID_CREDENTIALS", "error_description": "Invalid request credentials"}')
BAD = Reply(400, b'{"error": "", "error_description": "Not found."}')
MOVED = Reply(302, b"", "https://new.bitrix24.com/rest/1/secret/x")

NOTHING_DONE = {"busy": BUSY, "tired": TIRED, "refused": REFUSED}
PERHAPS_DONE = {"html 502": PAGE_502, "html 200": PAGE_200, "broken": BROKEN, "cut": CUT}


def cases(faults: dict[str, Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", list(faults.values()), ids=list(faults))


def test_a_call_asks_to_be_admitted_then_sends(walk: Walking, three_repeats: Manners) -> None:
    done = walk(call_flow(LINK, three_repeats), YES)
    assert done.steps == [Admit(), Send(request_of(LINK))]
    assert done.result == Answer(result=True)
    assert three_repeats.meter.requests == 1
    assert three_repeats.meter.repeats == 0


@cases(NOTHING_DONE | PERHAPS_DONE)
def test_a_link_method_is_repeated_after_every_passing_fault(
    fault: Reply | Lost, walk: Walking, three_repeats: Manners
) -> None:
    done = walk(call_flow(LINK, three_repeats), fault, fault, YES)
    assert done.result == Answer(result=True)
    assert done.sent == [request_of(LINK)] * 3
    assert done.waits == [0.2 if fault is CUT else 1, 2]
    assert three_repeats.meter.requests == 3
    assert three_repeats.meter.repeats == 2


@cases(NOTHING_DONE | PERHAPS_DONE)
def test_after_the_last_repeat_it_gives_up_without_a_further_wait(
    fault: Reply | Lost, walk: Walking, three_repeats: Manners
) -> None:
    done = walk(call_flow(LINK, three_repeats), *[fault] * 4)
    assert type(done.error) is RetryLater
    assert done.waits == [0.2 if fault is CUT else 1, 2, 4]
    assert not isinstance(done.steps[-1], Wait)
    assert three_repeats.meter.repeats == 3


@cases(NOTHING_DONE)
def test_a_creating_method_is_repeated_where_nothing_was_done(
    fault: Reply | Lost, walk: Walking, three_repeats: Manners
) -> None:
    done = walk(call_flow(MAKE, three_repeats), fault, YES)
    assert done.result == Answer(result=True)


@cases(PERHAPS_DONE)
def test_a_creating_method_is_never_repeated_where_it_may_have_been_done(
    fault: Reply | Lost, walk: Walking, three_repeats: Manners
) -> None:
    done = walk(call_flow(MAKE, three_repeats), fault)
    assert type(done.error) is OutcomeUnknown
    assert str(done.error).startswith("crm.lead.add: sent, but it is not known whether it was carried out")
    assert done.waits == []


def test_a_creating_method_that_is_repeated_may_still_end_unknown(
    walk: Walking, three_repeats: Manners
) -> None:
    done = walk(call_flow(MAKE, three_repeats), REFUSED, BUSY, CUT)
    assert type(done.error) is OutcomeUnknown


def test_the_caller_may_say_that_even_a_link_method_is_not_to_be_repeated(
    walk: Walking, three_repeats: Manners
) -> None:
    done = walk(call_flow(LINK, three_repeats, repeatable=False), CUT)
    assert type(done.error) is OutcomeUnknown


def test_a_cut_connection_is_tried_again_soon_but_not_hastily(walk: Walking) -> None:
    """A portal closes idle connections; one that goes on cutting them is left more time."""
    manners = Manners(Unlimited(), Retries(), luck=lambda: 1.0)
    assert walk(call_flow(LINK, manners), CUT, YES).waits == [0.1]
    assert walk(call_flow(LINK, manners), CUT, CUT, BUSY, YES).waits == [0.1, 1, 0.5]
    assert walk(call_flow(LINK, manners), BROKEN, CUT, YES).waits == [0.5, 1]


FINAL: list[tuple[str, Reply | Lost, type[Bitrix24Error]]] = [
    ("403", DENIED, Rejected),
    ("400 with an empty code", BAD, Rejected),
    ("401", WRONG, AuthFailed),
    ("302", MOVED, Rejected),
    ("certificate", FORGED, Rejected),
]


@pytest.mark.parametrize("call", [LINK, MAKE], ids=str)
@pytest.mark.parametrize(("reply", "kind"), [row[1:] for row in FINAL], ids=[row[0] for row in FINAL])
def test_what_the_portal_refuses_is_never_repeated(
    reply: Reply | Lost, kind: type[Bitrix24Error], call: Call, walk: Walking, three_repeats: Manners
) -> None:
    done = walk(call_flow(call, three_repeats), reply)
    assert type(done.error) is kind
    assert done.error.method == call.method
    assert "secret" not in str(done.error)


def test_only_a_full_bucket_is_told_to_everybody_before_the_wait(
    walk: Walking, three_repeats: Manners
) -> None:
    done = walk(call_flow(LINK, three_repeats), BUSY, TIRED, PAGE_502, YES)
    again = [Admit(), Send(request_of(LINK))]
    assert done.steps == [*again, Full(), Wait(1), *again, Wait(1), *again, Wait(2), *again]
    assert three_repeats.meter.refused == 1


def test_a_bucket_that_stays_full_is_told_to_everybody_even_when_the_call_gives_up(
    walk: Walking, three_repeats: Manners
) -> None:
    done = walk(call_flow(LINK, three_repeats), *[BUSY] * 4)
    assert done.told_full == 4
    assert three_repeats.meter.refused == 4


def test_a_full_bucket_uses_up_no_tries(walk: Walking) -> None:
    """Others take the room that there is: with many hosts, some call is always refused several times."""
    manners = Manners(Unlimited(), Retries(times=2, first=1, longest=4), luck=lambda: 1.0)
    done = walk(call_flow(LINK, manners), *[BUSY] * 20, BROKEN, BUSY, BROKEN, YES)
    assert done.result == Answer(result=True)
    assert done.waits == [1, 2, *[4] * 18, 1, 4, 2]


def test_a_portal_that_refuses_everything_ends_the_call_after_ten_minutes_of_waiting(walk: Walking) -> None:
    manners = Manners(Unlimited(), Retries(), luck=lambda: 1.0)
    done = walk(call_flow(LINK, manners), answering=lambda _: BUSY)
    assert type(done.error) is RetryLater
    assert "QUERY_LIMIT_EXCEEDED: Too many requests" in str(done.error)
    assert 600 <= sum(done.waits) < 630


def test_waits_are_spread_by_luck(walk: Walking, three_repeats: Manners) -> None:
    lucky = Manners(three_repeats.allowance, three_repeats.retries, luck=lambda: 0.0)
    assert walk(call_flow(LINK, lucky), BUSY, BUSY, YES).waits == [0.5, 1]


def test_without_repeats_the_first_fault_is_the_last(walk: Walking, three_repeats: Manners) -> None:
    once = Manners(three_repeats.allowance, Retries(times=0))
    done = walk(call_flow(LINK, once), BUSY)
    assert type(done.error) is RetryLater
    assert done.waits == []


# -- the drivers -------------------------------------------------------------------------------------------


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class Portal:
    """Answers requests with prepared replies and keeps the times at which they came."""

    def __init__(self, clock: Clock, *replies: Reply | Lost) -> None:
        self.clock, self.replies, self.at = clock, list(replies), list[float]()

    def answer(self, _: Request) -> Reply | Lost:
        self.at.append(self.clock.now)
        return self.replies.pop(0)

    async def answer_async(self, request: Request) -> Reply | Lost:
        return self.answer(request)


def run(manners: Manners, clock: Clock, portal: Portal, *, is_async: bool) -> Answer:
    if is_async:
        flow = call_flow(LINK, manners)
        return asyncio.run(drive_async(flow, portal.answer_async, manners, sleep=clock.sleep_async))
    return drive(call_flow(LINK, manners), portal.answer, manners, sleep=clock.sleep)


both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@both
def test_a_driver_waits_for_the_bucket_and_counts_the_wait(*, is_async: bool) -> None:
    clock = Clock()
    manners = Manners(MemoryAllowance(Bucket(rate=2, burst=1), clock), clock=WallClock(now=clock))
    portal = Portal(clock, YES, YES, YES)
    for _ in range(3):
        assert run(manners, clock, portal, is_async=is_async).result is True
    assert portal.at == [100.0, 100.5, 101.0]
    assert manners.meter.requests == 3
    assert manners.meter.waited == pytest.approx(1.0)


@both
def test_a_driver_waits_before_a_repeat_and_asks_the_bucket_again(*, is_async: bool) -> None:
    clock = Clock()
    retries = Retries(times=3, first=1, longest=4)
    allowance = MemoryAllowance(Bucket(rate=1, burst=10), clock)
    manners = Manners(allowance, retries, luck=lambda: 1.0, clock=WallClock(now=clock))
    portal = Portal(clock, BROKEN, BUSY, YES)
    assert run(manners, clock, portal, is_async=is_async).result is True
    assert portal.at == [100.0, 101.0, 102.0]
    assert clock.slept == [1, 1]
    assert manners.meter.waited == 2


@both
def test_a_driver_fills_the_bucket_that_the_portal_called_full(*, is_async: bool) -> None:
    """One repeat is no reason to spend the rest of a burst that the portal does not grant."""
    clock = Clock()
    manners = Manners(MemoryAllowance(Bucket(rate=1, burst=10), clock), Retries(first=0.25), luck=lambda: 1.0)
    portal = Portal(clock, BUSY, YES, YES)
    run(manners, clock, portal, is_async=is_async)
    run(manners, clock, portal, is_async=is_async)
    assert portal.at == pytest.approx([100.0, 101.0, 101.0 + 1 / 0.425], abs=0.01)


@both
def test_a_driver_raises_what_the_flow_raises(*, is_async: bool) -> None:
    clock = Clock()
    manners = Manners(MemoryAllowance(Bucket(rate=1, burst=10), clock))
    with pytest.raises(Rejected, match=r"Access denied!"):
        run(manners, clock, Portal(clock, DENIED), is_async=is_async)


@both
def test_a_driver_sends_the_request_of_the_flow(*, is_async: bool) -> None:
    clock = Clock()
    manners = Manners(MemoryAllowance(Bucket(rate=1, burst=10), clock))
    seen: list[Request] = []

    class Listening(Portal):
        def answer(self, request: Request) -> Reply | Lost:
            seen.append(request)
            return super().answer(request)

    run(manners, clock, Listening(clock, YES), is_async=is_async)
    assert [(request.method, json.loads(request.body)) for request in seen] == [(LINK.method, LINK.params)]


def test_an_allowance_that_is_asked_over_the_network_does_not_stop_the_event_loop() -> None:
    """It is let go on by what the loop does meanwhile."""
    meanwhile = threading.Event()

    class Far(Unlimited):
        remote = True

        def ask(self, turn: Turn | None = None) -> float:
            assert meanwhile.wait(10)
            return super().ask(turn)

        def tell_full(self) -> None:
            assert meanwhile.wait(10)

    async def other_work() -> None:
        meanwhile.set()

    async def both_at_once(portal: Portal, clock: Clock) -> Answer:
        manners = Manners(Far())
        flow = drive_async(call_flow(LINK, manners), portal.answer_async, manners, clock.sleep_async)
        answer, _ = await asyncio.gather(flow, other_work())
        return answer

    clock = Clock()
    assert asyncio.run(both_at_once(Portal(clock, BUSY, YES), clock)).result is True
