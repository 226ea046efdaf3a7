"""One call, written once: a generator that says what to do next, and the two drivers that do it.

A flow yields steps and is resumed with what came of them; every decision (wait how long, send what, repeat or
give up) is taken in the flow, so that sync and async cannot drift apart. The drivers only sleep and send.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from airflow_bitrix.client.allowance import Allowance, Turn
from airflow_bitrix.client.logins import Renewal, Renewed
from airflow_bitrix.client.pacing import Account, OperatingTime, Patience, Rest, Retries
from airflow_bitrix.client.stopping import Stop
from airflow_bitrix.client.wire import (
    DONE_NOTHING,
    REPEATABLE,
    Answer,
    Call,
    Fault,
    FaultKind,
    Lost,
    Reply,
    Request,
    error_of,
    may_repeat,
    read,
    request_of,
    resting,
)


@dataclass(frozen=True, slots=True)
class Admit:
    """Wait until the portal's bucket admits one more request."""


@dataclass(frozen=True, slots=True)
class Full:
    """Tell everybody who shares the bucket that the portal called it full."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Send:
    """Post a request; the flow is resumed with the reply."""

    request: Request


@dataclass(frozen=True, slots=True)
class Renew:
    """Have newer tokens; the flow is resumed with what came of it.

    :param mark: What tells the tokens that were used.
    :param expired: Whether the portal called them expired.
    """

    mark: int
    expired: bool


Step = Admit | Full | Wait | Send | Renew
T = TypeVar("T")
Flow = Generator[Step, Reply | Lost | Renewed | None, T]


@dataclass(slots=True)
class Meter:
    """What a client did so far.

    :param requests: Requests sent.
    :param refused: Requests that the portal refused because its bucket was full.
    :param repeats: Requests sent again after a fault.
    :param waited: Seconds spent waiting for the bucket, for a resting method or before a repeat. Waits of
        several requests at the same time count once; one that is under way counts with its whole length.
    :param hidden_links: Owners whose links were read by ``items.get``, since the portal's lists hide them.
    :param waits_until: When the waits that are under way end, unix time.
    :param watch: Called every second while a client of a hook is open, whatever it waits for.
    """

    requests: int = 0
    refused: int = 0
    repeats: int = 0
    waited: float = 0.0
    hidden_links: int = 0
    waits_until: float = 0.0
    watch: Callable[[], object] | None = field(default=None, compare=False, repr=False)

    def wait(self, now: float, seconds: float) -> None:
        """Count a wait that begins.

        :param now: Unix time.
        """
        self.waited += max(now + seconds - max(self.waits_until, now), 0.0)
        self.waits_until = max(self.waits_until, now + seconds)


@dataclass(frozen=True, slots=True)
class Clock:
    """The wall clock, and waiting by it, as one value that tests can replace.

    :param now: Unix time, which is what the portal counts in.
    :param sleep: Waits for some seconds in this thread.
    :param sleep_async: Waits for some seconds on the event loop.
    """

    now: Callable[[], float] = time.time
    sleep: Callable[[float], object] = time.sleep
    sleep_async: Callable[[float], Awaitable[object]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Manners:
    """How a client behaves: what it may ask for, how it repeats, and where it counts.

    :param allowance: The portal's bucket, shared by everybody on this host.
    :param retries: How often and how patiently a call is repeated.
    :param meter: Counts requests and waits.
    :param luck: Gives random numbers from 0 to 1.
    :param patience: How far operating time is used, and how long the end of a rest is waited for.
    :param operating: Keeps what the portal told of operating time.
    :param clock: The wall clock.
    :param stop: Whether anything may be sent any more.
    :param renewal: Gets newer tokens, where the login has some that expire.
    """

    allowance: Allowance
    retries: Retries = field(default_factory=Retries)
    meter: Meter = field(default_factory=Meter)
    luck: Callable[[], float] = random.random
    patience: Patience = field(default_factory=Patience)
    operating: OperatingTime = field(default_factory=OperatingTime)
    clock: Clock = field(default_factory=Clock)
    stop: Stop = field(default_factory=Stop)
    renewal: Renewal | None = None

    def rest(self, *accounts: Account) -> Rest | None:
        """Give the rest after which all of these accounts may be used, ``None`` where they may be now."""
        return self.operating.budgets.rest(accounts, self.clock.now(), self.patience.operating_limit)

    def hear(self, answers: Iterable[tuple[Account, Answer]]) -> None:
        """Learn from answers how much operating time is used."""
        times = [(account, answer.time) for account, answer in answers if answer.time]
        if times:
            self.operating.budgets = self.operating.budgets.told(times, self.clock.now())

    def refused(self, account: Account, fault: Fault, *, guess: bool) -> Fault:
        """Learn from a refusal for operating time, and give the fault with the rest that follows.

        :param guess: Whether the account shall rest also where the portal has not told until when.
        """
        now = self.clock.now()
        self.operating.budgets = self.operating.budgets.refused(
            account, now, told=fault.reset_at, guess=guess
        )
        return replace(fault, rest=self.rest(account))

    def pause(self, repeat: int, fault: Fault) -> float:
        """Give the seconds before repeat number ``repeat`` after a fault.

        A connection that was cut once is often but a stale one: then the repeat comes soon.
        """
        cut = fault.kind is FaultKind.BROKEN and not fault.answer.status and not fault.answer.code
        return self.retries.delay(repeat, self.luck()) * (_SOON if cut and repeat == 1 else 1)


_SOON = 0.2


def call_flow(
    call: Call, manners: Manners, *, repeatable: bool | None = None, once: bool = False
) -> Flow[Answer]:
    """Make one call.

    :param repeatable: Whether the call may be repeated when it is not known if it was carried out; by
        default what :func:`~airflow_bitrix.client.wire.may_repeat` says of the method.
    :param once: Whether it is not repeated at all, not even where nothing was done: by the time of a repeat
        what it was made from may have changed.
    :raises Bitrix24Error: The portal refused, or repeats did not help.
    """
    repeatable = may_repeat(call) if repeatable is None else repeatable
    again = frozenset[FaultKind]() if once else REPEATABLE if repeatable else DONE_NOTHING
    found, _ = yield from try_flow(call, manners, again=again)
    if isinstance(found, Fault):
        raise error_of(call, found, repeatable=repeatable)
    return found


def try_flow(
    call: Call, manners: Manners, *, again: frozenset[FaultKind]
) -> Flow[tuple[Answer | Fault, float]]:
    """Make one call, and give its answer or the fault that stays, with the seconds that the last try took.

    :param again: Faults after which the call is repeated; without any it does not wait for a rest either.
    :raises RetryLater: The method rests for longer than the caller's patience.
    :raises ToldToStopError: Nothing may be sent any more.
    """
    request = request_of(call)
    account = Account(call.method.lower())
    tries = _Tries(manners)
    renewals = 0.0
    while True:
        yield from _rested(call, account, manners, once=not again)
        yield Admit()
        manners.stop.check(once=not again)
        manners.meter.requests += 1
        began = manners.clock.now()
        mark = manners.renewal.mark() if manners.renewal else 0
        reply = yield Send(request)
        if not isinstance(reply, (Reply, Lost)):
            raise TypeError("a Send step is resumed with a reply")
        seconds = manners.clock.now() - began
        found = read(reply)
        if isinstance(found, Answer):
            manners.hear([(account, found)])
            return found, seconds
        if found.wants_tokens and manners.renewal and renewals < MOST_RENEWALS:
            renewed = yield Renew(mark, found.expired)
            if isinstance(renewed, Renewed) and renewed:
                renewals += COSTS[renewed]
                if again:
                    continue
                # Nothing was done; but getting tokens took a while, and the caller wants to look first.
                return replace(found, kind=FaultKind.UNREACHABLE), seconds
        if found.kind is FaultKind.THROTTLED:
            manners.meter.refused += 1
            yield Full()
        last = tries.over(found) or found.kind not in again
        if found.kind is FaultKind.RESTING:
            found = manners.refused(account, found, guess=last)
        if last or (found.rest and found.rest.seconds > manners.patience.max_wait):
            return found, seconds
        manners.meter.repeats += 1
        yield Wait(found.rest.seconds if found.rest else tries.pause(found))


MOST_RENEWALS = 4
"""Times that one call gets newer tokens. Where clocks are apart, a portal may call each of them expired."""

COSTS = {Renewed.NOT: 0.0, Renewed.TAKEN: 0.2, Renewed.GOT: 1.0}
"""What each counts for: those that somebody else has got cost the OAuth server nothing."""


class _Tries:
    """How often a call failed so far, and how long it waits before it is repeated."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        self._faults = 0
        self._refusals = 0
        self._waited = 0.0

    def over(self, fault: Fault) -> bool:
        """Count a fault, and tell whether the call is not to be repeated."""
        retries = self._manners.retries
        if fault.kind is FaultKind.THROTTLED:
            # Whoever else asks the portal takes the room that there is: that says nothing of this call.
            self._refusals += 1
            return not retries.times or self._waited >= retries.full
        self._faults += 1
        return self._faults > retries.times

    def pause(self, fault: Fault) -> float:
        """Give the seconds to wait before the call is repeated."""
        if fault.kind is not FaultKind.THROTTLED:
            return self._manners.pause(self._faults, fault)
        seconds = self._manners.pause(self._refusals, fault)
        self._waited += seconds
        return seconds


def _rested(call: Call, account: Account, manners: Manners, *, once: bool) -> Flow[None]:
    """Wait until a resting method may be called.

    :param once: Whether not to wait at all: by then what the call was made from may have changed.
    :raises RetryLater: The rest is longer than the caller's patience.
    """
    waited = 0.0
    while rest := manners.rest(account):
        waited += rest.seconds
        if once or waited > manners.patience.max_wait:
            raise error_of(call, resting(rest))
        yield Wait(rest.seconds)


Transport = Callable[[Request], Reply | Lost]
AsyncTransport = Callable[[Request], Awaitable[Reply | Lost]]


def drive(
    flow: Flow[T], send: Transport, manners: Manners, sleep: Callable[[float], object] | None = None
) -> T:
    """Run a flow to its result, sleeping and sending in this thread."""
    sleep = sleep or manners.clock.sleep
    reply: Reply | Lost | Renewed | None = None
    while True:
        try:
            step = flow.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result
        reply = None
        match step:
            case Send(request):
                reply = send(request)
            case Renew(mark, expired):
                renewal = manners.renewal
                reply = renewal.renew(mark, expired=expired) if renewal else Renewed.NOT
            case Full():
                manners.allowance.tell_full()
            case Wait(seconds):
                manners.meter.wait(manners.clock.now(), seconds)
                sleep(seconds)
            case Admit():
                turn = Turn()
                while seconds := manners.allowance.ask(turn):
                    manners.meter.wait(manners.clock.now(), seconds)
                    sleep(seconds)


async def _aside(allowance: Allowance, ask: Callable[..., T], *args: Turn) -> T:
    """Ask an allowance without stopping the event loop."""
    return await asyncio.to_thread(ask, *args) if allowance.remote else ask(*args)


async def drive_async(
    flow: Flow[T],
    send: AsyncTransport,
    manners: Manners,
    sleep: Callable[[float], Awaitable[object]] | None = None,
) -> T:
    """Run a flow to its result, sleeping and sending on the event loop."""
    sleep = sleep or manners.clock.sleep_async
    reply: Reply | Lost | Renewed | None = None
    while True:
        try:
            step = flow.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result
        reply = None
        match step:
            case Send(request):
                reply = await send(request)
            case Renew(mark, expired):
                renewal = manners.renewal
                reply = await renewal.renew_async(mark, expired=expired) if renewal else Renewed.NOT
            case Full():
                await _aside(manners.allowance, manners.allowance.tell_full)
            case Wait(seconds):
                manners.meter.wait(manners.clock.now(), seconds)
                await sleep(seconds)
            case Admit():
                turn = Turn()
                while seconds := await _aside(manners.allowance, manners.allowance.ask, turn):
                    manners.meter.wait(manners.clock.now(), seconds)
                    await sleep(seconds)


async def wait_async(seconds: float, manners: Manners) -> None:
    """Wait between two flows, counted as the drivers count it."""
    manners.meter.wait(manners.clock.now(), seconds)
    await manners.clock.sleep_async(seconds)
