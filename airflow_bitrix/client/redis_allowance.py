"""One allowance for all hosts, kept in Redis, by its clock.

What is kept is one text for each portal. A client reads it, decides by the arithmetic of all allowances
(:mod:`~airflow_bitrix.client.pacing`), and writes what comes of it if nobody wrote meanwhile: so each
decision is made in one place, and Redis only compares. Whoever waits stands in a queue, in the order of
asking; who does not come back, as a process that was killed, leaves it after a few seconds.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_bitrix.client.allowance import Allowance, Turn, level_of, numbers_of
from airflow_bitrix.client.pacing import Account, Bucket, Budget, Budgets, Level, OperatingTime
from airflow_bitrix.core.languages import gettext

log = logging.getLogger(__name__)

Scripts = Callable[[str, Sequence[str], Sequence[str | float]], Any]
"""Runs a Lua script in Redis with keys and arguments; raises ``OSError`` where Redis is away."""

GONE = 5.0
"""Seconds after which somebody who did not ask again has left the queue."""

_PATIENT = 0.6
"""The part of these after which whoever waits asks again at the latest."""

_SOON = 0.01
"""Seconds after which to ask again where somebody else is just being let through."""

_LATE = 0.25
"""The part of the silence of whoever is first after which those behind look again though there is room: the
longer he does not come, the more likely he is dead, and until he has left the queue nobody gets by."""

_KEPT = 86_400
"""Seconds for which Redis keeps what nobody asks for."""

_LOOK = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local place, silent = 0, '0'
if ARGV[1] ~= '' then
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now)) do
    redis.call('ZREM', KEYS[3], gone)
    redis.call('ZREM', KEYS[4], gone)
  end
  if not redis.call('ZSCORE', KEYS[3], ARGV[1]) then
    redis.call('ZADD', KEYS[3], redis.call('INCR', KEYS[5]), ARGV[1])
  end
  redis.call('ZADD', KEYS[4], now + ARGV[2], ARGV[1])
  for number = 3, 5 do redis.call('EXPIRE', KEYS[number], ARGV[3]) end
  place = redis.call('ZRANK', KEYS[3], ARGV[1])
  local first = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
  silent = tostring(now + ARGV[2] - (redis.call('ZSCORE', KEYS[4], first) or now))
end
local level, budgets = redis.call('GET', KEYS[1]) or '', redis.call('GET', KEYS[2]) or ''
return {time[1], time[2], place, silent, level, budgets}
"""

_WRITE = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] or (redis.call('GET', KEYS[2]) or '') ~= ARGV[3] then
  return 0
end
for number = 1, 2 do
  if ARGV[number + 3] ~= '' then redis.call('SET', KEYS[number], ARGV[number + 3], 'EX', ARGV[6]) end
end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
return 1
"""

_TRIES = 20
"""How often a refusal is written down anew where others wrote meanwhile."""


class RedisAllowance:
    """An allowance for all hosts that reach one Redis.

    :param bucket: The portal's bucket.
    :param run: Runs a script in Redis.
    :param portal: A name for the portal.
    :param credential: A name for whom the portal books operating time on, which tells no secret.
    :param operating: What the caller knows of operating time: it hears what others know, and they it.
    :param gone: Seconds after which somebody who did not ask again has left the queue.
    """

    remote = True

    def __init__(
        self,
        bucket: Bucket,
        run: Scripts,
        portal: str,
        credential: str,
        operating: OperatingTime,
        *,
        gone: float = GONE,
    ) -> None:
        self._gone = gone
        self._bucket, self._run, self._operating = bucket, run, operating
        # In braces stands what tells a cluster of Redis that the keys belong together.
        start = f"airflow-bitrix:{{{portal}}}"
        self._keys = (
            f"{start}:level",
            f"{start}:operating:{credential}",
            f"{start}:queue",
            f"{start}:awaited",
            f"{start}:tickets",
        )

    def ask(self, turn: Turn | None = None) -> float:
        """Count one request for everybody, or give the seconds to wait.

        :raises OSError: Redis is away.
        """
        turn = turn or Turn()
        now, place, silent, kept, level = self._look(turn.name)
        if place == 0:
            level, wait = self._bucket.admit(level, now)
            if wait == 0:
                return 0.0 if self._write(turn.name, kept, level) else _SOON
        else:
            wait = self._bucket.after(level, now, place)
            if wait < _SOON:
                wait = max(_LATE * silent, _SOON)
        return min(wait, _PATIENT * self._gone)

    def tell_full(self) -> None:
        """Take the bucket as full for everybody.

        :raises OSError: Redis is away.
        """
        for _ in range(_TRIES):
            now, _, _, kept, level = self._look("")
            if self._write("", kept, self._bucket.full(level, now)):
                return

    def _look(self, name: str) -> tuple[float, int, float, tuple[str, str], Level]:
        found = self._run(_LOOK, self._keys, (name, self._gone, _KEPT))
        seconds, micros, place, silent, level, budgets = found
        now = int(seconds) + int(micros) / 1e6
        self._operating.budgets = self._operating.budgets.joined(budgets_of(budgets), now)
        return now, int(place), float(silent), (level, budgets), self._bucket.credible(read_level(level), now)

    def _write(self, name: str, kept: tuple[str, str], level: Level) -> bool:
        budgets = text_of_budgets(self._operating.budgets)
        news = "" if budgets == kept[1] else budgets
        return bool(self._run(_WRITE, self._keys, (name, *kept, text_of_level(level), news, _KEPT)))


def text_of_level(level: Level) -> str:
    """Write a level down."""
    return json.dumps(numbers_of(level))


def read_level(text: str) -> Level:
    """Read a level; what is none tells nothing."""
    try:
        return level_of([float(number) for number in json.loads(text)])
    except (ValueError, TypeError):
        return Level()


def text_of_budgets(budgets: Budgets) -> str:
    """Write down what is known of accounts."""
    rows = [
        [account.method, account.batched, one.used, one.reset_at, one.refused_until]
        for account, one in budgets.accounts.items()
    ]
    return json.dumps(sorted(rows)) if rows else ""


def budgets_of(text: str) -> Budgets:
    """Read what is known of accounts; what makes no sense tells nothing."""
    try:
        rows: list[list[Any]] = json.loads(text)
        read: Mapping[Account, Budget] = {
            Account(str(method), bool(batched)): Budget(float(used), float(reset_at), float(until))
            for method, batched, used, reset_at, until in rows
        }
    except (ValueError, TypeError):
        return Budgets()
    return Budgets(read)


_AWAY = 5.0
"""Seconds for which Redis is not asked again after it did not answer."""

_SAID = 60.0
"""Seconds between two warnings about it."""


class WithFallback:
    """An allowance in Redis, and that of this host while Redis is away.

    :param remote: The allowance for all hosts.
    :param host: The allowance of this host.
    """

    remote = True

    def __init__(
        self, remote: Allowance, host: Allowance, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._remote, self._host, self._clock = remote, host, clock
        self._away_until = self._said_at = float("-inf")

    def ask(self, turn: Turn | None = None) -> float:
        """Count one request, or give the seconds to wait."""
        if self._clock() >= self._away_until:
            try:
                wait = self._remote.ask(turn)
            except OSError as error:
                self._note(error)
            else:
                self._note(None)
                return wait
        return self._host.ask(turn)

    def tell_full(self) -> None:
        """Take the bucket as full from now on."""
        if self._clock() >= self._away_until:
            try:
                return self._remote.tell_full()
            except OSError as error:
                self._note(error)
        return self._host.tell_full()

    def _note(self, error: OSError | None) -> None:
        now = self._clock()
        if error is None:
            if self._away_until > float("-inf"):
                log.info("%s", gettext("Redis answers again: all hosts share one request allowance."))
                self._away_until = float("-inf")
            return
        self._away_until = now + _AWAY
        if now >= self._said_at + _SAID:
            self._said_at = now
            log.warning(
                "%s",
                gettext(
                    "Redis does not answer ({error}): the request allowance is that of this host alone "
                    "until it does.",
                    error=error,
                ),
            )
