"""Texts as cells of Markdown tables, as Airflow's page of an approval shows them: literally."""

from __future__ import annotations

import re

from airflow_bitrix.core.foreign_text import as_plain_text

_ESCAPED = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    "|": "&#124;",
    "\\": "&#92;",
    **{mark: f"\\{mark}" for mark in "`*_[]~#!$"},
}

_SIGN = re.compile(r"(?P<of_address>(?:://|@|(?<=www)\.)+)|.", re.IGNORECASE)
"""A sign of a text, or what makes bare addresses of sites and mailboxes: Airflow's page makes links of such
when all escapes are read, but of none across a piece of code."""


def cell(text: str, most: int) -> str:
    """Give a text as one cell of a Markdown table shows it, literally, in ``most`` characters at most."""
    told: list[str] = []
    room = most - 1
    for sign in _SIGN.finditer(" ".join(as_plain_text(text, 2 * most).split())):
        shown = f"`{sign[0]}`" if sign["of_address"] else _ESCAPED.get(sign[0], sign[0])
        room -= len(shown)
        if room < 0:
            return "".join(told) + "…"
        told.append(shown)
    return "".join(told)
