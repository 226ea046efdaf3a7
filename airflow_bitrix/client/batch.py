"""Up to 50 commands in one request, and one outcome for each.

Follows https://apidocs.bitrix24.com/api-reference/how-to-call-rest-api/batch.html.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from functools import lru_cache

from msgspec.structs import replace

from airflow_bitrix.client.commands import MOST_VALUES, command_of
from airflow_bitrix.client.flow import Flow, Manners, Wait, try_flow
from airflow_bitrix.client.outcomes import CommandOutcome, Maps, failed, is_rest, outcome_of
from airflow_bitrix.client.pacing import SLOW_BATCH, Account, Rest
from airflow_bitrix.client.wire import (
    DONE_NOTHING,
    Answer,
    Call,
    Fault,
    FaultKind,
    error_of,
    may_repeat,
    resting,
)
from airflow_bitrix.core.errors import (
    Bitrix24Error,
    InvalidInput,
    OutcomeUnknown,
    RetryLater,
)
from airflow_bitrix.core.languages import gettext

__all__ = [
    "MOST_COMMANDS",
    "MOST_VALUES",
    "CommandOutcome",
    "account_of",
    "batch_flow",
    "command_of",
    "failed",
    "is_rest",
]

MOST_COMMANDS = 50
"""Commands that the portal carries out in one batch."""


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

    A batch that broke is sent again in smaller ones: the cloud cuts off what takes longer than a minute.

    :param calls: What to call, carried out by the portal in this order.
    :param commands: What :func:`command_of` made of each call, where that is done already.
    :param repeat: Whether what failed for a passing reason is sent again: a command alone, a refused batch
        as a whole, an unanswered one in pieces. With ``False`` all that is told by the outcomes, and a caller
        looks for itself what was carried out.
    :return: One outcome for each call, in the order of ``calls``.
    :raises InvalidInput: More than 50 calls, or one that a batch cannot express; nothing was sent.
    :raises RetryLater: All calls are of methods that rest for longer; ``until`` tells until when.
    :raises Bitrix24Error: The portal took no batch at all; nothing of it is known to be done.
    """
    if len(calls) > MOST_COMMANDS:
        raise InvalidInput(
            "calls",
            len(calls),
            gettext("at most {most_commands} commands in one batch", most_commands=MOST_COMMANDS),
        )
    written = [command_of(call) for call in calls] if commands is None else commands
    return (yield from _Batch(calls, written, manners, repeat=repeat).run())


class _Batch:
    """A batch on its way: outcomes so far, and what is still to be sent."""

    def __init__(
        self, calls: Sequence[Call], commands: Sequence[str], manners: Manners, *, repeat: bool
    ) -> None:
        self._calls, self._commands, self._manners, self._repeat = calls, commands, manners, repeat
        self._outcomes: dict[int, CommandOutcome] = {}
        self._tries = [0] * len(calls)
        self._waiting = list(range(len(calls)))
        self._size = _Size(len(calls))
        self._told = False
        self._rested = 0.0
        """Seconds waited for methods to be called again since anything was done."""

    def run(self) -> Flow[list[CommandOutcome]]:
        while self._waiting:
            held = (yield from self._held_back()) if self._repeat else {}
            for index, rest in held.items():
                self._outcomes[index] = CommandOutcome(self._calls[index], fault=resting(rest))
            free = [index for index in self._waiting if index not in held]
            if not free:
                if self._told:
                    break
                first = min(held, key=lambda index: held[index].until)
                raise error_of(self._calls[first], resting(held[first]))
            sent = free[: self._size.now]
            try:
                answer = yield from self._send(sent)
            except Bitrix24Error as error:
                self._give_up(free, error)
                break
            if answer is None:
                continue
            again = self._take(sent, answer)
            self._waiting = sorted([*held, *again, *free[len(sent) :]])
            # The end of a rest is waited for anyway, and brings the work on.
            if count := max((self._tries[index] for index in again), default=0):
                yield Wait(self._manners.retries.delay(count, self._manners.luck()))
        return [self._outcomes[index] for index in range(len(self._calls))]

    def _held_back(self) -> Flow[Mapping[int, Rest]]:
        """Give the calls whose method rests. Where that is all of them, wait first, if it is not for long.

        A portal that puts a method off for a little while, again and again, is waited for no longer.
        """
        while True:
            methods = {self._calls[index].method for index in self._waiting}
            rests = {method: rest for method in methods if (rest := self._manners.rest(account_of(method)))}
            held = {
                index: rests[self._calls[index].method]
                for index in self._waiting
                if self._calls[index].method in rests
            }
            if len(held) < len(self._waiting):
                return held
            first = min(rest.seconds for rest in rests.values())
            self._rested += first
            if self._rested > self._manners.patience.max_wait:
                return held
            yield Wait(first)

    def _send(self, sent: Sequence[int]) -> Flow[Answer | None]:
        """Send some commands; ``None`` where they are to be sent again, fewer at a time.

        :raises Bitrix24Error: The portal took no batch.
        """
        manners = self._manners
        batch = Call("batch", {"halt": 0, "cmd": {f"c{index}": self._commands[index] for index in sent}})
        again = DONE_NOTHING if self._repeat else frozenset[FaultKind]()
        found, seconds = yield from try_flow(batch, manners, again=again)
        if isinstance(found, Answer):
            self._told = True
            self._size.answered()
            return found
        repeatable = self._repeat and all(may_repeat(self._calls[index]) for index in sent)
        if found.kind is not FaultKind.BROKEN or not repeatable or self._size.breaks >= manners.retries.times:
            raise error_of(batch, found, repeatable=repeatable)
        self._size.broken(len(sent), found, seconds)
        manners.meter.repeats += 1
        yield Wait(manners.pause(self._size.breaks, found))
        return None

    def _give_up(self, free: Sequence[int], error: Bitrix24Error) -> None:
        gone = {index: failed(self._calls[index], error) for index in free}
        if isinstance(error, OutcomeUnknown):
            self._outcomes |= gone
        elif not self._told and (self._repeat or not isinstance(error, RetryLater)):
            raise error
        else:
            # What was carried out is told; the rest keeps the reason that it had.
            self._outcomes = gone | self._outcomes

    def _take(self, sent: Sequence[int], answer: Answer) -> list[int]:
        """Take what the portal told of some commands, and give those that are to be sent again."""
        maps = Maps.of(answer.result)
        last = {
            index for index in sent if not self._repeat or self._tries[index] >= self._manners.retries.times
        }
        got = {index: outcome_of(f"c{index}", self._calls[index], maps) for index in sent}
        got = _learned(got, self._manners, last)
        self._outcomes |= got
        again = [index for index, outcome in got.items() if index not in last and _passing(outcome)]
        if len(again) < len(sent):
            self._rested = 0.0
        if again:
            self._manners.meter.repeats += 1
        for index in again:
            if not self._manners.rest(account_of(self._calls[index].method)):
                self._tries[index] += 1
        return again


class _Size:
    """How many commands are sent at a time: fewer after batches that broke, more again after an answer.

    :param most: Commands that there are.
    """

    def __init__(self, most: int) -> None:
        self.now = self._most = self._whole = max(most, 1)
        self.breaks = 0
        """Batches that broke since the last answer."""

    def broken(self, sent: int, fault: Fault, seconds: float) -> None:
        """Note a batch that broke. One that was slow would be cut off again; any other may have been chance.

        :param sent: Commands in it.
        """
        self.breaks += 1
        slow = seconds > SLOW_BATCH or fault.answer.status in _TIMED_OUT
        if slow:
            self._most = max(sent // 2, 1)
        if slow or self.breaks > _BY_CHANCE or sent < self._whole:
            self.now = max(sent // 2, 1)

    def answered(self) -> None:
        """Note an answer."""
        self.breaks = 0
        self.now = min(self.now * 2, self._most)


_TIMED_OUT = (408, 504)
_BY_CHANCE = 2
"""Batches in a row that may break quickly before they are made smaller: smaller ones are more requests."""


@lru_cache
def account_of(method: str) -> Account:
    """Give the account that a command of a batch is booked on."""
    return Account(method.lower(), batched=True)


def _learned(
    got: Mapping[int, CommandOutcome], manners: Manners, last: Container[int]
) -> dict[int, CommandOutcome]:
    """Learn from outcomes how much operating time is used, and tell those of resting methods until when.

    :param last: Those that are not sent again. Where it was not told how long they rest, that is guessed.
    """
    manners.hear([(account_of(one.call.method), one.answer) for one in got.values() if one.answer])
    rested = {
        index: replace(
            one, fault=manners.refused(account_of(one.call.method), one.fault, guess=index in last)
        )
        for index, one in got.items()
        if one.fault and one.fault.kind is FaultKind.RESTING
    }
    return {**got, **rested}


def _passing(outcome: CommandOutcome) -> bool:
    if outcome.fault is None:
        return False
    kind = outcome.fault.kind
    return kind in DONE_NOTHING or (kind is FaultKind.BROKEN and may_repeat(outcome.call))
