"""Methods that rest: how long a flow waits for them, what goes on meanwhile, and when it gives up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_bitrix.client.allowance import Unlimited
from airflow_bitrix.client.batch import batch_flow
from airflow_bitrix.client.flow import Clock, Flow, Manners, Send, Step, Wait, call_flow
from airflow_bitrix.client.pacing import UNTOLD_REST, Account, Patience, Retries
from airflow_bitrix.client.portal import AsyncPortal, Portal
from airflow_bitrix.client.wire import Answer, Call, FaultKind, Lost, Reply, Request
from airflow_bitrix.core.errors import RetryLater

NOW = 1_772_366_400.0
SAVE = Call("crm.lead.update", {"id": 5})
GET = Call("crm.lead.contact.items.get", {"id": 5})
BLOCKED = {"error": "OPERATION_TIME_LIMIT", "error_description": "Method is blocked."}
REFUSED = Reply(429, json.dumps(BLOCKED).encode())


@dataclass
class Hands:
    """The hands of a clock that only a flow's waits move."""

    now: float = NOW


@dataclass
class Story:
    """A flow and what came of it."""

    sent: list[Request] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    result: Any = None
    error: RetryLater | None = None

    @property
    def commands(self) -> list[list[str]]:
        """The methods of the commands of each batch."""
        return [
            [command.split("?")[0] for command in json.loads(request.body)["cmd"].values()]
            for request in self.sent
        ]


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def manners(hands: Hands) -> Manners:
    patience = Patience(operating_limit=420, max_wait=30)
    retries = Retries(times=3, first=1, longest=4)
    return Manners(
        Unlimited(), retries, luck=lambda: 1.0, patience=patience, clock=Clock(now=lambda: hands.now)
    )


Telling = Callable[..., Story]


@pytest.fixture
def tell(hands: Hands) -> Telling:
    """Drive a flow by hand: its waits move the clock, its requests get the replies given."""

    def run(flow: Flow[Any], replies: Iterable[Reply | Lost]) -> Story:
        story, left = Story(), iter(replies)
        steps: Generator[Step, Reply | Lost | None, Any] = flow
        reply: Reply | Lost | None = None
        try:
            while True:
                step = steps.send(reply)
                reply = None
                if isinstance(step, Send):
                    story.sent.append(step.request)
                    reply = next(left)
                elif isinstance(step, Wait):
                    story.waits.append(step.seconds)
                    hands.now += step.seconds
        except StopIteration as end:
            story.result = end.value
        except RetryLater as error:
            story.error = error
        assert not list(left), "more requests were expected"
        return story

    return run


def yes(used: float = 0, reset_at: float = 0) -> Reply:
    time = {"operating": used, "operating_reset_at": reset_at} if reset_at else {}
    return Reply(200, json.dumps({"result": True, "time": time}).encode())


def batched(
    results: dict[str, Any], errors: dict[str, Any], times: dict[str, Any], time: dict[str, Any] | None = None
) -> Reply:
    maps = {"result": results, "result_error": errors, "result_time": times}
    result: dict[str, Any] = {name: value or [] for name, value in maps.items()}
    return Reply(200, json.dumps({"result": result, "time": time or {}}).encode())


def told(manners: Manners, used: float, reset_at: float, method: str, *, batched: bool = False) -> None:
    time = {"operating": used, "operating_reset_at": reset_at}
    manners.hear([(Account(method, batched), Answer(result=True, time=time))])


# -- single calls ------------------------------------------------------------------------------------------


def test_a_method_at_its_limit_is_not_called_before_its_reset(tell: Telling, manners: Manners) -> None:
    assert tell(call_flow(SAVE, manners), [yes(420, NOW + 20)]).waits == []
    story = tell(call_flow(SAVE, manners), [yes(30, NOW + 80)])
    assert story.waits == [21]
    assert story.result.result is True
    assert tell(call_flow(SAVE, manners), [yes()]).waits == []


def test_the_reset_that_a_refusal_tells_is_waited_for(tell: Telling, manners: Manners) -> None:
    refusal = {**BLOCKED, "time": {"operating_reset_at": NOW + 20}}
    story = tell(call_flow(SAVE, manners), [Reply(429, json.dumps(refusal).encode()), yes()])
    assert story.waits == [21]
    assert story.result.result is True


def test_so_is_that_of_a_command_of_a_batch(tell: Telling, manners: Manners) -> None:
    refusal = {**BLOCKED, "time": {"operating_reset_at": NOW + 20}}
    replies = [batched({}, {"c0": refusal}, {}), batched({"c0": True}, {}, {})]
    story = tell(batch_flow([SAVE], manners), replies)
    assert [outcome.result for outcome in story.result] == [True]
    assert sum(story.waits) == 21


def test_other_methods_go_on_meanwhile(tell: Telling, manners: Manners) -> None:
    tell(call_flow(SAVE, manners), [yes(500, NOW + 500)])
    assert tell(call_flow(GET, manners), [yes()]).waits == []


def test_a_rest_longer_than_the_patience_is_told_at_once_and_nothing_is_sent(
    tell: Telling, manners: Manners
) -> None:
    tell(call_flow(SAVE, manners), [yes(500, NOW + 500)])
    story = tell(call_flow(SAVE, manners), [])
    assert story.error
    assert (story.error.until, story.error.retry_after) == (NOW + 501, 501)
    assert story.waits == []
    said = (
        "crm.lead.update: the portal lets this method rest until 12:08:21 UTC: its operating time is used up"
    )
    assert str(story.error) == said


def test_a_call_that_may_not_be_repeated_later_does_not_wait_at_all(tell: Telling, manners: Manners) -> None:
    tell(call_flow(SAVE, manners), [yes(500, NOW + 5)])
    story = tell(call_flow(SAVE, manners, once=True), [])
    assert story.error
    assert story.error.until == NOW + 6


def test_after_a_refusal_it_waits_for_the_reset_that_is_known(tell: Telling, manners: Manners) -> None:
    """The portal's limit may be lower than the one that is believed."""
    tell(call_flow(SAVE, manners), [yes(100, NOW + 20)])
    story = tell(call_flow(SAVE, manners), [REFUSED, yes(10, NOW + 80)])
    assert story.waits == [21]
    assert story.result.result is True


def test_after_a_refusal_with_a_reset_far_away_it_gives_up_at_once(tell: Telling, manners: Manners) -> None:
    tell(call_flow(SAVE, manners), [yes(100, NOW + 200)])
    story = tell(call_flow(SAVE, manners), [REFUSED])
    assert story.error
    assert story.error.until == NOW + 201
    assert story.error.answer.code == "OPERATION_TIME_LIMIT"


def test_a_portal_that_tells_no_operating_time_is_asked_again_as_after_other_refusals(
    tell: Telling, manners: Manners, hands: Hands
) -> None:
    assert tell(call_flow(SAVE, manners), [REFUSED, REFUSED, yes()]).waits == [1, 2]
    story = tell(call_flow(SAVE, manners), [REFUSED] * 4)
    assert story.waits == [1, 2, 4]
    assert story.error
    assert story.error.until == hands.now + UNTOLD_REST + 1
    assert tell(call_flow(SAVE, manners), []).error, "what has just been given up is not asked for again"


def test_nobody_waits_longer_than_the_patience_although_the_rest_is_prolonged(
    tell: Telling, manners: Manners, hands: Hands
) -> None:
    tell(call_flow(SAVE, manners), [yes(500, NOW + 20)])
    flow = call_flow(SAVE, manners)
    assert next(flow) == Wait(21)
    hands.now += 21
    told(manners, 500, hands.now + 19, SAVE.method)  # somebody else was first
    with pytest.raises(RetryLater):
        next(flow)


# -- batches -----------------------------------------------------------------------------------------------


def test_commands_of_a_resting_method_are_held_back_and_sent_when_it_may_be_called_again(
    tell: Telling, manners: Manners
) -> None:
    told(manners, 420, NOW + 20, SAVE.method, batched=True)
    first = batched({"c0": [], "c2": [1]}, {}, {})
    story = tell(batch_flow([GET, SAVE, GET], manners), [first, batched({"c1": True}, {}, {})])
    assert story.commands == [[GET.method, GET.method], [SAVE.method]]
    assert story.waits == [21]
    assert [outcome.result for outcome in story.result] == [[], True, [1]]


def test_commands_that_rest_for_long_are_told_by_their_outcome_while_the_others_are_done(
    tell: Telling, manners: Manners
) -> None:
    told(manners, 420, NOW + 300, SAVE.method, batched=True)
    story = tell(batch_flow([SAVE, GET], manners), [batched({"c1": []}, {}, {})])
    held, done = story.result
    assert story.commands == [[GET.method]]
    assert done.result == []
    assert held.fault.kind is FaultKind.RESTING
    assert (held.error.until, held.error.retry_after) == (NOW + 301, 301)


def test_a_batch_of_resting_commands_alone_waits_or_tells_until_when(tell: Telling, manners: Manners) -> None:
    told(manners, 420, NOW + 20, SAVE.method, batched=True)
    assert tell(batch_flow([SAVE, SAVE], manners), [batched({"c0": True, "c1": True}, {}, {})]).waits == [21]
    told(manners, 420, NOW + 300, SAVE.method, batched=True)
    story = tell(batch_flow([SAVE, SAVE], manners), [])
    assert story.error
    assert story.error.until == NOW + 301


def test_each_command_tells_of_its_method(tell: Telling, manners: Manners) -> None:
    times = {"c0": {"operating": 430, "operating_reset_at": NOW + 300}, "c1": {"operating": 3}}
    tell(batch_flow([SAVE, GET], manners), [batched({"c0": True, "c1": []}, {}, times)])
    assert manners.rest(Account(SAVE.method, batched=True))
    assert not manners.rest(Account(GET.method, batched=True))
    assert not manners.rest(Account("batch"))


def test_where_the_portal_bills_the_batch_itself_all_batches_rest(tell: Telling, manners: Manners) -> None:
    times = {"c0": {"operating": 0, "operating_reset_at": NOW + 300}}
    envelope = {"operating": 430, "operating_reset_at": NOW + 300}
    tell(batch_flow([SAVE], manners), [batched({"c0": True}, {}, times, envelope)])
    story = tell(batch_flow([GET], manners), [])
    assert story.error
    assert (story.error.method, story.error.until) == ("batch", NOW + 301)
    assert tell(call_flow(GET, manners), [yes()]).waits == []


def test_a_command_that_the_portal_refuses_waits_for_the_reset_that_another_one_told(
    tell: Telling, manners: Manners
) -> None:
    times = {"c0": {"operating": 150, "operating_reset_at": NOW + 20}}
    first = batched({"c0": True, "c2": []}, {"c1": BLOCKED}, times)
    story = tell(batch_flow([SAVE, SAVE, GET], manners), [first, batched({"c1": True}, {}, {})])
    assert story.commands == [[SAVE.method, SAVE.method, GET.method], [SAVE.method]]
    assert story.waits == [21]
    assert all(outcome.ok for outcome in story.result)


def test_a_command_that_the_portal_refuses_for_long_tells_until_when(tell: Telling, manners: Manners) -> None:
    times = {"c0": {"operating": 150, "operating_reset_at": NOW + 200}}
    story = tell(batch_flow([SAVE, SAVE], manners), [batched({"c0": True}, {"c1": BLOCKED}, times)])
    assert story.waits == []
    done, refused = story.result
    assert done.ok
    assert refused.error.until == NOW + 201


def test_short_rests_in_which_nothing_is_done_are_waited_for_no_longer_than_a_long_one(
    tell: Telling, manners: Manners, hands: Hands
) -> None:
    def put_off(after: float, *done: str) -> Reply:
        refused = {**BLOCKED, "time": {"operating_reset_at": hands.now + after}}
        errors = {name: refused for name in ("c0", "c1") if name not in done}
        return batched(dict.fromkeys(done, True), errors, {})

    def replies() -> Generator[Reply]:
        for _ in range(4):
            yield put_off(4)
        yield put_off(4, "c0")  # the work gets on
        for _ in range(6):
            yield put_off(4)

    story = tell(batch_flow([SAVE, SAVE], manners), replies())
    assert story.waits == [5] * (4 + 6)
    done, refused = story.result
    assert done.ok
    assert refused.error.until == hands.now + 5


def test_without_repeats_all_is_sent_as_it_is_and_the_outcomes_tell_until_when(
    tell: Telling, manners: Manners
) -> None:
    """Whoever sends commands that belong together decides before whether they may go."""
    told(manners, 420, NOW + 20, SAVE.method, batched=True)
    reply = batched({"c0": []}, {"c1": BLOCKED}, {})
    story = tell(batch_flow([GET, SAVE], manners, repeat=False), [reply])
    assert story.commands == [[GET.method, SAVE.method]]
    assert story.waits == []
    assert story.result[1].error.until == NOW + 21


@pytest.mark.parametrize("told_reset", [True, False])
def test_a_refused_batch_without_repeats_tells_each_command_until_when(
    told_reset: bool,  # noqa: FBT001
    tell: Telling,
    manners: Manners,
) -> None:
    if told_reset:
        told(manners, 100, NOW + 200, "batch")
    story = tell(batch_flow([GET, SAVE], manners, repeat=False), [REFUSED])
    expected = NOW + (200 if told_reset else UNTOLD_REST) + 1
    assert [outcome.error.until for outcome in story.result] == [expected] * 2
    assert {outcome.fault.kind for outcome in story.result} == {FaultKind.RESTING}


# -- many batches ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("order", [1, -1], ids=["resting first", "resting last"])
def test_batches_of_other_methods_go_on(
    is_async: bool,  # noqa: FBT001
    order: int,
    manners: Manners,
) -> None:
    told(manners, 420, NOW + 300, SAVE.method, batched=True)
    calls = [*[SAVE] * 50, *[GET] * 50][::order]
    outcomes = run_batch(manners, calls, is_async=is_async)
    assert [outcome.ok for outcome in outcomes] == [call is GET for call in calls]
    assert {outcome.error.until for outcome in outcomes if outcome.error} == {NOW + 301}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_where_all_batches_are_of_resting_methods_until_when_is_raised(
    is_async: bool,  # noqa: FBT001
    manners: Manners,
) -> None:
    told(manners, 420, NOW + 300, SAVE.method, batched=True)
    with pytest.raises(RetryLater) as raised:
        run_batch(manners, [SAVE] * 80, is_async=is_async)
    assert raised.value.until == NOW + 301


def run_batch(manners: Manners, calls: list[Call], *, is_async: bool) -> list[Any]:
    def send(request: Request) -> Reply | Lost:
        return batched(dict.fromkeys(json.loads(request.body)["cmd"], True), {}, {})

    async def send_async(request: Request) -> Reply | Lost:
        return send(request)

    if is_async:
        return asyncio.run(AsyncPortal(send_async, manners).batch(calls))
    return Portal(send, manners).batch(calls)
