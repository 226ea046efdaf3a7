"""What is downloaded, of any size: all changes with their outcomes, made while they are sent, and files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict
from io import StringIO
from typing import Any, BinaryIO

from airflow_bitrix.core.links import owner_address
from airflow_bitrix.core.names import NAMELESS, OwnerNames
from airflow_bitrix.core.plan import companies_of, shown_contacts
from airflow_bitrix.files import named_tables
from airflow_bitrix.files.csv_cells import as_cell
from airflow_bitrix.files.outcome_index import OutcomeIndex

CHUNK = 500
"""Changes that are sent at once."""

PIECE = 2**16
"""Bytes that are sent at once."""

COLUMNS = ("owner", "owner_id", "outcome", "contacts_before", "wanted", "reason", "rules", "address")
"""Before those of names."""

OF_COMPANIES = ("company_before", "company_wanted")
"""Behind them, where a plan gives owners another company: an id, 0 for none, empty where it stays."""


def as_csv(index: OutcomeIndex) -> Iterator[str]:
    """Give a table, a change a row, with a star behind each primary contact."""
    text = StringIO()
    table = csv.writer(text)
    changes_companies = bool(index.manifest.counts.get("companies"))
    table.writerow([*COLUMNS, *(OF_COMPANIES if changes_companies else ()), *named_tables.COLUMNS])
    every = range(index.manifest.changes)
    for number, (change, outcome, names) in enumerate(index.read_named(every), start=1):
        owner = change.owner
        before = (outcome.before if outcome else None) or change.before
        reason = (outcome.reason if outcome else "") or "; ".join(change.reasons)
        table.writerow(
            [
                owner.kind,
                owner.id,
                outcome.outcome if outcome else "open",
                shown_contacts(before),
                shown_contacts(change.after),
                as_cell(reason),
                as_cell(" ".join(change.rules)),
                owner_address(index.manifest.portal, owner),
                *((companies_of(change, outcome) or ("", "")) if changes_companies else ()),
                *named_tables.cells(names),
            ]
        )
        if number % CHUNK == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def as_json_lines(index: OutcomeIndex) -> Iterator[str]:
    """Give a change a line; links are ``[contact id, sort, is primary, role id]``.

    Of a change that gives its owner another company, ``companies`` are the one before and the one wanted, 0
    for none.
    """
    lines: list[str] = []
    for change, outcome, names in index.read_named(range(index.manifest.changes)):
        line = {
            "owner": change.owner.kind,
            "owner_id": change.owner.id,
            "outcome": outcome.outcome if outcome else "open",
            "reason": outcome.reason if outcome else "",
            "rules": change.rules,
            "reasons": change.reasons,
            "planned_from": change.before.as_json(),
            "wanted": change.after.as_json(),
            "found": outcome.before.as_json() if outcome and outcome.before else None,
            **({"companies": companies} if (companies := companies_of(change, outcome)) else {}),
            **({} if names == NAMELESS else {"names": _told(names)}),
        }
        lines.append(json.dumps(line, separators=(",", ":")) + "\n")
        if len(lines) == CHUNK:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def _told(names: OwnerNames) -> dict[str, Any]:
    told = asdict(names)
    return told if names.companies else {name: one for name, one in told.items() if name != "companies"}


def as_it_is(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Give a file's first bytes and close it.

    :param size: How many; what is written meanwhile is left out.
    """
    with file:
        while size > 0 and (piece := file.read(min(size, PIECE))):
            size -= len(piece)
            yield piece
