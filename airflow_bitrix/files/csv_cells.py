"""Texts in CSV files that people open in a spreadsheet."""

from __future__ import annotations

import re

_FORMULA = re.compile(r'((?:^|[;\t\r\n])["\s]*)(?=[-=+@])')


def as_cell(text: str) -> str:
    """Give a text as a cell of a CSV file that a spreadsheet takes for nothing but a text.

    A spreadsheet would carry out a cell that begins like a formula, and the portal's words are not ours. One
    that separates by semicolons or tabulators, as many do whose numbers have commas, lets cells begin in the
    middle of a text. An apostrophe goes before each sign that may so become the first of a cell.
    """
    marked = _FORMULA.sub(r"\1'", text.encode(errors="replace").decode())
    return f"'{marked}" if marked.startswith(("\t", "\r")) else marked
