"""The differences that a task without a plan has found, as the tab shows them: from its CSV file."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from airflow_bitrix.core.families import LinkedKind, family_of
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
    "missing": gettext_noop("a {kind} is not linked that should be"),
    "extra": gettext_noop("a {kind} is linked that should not be"),
    "primary": gettext_noop("another {kind} should be the primary one"),
    "order": gettext_noop("the {kinds} should stand in another order"),
    "sort": gettext_noop("same order, other sorts"),
    "parked": gettext_noop("what it needs is not there yet"),
    "left out": gettext_noop("cannot be compared"),
}
_COLUMNS = {
    "source_owner": gettext_noop("in the source"),
    "source_contact": gettext_noop("its {kind}"),
    "target_owner": gettext_noop("record"),
    "target_contact": "{kind}",
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
    words = kind_words(_linked(table.kind))
    texts = of_changes if name == CHANGED else _WANTED
    meanings = {what: gettext(text, **words) for what, text in texts.items()}
    heads = [gettext(_COLUMNS[one], **words) if one in _COLUMNS else gettext(one) for one in table.heads]
    nothing, is_compared = _nothing(folder, name)
    # Rows of a comparison with a migration's wishes are about links.
    is_of_owners = name == CHANGED and is_entity_kind(table.kind)
    counted = kind_words(table.kind)["kinds"] if is_of_owners else gettext("differences")
    return Found(
        gettext(_TITLES[name]), heads, table.counts, meanings, table.rows, nothing, counted, is_compared
    )


class _Table(NamedTuple):
    """What a file of differences holds: names of its columns, how many of each kind, and the first rows.

    ``kind`` is that of the owners; empty where no row tells it.
    """

    heads: Sequence[str]
    counts: Mapping[str, int]
    rows: Sequence[Sequence[str]]
    kind: str


@lru_cache(maxsize=KEPT)
def _table(path: Path, _written: Stamp) -> _Table:
    """Read a file of differences, once for each time that it is written, however often a page asks."""
    counts: Counter[str] = Counter()
    rows: list[Sequence[str]] = []
    kind = ""
    with open_text(path, errors="replace", newline="") as file:
        table = csv.DictReader(file, restval="")
        columns = list(table.fieldnames or ())
        what = "what" if "what" in columns else "difference"
        unshown = {"address", "source_address", "owner" if "owner_id" in columns else ""}
        shown = [one for one in columns if one not in unshown]
        for row in table:
            counts[row.get(what, "")] += 1
            if len(rows) < SHOWN:
                kind = kind or _kind_in(row)
                rows.append([_cell(row, one) for one in shown])
    return _Table(shown, dict(sorted(counts.items())), rows, kind)


def _cell(row: Mapping[str, str], column: str) -> str:
    """Give a cell, with links to the cards of those that it names."""
    text = text_of_cell(row[column])
    address = row.get("source_address" if column.startswith("source_") else "address", "")
    if column in ("owner_id", "source_owner", "target_owner"):
        return linked(text, address)
    if column in _OF_CONTACTS:
        return linked_contacts(text, portal_of(address), _linked(_kind_in(row)))
    return text


def _kind_in(row: Mapping[str, str]) -> str:
    """Give the kind of the owner that a row is about, as the one file or the other calls it."""
    return row.get("owner") or row.get("kind", "")


def _linked(kind: str) -> LinkedKind:
    return family_of(kind).linked if is_entity_kind(kind) else "contact"


def _nothing(folder: Path, name: str) -> tuple[str, bool]:
    """Say what it means that there are no differences, and whether something was compared."""
    compared = read_snapshot_changes(folder) if name == CHANGED else None
    if compared is None:
        return pgettext("changes", "None."), True
    if not compared.since:
        return gettext("Nothing to compare with. {remark}", remark=compared.remark), False
    told = gettext("None: every link is as it was at {since}.", since=shown_timestamp(compared.since))
    return f"{told} {compared.remark}".strip(), True
