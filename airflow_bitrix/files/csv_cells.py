"""Texts in CSV files that people open in a spreadsheet, and that we read again."""

from __future__ import annotations

import re

from airflow_bitrix.core.foreign_text import as_plain_text

LONGEST = 32_000
"""Signs of a cell; spreadsheets take some 700 more."""

_SIGNS = (
    r"=+\-@|"
    "\uff1d\uff0b\uff0d\uff20\uff5c"  # wide
    "\ufe66\ufe62\ufe63\ufe6b"  # small
    "\u207c\u207a\u207b\u208c\u208a\u208b"  # raised and lowered
    "\u2212\ufb29"  # a minus and a plus of their own
)
"""With which formulas begin, and calls of other programs: ``= + - @ |``, and what a spreadsheet may take for
one of them, as some do with the wide signs of East Asian keyboards."""

_BEGINS = r'(?:^|[;|])["\s]*+'
"""Where a cell begins: a spreadsheet may separate by more than commas. Tabs and line breaks are shown."""

_FORMULA = re.compile(rf"({_BEGINS})(?='*+[{_SIGNS}])")
_MARKED = re.compile(rf"({_BEGINS})'(?='*+[{_SIGNS}])")


def as_cell(text: str) -> str:
    """Give a text as a cell of a CSV file that a spreadsheet takes for nothing but a text.

    A spreadsheet would carry out a cell that begins like a formula, and the portal's words are not ours. One
    that separates by semicolons, as many do whose numbers have commas, lets cells begin in the middle of a
    text. An apostrophe goes before each sign that may so become the first of a cell; what cannot be seen, and
    might stand before such a sign, is shown, see :func:`~airflow_bitrix.core.foreign_text.as_plain_text`.
    """
    return _FORMULA.sub(r"\1'", as_plain_text(text, LONGEST))


def text_of_cell(cell: str) -> str:
    """Give the plain text of which :func:`as_cell` made a cell."""
    return _MARKED.sub(r"\1", cell)
