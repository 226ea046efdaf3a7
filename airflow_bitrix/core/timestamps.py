"""Moments as people read them. Pure functions."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow_bitrix.core.foreign_text import as_plain_text

_LONGEST = 40


def shown_timestamp(moment: str) -> str:
    """Give a moment as a person reads it: ``2026-11-25 08:37 UTC``; what is no moment stays, as plain text.

    :param moment: ISO 8601, with its offset.
    """
    try:
        when = datetime.fromisoformat(moment)
    except ValueError:
        return as_plain_text(moment, _LONGEST)
    return moment if when.tzinfo is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
