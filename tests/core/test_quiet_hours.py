"""Quiet hours: when they end, over midnight and over a change of the clocks too."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.quiet_hours import QuietHours

BERLIN = "Europe/Berlin"
UTC = ZoneInfo("UTC")


def ends(text: str, now: str, zone: str = "UTC") -> str | None:
    hours = QuietHours.parse(text, ZoneInfo(zone))
    assert hours is not None
    found = hours.ends_at(datetime.fromisoformat(now))
    return None if found is None else found.isoformat()


@pytest.mark.parametrize(
    ("text", "now", "end"),
    [
        ("08:00-18:00", "2026-11-21T07:59:59+00:00", None),
        ("08:00-18:00", "2026-11-21T08:00:00+00:00", "2026-11-21T18:00:00+00:00"),
        ("8:00 \u2013 18:00", "2026-11-21T17:59:59+00:00", "2026-11-21T18:00:00+00:00"),
        ("08:00-18:00", "2026-11-21T18:00:00+00:00", None),
        ("22:00-06:30", "2026-11-21T23:00:00+00:00", "2026-11-22T06:30:00+00:00"),
        ("22:00-06:30", "2026-11-21T02:00:00+00:00", "2026-11-21T06:30:00+00:00"),
        ("22:00-06:30", "2026-11-21T06:30:00+00:00", None),
        ("22:00-00:00", "2026-11-21T23:59:00+00:00", "2026-11-22T00:00:00+00:00"),
    ],
)
def test_quiet_hours_end_at_the_next_end(text: str, now: str, end: str | None) -> None:
    assert ends(text, now) == end


def test_quiet_hours_are_those_of_their_time_zone() -> None:
    assert ends("08:00-18:00", "2026-07-01T06:00:00+00:00", BERLIN) == "2026-07-01T18:00:00+02:00"
    assert ends("08:00-18:00", "2026-01-05T06:30:00+00:00", BERLIN) is None
    # the night in which the clocks go forward
    assert ends("22:00-06:00", "2026-03-28T23:00:00+01:00", BERLIN) == "2026-03-29T06:00:00+02:00"


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-10-25T00:10:00+00:00", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T00:30:00+00:00", None),
        ("2026-10-25T01:10:00+00:00", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25T01:30:00+00:00", None),
    ],
)
def test_in_the_hour_that_comes_twice_they_end_later_than_now(now: str, end: str | None) -> None:
    assert ends("22:00-02:30", now, BERLIN) == end


@pytest.mark.drawn
@given(st.integers(0, 1439), st.integers(0, 1439), st.datetimes(timezones=st.just(UTC)))
def test_when_quiet_hours_end_it_is_no_longer_quiet(begin: int, end: int, now: datetime) -> None:
    text = "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in (begin, end))
    if begin == end:
        with pytest.raises(InvalidInput):
            QuietHours.parse(text, UTC)
        return
    hours = QuietHours.parse(text, UTC)
    assert hours is not None
    if now.year < 9999 and (found := hours.ends_at(now)):
        assert now < found <= now + timedelta(days=1)
        assert hours.ends_at(found) is None


@pytest.mark.parametrize("text", ["8-18", "25:00-26:00", "08:00", "08:00-08:00", "night", 5])
def test_what_is_no_span_of_a_day_is_refused(text: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^quiet_hours: .* accepted: two different times of day"):
        QuietHours.parse(text, UTC)


def test_an_empty_text_means_none() -> None:
    assert QuietHours.parse("", UTC) is None
