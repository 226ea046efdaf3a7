"""Files that a person named, in a trigger form for example: they can be any file on the worker."""

from __future__ import annotations

from pathlib import Path

_LONGEST = 16
_SIGNS = " .,-"

NOT_SHOWN = "(not shown)"


def shown(cell: object) -> str:
    """Give a cell where it is short and plain, as a mistyped id is; of any other only that there is one.

    :param cell: A cell of a file that turned out to be of the kind that was asked for.
    """
    text = "nothing" if cell is None or cell == "" else str(cell)
    is_plain = len(text) <= _LONGEST and all(sign.isalnum() or sign in _SIGNS for sign in text)
    return text if is_plain else NOT_SHOWN


def check_is_file(path: Path) -> None:
    """Refuse what is no file to be read to its end: a folder, or a device that has none.

    :raises FileNotFoundError: It is not there, or no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(str(path))
