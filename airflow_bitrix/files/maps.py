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
from airflow_bitrix.files.named_files import check_is_file, shown

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

    A file that begins with anything else is none of these, and nothing of it is shown: it may be any file
    that the worker can read.

    :param path: The file, also on object storage.
    :raises InvalidInput: There is no such file, it is no map, it has no rows, or some of them are bad: names
        these with their lines.
    """
    try:
        check_is_file(path)
        with path.open("rb") as file:
            start = file.read(4)
        # What a spreadsheet calls Unicode text is UTF-16.
        encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        is_empty = True
        with path.open("r", encoding=encoding, errors="replace", newline="") as lines:
            for row in _checked(_rows(lines), argument):
                is_empty = False
                yield row
    except OSError:  # also a name that is none: somebody pasted the rows themselves
        raise InvalidInput(argument, str(path), "a file that is there and that the worker may read") from None
    except _NoMapError as error:
        accepted = f"a file of {ACCEPTED}: its {error} is neither that nor a header"
        raise InvalidInput(argument, str(path), accepted) from None
    if is_empty:
        raise InvalidInput(argument, str(path), f"a file with rows, and this one has no rows: {ACCEPTED}")


class _NoMapError(Exception):
    """A file does not begin as a map does; the message is the place that does not."""


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
    lines_left = chain([(number, first)], numbered)
    if first.lstrip().startswith("{"):
        yield from _begun((f"line {at}", _json(line)) for at, line in lines_left)
        return
    if first.lstrip().startswith("["):
        rows = _json(first + lines.read())
        rows = rows if isinstance(rows, list) else [rows]
        yield from _begun((f"row {at}", row) for at, row in enumerate(rows, start=1))
        return
    header = _header(_cells(first, mark))
    if header:
        next(lines_left)
    old, new = header or (0, 1)
    table = ((f"line {at}", _cells(line, mark)) for at, line in lines_left)
    found = (
        (place, [cells[at] if at < len(cells) else None for at in (old, new)])
        for place, cells in table
        if any(cell.strip() for cell in cells)
    )
    if header:
        yield from (_pair(place, row) for place, row in found)
    else:
        yield from _begun(found)


def _begun(rows: Iterable[tuple[str, Any]]) -> Iterator[Pair]:
    """Give rows that no header is above: the first one tells whether they are those of a map at all.

    :raises _NoMapError: They are not.
    """
    is_map = False
    for place, row in rows:
        pair = _pair(place, row)
        if not is_map:
            is_map = {"old", "new"} <= row.keys() if isinstance(row, Mapping) else _are_ids(pair[1:])
        if not is_map:
            raise _NoMapError(place)
        yield pair


def _are_ids(cells: Iterable[Any]) -> bool:
    try:
        return all(positive_id("cell", cell) for cell in cells)
    except InvalidInput:
        return False


def _header(cells: Sequence[str]) -> tuple[int, int] | None:
    """Give the columns of the old and of the new id, ``None`` where the cells do not name one of each."""
    words = [re.findall(r"[^\W_]+", cell.lower()) for cell in cells]
    old, new = (
        [at for at, said in enumerate(words) if name in said and {*said} <= {name, *_THINGS}]
        for name in ("old", "new")
    )
    return (old[0], new[0]) if len(old) == len(new) == 1 else None


def _cells(line: str, mark: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=mark), [])
    except csv.Error:  # a cell longer than any is
        return [line]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


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
                bad.append(f"{place}: {shown(old)},{shown(new)}")
            continue
        yield row
    if count:
        more = f" and {count - MOST_NAMED:,} more" if count > MOST_NAMED else ""
        raise InvalidInput(argument, "; ".join(bad) + more, ACCEPTED)
