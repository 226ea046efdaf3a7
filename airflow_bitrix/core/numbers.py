"""Whole numbers as people, templates and JSON write them."""

from __future__ import annotations

_MOST_DIGITS = 18
_BEYOND = 10**_MOST_DIGITS

LARGEST = 2**31 - 1
"""The largest number that an id or a sort of the portal can be: its columns hold 32 bits."""


def whole_number(text: str) -> int | None:
    """Read a whole number, 0 or above, as templates render it; ``None`` for anything else."""
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS else None


def as_number(value: object) -> int | None:
    """Give a whole number that comes as one, or as its digits.

    ``None`` for anything else, and for one of more than 18 digits: nothing has so many, and where such a
    number is divided or shown, Python fails.
    """
    if type(value) is int:
        return value if -_BEYOND < value < _BEYOND else None
    return whole_number(value) if isinstance(value, str) else None


def as_whole(value: object) -> int | None:
    """Give the whole number that a form, a template or JSON means by ``90``, ``90.0`` or ``"90"``.

    ``None`` for anything else. To JSON ``90`` and ``90.0`` are one number, and a form takes both for whole.
    """
    if isinstance(value, str):
        return whole_number(value.strip().removesuffix(".0"))
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def told_id(value: object) -> int | None:
    """Give an id as the portal tells it: a number or its digits; 0 where it tells that there is none.

    ``None`` for anything else.
    """
    if type(value) is int:
        return value if 0 <= value < _BEYOND else None
    if value is None or value is False or value == "":
        return 0
    return whole_number(value) if isinstance(value, str) else None
