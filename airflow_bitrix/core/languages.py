"""Texts for people in their language: from catalogues of gettext, numbers and moments as the CLDR has them.

A text stands in the code in English, as a whole sentence, in one of the functions below; ``make catalogues``
gathers them into the catalogues under ``airflow_bitrix/locale``. What is shown speaks the language that
:func:`speaking` says for the work at hand; where nothing does, that of :func:`go_by`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from typing import Any

ENGLISH = "en"

LANGUAGES = (ENGLISH, "ru")
"""Those that there are: English stands in the code, each other one has a catalogue."""

_spoken: ContextVar[str | None] = ContextVar("language", default=None)

_asked: list[Callable[[], str]] = []


def go_by(ask: Callable[[], str]) -> None:
    """Say where the language is asked for that is spoken where :func:`speaking` says nothing.

    :param ask: Gives one of :data:`LANGUAGES`, each time that something is shown.
    """
    _asked[:] = [ask]


def language() -> str:
    """Give the language that is spoken here and now: one of :data:`LANGUAGES`."""
    return _spoken.get() or (_asked[0]() if _asked else ENGLISH)


def nearest(wanted: str) -> str:
    """Give the language that comes nearest to a wanted one: ``ru`` for ``ru-RU``; English for most.

    :param wanted: As a browser or Airflow's page names it.
    """
    told = wanted.strip().lower().replace("_", "-").partition("-")[0]
    return told if told in LANGUAGES else ENGLISH


@contextmanager
def speaking(chosen: str) -> Iterator[None]:
    """Speak a language for as long as this lasts, in this thread or task.

    :param chosen: One of :data:`LANGUAGES`.
    """
    before = _spoken.set(chosen)
    try:
        yield
    finally:
        _spoken.reset(before)


def gettext(message: str, **values: object) -> str:
    """Give a text, with what stands in its braces.

    :param message: ``"{name} was renamed"``; a brace of its own is doubled.
    :param values: By their names. Whole numbers are shown as the language shows them.
    """
    # A catalogue keeps what it says of itself as the translation of nothing.
    return _filled(_catalogue(language()).gettext(message), values) if message else ""


def pgettext(context: str, message: str, **values: object) -> str:
    """Give a text whose translation depends on where it stands, as a word that some languages inflect.

    :param context: Where it stands: ``"genitive"``.
    """
    return _filled(_catalogue(language()).pgettext(context, message), values)


def ngettext(one: str, many: str, count: int, **values: object) -> str:
    """Give a text that depends on a number: ``ngettext("{count} lead", "{count} leads", 5)``.

    :param count: The number; it stands in ``{count}``.
    """
    return _filled(_catalogue(language()).ngettext(one, many, count), {"count": count, **values})


def npgettext(context: str, one: str, many: str, count: int, **values: object) -> str:
    """Give a text that depends on a number, and on where it stands."""
    told = _catalogue(language()).npgettext(context, one, many, count)
    return _filled(told, {"count": count, **values})


def in_all_languages(message: str) -> tuple[str, ...]:
    """Give a text in each of :data:`LANGUAGES`, for what reads again what people were told."""
    return tuple(_catalogue(one).gettext(message) for one in LANGUAGES)


def as_set(message: str) -> str:
    """Give a text in the language of the setting, in which Airflow's pages call DAGs, tasks and fields.

    :param message: Marked by :func:`gettext_noop`.
    """
    return _catalogue(_asked[0]() if _asked else ENGLISH).gettext(message)


def gettext_noop(message: str) -> str:
    """Mark a text of a table that :func:`gettext` is to show later."""
    return message


Plural = tuple[str, str]
"""A text that depends on a number, as :func:`ngettext` takes it: that for one, and that for many."""


def ngettext_noop(one: str, many: str) -> Plural:
    """Mark a text of a table that :func:`ngettext` is to show later."""
    return one, many


_A_GROUP = 1000
"""Numbers below this one are written alike in each of :data:`LANGUAGES`."""


def number(figure: float) -> str:
    """Give a number as the language writes it: ``2,500``, ``2 500``; at most two digits behind the point."""
    if isinstance(figure, int) and 0 <= figure < _A_GROUP:  # most are, and Babel takes long
        return f"{figure:d}"
    if language() == ENGLISH:
        return f"{figure:,}" if isinstance(figure, int) else f"{figure:,.2f}".rstrip("0").rstrip(".")
    from babel.numbers import format_decimal  # noqa: PLC0415 (English does without)

    return format_decimal(figure, "#,##0.##", language())


def percent(share: float) -> str:
    """Give a share as the language writes it: ``12.5%``, ``12,5 %``; with one digit behind the point."""
    if language() == ENGLISH:
        return f"{share:.1%}"
    from babel.numbers import format_percent  # noqa: PLC0415 (English does without)

    return format_percent(share, "#,##0.0\N{NO-BREAK SPACE}%", language())


def moment(when: datetime) -> str:
    """Give a moment as the language writes it: ``2026-11-25 08:37``, ``25.11.2026, 08:37``.

    English has the form of ISO 8601: Americans and Europeans read the others differently.
    """
    if language() == ENGLISH:
        return f"{when:%Y-%m-%d %H:%M}"
    from babel.dates import format_datetime  # noqa: PLC0415 (English does without)

    return format_datetime(when, "dd.MM.yyyy HH:mm", locale=language())


def _filled(told: str, values: dict[str, Any]) -> str:
    shown = {
        name: number(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in values.items()
    }
    return told.format_map(shown) if values else told.replace("{{", "{").replace("}}", "}")


@cache
def _catalogue(chosen: str) -> NullTranslations:
    if chosen == ENGLISH:
        return NullTranslations()
    path = files("airflow_bitrix").joinpath("locale", chosen, "LC_MESSAGES", "airflow_bitrix.mo")
    with path.open("rb") as opened:
        return GNUTranslations(opened)
