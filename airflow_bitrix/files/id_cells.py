"""Ids as people, spreadsheets and tasks write them."""

from __future__ import annotations

import re

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import positive_id

_WITH_ZEROS = re.compile(r"([0-9]+)[.,]0{1,2}")
"""``17.0``, or ``17,0`` where numbers have commas. With three zeros it may be a thousand."""

_REASONS = (
    (
        re.compile(r"[0-9]{1,3}([.,'\u2019\s][0-9]{3})+([.,][0-9]*)?"),
        gettext_noop("its digits are in groups"),
    ),
    (re.compile(r"[0-9]+[.,][0-9]+"), gettext_noop("it has decimals")),
    (re.compile(r"[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+"), gettext_noop("its digits were shortened")),
    (re.compile(r"[0-9]{10,}"), gettext_noop("larger than any id")),
)


class NoIdError(ValueError):
    """A cell holds no id. The message says why, where that can be told, and shows nothing of the cell."""


def id_in_cell(cell: object) -> int:
    """Give the id that a cell means: ``17``, `` 17 ``, ``17.0`` and ``17,0`` are 17.

    :raises NoIdError: It means none for certain. ``1,234`` and ``1.000`` may be grouped digits or decimals.
    """
    given = cell
    if isinstance(cell, float) and cell.is_integer():  # what tasks make of a column with gaps
        given = int(cell)
    elif isinstance(cell, str):
        with_zeros = _WITH_ZEROS.fullmatch(cell.strip())
        given = with_zeros[1] if with_zeros else cell
    try:
        return positive_id("cell", given)
    except InvalidInput:
        text = str(cell).strip()
        reason = next((said for pattern, said in _REASONS if pattern.fullmatch(text)), "")
        raise NoIdError(gettext(reason)) from None
