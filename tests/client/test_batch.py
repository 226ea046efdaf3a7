"""Up to 50 commands in one request: how they are written, and one outcome for each."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.allowance import Unlimited
from airflow_bitrix.client.batch import MOST_VALUES, CommandOutcome, batch_flow
from airflow_bitrix.client.flow import Manners
from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.client.portal import AsyncPortal, Portal
from airflow_bitrix.client.wire import Call, FaultKind, Lost, Reply, Request
from airflow_bitrix.core.errors import AuthFailed, InvalidInput, OutcomeUnknown, Rejected, RetryLater

Walking = Callable[..., Any]

PROFILE = Call("profile")
GET = [Call("crm.lead.contact.items.get", {"id": number}) for number in range(1, 5)]
MAKE = Call("crm.lead.add", {"fields": {"TITLE": "x"}})
CUT = Lost(sent=True, reason="cut")
REFUSED = Lost(sent=False, reason="refused")
BUSY = Reply(503, b'{"error": "QUERY_LIMIT_EXCEEDED"}')
TIRED = {"error": "OPERATION_TIME_LIMIT", "error_description": "blocked"}
DENIED = {"error": "ACCESS_DENIED", "error_description": "Access denied!"}


def reply(result: object = (), errors: object = (), **maps: object) -> Reply:
    """A batch's answer; PHP writes an empty map as an empty list."""
    inner = {
        "result": result,
        "result_error": errors,
        "result_total": [],
        "result_next": [],
        "result_time": [],
        **maps,
    }
    return Reply(200, json.dumps({"result": inner, "time": {"start": 1}}).encode())


def commands_of(request: Request) -> dict[str, str]:
    """The commands of a batch request, after a look at what stands around them."""
    body = json.loads(request.body)
    assert request.method == "batch"
    assert body.keys() == {"halt", "cmd"}
    assert body["halt"] == 0
    assert isinstance(body["cmd"], dict)
    return dict(body["cmd"])


# -- how commands are written ------------------------------------------------------------------------------


def written(params: dict[str, Any], walk: Walking, manners: Manners) -> str:
    done = walk(batch_flow([Call("m", params)], manners), reply({"c0": True}))
    return commands_of(done.sent[0])["c0"]


ENCODED: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("nothing", {}, []),
    ("numbers", {"id": 5, "x": -1, "y": 1.5}, [("id", "5"), ("x", "-1"), ("y", "1.5")]),
    ("booleans", {"a": True, "b": False}, [("a", "1"), ("b", "0")]),
    ("empty text", {"a": ""}, [("a", "")]),
    ("signs", {"a": "a&b=c+d%e#f g;h/i?j[k]"}, [("a", "a&b=c+d%e#f g;h/i?j[k]")]),
    ("other letters", {"a": "Привет 👋"}, [("a", "Привет 👋")]),
    ("lines", {"a": "a\r\nb\0"}, [("a", "a\r\nb\0")]),
    ("a list", {"select": ["id", "contactIds"]}, [("select[0]", "id"), ("select[1]", "contactIds")]),
    (
        "a map",
        {"filter": {">=id": 5, "@x": [1, 2]}},
        [("filter[>=id]", "5"), ("filter[@x][0]", "1"), ("filter[@x][1]", "2")],
    ),
    (
        "rows",
        {"items": [{"CONTACT_ID": 7}, {"CONTACT_ID": 8}]},
        [("items[0][CONTACT_ID]", "7"), ("items[1][CONTACT_ID]", "8")],
    ),
    ("a number beyond 16 digits", {"a": 1e16}, [("a", "1e+16")]),
    ("dollar signs", {"a": "costs $5 [net]"}, [("a", "costs $5 [net]")]),
]


@pytest.mark.parametrize(("params", "pairs"), [row[1:] for row in ENCODED], ids=[row[0] for row in ENCODED])
def test_a_command_reads_back_as_it_was_meant(
    params: dict[str, Any], pairs: list[tuple[str, str]], walk: Walking, three_repeats: Manners
) -> None:
    method, _, query = written(params, walk, three_repeats).partition("?")
    assert method == "m"
    assert "#" not in query
    assert parse_qsl(query, keep_blank_values=True, strict_parsing=bool(pairs)) == pairs


@given(
    st.dictionaries(
        st.text(st.characters(categories=["L", "N"]), min_size=1),
        # A reference to another command is refused, see below.
        st.text().filter(lambda text: "$" not in text)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.integers(),
        min_size=1,
    )
)
def test_no_text_and_no_number_can_break_out_of_its_place(params: dict[str, Any]) -> None:
    flow = batch_flow([Call("m", params)], Manners(Unlimited()))
    next(flow)
    query = commands_of(flow.send(None).request)["c0"].partition("?")[2]  # type: ignore[union-attr]
    assert parse_qsl(query, keep_blank_values=True) == [(name, str(value)) for name, value in params.items()]


@pytest.mark.parametrize(
    "value",
    [
        *(None, [], {}, (), [[]], {"a": []}, {"a": None}, [1, None]),
        *(b"x", object(), {1, 2}, math.nan, math.inf, "\ud83d"),
        *("$result[c0][ID]", "x $next[c0]", ["$total[c0]"], {"a": {"b": "$time[c0]"}}, "$error[c0]"),
    ],
    ids=lambda value: ascii(value)[:18],
)
def test_what_a_query_string_cannot_say_is_refused_before_anything_is_sent(
    value: object, walk: Walking, three_repeats: Manners
) -> None:
    done = walk(batch_flow([PROFILE, Call("crm.lead.update", {"id": 5, "a": value})], three_repeats))
    assert type(done.error) is InvalidInput
    assert "crm.lead.update" in str(done.error)
    assert done.steps == []


def test_a_reference_to_another_command_is_refused_in_a_name_too(
    walk: Walking, three_repeats: Manners
) -> None:
    """The portal puts other commands' results into names as well as into values."""
    call = Call("crm.lead.list", {"filter": {"$result[c0]": 1}})
    assert type(walk(batch_flow([call], three_repeats)).error) is InvalidInput


def test_a_command_has_no_more_values_than_php_reads(walk: Walking, three_repeats: Manners) -> None:
    """PHP drops what goes beyond: a set of 1,001 contacts would lose one without a word."""
    fits = Call("m", {"a": list(range(MOST_VALUES))})
    over = Call("m", {"a": list(range(MOST_VALUES + 1))})
    assert MOST_VALUES < 1000
    assert walk(batch_flow([fits], three_repeats), reply({"c0": True})).result[0].ok
    assert type(walk(batch_flow([over], three_repeats)).error) is InvalidInput


def test_a_batch_holds_50_commands_and_no_more(walk: Walking, three_repeats: Manners) -> None:
    done = walk(batch_flow([PROFILE] * 50, three_repeats), reply({f"c{n}": n for n in range(50)}))
    assert [outcome.result for outcome in done.result] == list(range(50))
    assert type(walk(batch_flow([PROFILE] * 51, three_repeats)).error) is InvalidInput


def test_a_batch_of_nothing_sends_nothing(walk: Walking, three_repeats: Manners) -> None:
    done = walk(batch_flow([], three_repeats))
    assert done.result == []
    assert done.steps == []


def test_commands_are_named_so_that_php_makes_a_map_of_their_results(
    walk: Walking, three_repeats: Manners
) -> None:
    done = walk(batch_flow(GET[:2], three_repeats), reply({"c0": [], "c1": []}))
    assert commands_of(done.sent[0]) == {
        "c0": "crm.lead.contact.items.get?id=1",
        "c1": "crm.lead.contact.items.get?id=2",
    }


def sending(replies: Sequence[Reply], seen: list[Request]) -> Callable[[Request], Reply | Lost]:
    left = iter(replies)

    def send(request: Request) -> Reply | Lost:
        seen.append(request)
        return next(left)

    return send


def test_calls_beyond_50_go_into_further_batches_in_order(three_repeats: Manners) -> None:
    seen: list[Request] = []
    replies = [reply({f"c{n}": n for n in range(50)}), reply({"c0": 50})]
    outcomes = Portal(sending(replies, seen), three_repeats).batch([PROFILE] * 51)
    assert [outcome.result for outcome in outcomes] == list(range(51))
    assert [len(commands_of(request)) for request in seen] == [50, 1]


def test_one_call_that_cannot_be_said_stops_all_before_any_of_them_is_sent(three_repeats: Manners) -> None:
    seen: list[Request] = []
    portal = Portal(sending([reply({f"c{n}": True for n in range(50)})], seen), three_repeats)
    with pytest.raises(InvalidInput):
        portal.batch([*[MAKE] * 50, Call("crm.lead.add", {"fields": []})])
    assert seen == []


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_no_call_that_may_have_been_carried_out_is_lost_when_a_later_batch_comes_to_nothing(
    *, is_async: bool
) -> None:
    """An error that may be tried again would make 50 records twice."""
    once = Manners(Unlimited(), Retries(times=0))
    left = [CUT, REFUSED]
    calls = [MAKE] * 51

    def send(_: Request) -> Reply | Lost:
        return left.pop(0)

    async def send_async(_: Request) -> Reply | Lost:
        return left.pop(0)

    if is_async:
        outcomes = asyncio.run(AsyncPortal(send_async, once, in_flight=1).batch(calls))
    else:
        outcomes = Portal(send, once).batch(calls)
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds == [*[OutcomeUnknown] * 50, RetryLater]


# -- what becomes of a batch as a whole --------------------------------------------------------------------


def test_a_batch_that_the_portal_did_not_take_is_sent_again_as_it_was(
    walk: Walking, three_repeats: Manners
) -> None:
    done = walk(batch_flow([MAKE, PROFILE], three_repeats), BUSY, REFUSED, reply({"c0": 9, "c1": {}}))
    assert [outcome.result for outcome in done.result] == [9, {}]
    assert len({request.body for request in done.sent}) == 1


def test_a_batch_of_repeatable_commands_is_sent_again_after_a_lost_answer(
    walk: Walking, three_repeats: Manners
) -> None:
    done = walk(batch_flow(GET[:2], three_repeats), CUT, reply({"c0": [], "c1": []}))
    assert all(outcome.ok for outcome in done.result)


@pytest.mark.parametrize(
    "lost", [CUT, Reply(502, b"<html>"), Reply(500, b'{"error": "INTERNAL_SERVER_ERROR"}')]
)
def test_a_batch_that_makes_a_record_is_not_sent_again_after_a_lost_answer(
    lost: Reply | Lost, walk: Walking, three_repeats: Manners
) -> None:
    done = walk(batch_flow([GET[0], MAKE], three_repeats), lost)
    assert [type(outcome.error) for outcome in done.result] == [RetryLater, OutcomeUnknown]
    assert [outcome.call for outcome in done.result] == [GET[0], MAKE]


@pytest.mark.parametrize("failing", [CUT, reply({"c0": []}, {"c1": TIRED})], ids=["lost", "one failed"])
def test_a_caller_who_looks_for_itself_gets_what_there_is_and_nothing_is_repeated(
    failing: Reply | Lost, walk: Walking, three_repeats: Manners
) -> None:
    done = walk(batch_flow(GET[:2], three_repeats, repeat=False), failing)
    assert len(done.sent) == 1
    assert done.result[1].fault is not None
    assert type(done.result[1].error) is RetryLater


def test_a_batch_that_is_refused_as_a_whole_raises(walk: Walking, three_repeats: Manners) -> None:
    done = walk(batch_flow(GET[:2], three_repeats), Reply(401, b'{"error": "INVALID_CREDENTIALS"}'))
    assert type(done.error) is AuthFailed
    assert type(walk(batch_flow(GET[:2], three_repeats), *[BUSY] * 4).error) is RetryLater


def test_a_failed_command_raises_what_a_call_of_its_own_would_have_raised(
    walk: Walking, three_repeats: Manners
) -> None:
    (outcome,) = walk(batch_flow(GET[:1], three_repeats), reply([], {"c0": DENIED})).result
    assert isinstance(outcome, CommandOutcome)
    assert outcome.fault is not None
    assert outcome.fault.kind is FaultKind.REJECTED
    with pytest.raises(Rejected, match=r"^crm\.lead\.contact\.items\.get \(lead 1\): .*Access denied!"):
        _ = outcome.result
