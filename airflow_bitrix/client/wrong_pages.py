"""What comes in place of a portal's answer, such as the page of a proxy, told in a line."""

from __future__ import annotations

import html
import re
from http import HTTPStatus

from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext

_LOOKED_AT = 20_000
"""Bytes of a page in which its title, or its first words, have to stand."""

# An opening mark that is never closed must not make each of many others look for its end.
_TITLE = re.compile(r"<title[^<>]*>", re.IGNORECASE)
_TITLE_ENDS = re.compile(r"</title", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def without_answer(status: int, body: bytes) -> str:
    """Say what came in place of an answer: what the status means, and words that say more."""
    shown = as_plain_text(" ".join(_heading(body).split()), 120)
    try:
        meaning = HTTPStatus(status).phrase
    except ValueError:
        meaning = gettext("a status that HTTP does not know")
    says_no_more = shown.lower() in {"", str(status), meaning.lower(), f"{status} {meaning}".lower()}
    told = gettext(
        "HTTP status {status} ({meaning}), and no answer that can be read",
        status=str(status),
        meaning=meaning,
    )
    return told if says_no_more else f"{told}: {shown}"


def _heading(body: bytes) -> str:
    """Give the title of a page; of one without, and of anything else, the words."""
    text = body[:_LOOKED_AT].decode(errors="replace")
    title = _TITLE.search(text)
    end = _TITLE_ENDS.search(text, title.end()) if title else None
    words = text[title.end() : end.start()] if title and end else _TAG.sub(" ", text)
    try:
        return html.unescape(words)
    except ValueError:  # &# and thousands of digits
        return words
