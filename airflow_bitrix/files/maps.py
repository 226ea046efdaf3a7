"""Maps of ids: CSV files, JSON Lines files, or what a task gave."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import positive_id
from airflow_bitrix.core.migrations import MapRow

MOST_NAMED = 5
"""Bad rows that an error names; the others it counts."""

ACCEPTED = (
    "rows of an old and a new id, whole numbers above 0: CSV with the columns old and new, or JSON Lines "
    'such as {"old": 5, "new": 6}'
)

_THINGS = frozenset({"id", "ids", "contact", "lead", "deal", "owner"})
"""Words that may stand beside old or new in the name of a column: ``old_id``, ``New contact id``."""

Pair = tuple[str, Any, Any]
"""Where a row stands, and its cells as they were given."""


def map_rows(given: Mapping[Any, Any] | Iterable[Any], argument: str) -> Iterator[MapRow]:
    """Read a map that was given as it is, such as the output of a task.

    :param given: ``{old: new}``, or a list of ``[old, new]`` or ``{"old": …, "new": …}``.
    :raises InvalidInput: Names the bad rows, when all have been read.
    """
    if isinstance(given, Mapping):
        pairs: Iterator[Pair] = ((f"entry {old!r}", old, new) for old, new in given.items())
    else:
        pairs = (_pair(f"row {number}", row) for number, row in enumerate(given, start=1))
    return _checked(pairs, argument)


def read_map(path: Path, argument: str) -> Iterator[MapRow]:
    """Read a map from a file, a row at a time.

    A file whose first character is ``{`` is JSON Lines, each ``{"old": …, "new": …}``; with ``[`` it is one
    list of such, or of pairs, and is read at once. Any other is CSV as a spreadsheet writes it: with commas,
    semicolons or tabs, with or without a byte order mark. A first line with a column *old* and a column *new*
    is its header and says which columns are meant, whatever their order; ``old_id``, ``Old contact`` and the
    like will do. Any other first line is a row, and rows begin with the old id and the new one. Empty lines
    do not count.

    :param path: The file, also on object storage.
    :raises InvalidInput: There is no such file, it has no rows, or some of them are bad: names these with
        their lines.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
        # What a spreadsheet calls Unicode text is UTF-16.
        encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        is_empty = True
        with path.open("r", encoding=encoding, errors="replace", newline="") as lines:
            for row in _checked(_rows(lines), argument):
                is_empty = False
                yield row
    except (FileNotFoundError, IsADirectoryError):
        raise InvalidInput(argument, str(path), "a file that is there") from None
    if is_empty:
        raise InvalidInput(argument, str(path), f"a file with rows, and this one has no rows: {ACCEPTED}")


def _rows(lines: IO[str]) -> Iterator[Pair]:
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    number, first = next(numbered, (0, ""))
    if first.lower().startswith("sep="):  # what Excel reads, and others write for it
        mark = first.rstrip("\r\n")[4:5] or ","
        number, first = next(numbered, (0, ""))
    else:
        mark = max(",;\t", key=first.count)
    if not number:
        return
    if first.lstrip().startswith("{"):
        for at, line in chain([(number, first)], numbered):
            yield _json_pair(f"line {at}", line)
        return
    if first.lstrip().startswith("["):
        yield from _json_array(first + lines.read())
        return
    cells = _cells(first, mark)
    header = _header(cells)
    columns = header or (0, 1)
    if header is None and any(cell.strip() for cell in cells):
        yield _csv_pair(number, cells, columns)
    for at, line in numbered:
        cells = _cells(line, mark)
        if any(cell.strip() for cell in cells):
            yield _csv_pair(at, cells, columns)


def _header(cells: Sequence[str]) -> tuple[int, int] | None:
    """Give the columns of the old and of the new id, ``None`` where the cells do not name one of each."""
    words = [re.findall(r"[^\W_]+", cell.lower()) for cell in cells]
    old, new = (
        [at for at, said in enumerate(words) if name in said and {*said} <= {name, *_THINGS}]
        for name in ("old", "new")
    )
    return (old[0], new[0]) if len(old) == len(new) == 1 else None


def _cells(line: str, mark: str) -> list[str]:
    return next(csv.reader([line.rstrip("\r\n")], delimiter=mark), [])


def _csv_pair(number: int, cells: Sequence[str], columns: tuple[int, int]) -> Pair:
    old, new = (cells[column] if column < len(cells) else None for column in columns)
    return f"line {number}", old, new


def _json_array(text: str) -> Iterator[Pair]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        rows = [text.strip()]
    return (_pair(f"row {number}", row) for number, row in enumerate(rows, start=1))


def _json_pair(place: str, line: str) -> Pair:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    return _pair(place, row)


def _pair(place: str, row: Any) -> Pair:
    if isinstance(row, Mapping):
        return place, row.get("old"), row.get("new")
    if isinstance(row, Sequence) and not isinstance(row, str) and len(row) == len(("old", "new")):
        return place, row[0], row[1]
    return place, None, None


def _checked(pairs: Iterable[Pair], argument: str) -> Iterator[MapRow]:
    bad: list[str] = []
    count = 0
    for place, old, new in pairs:
        try:
            row = place, positive_id(argument, old), positive_id(argument, new)
        except InvalidInput:
            count += 1
            if count <= MOST_NAMED:
                bad.append(f"{place}: {_shown(old)},{_shown(new)}")
            continue
        yield row
    if count:
        more = f" and {count - MOST_NAMED:,} more" if count > MOST_NAMED else ""
        raise InvalidInput(argument, "; ".join(bad) + more, ACCEPTED)


_LONGEST_CELL = 20


def _shown(cell: Any) -> str:
    text = "nothing" if cell is None or cell == "" else str(cell)
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
