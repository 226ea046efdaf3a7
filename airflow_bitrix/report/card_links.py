"""Ids as links to the cards of the portal, in cells of tables that come from files."""

from __future__ import annotations

import re

from markupsafe import Markup

from airflow_bitrix.core.families import LinkedKind
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.links import card_address

_IN_BRACKETS = re.compile(r"(\([^()]*\))")
"""Sorts and roles, which are numbers too."""

_ID = re.compile(r"(?<![\w.])(\d{1,10})(?![\w.])")

_LINK = Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>')


def linked(text: str, address: str) -> str:
    """Give a text as a link; as it is where its address leads to no portal.

    :param address: As it stands in a file, which people edit.
    """
    shown = as_plain_text(text)
    return _LINK.format(address, shown) if shown and is_address(address) else shown


def linked_contacts(text: str, portal: str, linked: LinkedKind = "contact") -> str:
    """Give contacts as a list of links has them, ``377* (10), 367 (20)``, each id a link to its card.

    :param portal: Address of the portal; empty for no links.
    :param linked: What they are, if no contacts.
    """
    shown = as_plain_text(text)
    if not is_address(portal):
        return shown
    pieces = Markup("")
    for piece in _IN_BRACKETS.split(shown):
        if piece.startswith("("):
            pieces += piece
            continue
        for number, part in enumerate(_ID.split(piece)):
            pieces += _LINK.format(card_address(portal, linked, int(part)), part) if number % 2 else part
    return pieces


def is_address(address: str) -> bool:
    """Whether it is one of a site, and no script."""
    return address.startswith(("https://", "http://"))


def portal_of(address: str) -> str:
    """Give the portal that a card is on, by the card's address; nothing where it is none."""
    portal, found, _ = address.partition("/crm/")
    return portal if found and is_address(portal) else ""
