"""Words that several sentences have: numbers with what they count, and what templates make of lists."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_bitrix.core.languages import gettext, ngettext


def counted(number: int, noun: str) -> str:
    """Give a number and what it counts: ``1 lead``, ``2,500 leads``.

    :param noun: One of them; its plural ends in ``s``.
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


def listed(told: Sequence[str]) -> str:
    """Give one or more things in a row: ``500 leads, 300 deals and 20 quotes``."""
    *first, last = told
    return gettext("{first} and {last}", first=", ".join(first), last=last) if first else last


_A_MINUTE, _MINUTES = 60, 120
"""Seconds, and minutes, that are told as such."""


def lasting(seconds: float) -> str:
    """Say about how long something takes: ``less than a minute``, ``13 minutes``, ``3 hours``."""
    minutes = round(seconds / 60)
    if seconds < _A_MINUTE:
        return gettext("less than a minute")
    if minutes <= _MINUTES:
        return ngettext("{count} minute", "{count} minutes", minutes)
    return ngettext("{count} hour", "{count} hours", round(minutes / 60))


def as_rendered(value: object) -> str:
    """Say how a template gives a list or a map, where a text came in its place; else nothing.

    ``params.items`` is a method of the map that the params are, and no parameter.
    """
    if isinstance(value, str) and "<built-in method items" in value:
        return gettext(" (in a template, params.items is no parameter: say params['items'])")
    is_one = isinstance(value, str) and value.strip()
    return gettext(" (in a template, set render_template_as_native_obj=True on the DAG)") if is_one else ""
