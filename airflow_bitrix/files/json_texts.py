"""JSON of files that somebody may have handed in: of no more values, and no deeper, than any of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.plain_files import read_plain

T = TypeVar("T")

MOST_BYTES = 2**24
"""Bytes of a file that is one JSON value, such as a manifest."""

MOST_VALUES = 2**20
"""Values in one text, maps and lists among them. A line of a journal may have some hundred thousand."""


def json_value(text: bytes) -> Any:
    """Read JSON.

    :raises ValueError: It is none, or of more values than :data:`MOST_VALUES`, of which a few bytes each
        become many in memory; or so deep that Python can neither read nor show it.
    """
    # Each value is the first in a map or list, or stands behind a comma; in texts there may be more of them.
    if len(text) > MOST_VALUES and sum(map(text.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ValueError(gettext("too many values"))
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(gettext("too deep")) from None


def read_json(path: Path) -> Any:
    """Read a file that is one JSON value.

    :raises NoPlainFileError: It is no plain file, or larger than :data:`MOST_BYTES`.
    :raises ValueError: As :func:`json_value` says.
    :raises OSError: It is not there, or may not be read.
    """
    return json_value(read_plain(path, MOST_BYTES))


def read_as(path: Path, shape: type[T]) -> T:
    """Read a file that is one JSON value of a certain shape.

    :raises NoPlainFileError: It is no plain file, or larger than :data:`MOST_BYTES`.
    :raises ValueError: It is of another shape.
    :raises OSError: It is not there, or may not be read.
    """
    return shaped(read_plain(path, MOST_BYTES), shape)


def shaped(text: bytes, shape: type[T]) -> T:
    """Read JSON of a certain shape.

    :raises ValueError: It is of another shape.
    """
    try:
        return msgspec.json.decode(text, type=shape)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None
