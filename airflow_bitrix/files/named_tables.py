"""Names in tables that people open: further columns of CSV files, behind those that programs read again."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from airflow_bitrix.core.names import OwnerNames
from airflow_bitrix.files.atomic_writes import atomic_write
from airflow_bitrix.files.csv_cells import as_cell
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.plain_files import open_text

OF_OWNERS = ("title", "stage", "responsible")
"""Columns of tables that are about owners alone."""

COLUMNS = (*OF_OWNERS, "contact_names")
"""Columns of tables that are about contacts too."""

_FIRST = ["owner", "owner_id"]

Row = Sequence[str]
Write = Callable[[Row, Row], object]
"""Takes a row as it was, and what comes behind it."""


def owner_cells(names: OwnerNames) -> list[str]:
    """Give the cells of :data:`OF_OWNERS`."""
    return [as_cell(names.title), as_cell(names.stage), as_cell(names.responsible)]


def cells(names: OwnerNames) -> list[str]:
    """Give the cells of :data:`COLUMNS`: of contacts each id with its name."""
    contacts = "; ".join(f"{one} {name}" for one, name in names.contacts.items())
    return [*owner_cells(names), as_cell(contacts)]


def check_table(path: Path) -> None:
    """Read a table to its end.

    :raises ValueError: It is no table of owners; likewise ``csv.Error``.
    :raises OSError: It is not there, or cannot be read.
    """
    with open_text(path, newline="") as file:
        rows = csv.reader(file)
        if next(rows, [])[: len(_FIRST)] != _FIRST:
            raise ValueError("no table of owners")
        for _ in rows:
            pass


@contextmanager
def rewriting(path: Path, columns: Row) -> Iterator[tuple[Row, Iterator[Row], Write]]:
    """Write a table anew, without the names that it has; it stays as it is where anything goes wrong.

    :param columns: What stands above the columns that come behind its own.
    :return: Its own columns, its rows without names, and what takes each row.
    :raises csv.Error: It is no table.
    :raises OSError: It is not there, or cannot be read or written.
    """
    with open_text(path, newline="") as file, atomic_write(path) as new:
        rows = csv.reader(file)
        head = next(rows, [])
        kept = [place for place, name in enumerate(head) if name not in COLUMNS]
        own = [head[place] for place in kept]
        table = csv.writer(new)
        table.writerow([*own, *columns])
        # A row that somebody has cut short has no names either.
        short = ([row[place] for place in kept if place < len(row)] for row in rows)
        yield own, short, lambda row, behind: table.writerow([*row, *behind])


def without_names(path: Path) -> None:
    """Take the names out of a table, if it has any.

    :raises ValueError: It is no table of owners; likewise ``csv.Error``.
    :raises OSError: It is not there, or cannot be read or written.
    """
    check_table(path)
    if not has_names(path):
        return
    about = path.stat() if is_on_disk(path) else None
    with rewriting(path, ()) as (_, rows, write):
        for row in rows:
            write(row, ())
    if about:  # who asks how old a run is shall not be told that it was written now
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def has_names(path: Path) -> bool:
    """Whether a table has columns of names."""
    with open_text(path, newline="") as file:
        return not set(COLUMNS).isdisjoint(next(csv.reader(file), []))
