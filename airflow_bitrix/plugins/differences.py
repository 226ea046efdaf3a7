"""The differences that a task without a plan has found, as the tab shows them: from its CSV file."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.csv_cells import text_of_cell
from airflow_bitrix.files.partial_views import read_partial
from airflow_bitrix.files.plain_files import open_text
from airflow_bitrix.files.snapshot_changes import CHANGED, read_snapshot_changes
from airflow_bitrix.files.stamps import Stamp, stamp
from airflow_bitrix.plugins.run_files import shown_files
from airflow_bitrix.report.changes import MEANINGS, MEANINGS_IN_PART
from airflow_bitrix.report.page import Found

SHOWN = 200
"""Differences that the page shows."""

KEPT = 32
"""Files of differences of which is kept what a page shows."""

RECONCILE = "reconcile.csv"

_TITLES = {
    RECONCILE: "Where links differ from what the migration wants",
    CHANGED: "Changed since the snapshot before",
}
_WANTED = {
    "missing": "a contact is not linked that should be",
    "extra": "a contact is linked that should not be",
    "primary": "another contact should be the primary one",
    "order": "the contacts should stand in another order",
    "sort": "same order, other sorts",
    "parked": "what it needs is not there yet",
    "left out": "cannot be compared",
}
_COLUMNS = {
    "source_owner": "in the source",
    "source_contact": "its contact",
    "target_owner": "lead or deal",
    "target_contact": "contact",
    "owner_id": "id",
}


def found_in(folder: Path) -> Found | None:
    """Read the differences that a task has found; ``None`` where it looks for none.

    :param folder: The task's folder.
    """
    files = shown_files(folder)
    name = next((name for name in _TITLES if name in files), None)
    if name is None:
        return None
    table = _table(files[name], stamp(files[name]))
    told = MEANINGS_IN_PART if read_partial(folder) else MEANINGS
    of_changes = {str(what): text for what, text in told.items()}
    meanings = of_changes if name == CHANGED else _WANTED
    return Found(_TITLES[name], table.heads, table.counts, meanings, table.rows, _nothing(folder, name))


class _Table(NamedTuple):
    """What a file of differences holds: names of its columns, how many of each kind, and the first rows."""

    heads: Sequence[str]
    counts: Mapping[str, int]
    rows: Sequence[tuple[str, Sequence[str]]]


@lru_cache(maxsize=KEPT)
def _table(path: Path, _written: Stamp) -> _Table:
    """Read a file of differences, once for each time that it is written, however often a page asks."""
    counts: Counter[str] = Counter()
    rows: list[tuple[str, Sequence[str]]] = []
    with open_text(path, errors="replace", newline="") as file:
        table = csv.DictReader(file, restval="")
        columns = list(table.fieldnames or ())
        kind = "what" if "what" in columns else "difference"
        shown = [one for one in columns if one not in ("address", "owner" if "owner_id" in columns else "")]
        for row in table:
            counts[row.get(kind, "")] += 1
            if len(rows) < SHOWN:
                rows.append((_address(row), [text_of_cell(row[one]) for one in shown]))
    return _Table([_COLUMNS.get(one, one) for one in shown], dict(sorted(counts.items())), rows)


def _address(row: Mapping[str, str]) -> str:
    """Give the address of an owner's page, where the row has one that leads to a portal."""
    address = row.get("address", "")
    return address if address.startswith(("https://", "http://")) else ""


def _nothing(folder: Path, name: str) -> str:
    """Say what it means that there are no differences."""
    compared = read_snapshot_changes(folder) if name == CHANGED else None
    if compared is None:
        return "None."
    if not compared.since:
        return f"Nothing to compare with. {compared.remark}"
    return f"None: every link is as it was at {shown_timestamp(compared.since)}. {compared.remark}".strip()
