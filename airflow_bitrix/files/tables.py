"""Tables as spreadsheets save them, a row at a time: CSV in any encoding that leaves digits as they are."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.files.plain_files import NoPlainFileError, open_plain

if TYPE_CHECKING:
    from _csv import Reader

MARKS = (",", ";", "\t")
"""What may part the cells of a row; a line ``sep=…`` may name one of them, or ``|``."""

MOST_BYTES = 100_000_000
"""How large a file may be: some five million rows. What is larger is to be split."""

MOST_SIGNS = 16_000_000
"""How long a row may be, all lines of its cells together: rows are read one at a time."""

MOST_CELLS = 16_384
"""How many cells a row may have: as many as a row of a spreadsheet."""

_HINT = "sep="

_NO_MARK = "\x1f"

Row = tuple[int, list[str]]
"""The line on which a row begins, and its cells without spaces around them."""

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like the next one
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_NO_TEXTS = {
    b"PK\x03\x04": gettext_noop("it is an Excel workbook, or another zip file; save it as CSV"),
    b"\xd0\xcf\x11\xe0": gettext_noop("it is a workbook of an older Excel; save it as CSV"),
}
"""Files that people take for tables, by their first four bytes."""

_SIGNS_OF_OTHERS = {
    "\0": gettext_noop("it holds zero bytes, as UTF-16 without a byte order mark does"),
    "\x1b": gettext_noop("it holds escape signs, as ISO-2022 does"),
}


class NoTableError(Exception):
    """A file cannot be read as a table. The message says what is wrong with it, and shows nothing of it."""


class NoFirstRowError(Exception):
    """A file does not begin as it has to. The message is the place where it does not."""


@contextmanager
def opened(path: Path) -> Iterator[Lines]:
    """Open a file that a person named, to read it in lines.

    A byte order mark tells UTF-8, UTF-16 and UTF-32. Without one it is UTF-8, or an encoding in which bytes
    below 128 are ASCII, such as Windows-1251 and Windows-1252: these need not be told apart, since ids and
    headings are ASCII. Bytes that are no UTF-8 become signs that belong to no word and no number.

    :raises OSError: It is not there, or may not be read.
    :raises NoTableError: It is a workbook, no plain file, or larger than :data:`MOST_BYTES`.
    """
    try:
        with open_plain(path, MOST_BYTES) as file:
            start = file.peek(4)[:4]
            if start in _NO_TEXTS:
                raise NoTableError(gettext(_NO_TEXTS[start]))
            encoding = next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), "utf-8")
            is_wide = encoding in ("utf-16", "utf-32")
            errors = "strict" if is_wide else "surrogateescape"
            yield Lines(io.TextIOWrapper(file, encoding=encoding, errors=errors, newline=""))
    except NoPlainFileError as error:
        raise NoTableError(gettext("it {why}", why=error.why)) from None


class Lines(Iterator[str]):
    """The lines of a file, numbered.

    :param file: The file, opened to read its line ends as they are.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._signs = 0
        self.number = 0
        """How many lines have been read."""

    def __next__(self) -> str:
        """Give the next line, with its end.

        :raises NoTableError: The row goes on for too long, or the file is in an encoding that is not read.
        """
        line = self._read(lambda: self._file.readline(MOST_SIGNS + 1))
        if not line:
            raise StopIteration
        self.number += 1
        self._signs += len(line)
        if self._signs > MOST_SIGNS:
            raise NoTableError(
                gettext(
                    "the row at line {number} has more than {most_signs} signs",
                    number=str(self.number),
                    most_signs=MOST_SIGNS,
                )
            )
        return line

    def rest(self) -> str:
        """Give all that is left, at once.

        :raises NoTableError: That is more than a row may have.
        """
        left = self._read(lambda: self._file.read(MOST_SIGNS + 1))
        if len(left) > MOST_SIGNS:
            raise NoTableError(
                gettext(
                    "its list has more than {most_signs} signs; give it as JSON Lines or CSV",
                    most_signs=MOST_SIGNS,
                )
            )
        return left

    def _read(self, read: Callable[[], str]) -> str:
        try:
            text = read()
        except UnicodeError:
            raise NoTableError(
                gettext("it is cut short, or not in the encoding that its first bytes tell")
            ) from None
        for sign, said in _SIGNS_OF_OTHERS.items():
            if sign in text:
                raise NoTableError(gettext("{said}; save it as UTF-8", said=gettext(said)))
        return text

    def end_row(self) -> None:
        """Say that what has been read is a row: how long a row may be is counted anew."""
        self._signs = 0


@dataclass(frozen=True, slots=True)
class Start:
    """How a file begins.

    :param line: The first line that is not empty; an empty text where there is none.
    :param number: Its number.
    :param marks: What may part its cells: what a line ``sep=…`` before it says.
    """

    line: str
    number: int
    marks: Sequence[str] = MARKS


def start_of(lines: Lines) -> Start:
    """Read a file up to its first line that is not empty.

    :raises NoTableError: A line ``sep=`` names something else than :data:`MARKS` or ``|``.
    """
    marks: Sequence[str] = MARKS
    for line in lines:
        lines.end_row()
        said = line.strip(" \r\n").strip('"')
        if marks is MARKS and said.lower().startswith(_HINT):  # what Excel reads, and others write for it
            marks = (said[len(_HINT) :][:1] or ",",)
            if marks[0] not in (*MARKS, "|"):
                raise NoTableError(gettext("its line sep= names no comma, semicolon, tabulator or |"))
        elif line.strip(" \r\n\t,;|"):
            return Start(line, lines.number, marks)
    return Start("", lines.number, marks)


def rows_of(lines: Lines, start: Start, fits: Callable[[Sequence[str]], bool]) -> Iterator[Row]:
    """Give the rows of a table that are not empty. A cell in quotes may hold line breaks, marks and quotes.

    What parts the cells is the one mark with which the first row is as it has to be; with two such, nobody
    could say which is meant. Where that row is one cell with any mark, so is each line of the table.

    :param fits: Whether these cells can be the first row.
    :raises NoFirstRowError: With no mark they can, or with several.
    :raises NoTableError: Quotes are not closed, or more stands behind them in their cell.
    """
    begun = _Begun(start.line, lines)
    mark = _mark_of(begun, start, fits)
    lines.end_row()
    begins = start.number
    reader = _reader(chain(begun.taken, lines), mark)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            said = gettext(
                "has quotes that are not closed, more behind closing quotes, or a cell that is too long"
            )
            raise NoTableError(
                gettext("the row at line {begins} {said}", begins=str(begins), said=said)
            ) from None
        lines.end_row()
        if len(cells) > MOST_CELLS:
            raise NoTableError(
                gettext(
                    "the row at line {begins} has more than {most_cells} cells",
                    begins=str(begins),
                    most_cells=MOST_CELLS,
                )
            )
        row = _trimmed(cells)
        if any(row):
            yield begins, row
        begins = start.number + reader.line_num


class _Begun(Iterable[str]):
    """The first lines of a table, as often as they are asked for: its first row may have several.

    :param line: The first one.
    :param lines: The others.
    """

    def __init__(self, line: str, lines: Lines) -> None:
        self.taken = [line]
        """All that has been read so far."""
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        for at in count():
            if at == len(self.taken):
                self.taken += islice(self._lines, 1)
            if at == len(self.taken):
                return
            yield self.taken[at]


def _mark_of(begun: _Begun, start: Start, fits: Callable[[Sequence[str]], bool]) -> str:
    firsts = {mark: _first(begun, mark) for mark in start.marks}
    fitting = {mark: cells for mark, cells in firsts.items() if cells and fits(cells)}
    if fitting and all(len(cells) == 1 for cells in fitting.values()):
        return _NO_MARK
    if len(fitting) != 1:
        raise NoFirstRowError(gettext("line {number}", number=str(start.number)))
    return next(iter(fitting))


def _first(lines: Iterable[str], mark: str) -> list[str]:
    try:
        cells: list[str] = next(_reader(lines, mark), [])
    except csv.Error:
        return []
    return _trimmed(cells) if len(cells) <= MOST_CELLS else []


def _reader(lines: Iterable[str], mark: str) -> Reader:
    # A quote behind spaces is one, too: else what stands in it would be taken for cells.
    return csv.reader(lines, delimiter=mark, skipinitialspace=True, strict=True)


def _trimmed(cells: Iterable[str]) -> list[str]:
    return [cell.strip() for cell in cells]
