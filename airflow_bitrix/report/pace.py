"""How fast a plan was applied, and while it is, how long that still takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_bitrix.core.languages import gettext, number
from airflow_bitrix.core.wording import lasting
from airflow_bitrix.files.apply_times import LATELY
from airflow_bitrix.report.summary import Summary

BARS = 60
"""Pieces of time that are shown."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast it goes, or went.

    :param text: That in words.
    :param bars: Changes a second in each piece of the time, as shares of the most.
    :param most: The most changes a second, as people read it.
    """

    text: str
    bars: Sequence[float]
    most: str


def pace_of(summary: Summary, *, live: bool = False, now: float | None = None) -> Pace | None:
    """Say how fast a plan was applied; ``None`` while that is not known.

    :param live: Whether the run is under way.
    :param now: Unix time; by default as it is.
    """
    times = summary.times
    rate, bars = times.rate, times.bars(BARS)
    if summary.dry_run or rate is None or not bars:
        return None
    lately = times.rate_lately
    is_on = live and not summary.complete
    if is_on and (lately is None or (time.time() if now is None else now) - times.last > LATELY):
        return None  # it rests, or has only just begun: nobody can tell how long it will take
    if is_on and lately:
        text = gettext(
            "{changes} changes a second; {time} left",
            changes=number(_rounded(lately)),
            time=lasting(summary.open / lately),
        )
    else:
        text = gettext(
            "{changes} changes and {requests} requests a second on average, for {time}",
            changes=number(_rounded(rate)),
            requests=number(_rounded(summary.effort.requests / times.busy)),
            time=lasting(times.busy),
        )
    most = max(bars)
    return Pace(text, [one / most for one in bars], number(_rounded(most)))


def _rounded(rate: float) -> float:
    return round(rate) if rate >= 10 else round(rate, 1)  # noqa: PLR2004 (two digits are enough)
