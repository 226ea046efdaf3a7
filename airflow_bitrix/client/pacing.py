"""How fast a portal may be asked. Values in, values out: no clock, no sleeping, no state of its own.

Follows https://apidocs.bitrix24.com/limits.html. The portal counts requests in a leaky bucket per portal and
source address: it drains at a steady rate and refuses what would overflow it. One number models that bucket:
the time at which it will have run empty (the generic cell rate algorithm); beside it is kept what the portal
said of others who fill it too (:mod:`~airflow_bitrix.client.sharing`).

It also adds up how long each method worked in the last ten minutes, its operating time, and refuses a method
that worked too long. Every answer tells how much that is and when the oldest minute of it will be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from airflow_bitrix.client.sharing import NOBODY_ELSE, Share

_ROUNDING = 1e-6
"""Requests by which the arithmetic of clocks may be off."""

SPARES = (0, 2, 4, 8, 16)
"""Requests by which the bucket is let run down below its brim after a refusal, and after each further one."""

CALM = 20.0
"""Seconds of asking without a refusal after which the next one is taken for the first again."""

LONGEST = 60.0
"""Seconds in which the bucket of any plan runs empty. Callers with different plans may share one bucket, and
what the one wrote down, the other must not take for damage."""

_CAREFUL = 35
"""Requests that are sent one after the other into a bucket of which nothing has been heard for a while: so
many that two hosts which begin together are still at it when the bucket is full."""

_BRIM = 2.5
"""Requests for which there should have been room: who is refused with less is wrong about the brim, and need
not suspect others."""


@dataclass(frozen=True, slots=True)
class Level:
    """What is known of how full a bucket is. All times are seconds of the caller's clock.

    :param empty_at: When it will have run empty.
    :param opened_at: When the first request went into it after it had last run empty.
    :param quiet_until: Until when a refusal says nothing new: the request was under way when the portal last
        called the bucket full.
    :param refusals: How often it has done so without a calm between, though no others are known to fill it.
    :param share: What others leave of it.
    """

    empty_at: float = 0.0
    opened_at: float = -inf
    quiet_until: float = -inf
    refusals: int = 0
    share: Share = NOBODY_ELSE


@dataclass(frozen=True, slots=True)
class Bucket:
    """A portal's leaky bucket.

    :param rate: Requests a second that drain from it.
    :param burst: Requests that it holds.
    :param gap: Seconds between the first requests into an empty bucket. Somebody unknown may have filled it,
        and what is under way when the first refusal comes is refused too; some portals count that.
    """

    rate: float
    burst: float
    gap: float = 0.0

    def admit(self, level: Level, now: float) -> tuple[Level, float]:
        """Ask for one request.

        :param now: The caller's clock.
        :return: The new level and 0 where the request may be sent at once; else the level as it was and the
            seconds to wait before asking again.
        """
        is_open = level.empty_at > now
        opened_at = level.opened_at if is_open else now
        wait = max(level.empty_at - now, 0.0) + (1 - self.burst) / self.rate
        sent = max(level.empty_at - opened_at, 0.0) * self.rate
        if sent < _CAREFUL - _ROUNDING:
            # Longer gaps than that would let it run empty, and all that follow would be first ones.
            wait = max(wait, opened_at + sent * min(self.gap, 0.5 / self.rate) - now)
        wait = max(wait, level.share.due_at - now)
        if wait > _ROUNDING / self.rate:
            return level, wait
        share = level.share if is_open else level.share.opened(now)
        empty_at = max(level.empty_at, now) + 1 / self.rate
        return replace(level, empty_at=empty_at, opened_at=opened_at, share=share.taken(now, self.rate)), 0.0

    def after(self, level: Level, now: float, others: int) -> float:
        """Give the seconds to wait where so many others are let through first."""
        at = now
        for _ in range(others):
            level, wait = self.admit(level, at)
            if wait:
                at += wait
                level, _ = self.admit(level, at)
        return at + self.admit(level, at)[1] - now

    def full(self, level: Level, now: float) -> Level:
        """Give the level of a bucket that the portal has just called full.

        Where there should have been room, others have filled it, and the caller goes on with the share that
        they leave. Where there was hardly room, he may be at a portal that counts what it refuses, or his
        requests arrive closer together than they left: the bucket is taken as fuller than full, each time by
        more.
        """
        if now < level.quiet_until:
            return level
        room = self.burst - max(level.empty_at - now, 0.0) * self.rate
        again = level.share.known and room < _BRIM
        calm = now >= level.quiet_until + CALM
        refusals = min(level.refusals + 1, len(SPARES)) if again and not calm else 1
        spare = SPARES[refusals - 1]
        empty_at = max(level.empty_at, now + (self.burst + spare) / self.rate)
        if again:
            quiet_until = now + (1 + spare - _ROUNDING) / self.rate
            return replace(level, empty_at=empty_at, quiet_until=quiet_until, refusals=refusals)
        share = level.share.refused(now, rate=self.rate, burst=self.burst, opened_at=level.opened_at)
        quiet_until = share.due_at - _ROUNDING / self.rate
        return Level(empty_at, level.opened_at, quiet_until, refusals, share)

    def credible(self, level: Level, now: float) -> Level:
        """Give a level that can be true: one that was kept may be damaged, or older than the host's clock."""
        empty_at = level.empty_at if level.empty_at == level.empty_at else 0.0
        longest = max((self.burst + SPARES[-1]) / self.rate, LONGEST)
        return Level(
            min(empty_at, now + longest),
            level.opened_at if level.opened_at <= now else -inf,
            level.quiet_until if level.quiet_until <= now + longest else -inf,
            level.refusals if 0 <= level.refusals <= len(SPARES) else 0,
            level.share if level.share.credible(now, longest) else NOBODY_ELSE,
        )


# One request less than the portal holds: requests do not take equally long to arrive, so two that left with
# the right distance may arrive closer together.
PLANS: Mapping[str, Bucket | None] = {
    "standard": Bucket(rate=2, burst=49, gap=0.05),
    "enterprise": Bucket(rate=5, burst=249, gap=0.05),
    "self_hosted": None,
}
"""The bucket of each Bitrix24 plan; a self-hosted portal has none."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a call is repeated.

    :param times: Repeats after the first try.
    :param first: Seconds before the first repeat; doubled for each further one.
    :param longest: Seconds that no single wait exceeds.
    :param full: Seconds of such waits after which a call is given up that the portal refuses each time for a
        full bucket; such refusals are none of ``times``, unless that is 0.
    """

    times: int = 6
    first: float = 0.5
    longest: float = 30.0
    full: float = 600.0

    def delay(self, repeat: int, luck: float) -> float:
        """Give the seconds to wait before repeat number ``repeat``, counted from 1.

        :param luck: A random number from 0 to 1, which spreads the repeats of many callers.
        """
        widest: float = min(self.longest, self.first * 2 ** (repeat - 1))
        return widest * (0.5 + luck / 2)


SLOW_BATCH = 30.0
"""Seconds; the cloud cuts a request off after 60, and with it whatever was not carried out by then."""


def batch_size(size: int, seconds: float, *, most: int) -> int:
    """Give the number of commands for the next batch.

    :param size: Commands that a batch held so far.
    :param seconds: How long the last one took.
    :param most: Commands that a batch may hold.
    :return: Half as many after a slow batch, a tenth of ``most`` more after a quick one.
    """
    if seconds > SLOW_BATCH:
        return max(size // 2, 1)
    return min(size + max(most // 10, 1), most)


OPERATING_LIMIT = 420.0
"""Seconds of operating time at which a method is let rest: 480 are documented, 420 stand in the source."""

LONGEST_REST = 600.0
"""Seconds for which the portal keeps count of operating time: nothing that it bills rests for longer."""

UNTOLD_REST = 60.0
"""Seconds to wait where the portal refuses a method and has not told until when: it counts by the minute."""

_NEVER = 1e18
"""Seconds. No time is so far away, and no method worked so long: who says so tells nothing."""

_CLOCKS = 1.0
"""Seconds by which the portal's clock and ours may be apart."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How far a method's operating time is used, and how long its rest is waited for.

    :param operating_limit: Seconds of operating time at which a method is let rest. The portal refuses the
        next call of a method that is above its own limit.
    :param max_wait: Seconds that a caller waits for the end of a rest; a longer one is an error that tells
        until when.
    """

    operating_limit: float = OPERATING_LIMIT
    max_wait: float = 30.0


@dataclass(frozen=True, slots=True)
class Rest:
    """A time in which a method is not called.

    :param until: When it ends, unix time.
    :param seconds: How long that is from now.
    """

    until: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Account:
    """What the portal books operating time on.

    Portals differ in whether calls in batches and calls of their own are booked together, so each is
    believed for itself only. The account of ``batch`` is that of the batches themselves.

    :param method: The REST method, in small letters.
    :param batched: Whether it is called as a command of a batch.
    """

    method: str
    batched: bool = False


@dataclass(frozen=True, slots=True)
class Budget:
    """What is known of one account.

    :param used: Seconds of operating time on it.
    :param reset_at: When the oldest of them leave it, unix time.
    :param refused_until: Until when it rests because the portal refused a call, unix time.
    """

    used: float = 0.0
    reset_at: float = 0.0
    refused_until: float = 0.0

    def ends(self, limit: float) -> float:
        """Give the unix time at which the account's rest ends or ended, 0 where it had none."""
        return max(self.refused_until, self.reset_at if self.used >= limit else 0.0)


_UNKNOWN = Budget()


@dataclass(frozen=True, slots=True)
class Budgets:
    """What is known of all accounts: an account that nothing is known of may be used."""

    accounts: Mapping[Account, Budget] = field(default_factory=dict)

    def told(self, times: Iterable[tuple[Account, Mapping[str, Any]]], now: float) -> Budgets:
        """Take what answers told.

        :param times: Accounts, and the ``time`` of an answer about each. Fields that are missing or make no
            sense tell nothing.
        :param now: Unix time.
        """
        accounts: dict[Account, Budget] = {}
        for account, time in times:
            used, reset_at = _number(time.get("operating")), _number(time.get("operating_reset_at"))
            if used is None or reset_at is None:
                continue
            known = accounts.get(account) or self.accounts.get(account, _UNKNOWN)
            reset_at = min(reset_at, now + LONGEST_REST)
            if reset_at < known.reset_at or (reset_at == known.reset_at and used <= known.used):
                continue  # nothing new, or an answer that was overtaken by a later one
            accounts[account] = Budget(used, reset_at, known.refused_until)
        return Budgets({**self.accounts, **accounts}) if accounts else self

    def refused(self, account: Account, now: float, *, told: object = None, guess: bool = False) -> Budgets:
        """Note that the portal refused a call for its operating time.

        :param now: Unix time.
        :param told: What the refusal itself tells of the reset, unix time; believed before earlier answers.
        :param guess: Whether to let the account rest also where the portal has not told until when.
        """
        known = self.accounts.get(account, _UNKNOWN)
        resets = (min(_number(told) or 0.0, now + LONGEST_REST), known.reset_at)
        ahead = next((reset for reset in resets if reset + _CLOCKS > now), None)
        until = ahead or (now + UNTOLD_REST if guess else 0.0)
        if until <= known.refused_until:
            return self
        return Budgets({**self.accounts, account: replace(known, refused_until=until)})

    def joined(self, others: Budgets, now: float) -> Budgets:
        """Give what is known here and there: of each account what was told last.

        :param others: What others know, whose clocks may be wrong.
        :param now: Unix time.
        """
        accounts = dict(self.accounts)
        for account, told in others.accounts.items():
            here = accounts.get(account, _UNKNOWN)
            resets = (
                min(_number(at) or 0.0, now + LONGEST_REST) for at in (told.reset_at, told.refused_until)
            )
            there = Budget(_number(told.used) or 0.0, *resets)
            last = max(here, there, key=lambda one: (one.reset_at, one.used))
            accounts[account] = replace(last, refused_until=max(here.refused_until, there.refused_until))
        return Budgets(accounts)

    def rest(self, accounts: Iterable[Account], now: float, limit: float) -> Rest | None:
        """Give the rest after which all of these accounts may be used, ``None`` where they may be now.

        :param now: Unix time.
        :param limit: Seconds of operating time at which an account is let rest.
        """
        ends = max((self.accounts.get(account, _UNKNOWN).ends(limit) for account in accounts), default=0.0)
        until = min(ends, now + LONGEST_REST) + _CLOCKS  # further off only after the clock was set back
        return Rest(until, until - now) if ends and until > now else None


@dataclass(slots=True)
class OperatingTime:
    """What the portal has told so far of the operating time of its methods."""

    budgets: Budgets = field(default_factory=Budgets)


def _number(value: object) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _NEVER:
        return float(value)
    return None
