"""Lists of owners that a person gives back: ``failed.csv``, or a file of ids from a spreadsheet."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import OwnerKind, positive_id
from airflow_bitrix.core.numbers import whole_number
from airflow_bitrix.files.named_files import NOT_SHOWN, check_is_file, shown

ID_COLUMN, KIND_COLUMN = "owner_id", "owner"

_ACCEPTED = f"a CSV file with a column {ID_COLUMN}, such as failed.csv, or one id a line"

_MOST_NAMED = 5
"""Bad lines that an error names."""


def read_owner_ids(path: Path, kind: OwnerKind) -> list[int]:
    """Read the ids of owners, each once, in the order of the file.

    Either a CSV file with a column ``owner_id`` and perhaps ``owner`` (``lead`` or ``deal``), parted by
    commas, semicolons or tabs; or one id a line, without a heading. A byte order mark, a line ``sep=;`` and
    empty lines do no harm: spreadsheets write them.

    A file that begins with anything else is none of these, and nothing of it is shown: it may be any file
    that the worker can read.

    :param kind: What the owners have to be.
    :raises InvalidInput: There is no such file, it is no list, or it holds lines that name no such owner; the
        first few are named with their numbers.
    """
    ids: dict[int, None] = {}
    bad: list[str] = []
    for number, given, of_kind in _readable(path):
        if of_kind not in ("", kind):
            what = "" if shown(of_kind) == NOT_SHOWN else f"a {of_kind}, "
            bad.append(f"line {number}: {what}not a {kind}")
            continue
        try:
            ids[positive_id(ID_COLUMN, given)] = None
        except InvalidInput:
            what = "it" if shown(given) == NOT_SHOWN else repr(given)
            bad.append(f"line {number}: {what} is no id")
    if bad:
        more = f" and {len(bad) - _MOST_NAMED} more" if len(bad) > _MOST_NAMED else ""
        raise InvalidInput("owners_file", str(path), f"{_ACCEPTED} ({'; '.join(bad[:_MOST_NAMED])}{more})")
    return list(ids)


def _readable(path: Path) -> Iterator[tuple[int, str, str]]:
    try:
        yield from _rows(path)
    except csv.Error:
        raise InvalidInput("owners_file", str(path), f"{_ACCEPTED} (it is no CSV file)") from None


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Give number, id and kind of each line that is not empty."""
    text = _text(path)
    head = next((line for line in text.splitlines() if line.strip() and not _is_hint(line)), "")
    delimiter = max(";\t,", key=head.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names: list[str] | None = None
    begins = 1
    for cells in lines:
        number, begins = begins, lines.line_num + 1  # a cell may hold several lines
        row = [cell.strip() for cell in cells]
        if not any(row) or (number == 1 and _is_hint(cells[0])):
            continue
        if names is None:
            names = [cell.lower() for cell in row]
            if ID_COLUMN in names:
                continue
            if len(row) > 1:
                raise InvalidInput("owners_file", str(path), f"{_ACCEPTED} (it has no such column)")
            names = [ID_COLUMN]
            if whole_number(row[0]) is None:
                neither = f"line {number} is neither that heading nor an id"
                raise InvalidInput("owners_file", str(path), f"{_ACCEPTED} ({neither})")
        named = dict(zip(names, row, strict=False))
        yield number, named.get(ID_COLUMN, ""), named.get(KIND_COLUMN, "").lower()


def _text(path: Path) -> str:
    try:
        check_is_file(path)
        content = path.read_bytes()
    except OSError:
        raise InvalidInput("owners_file", str(path), f"{_ACCEPTED} (it cannot be read)") from None
    # Only ids and headings matter, and these are ASCII whatever a spreadsheet saves its texts in.
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_wide else "utf-8-sig", errors="replace")


def _is_hint(line: str) -> bool:
    """Whether it is the line by which a spreadsheet is told what parts the cells."""
    return line.lower().startswith("sep=")
