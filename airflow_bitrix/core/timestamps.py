"""Moments as people read them. Pure functions."""

from __future__ import annotations

from datetime import UTC, datetime


def shown_timestamp(moment: str) -> str:
    """Give a moment as a person reads it: ``2026-11-25 08:37 UTC``; what is no moment stays as it is.

    :param moment: ISO 8601, with its offset.
    """
    try:
        when = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    return moment if when.tzinfo is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
