"""Lists of owners that a person gives back: ``failed.csv``, or a file of ids from a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import OwnerKind, is_entity_kind
from airflow_bitrix.files.id_cells import NoIdError, id_in_cell
from airflow_bitrix.files.named_files import NOT_SHOWN, shown
from airflow_bitrix.files.tables import NoFirstRowError, NoTableError, opened, rows_of, start_of

ID_COLUMN, KIND_COLUMN = "owner_id", "owner"

_ACCEPTED = gettext_noop("a CSV file with a column {column}, such as failed.csv, or one id a line")

_MOST_NAMED = 5
"""Bad lines that an error names."""


def read_owner_ids(path: Path, kind: OwnerKind) -> list[int]:
    """Read the ids of owners, each once, in the order of the file.

    Either a CSV file with one column ``owner_id`` and perhaps one ``owner`` (``lead`` or ``deal``), parted by
    commas, semicolons or tabs; or one id a line, without a heading. What a spreadsheet makes of either when
    it saves it is read as well: see :func:`~airflow_bitrix.files.tables.opened` and
    :func:`~airflow_bitrix.files.id_cells.id_in_cell`.

    A file that begins with anything else is none of these, and nothing of it is shown: it may be any file
    that the worker can read.

    :param kind: What the owners have to be.
    :raises InvalidInput: There is no such file, it is no list, or it holds lines that name no such owner; the
        first few are named with their numbers.
    """
    ids: dict[int, None] = {}
    bad: list[str] = []
    count = 0
    try:
        for number, names, cells in _rows(path):
            try:
                ids[_owner_id(names, cells, kind)] = None
            except NoIdError as error:
                count += 1
                if count <= _MOST_NAMED:
                    bad.append(gettext("line {number}: {error}", number=str(number), error=error))
    except OSError:
        raise _refused(path, gettext("it cannot be read")) from None
    except NoFirstRowError as error:
        raise _refused(
            path,
            gettext(
                "its {error} is neither a heading with {id_column} nor an id",
                error=error,
                id_column=ID_COLUMN,
            ),
        ) from None
    except NoTableError as error:
        raise _refused(path, str(error)) from None
    if count:
        more = gettext(" and {count} more", count=count - _MOST_NAMED) if count > _MOST_NAMED else ""
        raise _refused(path, "; ".join(bad) + more)
    return list(ids)


def _refused(path: Path, why: str) -> InvalidInput:
    return InvalidInput(
        "owners_file",
        str(path),
        gettext(_ACCEPTED, column=ID_COLUMN),
        problem=gettext("{path} is not accepted, {why}", path=repr(str(path)), why=why),
    )


def _rows(path: Path) -> Iterator[tuple[int, list[str], list[str]]]:
    """Give line, headings and cells of each row that is not empty; where there is no heading, that of ids."""
    with opened(path) as lines:
        start = start_of(lines)
        if not start.line:
            return
        rows = rows_of(lines, start, lambda cells: _is_heading(cells) or _is_id(cells))
        number, first = next(rows)
        if _is_heading(first):
            names = [cell.lower() for cell in first]
        else:
            names = [ID_COLUMN]
            yield number, names, first
        for at, cells in rows:
            yield at, names, cells


def _is_heading(cells: Sequence[str]) -> bool:
    names = [cell.lower() for cell in cells]
    return names.count(ID_COLUMN) == 1 and names.count(KIND_COLUMN) <= 1


def _is_id(cells: Sequence[str]) -> bool:
    try:
        return bool(id_in_cell(cells[0])) and not any(cells[1:])
    except NoIdError:
        return False


def _owner_id(names: Sequence[str], cells: Sequence[str], kind: OwnerKind) -> int:
    """Give the id in a row.

    :raises NoIdError: There is none, the row is about another kind, or has more cells than headings.
    """
    if any(cells[len(names) :]):
        raise NoIdError(gettext("more cells than columns"))
    row = dict(zip(names, cells, strict=False))
    of_kind, given = row.get(KIND_COLUMN, "").lower(), row.get(ID_COLUMN, "")
    if of_kind not in ("", kind):
        other = gettext("a {kind}, ", **kind_words(of_kind)) if is_entity_kind(of_kind) else ""
        raise NoIdError(gettext("{other}not a {kind}", other=other, **kind_words(kind)))
    try:
        return id_in_cell(given)
    except NoIdError as error:
        what = gettext("it") if given and shown(given) == NOT_SHOWN else repr(given)
        raise NoIdError(
            gettext("{what} is no id", what=what) + (f", {error}" if str(error) else "")
        ) from None
