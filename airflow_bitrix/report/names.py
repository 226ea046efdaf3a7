"""Names beside ids, in rows of pages: an owner by its title, contacts by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.kind_words import linked_titled, linked_words
from airflow_bitrix.core.languages import gettext, pgettext
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.names import OwnerNames
from airflow_bitrix.report.differences import Contacts


def about(names: OwnerNames) -> str:
    """Say in which stage an owner is, and who is responsible; nothing where neither is known."""
    return " · ".join(filter(None, (names.stage, names.responsible)))


def pieces_json(contacts: Contacts, names: OwnerNames) -> list[list[Any]]:
    """Give contacts as the page's script takes them: id, mark, primary, name."""
    told = names.contacts
    return [[*piece, as_plain_text(told.get(piece.contact_id, ""))] for piece in contacts.pieces]


def row_words(kind: OwnerKind) -> Mapping[str, str]:
    """Give the words of rows about owners of a kind, by what they are for: some are read aloud only."""
    return {
        "removed": pgettext("contact", "removed:"),
        "added": pgettext("contact", "added:"),
        "primary": pgettext("contact", "primary"),
        "was": pgettext("contact", "no longer"),
        "now": pgettext("contact", "now"),
        "none": pgettext("contacts", "none"),
        "contacts": linked_words(kind)["kinds"],
        "legend": gettext(
            "{kinds}: struck out is removed, + is added, all else stays.", **linked_titled(kind)
        ),
        "search": gettext("Search id, name or reason"),
    }
