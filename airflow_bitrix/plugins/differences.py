"""The differences that a task without a plan has found, as the tab shows them: from its CSV file."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext, gettext_noop, pgettext
from airflow_bitrix.core.links import is_entity_kind
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.csv_cells import text_of_cell
from airflow_bitrix.files.partial_views import read_partial
from airflow_bitrix.files.plain_files import open_text
from airflow_bitrix.files.snapshot_changes import CHANGED, read_snapshot_changes
from airflow_bitrix.files.stamps import Stamp, stamp
from airflow_bitrix.plugins.run_files import shown_files
from airflow_bitrix.report.card_links import linked, linked_contacts, portal_of
from airflow_bitrix.report.changes import MEANINGS, MEANINGS_IN_PART
from airflow_bitrix.report.page import Found

SHOWN = 200
"""Differences that the page shows."""

KEPT = 32
"""Files of differences of which is kept what a page shows."""

RECONCILE = "reconcile.csv"

_TITLES = {
    RECONCILE: gettext_noop("Where links differ from what the migration wants"),
    CHANGED: gettext_noop("Changed since the snapshot before"),
}
_WANTED = {
    "missing": gettext_noop("a contact is not linked that should be"),
    "extra": gettext_noop("a contact is linked that should not be"),
    "primary": gettext_noop("another contact should be the primary one"),
    "order": gettext_noop("the contacts should stand in another order"),
    "sort": gettext_noop("same order, other sorts"),
    "parked": gettext_noop("what it needs is not there yet"),
    "left out": gettext_noop("cannot be compared"),
}
_COLUMNS = {
    "source_owner": gettext_noop("in the source"),
    "source_contact": gettext_noop("its contact"),
    "target_owner": gettext_noop("lead or deal"),
    "target_contact": gettext_noop("contact"),
    "owner_id": gettext_noop("id"),
}
_OF_CONTACTS = ("contacts", "before", "after", "source_contact", "target_contact")


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
    meanings = {what: gettext(text) for what, text in (of_changes if name == CHANGED else _WANTED).items()}
    heads = [gettext(_COLUMNS.get(one, one)) for one in table.heads]
    nothing, is_compared = _nothing(folder, name)
    known = is_entity_kind(table.owners)
    counted = kind_words(table.owners)["kinds"] if known else gettext("differences")
    return Found(
        gettext(_TITLES[name]), heads, table.counts, meanings, table.rows, nothing, counted, is_compared
    )


class _Table(NamedTuple):
    """What a file of differences holds: names of its columns, how many of each kind, and the first rows.

    ``owners`` is the kind of owners that each row is about; empty where it is about links.
    """

    heads: Sequence[str]
    counts: Mapping[str, int]
    rows: Sequence[Sequence[str]]
    owners: str


@lru_cache(maxsize=KEPT)
def _table(path: Path, _written: Stamp) -> _Table:
    """Read a file of differences, once for each time that it is written, however often a page asks."""
    counts: Counter[str] = Counter()
    rows: list[Sequence[str]] = []
    owners = ""
    with open_text(path, errors="replace", newline="") as file:
        table = csv.DictReader(file, restval="")
        columns = list(table.fieldnames or ())
        kind = "what" if "what" in columns else "difference"
        unshown = {"address", "source_address", "owner" if "owner_id" in columns else ""}
        shown = [one for one in columns if one not in unshown]
        for row in table:
            counts[row.get(kind, "")] += 1
            if len(rows) < SHOWN:
                owners = owners or row.get("owner", "")
                rows.append([_cell(row, one) for one in shown])
    return _Table(shown, dict(sorted(counts.items())), rows, owners)


def _cell(row: Mapping[str, str], column: str) -> str:
    """Give a cell, with links to the cards of those that it names."""
    text = text_of_cell(row[column])
    address = row.get("source_address" if column.startswith("source_") else "address", "")
    if column in ("owner_id", "source_owner", "target_owner"):
        return linked(text, address)
    if column in _OF_CONTACTS:
        kind = row.get("owner", "")
        what = family_of(kind).linked if is_entity_kind(kind) else "contact"
        return linked_contacts(text, portal_of(address), what)
    return text


def _nothing(folder: Path, name: str) -> tuple[str, bool]:
    """Say what it means that there are no differences, and whether something was compared."""
    compared = read_snapshot_changes(folder) if name == CHANGED else None
    if compared is None:
        return pgettext("changes", "None."), True
    if not compared.since:
        return gettext("Nothing to compare with. {remark}", remark=compared.remark), False
    told = gettext("None: every link is as it was at {since}.", since=shown_timestamp(compared.since))
    return f"{told} {compared.remark}".strip(), True
