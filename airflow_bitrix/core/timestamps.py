"""Moments as people read them. Pure functions."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import moment as worded

_LONGEST = 40


def shown_timestamp(moment: str) -> str:
    """Give a moment as a person reads it: ``2026-11-25 08:37 UTC``; what is no moment stays, as plain text.

    :param moment: ISO 8601, with its offset.
    """
    try:
        when = datetime.fromisoformat(moment)
        told = moment if when.tzinfo is None else f"{worded(when.astimezone(UTC))} UTC"
    except (ValueError, OverflowError):  # in another time zone it may lie in no year that there is
        told = moment
    return as_plain_text(told, _LONGEST)  # any sign may stand between date and time
