"""What the kinds of owners are called in sentences. Many languages inflect them; English does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from airflow_bitrix.core.families import SMART_PROCESS, family_of, is_smart_process, row_of
from airflow_bitrix.core.languages import (
    Plural,
    gettext,
    language,
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
    return _words(kind, language())


def linked_words(kind: OwnerKind) -> Mapping[str, str]:
    """Give the words for what is linked to owners of a kind: contacts, or companies of contacts."""
    return kind_words(family_of(kind).linked)


def linked_titled(kind: OwnerKind) -> Mapping[str, str]:
    """Give these words, ``kinds`` with a capital: it begins a sentence."""
    words = linked_words(kind)
    return {**words, "kinds": words["kinds"][:1].upper() + words["kinds"][1:]}


def linked_named(kind: OwnerKind, ids: Iterable[int]) -> str:
    """Give some of what is linked to owners of a kind as a sentence names them: ``contacts 5, 7``."""
    numbers = list(ids)
    words = linked_words(kind)
    return f"{words['kind' if len(numbers) == 1 else 'kinds']} {', '.join(map(str, numbers))}"


@cache
def _words(kind: EntityKind, speaking: str) -> Mapping[str, str]:
    del speaking  # in which they are, and which they are kept by: they are asked for with each record
    return _row(kind).words(_number(kind))


def named(owner: Owner) -> str:
    """Give an owner as a sentence names it: ``lead 5``. Whatever is read by a program says ``str(owner)``."""
    if is_smart_process(owner.kind):
        number = _number(owner.kind)
        return gettext("smart process {number} item {id}", number=number, id=str(owner.id))
    return f"{kind_words(owner.kind)['kind']} {owner.id}"


def titled(kind: EntityKind) -> Mapping[str, str]:
    """Give the words for a kind as :func:`kind_words` does, ``kind`` with a capital: it begins a title."""
    words = kind_words(kind)
    return {**words, "kind": words["kind"][:1].upper() + words["kind"][1:]}


def owners(kind: OwnerKind, count: int) -> str:
    """Give a number of owners: ``1 lead``, ``2,500 leads``."""
    return _row(kind).counted(count, _number(kind))


def owners_of(kind: OwnerKind, count: int) -> str:
    """Give a number of owners where something is said to be theirs: ``the contacts of 2,500 leads``."""
    return _row(kind).counted_of(count, _number(kind))


def links_told(kind: OwnerKind, count: int) -> str:
    """Give a number of links of owners of a kind: ``1 contact link``, ``2,500 company links``."""
    if family_of(kind).linked == "company":
        return ngettext("{count} company link", "{count} company links", count)
    return ngettext("{count} contact link", "{count} contact links", count)


def read_words(kind: OwnerKind) -> Plural:
    """Give what a progress counts that reads owners."""
    return _row(kind).read


def checked_words(kind: OwnerKind) -> Plural:
    """Give what a progress counts that looks at owners once more."""
    return _row(kind).checked


@dataclass(frozen=True, slots=True)
class _Row:
    """The words for a kind; the functions take the number of a smart process, nothing of other kinds."""

    words: Callable[[str], Mapping[str, str]]
    counted: Callable[[int, str], str]
    counted_of: Callable[[int, str], str]
    read: Plural
    checked: Plural


def _row(kind: EntityKind) -> _Row:
    return _ROWS[row_of(kind)]


def _number(kind: EntityKind) -> str:
    return str(family_of(kind).entity_type_id)


_ROWS: Mapping[str, _Row] = {
    "lead": _Row(
        lambda _: {
            "kind": gettext("lead"),
            "kind_of": pgettext("genitive", "lead"),
            "kind_it": pgettext("accusative", "lead"),
            "kinds": gettext("leads"),
            "kinds_of": pgettext("genitive", "leads"),
            "kinds_to": pgettext("dative", "leads"),
            "kinds_with": pgettext("instrumental", "leads"),
        },
        lambda count, _: ngettext("{count} lead", "{count} leads", count),
        lambda count, _: npgettext("genitive", "{count} lead", "{count} leads", count),
        ngettext_noop("lead read", "leads read"),
        ngettext_noop("lead checked", "leads checked"),
    ),
    "deal": _Row(
        lambda _: {
            "kind": gettext("deal"),
            "kind_of": pgettext("genitive", "deal"),
            "kind_it": pgettext("accusative", "deal"),
            "kinds": gettext("deals"),
            "kinds_of": pgettext("genitive", "deals"),
            "kinds_to": pgettext("dative", "deals"),
            "kinds_with": pgettext("instrumental", "deals"),
        },
        lambda count, _: ngettext("{count} deal", "{count} deals", count),
        lambda count, _: npgettext("genitive", "{count} deal", "{count} deals", count),
        ngettext_noop("deal read", "deals read"),
        ngettext_noop("deal checked", "deals checked"),
    ),
    "quote": _Row(
        lambda _: {
            "kind": gettext("quote"),
            "kind_of": pgettext("genitive", "quote"),
            "kind_it": pgettext("accusative", "quote"),
            "kinds": gettext("quotes"),
            "kinds_of": pgettext("genitive", "quotes"),
            "kinds_to": pgettext("dative", "quotes"),
            "kinds_with": pgettext("instrumental", "quotes"),
        },
        lambda count, _: ngettext("{count} quote", "{count} quotes", count),
        lambda count, _: npgettext("genitive", "{count} quote", "{count} quotes", count),
        ngettext_noop("quote read", "quotes read"),
        ngettext_noop("quote checked", "quotes checked"),
    ),
    "company": _Row(
        lambda _: {
            "kind": gettext("company"),
            "kind_of": pgettext("genitive", "company"),
            "kind_it": pgettext("accusative", "company"),
            "kinds": gettext("companies"),
            "kinds_of": pgettext("genitive", "companies"),
            "kinds_to": pgettext("dative", "companies"),
            "kinds_with": pgettext("instrumental", "companies"),
        },
        lambda count, _: ngettext("{count} company", "{count} companies", count),
        lambda count, _: npgettext("genitive", "{count} company", "{count} companies", count),
        ngettext_noop("company read", "companies read"),
        ngettext_noop("company checked", "companies checked"),
    ),
    "contact": _Row(
        lambda _: {
            "kind": gettext("contact"),
            "kind_of": pgettext("genitive", "contact"),
            "kind_it": pgettext("accusative", "contact"),
            "kinds": gettext("contacts"),
            "kinds_of": pgettext("genitive", "contacts"),
            "kinds_to": pgettext("dative", "contacts"),
            "kinds_with": pgettext("instrumental", "contacts"),
        },
        lambda count, _: ngettext("{count} contact", "{count} contacts", count),
        lambda count, _: npgettext("genitive", "{count} contact", "{count} contacts", count),
        ngettext_noop("contact read", "contacts read"),
        ngettext_noop("contact checked", "contacts checked"),
    ),
    "smart_invoice": _Row(
        lambda _: {
            "kind": gettext("invoice"),
            "kind_of": pgettext("genitive", "invoice"),
            "kind_it": pgettext("accusative", "invoice"),
            "kinds": gettext("invoices"),
            "kinds_of": pgettext("genitive", "invoices"),
            "kinds_to": pgettext("dative", "invoices"),
            "kinds_with": pgettext("instrumental", "invoices"),
        },
        lambda count, _: ngettext("{count} invoice", "{count} invoices", count),
        lambda count, _: npgettext("genitive", "{count} invoice", "{count} invoices", count),
        ngettext_noop("invoice read", "invoices read"),
        ngettext_noop("invoice checked", "invoices checked"),
    ),
    SMART_PROCESS: _Row(
        lambda number: {
            "kind": gettext("smart process {number} item", number=number),
            "kind_of": pgettext("genitive", "smart process {number} item", number=number),
            "kind_it": pgettext("accusative", "smart process {number} item", number=number),
            "kinds": gettext("smart process {number} items", number=number),
            "kinds_of": pgettext("genitive", "smart process {number} items", number=number),
            "kinds_to": pgettext("dative", "smart process {number} items", number=number),
            "kinds_with": pgettext("instrumental", "smart process {number} items", number=number),
        },
        lambda count, number: ngettext(
            "{count} smart process {number} item",
            "{count} smart process {number} items",
            count,
            number=number,
        ),
        lambda count, number: npgettext(
            "genitive",
            "{count} smart process {number} item",
            "{count} smart process {number} items",
            count,
            number=number,
        ),
        ngettext_noop("item read", "items read"),
        ngettext_noop("item checked", "items checked"),
    ),
}
