"""Maps of ids: CSV files, JSON Lines files, or what a task gave."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.migrations import MapRow
from airflow_bitrix.files.id_cells import NoIdError, id_in_cell
from airflow_bitrix.files.named_files import shown
from airflow_bitrix.files.tables import Lines, NoFirstRowError, NoTableError, Start, opened, rows_of, start_of

MOST_NAMED = 5
"""Bad rows that an error names; the others it counts."""

ACCEPTED = gettext_noop(
    "rows of an old and a new id, whole numbers above 0: CSV with two columns, or with columns "
    'named old and new, or JSON Lines such as {"old": 5, "new": 6}'
)

_THINGS = frozenset({"id", "ids", "contact", "company", "lead", "deal", "owner"})
"""Words that may stand beside old or new in the name of a column: ``old_id``, ``New contact id``."""


_ENTRY = gettext_noop("entry {at}")
_LINE = gettext_noop("line {at}")
_ROW = gettext_noop("row {at}")


class Place(NamedTuple):
    """Where a row stands; a map has millions of rows, and few that are named."""

    text: str
    at: object

    def __str__(self) -> str:
        """Give it as people read it: ``line 7``."""
        return gettext(self.text, at=str(self.at))


class Pair(NamedTuple):
    """A row as it was given.

    :param place: Where it stands.
    :param old: The cell of the old id.
    :param new: The cell of the new one.
    :param problem: Why it is none, whatever its cells.
    """

    place: Place
    old: Any = None
    new: Any = None
    problem: str = ""

    def row(self) -> MapRow:
        """Give the row with its ids.

        :raises NoIdError: A cell of it is none.
        """
        if self.problem:
            raise NoIdError(self.problem)
        return self.place, id_in_cell(self.old), id_in_cell(self.new)


def map_rows(given: Mapping[Any, Any] | Iterable[Any], argument: str) -> Iterator[MapRow]:
    """Read a map that was given as it is, such as the output of a task.

    :param given: ``{old: new}``, or a list of ``[old, new]`` or ``{"old": …, "new": …}``.
    :raises InvalidInput: Names the bad rows, when all have been read.
    """
    if isinstance(given, Mapping):
        pairs: Iterator[Pair] = (Pair(Place(_ENTRY, repr(old)), old, new) for old, new in given.items())
    else:
        pairs = (_pair(Place(_ROW, number), row) for number, row in enumerate(given, start=1))
    return _checked(pairs, argument)


def read_map(path: Path, argument: str) -> Iterator[MapRow]:
    """Read a map from a file, a row at a time.

    A file whose first sign is ``{`` is JSON Lines, each ``{"old": …, "new": …}``; with ``[`` it is one list
    of such, or of pairs, and is read at once. Any other is CSV as a spreadsheet saves it: with commas,
    semicolons or tabs, in the encodings of :func:`~airflow_bitrix.files.tables.opened`. A first row with a
    column *old* and a column *new* is its header and says which columns are meant, whatever their order;
    ``old_id``, ``Old contact`` and the like will do. Any other first row is one of ids, and then rows hold
    the old id, the new one, and nothing else. Empty rows do not count.

    A file that begins with anything else is none of these, and nothing of it is shown: it may be any file
    that the worker can read.

    :param path: The file, also on object storage.
    :raises InvalidInput: There is no such file, it is no map, it has no rows, or some of them are bad: names
        these with their lines.
    """
    try:
        with opened(path) as lines:
            is_empty = True
            for row in _checked(_rows(lines), argument):
                is_empty = False
                yield row
    except OSError:  # also a name that is none: somebody pasted the rows themselves
        raise InvalidInput(
            argument, str(path), gettext("a file that is there and that the worker may read")
        ) from None
    except NoFirstRowError as error:
        raise _refused(
            argument, path, gettext("its {error} is neither a row of ids nor a header", error=error)
        ) from None
    except NoTableError as error:
        raise _refused(argument, path, str(error)) from None
    if is_empty:
        raise _refused(argument, path, gettext("it has no rows"))


def _refused(argument: str, path: Path, why: str) -> InvalidInput:
    problem = gettext("{path} is not accepted, {why}", path=repr(str(path)), why=why)
    return InvalidInput(
        argument, str(path), gettext("a file of {accepted}", accepted=gettext(ACCEPTED)), problem=problem
    )


def _rows(lines: Lines) -> Iterator[Pair]:
    start = start_of(lines)
    if not start.line:
        return
    if start.line.lstrip().startswith("{"):
        yield from _begun(_json_lines(lines, start))
    elif start.line.lstrip().startswith("["):
        rows = _json(start.line + lines.rest())
        rows = rows if isinstance(rows, list) else [rows]
        yield from _begun((Place(_ROW, at), row) for at, row in enumerate(rows, start=1))
    else:
        yield from _table(lines, start)


def _json_lines(lines: Lines, start: Start) -> Iterator[tuple[Place, Any]]:
    yield Place(_LINE, start.number), _json(start.line)
    for line in lines:
        lines.end_row()
        if line.strip():
            yield Place(_LINE, lines.number), _json(line)


def _table(lines: Lines, start: Start) -> Iterator[Pair]:
    rows = rows_of(lines, start, lambda cells: bool(_header(cells)) or _are_ids(cells))
    number, first = next(rows)
    header = _header(first)
    old, new = header or (0, 1)
    width = len(first) if header else len(("old", "new"))
    for at, cells in rows if header else chain([(number, first)], rows):
        problem = gettext("more cells than columns") if any(cells[width:]) else ""
        found = [cells[column] if column < len(cells) else None for column in (old, new)]
        yield Pair(Place(_LINE, at), found[0], found[1], problem)


def _begun(rows: Iterable[tuple[Place, Any]]) -> Iterator[Pair]:
    """Give rows that no header is above: the first one tells whether they are those of a map at all.

    :raises NoFirstRowError: They are not.
    """
    is_map = False
    for place, row in rows:
        pair = _pair(place, row)
        if not is_map:
            is_map = {"old", "new"} <= row.keys() if isinstance(row, Mapping) else _are_ids(pair[1:3])
        if not is_map:
            raise NoFirstRowError(str(place))
        yield pair


def _are_ids(cells: Sequence[Any]) -> bool:
    """Whether cells are an old id, a new one, and nothing else."""
    try:
        ids = [id_in_cell(cell) for cell in cells[:2]]
    except NoIdError:
        return False
    return len(ids) == len(("old", "new")) and not any(cells[2:])


def _header(cells: Sequence[str]) -> tuple[int, int] | None:
    """Give the columns of the old and of the new id, ``None`` where the cells do not name one of each."""
    words = [re.findall(r"[^\W_]+", cell.lower()) for cell in cells]
    old, new = (
        [at for at, said in enumerate(words) if name in said and {*said} <= {name, *_THINGS}]
        for name in ("old", "new")
    )
    return (old[0], new[0]) if len(old) == len(new) == 1 else None


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unequivocal)
    except (ValueError, RecursionError):
        return None


def _unequivocal(pairs: list[tuple[str, Any]]) -> dict[str, Any] | None:
    """Give an object; ``None`` where a name comes twice, of which JSON would keep the last."""
    given = dict(pairs)
    return given if len(given) == len(pairs) else None


def _pair(place: Place, row: Any) -> Pair:
    if isinstance(row, Mapping):
        return Pair(place, row.get("old"), row.get("new"))
    if isinstance(row, Sequence) and not isinstance(row, str) and len(row) == len(("old", "new")):
        return Pair(place, row[0], row[1])
    return Pair(place)


def _checked(pairs: Iterable[Pair], argument: str) -> Iterator[MapRow]:
    bad: list[str] = []
    count = 0
    for pair in pairs:
        try:
            row = pair.row()
        except NoIdError as error:
            count += 1
            if count <= MOST_NAMED:
                reason = f" ({error})" if str(error) else ""
                bad.append(f"{pair.place}: {shown(pair.old)},{shown(pair.new)}{reason}")
            continue
        yield row
    if count:
        more = gettext(" and {count} more", count=count - MOST_NAMED) if count > MOST_NAMED else ""
        raise InvalidInput(argument, "; ".join(bad) + more, gettext(ACCEPTED))
