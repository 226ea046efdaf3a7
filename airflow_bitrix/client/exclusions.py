"""Whether a row says of itself that a filter excludes it.

The portal compares as its database does: without case and accents, dates in the user's time zone, text with
numbers. So only what no such rule could make equal counts, and whatever is not certain passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_bitrix.client.filters import bare_field, has_logic

_UNSURE = timedelta(hours=48)
"""Time zones lie 26 hours apart, and a date without a time may be either end of its day."""

_MANY = (list, tuple)
_OF_SEVERAL = ("companyid", "contactid")
"""Fields by which a list may find records that belong to several, while a row shows the first."""


@dataclass(frozen=True, slots=True)
class _Condition:
    key: str
    field: str
    holds: Callable[[Any], bool]


class Conditions:
    """The conditions of a filter that a row may be asked about: those at its top.

    :param wanted: A filter. Nothing is known of one whose conditions are joined by an OR.
    """

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        self._conditions = [] if has_logic(wanted) else list(filter(None, map(_condition, wanted.items())))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._conditions)

    @property
    def fields(self) -> list[str]:
        """The fields that they speak of."""
        return list(dict.fromkeys(one.field for one in self._conditions))

    def broken_by(self, row: Mapping[str, Any]) -> str | None:
        """Give a condition that a row certainly breaks, as the filter has it, or ``None``."""
        for one in self._conditions:
            if one.field in row and not one.holds(row[one.field]):
                return one.key
        return None


def _condition(pair: tuple[str, Any]) -> _Condition | None:
    key, value = pair
    field = bare_field(key)
    sign = key.removesuffix(field)
    values = value if isinstance(value, _MANY) else (value,)
    plain = values and not any(isinstance(one, (*_MANY, Mapping)) for one in values)
    if not plain or field.replace("_", "").lower() in _OF_SEVERAL:
        return None
    if sign in ("", "=", "@"):
        numbers, texts = frozenset(map(_whole, values)), {one for one in values if isinstance(one, str)}

        def holds(held: Any) -> bool:
            if isinstance(held, str) and held in texts:
                return True
            whole = held if type(held) is int else _whole(held)
            if whole is not None and None not in numbers:
                return whole in numbers
            return any(_may_equal(held, one) for one in values)

        return _Condition(key, field, holds)
    if sign in ("!", "!=", "!@"):
        return _Condition(key, field, lambda held: not any(_is_same(held, one) for one in values))
    if sign in _SIGNS and len(values) == 1:
        return _Condition(key, field, lambda held: _is_above(held, values[0], _SIGNS[sign]))
    return None


def _may_equal(held: Any, wanted: Any) -> bool:
    if isinstance(held, _MANY):
        return not _whole(wanted) or not _are_whole(held) or _whole(wanted) in map(_whole, held)
    if _number(held) is not None and _number(wanted) is not None:
        return _number(held) == _number(wanted)
    if _moment(held) and _moment(wanted):
        return abs(_apart(held, wanted)) <= _UNSURE
    if _is_word(held) and _is_word(wanted):
        return str(held).casefold() == str(wanted).casefold()
    return True


def _is_same(held: Any, wanted: Any) -> bool:
    """Whether a row certainly holds what it must not hold."""
    if isinstance(held, str) and isinstance(wanted, str):
        return held == wanted != ""
    return _whole(held) not in (None, 0) and _whole(held) == _whole(wanted)


def _is_word(value: object) -> bool:
    """Whether a value is text of one meaning: no number, no accents, no placeholders."""
    return (
        isinstance(value, str)
        and value.isascii()
        and value.replace("_", "").replace(":", "").isalnum()
        and _number(value) is None
        and value.casefold() not in _TRUTHS
    )


_TRUTHS = ("true", "false", "on", "off", "yes", "no")


def _whole(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _are_whole(values: Sequence[Any]) -> bool:
    return all(_whole(one) is not None for one in values)


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and not (value.isascii() and value.lstrip("-").replace(".", "", 1).isdigit()):
        return None
    try:
        return float(value) if isinstance(value, (int, float, str)) else None
    except (ValueError, OverflowError):
        return None


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str) or "-" not in value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _apart(held: str, wanted: str) -> timedelta:
    one, other = _moment(held), _moment(wanted)
    return one - other if one and other else timedelta()


def _is_above(held: Any, wanted: Any, sign: int) -> bool:
    """Whether a row may hold what lies above (``sign`` 1) or below (-1) a bound, or is the bound itself.

    Digits that come as text may be text in the database, which has an order of its own.
    """
    place, bound = None if isinstance(held, str) else _number(held), _number(wanted)
    if place is not None and bound is not None:
        return (place - bound) * sign >= -_NEARLY
    if _moment(held) and _moment(wanted):
        return _apart(held, wanted) * sign >= -_UNSURE
    return True


_NEARLY = 0.01
_SIGNS: Mapping[str, int] = {">": 1, ">=": 1, "<": -1, "<=": -1}
