"""Reading operators' parameters: templates render to text, and forms send what people type."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.numbers import as_whole
from airflow_bitrix.core.quiet_hours import QuietHours


def switch(argument: str, value: object) -> bool:
    """Read a switch.

    :raises InvalidInput: It is neither true nor false.
    """
    if isinstance(value, bool):
        return value
    if value in ("True", "False"):  # a rendered template, without native objects
        return value == "True"
    raise InvalidInput(argument, value, gettext("True or False"))


LEFT_OPEN = gettext_noop(", or None for no limit")
"""What is accepted beside a number, where a limit may be left open."""


def count(argument: str, value: object, or_else: str = "") -> int:
    """Read a count.

    :param or_else: What is accepted besides, in words.
    :raises InvalidInput: It is no whole number, 0 or above.
    """
    number = as_whole(value)
    if number is None or number < 0:
        raise InvalidInput(
            argument, value, gettext("a whole number, 0 or above{or_else}", or_else=gettext(or_else))
        )
    return number


def optional_count(argument: str, value: object) -> int | None:
    """Read a count that may be left open.

    :raises InvalidInput: It is neither ``None`` nor a whole number, 0 or above.
    """
    return None if is_open(value) else count(argument, value, LEFT_OPEN)


def share(argument: str, value: object, or_else: str = "") -> float:
    """Read a share: a number from 0 to below 1, or percent as text, ``20%``.

    1 as a number is refused: meant as percent, it would be no limit at all.

    :param or_else: What is accepted besides, in words.
    :raises InvalidInput: It is no share.
    """
    text = value.strip() if isinstance(value, str) else ""
    is_percent = text.endswith("%")
    number = _decimal(text.removesuffix("%")) if text else _decimal(value)
    if number is not None and is_percent:
        number /= 100
    if number is None or not 0 <= number <= 1 or (number == 1 and not is_percent):
        accepted = gettext(
            "a share as text such as '20%', from 0% to 100%, or a number from 0 to below 1{or_else}",
            or_else=gettext(or_else),
        )
        raise InvalidInput(argument, value, accepted)
    return number


_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


def _decimal(value: object) -> float | None:
    if isinstance(value, str):
        text = value.strip()  # of more signs than float() knows as blanks
        return float(text) if _DECIMAL.fullmatch(text) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def optional_share(argument: str, value: object) -> float | None:
    """Read a share that may be left open.

    :raises InvalidInput: It is neither ``None`` nor a share.
    """
    return None if is_open(value) else share(argument, value, LEFT_OPEN)


def time_zone(argument: str, value: object) -> ZoneInfo:
    """Read the name of a time zone.

    :raises InvalidInput: There is no such time zone.
    """
    try:
        return ZoneInfo(str(value))
    except (ValueError, OSError, LookupError, RecursionError):  # the last for a/b/c/d/…
        raise InvalidInput(
            argument, value, gettext("the name of a time zone, such as 'Europe/Berlin'")
        ) from None


def quiet_hours(value: object, zone: object) -> QuietHours | None:
    """Read quiet hours and their time zone, which has to be one even where there are none.

    :raises InvalidInput: They cannot be read, or there is no such time zone.
    """
    return QuietHours.parse(value, time_zone("timezone", zone))


def optional_day(argument: str, value: object) -> date | None:
    """Read a day that may be left open.

    :raises InvalidInput: It is neither ``None`` nor a day.
    """
    if is_open(value):
        return None
    day: date | None = value if isinstance(value, date) and not isinstance(value, datetime) else None
    with suppress(ValueError):
        day = day or date.fromisoformat(str(value))
    if day is None or not _FIRST_DAY <= day <= _LAST_DAY:
        raise InvalidInput(
            argument,
            value,
            gettext(
                "a day such as '2026-11-01', from {first_day} to {last_day}",
                first_day=_FIRST_DAY,
                last_day=_LAST_DAY,
            ),
        )
    return day


_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(2999, 12, 31)


def hours(
    argument: str,
    value: object,
    accepted: str = gettext_noop("a number of hours above 0, a timedelta, or None for no limit"),
) -> timedelta | None:
    """Read a number of hours, or a ``timedelta``, that may be left open.

    :raises InvalidInput: It is neither ``None`` nor above 0, ten years at most.
    """
    if is_open(value):
        return None
    found = _hours(value)
    if not found:
        raise InvalidInput(argument, value, gettext(accepted))
    return found


def wait(argument: str, value: object) -> timedelta:
    """Read how long something is waited for, in hours or as a ``timedelta``; 0 for not at all.

    :raises InvalidInput: It is nothing, below 0, or above ten years.
    """
    found = _hours(value)
    if found is None:
        raise InvalidInput(argument, value, gettext("a number of hours, 0 or above, or a timedelta"))
    return found


def _hours(value: object) -> timedelta | None:
    if isinstance(value, timedelta):
        return value if timedelta(0) <= value <= timedelta(hours=_MOST_HOURS) else None
    number = _decimal(value)
    return None if number is None or not 0 <= number <= _MOST_HOURS else timedelta(hours=number)


_MOST_HOURS = 24 * 366 * 10


def is_open(value: object) -> bool:
    """Whether a limit was left open: ``None``, as a template renders it too.

    An empty text is no such thing: a template that gives nothing shall not switch a limit off.
    """
    return value is None or value == "None"


def is_nothing(value: object) -> bool:
    """Whether a parameter was left open: a template renders nothing as ``None`` or as an empty text."""
    return value is None or value in ("", "None")


def text(argument: str, given: object) -> str:
    """Read a text, empty where nothing is given.

    A template with native objects makes another one of ``1.10`` or ``1_000``.

    :raises InvalidInput: It is no text.
    """
    if is_nothing(given):
        return ""
    if not isinstance(given, str):
        template = "\"{{ '%r' | format(params.name) }}\""
        accepted = gettext("a text; {template} keeps a text as it is in a template", template=template)
        raise InvalidInput(argument, given, accepted)
    return given
