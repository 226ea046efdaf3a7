"""Up to 50 commands in one request, and one outcome for each.

Follows https://apidocs.bitrix24.com/api-reference/how-to-call-rest-api/batch.html. A command is a query
string, so every value arrives as text; neither ``null`` nor an empty list can be expressed. What cannot be
sent faithfully is refused, because the portal would read it as something else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus

from airflow_bitrix.client.flow import Flow, Manners, Wait, call_flow
from airflow_bitrix.client.pacing import Account, Rest
from airflow_bitrix.client.wire import (
    DONE_NOTHING,
    Answer,
    Call,
    Fault,
    FaultKind,
    error_of,
    fault_of,
    may_repeat,
    resting,
)
from airflow_bitrix.core.errors import (
    Bitrix24Error,
    InvalidInput,
    OutcomeUnknown,
    PortalAnswer,
    RetryLater,
)

MOST_COMMANDS = 50
"""Commands that the portal carries out in one batch."""

MOST_VALUES = 900
"""Values in one command; PHP drops what goes beyond its ``max_input_vars``, 1,000 by default."""


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """What became of one command of a batch: an answer or a fault."""

    call: Call
    answer: Answer | None = None
    fault: Fault | None = None

    @property
    def ok(self) -> bool:
        """Whether the command was carried out; its result may still be ``False`` or empty."""
        return self.answer is not None

    @property
    def error(self) -> Bitrix24Error | None:
        """The error that a single call would have raised, ``None`` where the command was carried out."""
        return None if self.fault is None else error_of(self.call, self.fault)

    @property
    def result(self) -> Any:
        """The command's result.

        :raises Bitrix24Error: The command failed.
        """
        if self.answer is None:
            raise self.error or Bitrix24Error(f"{self.call}: no answer")
        return self.answer.result


def batch_flow(
    calls: Sequence[Call],
    manners: Manners,
    *,
    commands: Sequence[str] | None = None,
    repeat: bool = True,
) -> Flow[list[CommandOutcome]]:
    """Run at most 50 calls as one batch.

    Calls whose method rests are held back while the others are sent, and sent when the rest is over; where it
    is longer than the caller's patience, their outcome tells so. With ``repeat=False`` none is held back.

    :param calls: What to call, carried out by the portal in this order.
    :param commands: What :func:`command_of` made of each call, where that is done already.
    :param repeat: Whether what failed for a passing reason is sent again: a command alone, an unanswered or
        refused batch as a whole. With ``False`` all that is told by the outcomes, and a caller looks for
        itself what was carried out.
    :return: One outcome for each call, in the order of ``calls``.
    :raises InvalidInput: More than 50 calls, or one that a batch cannot express; nothing was sent.
    :raises RetryLater: All calls are of methods that rest for longer; ``until`` tells until when.
    :raises Bitrix24Error: The portal took no batch at all; nothing of it is known to be done.
    """
    if len(calls) > MOST_COMMANDS:
        raise InvalidInput("calls", len(calls), f"at most {MOST_COMMANDS} commands in one batch")
    commands = [command_of(call) for call in calls] if commands is None else commands
    outcomes: dict[int, CommandOutcome] = {}
    waiting = list(range(len(calls)))
    repeats, told = 0, False
    while waiting:
        held = (yield from _held_back(calls, waiting, manners)) if repeat else {}
        outcomes |= {index: CommandOutcome(calls[index], fault=resting(rest)) for index, rest in held.items()}
        sent = [index for index in waiting if index not in held]
        if not sent:
            if told:
                break
            first = min(held, key=lambda index: held[index].until)
            raise error_of(calls[first], resting(held[first]))
        batch = Call("batch", {"halt": 0, "cmd": {f"c{index}": commands[index] for index in sent}})
        repeatable = repeat and all(may_repeat(calls[index]) for index in sent)
        try:
            answer = yield from call_flow(batch, manners, repeatable=repeatable, once=not repeat)
        except OutcomeUnknown as error:
            outcomes |= {index: failed(calls[index], error) for index in sent}
            break
        except Bitrix24Error as error:
            if not told and (repeat or not isinstance(error, RetryLater)):
                raise
            # What was carried out is told; the rest keeps the reason that it had.
            outcomes = {index: failed(calls[index], error) for index in sent} | outcomes
            break
        told = True
        maps = _Maps.of(answer.result)
        got = {index: _outcome(f"c{index}", calls[index], maps) for index in sent}
        last = not repeat or repeats >= manners.retries.times
        got = _learned(got, manners, guess=last)
        outcomes |= got
        again = [index for index, outcome in got.items() if not last and _passing(outcome)]
        waiting = sorted([*held, *again])
        if again:
            manners.meter.repeats += 1
        # The end of a rest is waited for anyway, and brings the work on.
        if not all(manners.rest(account_of(calls[index].method)) for index in again):
            repeats += 1
            yield Wait(manners.retries.delay(repeats, manners.luck()))
    return [outcomes[index] for index in range(len(calls))]


@lru_cache
def account_of(method: str) -> Account:
    """Give the account that a command of a batch is booked on."""
    return Account(method.lower(), batched=True)


def _held_back(calls: Sequence[Call], waiting: Sequence[int], manners: Manners) -> Flow[Mapping[int, Rest]]:
    """Give the calls whose method rests. Where that is all of them, wait first, if it is not for long."""
    waited = 0.0
    while True:
        methods = {calls[index].method for index in waiting}
        rests = {method: rest for method in methods if (rest := manners.rest(account_of(method)))}
        if not rests:
            return {}
        held = {index: rests[calls[index].method] for index in waiting if calls[index].method in rests}
        first = min(rest.seconds for rest in rests.values())
        waited += first
        if len(held) < len(waiting) or waited > manners.patience.max_wait:
            return held
        yield Wait(first)


def _learned(
    got: Mapping[int, CommandOutcome], manners: Manners, *, guess: bool
) -> dict[int, CommandOutcome]:
    """Learn from outcomes how much operating time is used, and tell those of resting methods until when."""
    manners.hear([(account_of(one.call.method), one.answer) for one in got.values() if one.answer])
    rested = {
        index: replace(one, fault=manners.refused(account_of(one.call.method), one.fault, guess=guess))
        for index, one in got.items()
        if one.fault and one.fault.kind is FaultKind.RESTING
    }
    return {**got, **rested}


def is_rest(error: Bitrix24Error) -> bool:
    """Whether an error is about methods that rest: others may be called all the same."""
    return isinstance(error, RetryLater) and error.until is not None


def failed(call: Call, error: Bitrix24Error) -> CommandOutcome:
    """Give the outcome of a command whose batch came to nothing."""
    said = error.answer
    if isinstance(error, RetryLater) and error.until is not None:  # as in is_rest
        return CommandOutcome(
            call, fault=Fault(FaultKind.RESTING, said, Rest(error.until, error.retry_after))
        )
    if isinstance(error, OutcomeUnknown):
        kind = FaultKind.BROKEN
    elif isinstance(error, RetryLater) and not said.code and not said.status:
        kind = FaultKind.UNREACHABLE
    else:
        kind = fault_of({"error": said.code, "error_description": said.text}, said.status).kind
    return CommandOutcome(call, fault=Fault(kind, said))


def _passing(outcome: CommandOutcome) -> bool:
    if outcome.fault is None:
        return False
    kind = outcome.fault.kind
    return kind in DONE_NOTHING or (kind is FaultKind.BROKEN and may_repeat(outcome.call))


_NOT_EXECUTED = Fault(FaultKind.UNREACHABLE, PortalAnswer(text="the portal did not carry out this command"))


@dataclass(frozen=True, slots=True)
class _Maps:
    """The five maps of a batch's answer, by the commands' keys."""

    result: Mapping[str, Any]
    result_error: Mapping[str, Any]
    result_total: Mapping[str, Any]
    result_next: Mapping[str, Any]
    result_time: Mapping[str, Any]

    @classmethod
    def of(cls, answer: object) -> _Maps:
        told = _as_map(answer)
        return cls(*(_as_map(told.get(name)) for name in cls.__slots__))


def _as_map(value: object) -> Mapping[str, Any]:
    # PHP writes an empty map as [], and one with keys 0, 1, 2 as a list.
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(value)}
    return {}


def _outcome(key: str, call: Call, maps: _Maps) -> CommandOutcome:
    if key in maps.result_error:
        return CommandOutcome(call, fault=fault_of(maps.result_error[key]))
    if key not in maps.result:
        return CommandOutcome(call, fault=_NOT_EXECUTED)
    time = maps.result_time.get(key)
    return CommandOutcome(
        call,
        Answer(
            maps.result[key],
            maps.result_total.get(key),
            maps.result_next.get(key),
            time if isinstance(time, dict) else {},
        ),
    )


def command_of(call: Call) -> str:
    """Write a call as a command: ``method?name=value&…``, percent-encoded.

    :raises InvalidInput: A value that a query string cannot express.
    """
    pairs: list[str] = []
    try:
        for name, value in call.params.items():
            _flatten(pairs, call, _quoted(call, str(name)), value)
    except UnicodeEncodeError:
        # Half of a pair of surrogates is no text that could be sent.
        raise InvalidInput(f"params of {call}", call.params, "text that can be written as UTF-8") from None
    if len(pairs) > MOST_VALUES:
        accepted = f"at most {MOST_VALUES} values in a batched command; make it a call of its own"
        raise InvalidInput(f"params of {call}", f"{len(pairs)} values", accepted)
    return f"{call.method}?{'&'.join(pairs)}" if pairs else call.method


_REFERENCES = ("$result[", "$next[", "$total[", "$time[", "$error[")


def _quoted(call: Call, text: str) -> str:
    # The portal would put another command's result in the place of a reference.
    if text.isascii() and text.isalnum():
        return text  # most names and many values: nothing to quote
    if "$" in text and any(reference in text for reference in _REFERENCES):
        raise InvalidInput(f"params of {call}", text, "text without references to other commands")
    return quote_plus(text)


def _flatten(pairs: list[str], call: Call, path: str, value: object) -> None:
    if isinstance(value, (bool, int)):
        pairs.append(f"{path}={int(value)}")
    elif isinstance(value, str):
        pairs.append(f"{path}={_quoted(call, value)}")
    elif isinstance(value, (list, tuple)) and value:
        for index, item in enumerate(value):
            _flatten(pairs, call, f"{path}[{index}]", item)
    elif isinstance(value, Mapping) and value:
        for key, item in value.items():
            _flatten(pairs, call, f"{path}[{_quoted(call, str(key))}]", item)
    elif isinstance(value, float) and math.isfinite(value):
        pairs.append(f"{path}={quote_plus(str(value))}")
    else:
        accepted = "text, numbers, true, false, and lists or maps that are not empty (use call() for others)"
        raise InvalidInput(f"params of {call}", value, f"in a batch: {accepted}")
