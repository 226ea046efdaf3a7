"""What the kinds of owners are called in sentences. Many languages inflect them; English does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from airflow_bitrix.core.languages import gettext, ngettext, npgettext, pgettext
from airflow_bitrix.core.links import OwnerKind


def kind_words(kind: OwnerKind) -> Mapping[str, str]:
    """Give the words for a kind, for the braces of a text: ``gettext("All {kinds}", **kind_words(kind))``.

    ``kind``, ``kind_of`` and ``kind_it`` are one of them: nominative, genitive, accusative; ``kinds``,
    ``kinds_of``, ``kinds_to`` and ``kinds_with`` several: nominative (and accusative), genitive, dative,
    instrumental.
    """
    return _WORDS[kind]()


def owners(kind: OwnerKind, count: int) -> str:
    """Give a number of owners: ``1 lead``, ``2,500 leads``."""
    return _COUNTED[kind](count)


def owners_of(kind: OwnerKind, count: int) -> str:
    """Give a number of owners where something is said to be theirs: ``the contacts of 2,500 leads``."""
    return _COUNTED_OF[kind](count)


_WORDS: Mapping[OwnerKind, Callable[[], Mapping[str, str]]] = {
    "lead": lambda: {
        "kind": gettext("lead"),
        "kind_of": pgettext("genitive", "lead"),
        "kind_it": pgettext("accusative", "lead"),
        "kinds": gettext("leads"),
        "kinds_of": pgettext("genitive", "leads"),
        "kinds_to": pgettext("dative", "leads"),
        "kinds_with": pgettext("instrumental", "leads"),
    },
    "deal": lambda: {
        "kind": gettext("deal"),
        "kind_of": pgettext("genitive", "deal"),
        "kind_it": pgettext("accusative", "deal"),
        "kinds": gettext("deals"),
        "kinds_of": pgettext("genitive", "deals"),
        "kinds_to": pgettext("dative", "deals"),
        "kinds_with": pgettext("instrumental", "deals"),
    },
}

_COUNTED: Mapping[OwnerKind, Callable[[int], str]] = {
    "lead": lambda count: ngettext("{count} lead", "{count} leads", count),
    "deal": lambda count: ngettext("{count} deal", "{count} deals", count),
}

_COUNTED_OF: Mapping[OwnerKind, Callable[[int], str]] = {
    "lead": lambda count: npgettext("genitive", "{count} lead", "{count} leads", count),
    "deal": lambda count: npgettext("genitive", "{count} deal", "{count} deals", count),
}
