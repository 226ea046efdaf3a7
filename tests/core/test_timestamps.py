"""Moments as people read them."""

from __future__ import annotations

import pytest

from airflow_bitrix.core.timestamps import shown_timestamp


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("2026-11-25T08:37:28+00:00", "2026-11-25 08:37 UTC"),
        ("2026-11-25T08:37:28Z", "2026-11-25 08:37 UTC"),
        ("2026-11-25T01:07:59.123456+03:00", "2026-11-24 22:07 UTC"),
        ("2026-11-25T08:37:28", "2026-11-25T08:37:28"),
        ("soon", "soon"),
        ("", ""),
    ],
)
def test_a_moment_is_shown_in_utc_to_the_minute(moment: str, shown: str) -> None:
    assert shown_timestamp(moment) == shown


@pytest.mark.attack
@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("2026-11-25\n08:37:28", "2026-11-25\\n08:37:28"),
        ("2026-11-25\u202e08:37:28", "2026-11-25\\u202e08:37:28"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
        ("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59-14:00"),
    ],
)
def test_a_moment_forges_no_line_and_ends_no_work(moment: str, shown: str) -> None:
    """Any sign may stand between date and time, and in another time zone there may be no such year."""
    assert shown_timestamp(moment) == shown
