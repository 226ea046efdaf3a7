"""Quiet hours: a time of day in which nothing is written to the portal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext

_SPAN = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*[-\u2013]\s*([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A time of every day, from one hour to another, over midnight too.

    :param begin: When it begins.
    :param end: When it ends; the moment itself is no longer quiet.
    :param zone: The time zone that both are meant in.
    """

    begin: time
    end: time
    zone: tzinfo

    @classmethod
    def parse(cls, text: object, zone: tzinfo) -> QuietHours | None:
        """Read ``08:00-18:00``; an empty text means none.

        :raises InvalidInput: It cannot be read, is empty or the whole day.
        """
        if text is None or text == "":
            return None
        span = _SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
        hour, minute, end_hour, end_minute = map(int, span.groups()) if span else (0, 0, 0, 0)
        begin, end = time(hour, minute), time(end_hour, end_minute)
        if begin == end:
            raise InvalidInput(
                "quiet_hours", text, gettext("two different times of day, such as '08:00-18:00'")
            )
        return cls(begin, end, zone)

    def ends_at(self, now: datetime) -> datetime | None:
        """Give the moment at which they end, ``None`` where it is not quiet now.

        :param now: A moment with its time zone.
        """
        here = now.astimezone(self.zone)
        at = here.time().replace(fold=0)
        over_midnight = self.begin > self.end
        is_quiet = (at >= self.begin or at < self.end) if over_midnight else self.begin <= at < self.end
        if not is_quiet:
            return None
        day = here.date() + timedelta(days=over_midnight and at >= self.begin)
        end = datetime.combine(day, self.end, self.zone)
        # In the hour that comes twice the first end may be over. Moments of one zone compare by the clock.
        return end if end.timestamp() > now.timestamp() else end.replace(fold=1)

    def __str__(self) -> str:
        """Give the form that logs use: ``08:00-18:00 Europe/Berlin``."""
        return f"{self.begin:%H:%M}-{self.end:%H:%M} {self.zone}"
