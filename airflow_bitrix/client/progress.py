"""A line in the log every few seconds: how far the work is, how fast it goes, how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from airflow_bitrix.client.flow import Meter
from airflow_bitrix.core.languages import Plural, gettext, ngettext
from airflow_bitrix.core.wording import lasting


class Log(Protocol):
    """A logger, of the standard library or of Airflow."""

    def info(self, event: str, *args: Any) -> Any:
        """Log a line."""


LONGEST_PAUSE = 60.0
"""Seconds between two lines while nothing gets done."""

_SURE = 10.0
"""Seconds of work before a line tells how long it still takes: the first one tells nothing of the others."""

_FEW, _SURE_SHARE = 100, 0.01
"""So few tell nothing either, unless they are this share of all: what comes in lumps begins with few."""

_LONG_WAIT = 5.0
"""Seconds of waiting for the portal that a line tells of."""


class Progress:
    """Counts work done and logs it now and then, also while nothing gets done.

    Whoever opens a client with ``meter`` keeps it going: see :attr:`Meter.watch`.

    :param log: Where the lines go.
    :param what: What is counted: ``ngettext_noop("lead read", "leads read")``.
    :param meter: The client's counts.
    :param total: How much there is to do, ``None`` where that is not known.
    :param every: Seconds between two lines.
    :param now: Unix time, by which the meter counts waits.
    :param tell: Takes the same numbers, as often, for those who would rather look than read a log.
    """

    def __init__(
        self,
        log: Log,
        what: Plural,
        meter: Meter,
        *,
        total: int | None = None,
        every: float = 5.0,
        tell: Callable[[dict[str, Any]], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._what = what
        self._meter = meter
        self._total = total
        self._every = every
        self._tell = tell
        self._clock = clock
        self._now = now
        self._began = self._said = clock()
        self._about = False
        self._pause = every
        self.done = 0
        meter.watch = self.beat

    @property
    def seconds(self) -> float:
        """Seconds since the work began."""
        return self._clock() - self._began

    def add(self, done: int) -> None:
        """Count work done, and log a line when it is time for one."""
        self.done += done
        self._pause = self._every
        if self._clock() - self._said >= self._every:
            self.say()

    def expect(self, total: int) -> None:
        """Take an estimate of how much there is to do in all, as often as it gets better."""
        self._total, self._about = total, True

    def beat(self) -> None:
        """Log a line when it is time for one though nothing was done; less often the longer that lasts."""
        if self._clock() - self._said >= self._pause:
            self._pause = min(self._pause * 2, max(LONGEST_PAUSE, self._every))
            self.say()

    def say(self) -> None:
        """Log a line now, unless nothing was done or asked so far, and tell the numbers."""
        self._said = self._clock()
        if self.done or self._meter.requests or self._still_waits or self._waited >= 1:
            self._log.info("%s", self.line())
        if self._tell:
            self._tell(self.numbers())

    def numbers(self) -> dict[str, Any]:
        """Give the numbers of the line, plain enough for JSON."""
        return {
            "what": self._what[1],
            "done": self.done,
            "total": self._total,
            "per_second": round(self._rate, 1),
            "requests": self._meter.requests,
            "refused": self._meter.refused,
            "seconds_waited": round(self._waited, 1),
            "seconds_left": self._seconds_left,
        }

    @property
    def _rate(self) -> float:
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def _still_waits(self) -> float:
        return max(self._meter.waits_until - self._now(), 0.0)

    @property
    def _waited(self) -> float:
        return max(self._meter.waited - self._still_waits, 0.0)

    @property
    def _seconds_left(self) -> int | None:
        if self._total is None or not self._rate or self.done >= self._total or self.seconds < _SURE:
            return None
        if self.done < min(_FEW, self._total * _SURE_SHARE):
            return None
        return round((self._total - self.done) / self._rate)

    def line(self) -> str:
        """Give the line: done, total, rate, requests, waits and time left."""
        what = ngettext(*self._what, self.done if self._total is None else self._total)
        if self._total is None:
            text = gettext("{done} {what}", done=self.done, what=what)
        elif self._about and self._total != self.done:
            text = gettext("{done} of about {total} {what}", done=self.done, total=self._total, what=what)
        else:
            text = gettext("{done} of {total} {what}", done=self.done, total=self._total, what=what)
        if self.done:
            text += gettext(", {rate} a second", rate=round(self._rate))
        if self._meter.requests:
            text += ", " + ngettext("{count} request", "{count} requests", self._meter.requests)
        if self._waited >= 1:
            text += gettext(", {waited} s waited for the portal", waited=round(self._waited))
        if self._still_waits >= _LONG_WAIT:
            text += gettext(", {still_waits} s of waiting to come", still_waits=round(self._still_waits))
        if self._seconds_left is not None:
            text += gettext(", {time} left", time=lasting(self._seconds_left))
        return text
