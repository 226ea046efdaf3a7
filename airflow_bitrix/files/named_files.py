"""What is shown of files that a person named, in a form for example: they can be any on the worker."""

from __future__ import annotations

import re

_MOST_DIGITS = 10
_LIKE_AN_ID = re.compile(r"-?[0-9]+([.,][0-9]+)?")

NOT_SHOWN = "(not shown)"


def shown(cell: object) -> str:
    """Give a cell where it looks like an id, or a number; of any other only that there is one.

    What begins as a map or a list does may go on as anything: an id and a number are in many a file.

    :param cell: A cell of a file that turned out to be of the kind that was asked for.
    """
    if cell is None or cell == "":
        return "nothing"
    text = str(cell)
    is_like_one = _LIKE_AN_ID.fullmatch(text) and sum(map(str.isdigit, text)) <= _MOST_DIGITS
    return text if is_like_one else NOT_SHOWN
