"""One outcome for each command of a batch, whatever shape the portal's answer has, and what is sent again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.allowance import Unlimited
from airflow_bitrix.client.batch import batch_flow
from airflow_bitrix.client.flow import Clock, Manners
from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.client.wire import Answer, Call, Fault, FaultKind, Lost, Reply, Request
from airflow_bitrix.core.errors import OutcomeUnknown, PortalAnswer, RetryLater

Walking = Callable[..., Any]

GET = [Call("crm.lead.contact.items.get", {"id": number}) for number in range(1, 6)]
MAKE = Call("crm.lead.add", {"fields": {"TITLE": "x"}})
DENIED = {"error": "ACCESS_DENIED", "error_description": "Access denied!"}
TIRED = {"error": "OPERATION_TIME_LIMIT", "error_description": "blocked"}
EMPTY: dict[str, Any] = {
    "result": [],
    "result_error": [],
    "result_total": [],
    "result_next": [],
    "result_time": [],
}


def reply(**maps: object) -> Reply:
    return Reply(200, json.dumps({"result": {**EMPTY, **maps}}).encode())


def keys(request: Request) -> list[str]:
    return list(json.loads(request.body)["cmd"])


@pytest.mark.parametrize("result", [True, False, None, 0, "", [], {}, [1]], ids=repr)
def test_a_command_that_was_carried_out_is_ok_whatever_its_result(
    result: object, walk: Walking, three_repeats: Manners
) -> None:
    (outcome,) = walk(batch_flow(GET[:1], three_repeats), reply(result={"c0": result})).result
    assert outcome.ok
    assert outcome.error is None
    assert outcome.result == result


def test_total_next_and_time_belong_to_their_command(walk: Walking, three_repeats: Manners) -> None:
    answer = reply(
        result={"c0": [], "c1": []},
        result_total={"c1": 120},
        result_next={"c1": 50},
        result_time={"c1": {"operating": 0.5}},
    )
    outcomes = walk(batch_flow(GET[:2], three_repeats), answer).result
    assert [outcome.answer for outcome in outcomes] == [
        Answer([]),
        Answer([], total=120, next=50, time={"operating": 0.5}),
    ]


@pytest.mark.parametrize("shape", [[], {}, None, 0, "", [None], ["x"]], ids=repr)
@pytest.mark.parametrize("name", ["result_error", "result_total", "result_next", "result_time"])
def test_an_empty_map_may_have_any_shape(
    name: str, shape: object, walk: Walking, three_repeats: Manners
) -> None:
    outcomes = walk(batch_flow(GET[:1], three_repeats), reply(result={"c0": 5}, **{name: shape})).result
    assert [outcome.answer for outcome in outcomes] == [Answer(5)]


@pytest.mark.parametrize("name", ["result_error", "result_total", "result_next", "result_time"])
def test_a_map_may_be_left_out(name: str, walk: Walking, three_repeats: Manners) -> None:
    inner = {key: value for key, value in EMPTY.items() if key != name} | {"result": {"c0": 5}}
    done = walk(batch_flow(GET[:1], three_repeats), Reply(200, json.dumps({"result": inner}).encode()))
    assert done.result[0].answer == Answer(5)


@pytest.mark.parametrize("shape", [[], {}, None, "x"], ids=repr)
def test_where_everything_failed_the_results_may_have_any_shape(
    shape: object, walk: Walking, three_repeats: Manners
) -> None:
    answer = reply(result=shape, result_error={"c0": DENIED, "c1": DENIED})
    outcomes = walk(batch_flow(GET[:2], three_repeats), answer).result
    expected = Fault(FaultKind.REJECTED, PortalAnswer("ACCESS_DENIED", "Access denied!"))
    assert [outcome.fault for outcome in outcomes] == [expected] * 2


ERRORS: list[tuple[str, Any, Fault]] = [
    (
        "empty code",
        {"error": "", "error_description": "Not found."},
        Fault(FaultKind.REJECTED, PortalAnswer("", "Not found.")),
    ),
    (
        "empty code and text",
        {"error": "", "error_description": ""},
        Fault(FaultKind.REJECTED, PortalAnswer()),
    ),
    ("no code", {"error_description": "no"}, Fault(FaultKind.REJECTED, PortalAnswer("", "no"))),
    ("plain words", "no", Fault(FaultKind.REJECTED, PortalAnswer("", "no"))),
    ("an empty word", "", Fault(FaultKind.REJECTED, PortalAnswer())),
    (
        "extras",
        {**DENIED, "argument": "id"},
        Fault(FaultKind.REJECTED, PortalAnswer("ACCESS_DENIED", "Access denied!")),
    ),
    (
        "scope",
        {"error": "insufficient_scope", "error_description": ""},
        Fault(FaultKind.AUTH, PortalAnswer("insufficient_scope")),
    ),
]


@pytest.mark.parametrize(("said", "fault"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_a_command_that_the_portal_refuses_is_a_fault_in_its_own_words(
    said: object, fault: Fault, walk: Walking, three_repeats: Manners
) -> None:
    answer = reply(result={"c1": True}, result_error={"c0": said})
    outcomes = walk(batch_flow(GET[:2], three_repeats), answer).result
    assert outcomes[0].fault == fault
    assert not outcomes[0].ok
    assert outcomes[1].ok


def test_an_error_wins_over_a_result_beside_it(walk: Walking, three_repeats: Manners) -> None:
    (outcome,) = walk(
        batch_flow(GET[:1], three_repeats), reply(result={"c0": []}, result_error={"c0": DENIED})
    ).result
    assert not outcome.ok


# -- what is sent again ------------------------------------------------------------------------------------


def test_only_what_failed_for_a_passing_reason_is_sent_again_and_the_order_stays(
    walk: Walking, three_repeats: Manners
) -> None:
    first = reply(result={"c0": "a", "c4": "e"}, result_error={"c1": TIRED, "c2": DENIED})
    second = reply(result={"c3": "d"}, result_error={"c1": TIRED})
    third = reply(result={"c1": "b"})
    done = walk(batch_flow(GET, three_repeats), first, second, third)
    assert [keys(request) for request in done.sent] == [["c0", "c1", "c2", "c3", "c4"], ["c1", "c3"], ["c1"]]
    assert [outcome.call for outcome in done.result] == GET
    assert [outcome.answer and outcome.answer.result for outcome in done.result] == ["a", "b", None, "d", "e"]
    assert done.waits == [1, 2]
    assert three_repeats.meter.repeats == 2


def test_a_command_that_is_neither_result_nor_error_may_have_been_carried_out(
    walk: Walking, three_repeats: Manners
) -> None:
    """What reads is sent again, what makes a record is not."""
    done = walk(batch_flow([MAKE, GET[0]], three_repeats), reply(result={}), reply(result={"c1": []}))
    assert [keys(request) for request in done.sent] == [["c0", "c1"], ["c1"]]
    assert type(done.result[0].error) is OutcomeUnknown
    assert done.result[1].result == []


def test_a_command_that_is_never_told_of_ends_as_a_fault(walk: Walking, three_repeats: Manners) -> None:
    done = walk(batch_flow(GET[:2], three_repeats), reply(result={"c1": []}), *[reply()] * 3)
    assert [outcome.ok for outcome in done.result] == [False, True]
    assert type(done.result[0].error) is RetryLater
    assert done.waits == [1, 2, 4]


def test_a_record_that_may_have_been_made_is_not_made_again(walk: Walking, three_repeats: Manners) -> None:
    broken = {"error": "INTERNAL_SERVER_ERROR", "error_description": "oops"}
    done = walk(
        batch_flow([MAKE, GET[0]], three_repeats),
        reply(result_error={"c0": broken, "c1": broken}),
        reply(result={"c1": []}),
    )
    assert [keys(request) for request in done.sent] == [["c0", "c1"], ["c1"]]
    assert [outcome.ok for outcome in done.result] == [False, True]


ENDS = {
    "the portal stays busy": [Reply(503, b'{"error": "QUERY_LIMIT_EXCEEDED"}')] * 4,
    "the portal is gone": [Lost(sent=False, reason="refused")] * 4,
    "answers are lost": [Lost(sent=True, reason="cut")] * 4,
    "the webhook was taken away": [Reply(401, b'{"error": "INVALID_CREDENTIALS"}')],
}


@pytest.mark.parametrize("ending", list(ENDS.values()), ids=list(ENDS))
def test_what_was_carried_out_is_told_even_where_the_repeat_of_the_rest_comes_to_nothing(
    ending: list[Reply | Lost], walk: Walking, three_repeats: Manners
) -> None:
    """Whoever does not hear of the lead that was made makes it again."""
    first = reply(result={"c0": 9}, result_error={"c1": TIRED})
    done = walk(batch_flow([MAKE, GET[0]], three_repeats), first, *ending)
    assert done.error is None
    assert done.result[0].result == 9
    assert not done.result[1].ok


# -- what is cut off --------------------------------------------------------------------------------------

CUT = Lost(sent=True, reason="cut")
PAGE_504 = Reply(504, b"<html><title>504 Gateway Time-out</title></html>")


class SlowPortal:
    """Cuts off whatever holds more commands than it can carry out in time."""

    def __init__(self, most: int, ending: Reply | Lost = CUT) -> None:
        self.most = most
        self.ending = ending
        self.sizes: list[int] = []

    def answer(self, request: Request) -> Reply | Lost:
        commands = json.loads(request.body)["cmd"]
        self.sizes.append(len(commands))
        return self.ending if len(commands) > self.most else reply(result=commands)


READS = [Call("crm.lead.get", {"id": number}) for number in range(50)]


@pytest.mark.parametrize(
    ("most", "ending"), [(7, CUT), (24, CUT), (40, CUT), (1, PAGE_504), (7, PAGE_504), (40, PAGE_504)]
)
def test_a_batch_that_is_cut_off_is_sent_again_in_smaller_ones(
    most: int, ending: Reply | Lost, walk: Walking, three_repeats: Manners
) -> None:
    portal = SlowPortal(most, ending)
    manners = replace(three_repeats, retries=Retries(times=6, first=1, longest=4))
    done = walk(batch_flow(READS, manners), answering=portal.answer)
    assert [outcome.result for outcome in done.result] == [f"crm.lead.get?id={n}" for n in range(50)]
    assert manners.meter.repeats < len(portal.sizes)


def test_a_batch_that_was_cut_off_by_chance_is_sent_again_as_it_was(
    walk: Walking, three_repeats: Manners
) -> None:
    """Two small batches are twice the requests."""
    done = walk(batch_flow(READS, three_repeats), CUT, CUT, reply(result={f"c{n}": n for n in range(50)}))
    assert [len(keys(request)) for request in done.sent] == [50, 50, 50]
    assert all(outcome.ok for outcome in done.result)


def test_a_batch_that_took_too_long_is_not_sent_again_as_it_was(
    walk: Walking, three_repeats: Manners
) -> None:
    now = 0.0

    def answering(request: Request) -> Reply | Lost:
        nonlocal now
        now += 1.5 * len(keys(request))
        return CUT if len(keys(request)) > 40 else reply(result=dict.fromkeys(keys(request), 1))

    manners = replace(three_repeats, clock=Clock(now=lambda: now))
    done = walk(batch_flow(READS, manners), answering=answering)
    assert [len(keys(request)) for request in done.sent] == [50, 25, 25]
    assert all(outcome.ok for outcome in done.result)


def test_a_portal_that_is_gone_is_asked_as_often_as_for_a_single_call(
    walk: Walking, three_repeats: Manners
) -> None:
    portal = SlowPortal(0)
    done = walk(batch_flow(READS, three_repeats), answering=portal.answer)
    assert type(done.error) is RetryLater
    assert portal.sizes == [50, 50, 50, 25]
    assert done.waits == [0.2, 2, 4]


def test_a_batch_that_may_not_be_repeated_is_not_sent_in_pieces(
    walk: Walking, three_repeats: Manners
) -> None:
    done = walk(batch_flow([*READS, MAKE][1:], three_repeats), CUT)
    assert len(done.sent) == 1
    assert {type(outcome.error) for outcome in done.result} == {OutcomeUnknown, RetryLater}
    once = walk(batch_flow(READS, three_repeats, repeat=False), CUT)
    assert len(once.sent) == 1


def test_what_the_pieces_of_a_batch_told_stands_where_a_later_one_comes_to_nothing(
    walk: Walking, three_repeats: Manners
) -> None:
    told = reply(result={f"c{n}": n for n in range(25)})
    gone = [CUT] * 4
    done = walk(batch_flow(READS, three_repeats), PAGE_504, told, *gone)
    assert [outcome.ok for outcome in done.result] == [True] * 25 + [False] * 25
    assert {type(outcome.error) for outcome in done.result[25:]} == {RetryLater}


class FlakyPortal:
    """Carries commands out and forgets, refuses or fails some, and keeps a record of what it did."""

    def __init__(self, fates: list[str]) -> None:
        self.fates = fates
        self.done: list[str] = []

    def answer(self, request: Request) -> Reply | Lost:
        results: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for key, command in json.loads(request.body)["cmd"].items():
            match self.fates.pop() if self.fates else "done":
                case "done":
                    self.done.append(command)
                    results[key] = command
                case "tired":
                    errors[key] = TIRED
                case "denied":
                    errors[key] = DENIED
        return reply(result=results or [], result_error=errors or [])


@given(
    st.integers(1, 12),
    st.lists(st.sampled_from(["done", "done", "tired", "forgotten", "denied"]), max_size=40),
)
def test_nothing_is_carried_out_twice_and_every_command_has_its_own_outcome(
    count: int, fates: list[str]
) -> None:
    portal = FlakyPortal(fates)
    calls = [Call("crm.lead.add", {"n": number}) for number in range(count)]
    flow = batch_flow(calls, Manners(Unlimited()))
    sent: Reply | Lost | None = None
    outcomes = None
    while outcomes is None:
        try:
            step = flow.send(sent)
        except StopIteration as end:
            outcomes = end.value
            break
        request = getattr(step, "request", None)
        sent = portal.answer(request) if request else None
    assert len(set(portal.done)) == len(portal.done)
    assert [outcome.call for outcome in outcomes] == calls
    for number, outcome in enumerate(outcomes):
        assert outcome.ok is (f"crm.lead.add?n={number}" in portal.done)
        assert not outcome.ok or outcome.result == f"crm.lead.add?n={number}"
