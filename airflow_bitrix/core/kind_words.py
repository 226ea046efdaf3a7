"""What the kinds of owners are called in sentences. Many languages inflect them; English does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from airflow_bitrix.core.languages import (
    Plural,
    gettext,
    gettext_noop,
    ngettext,
    ngettext_noop,
    npgettext,
    pgettext,
)
from airflow_bitrix.core.links import EntityKind, Owner, OwnerKind


def kind_words(kind: EntityKind) -> Mapping[str, str]:
    """Give the words for a kind, for the braces of a text: ``gettext("All {kinds}", **kind_words(kind))``.

    ``kind``, ``kind_of`` and ``kind_it`` are one of them: nominative, genitive, accusative; ``kinds``,
    ``kinds_of``, ``kinds_to`` and ``kinds_with`` several: nominative (and accusative), genitive, dative,
    instrumental.
    """
    return _WORDS[kind]()


def named(owner: Owner) -> str:
    """Give an owner as a sentence names it: ``lead 5``. Whatever is read by a program says ``str(owner)``."""
    return f"{gettext(_ONE[owner.kind])} {owner.id}"


def owners(kind: OwnerKind, count: int) -> str:
    """Give a number of owners: ``1 lead``, ``2,500 leads``."""
    return _COUNTED[kind](count)


def owners_of(kind: OwnerKind, count: int) -> str:
    """Give a number of owners where something is said to be theirs: ``the contacts of 2,500 leads``."""
    return _COUNTED_OF[kind](count)


_ONE: Mapping[EntityKind, str] = {
    "lead": gettext_noop("lead"),
    "deal": gettext_noop("deal"),
    "contact": gettext_noop("contact"),
}

_WORDS: Mapping[EntityKind, Callable[[], Mapping[str, str]]] = {
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
    "contact": lambda: {
        "kind": gettext("contact"),
        "kind_of": pgettext("genitive", "contact"),
        "kind_it": pgettext("accusative", "contact"),
        "kinds": gettext("contacts"),
        "kinds_of": pgettext("genitive", "contacts"),
        "kinds_to": pgettext("dative", "contacts"),
        "kinds_with": pgettext("instrumental", "contacts"),
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

READ: Mapping[OwnerKind, Plural] = {
    "lead": ngettext_noop("lead read", "leads read"),
    "deal": ngettext_noop("deal read", "deals read"),
}
"""What a progress counts that reads them."""

CHECKED: Mapping[OwnerKind, Plural] = {
    "lead": ngettext_noop("lead checked", "leads checked"),
    "deal": ngettext_noop("deal checked", "deals checked"),
}
"""What a progress counts that looks at them once more."""
