"""An index of a run's outcomes, kept beside its parts on an object storage: one request instead of hundreds.

It tells of which files it was made, each as a listing tells it; parts that have changed since are read anew.
Whoever can write it can write the journal as well: it is believed as far as that is.
"""

from __future__ import annotations

import logging
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from airflow_bitrix.files import FORMAT
from airflow_bitrix.files.damage import StoreAwayError
from airflow_bitrix.files.indexed_parts import BIGGEST, OVERWRITE, STATES, IndexedPart, Stamp
from airflow_bitrix.files.plain_files import read_plain

_MOST_BYTES = 2**27
"""Bytes of an index that are unpacked; one of a million changes has a fifth of it."""

_IN_USE = bytes({state | flag for state in range(len(STATES)) for flag in (0, OVERWRITE)})

log = logging.getLogger(__name__)


class _Part(msgspec.Struct, array_like=True):
    """A part as it is kept; numbers are of eight bytes, as machines of today have them."""

    stamp: list[Any]
    ids: bytes
    planned_at: bytes
    noted_at: bytes
    states: bytes
    by_rule: list[tuple[str, int, int]]
    biggest: list[tuple[int, int]]
    is_noted: bool
    is_real: bool
    efforts: list[tuple[bool, bytes]]


class _Index(msgspec.Struct, array_like=True):
    format: int
    parts: list[_Part]


def packed(parts: Iterable[IndexedPart]) -> bytes:
    """Give parts as they are kept.

    :raises TypeError: They are of a storage that does not tell when files were written.
    """
    return zlib.compress(msgspec.msgpack.encode(_Index(FORMAT, [_kept(part) for part in parts])), 1)


def _kept(part: IndexedPart) -> _Part:
    return _Part(
        list(part.stamp),
        part.ids.tobytes(),
        part.planned_at.tobytes(),
        part.noted_at.tobytes(),
        bytes(part.states),
        [(rule, state, count) for (rule, state), count in part.by_rule.items()],
        part.biggest,
        part.is_noted,
        part.is_real,
        part.efforts,
    )


def kept_parts(path: Path) -> dict[Stamp, IndexedPart]:
    """Read the parts of an index by what they were made of; none where there is none that is right.

    :raises StoreAwayError: The object storage is away.
    """
    try:
        unpacked = zlib.decompressobj().decompress(read_plain(path), _MOST_BYTES)
        index = msgspec.msgpack.decode(unpacked, type=_Index)
        parts = [_part(kept) for kept in index.parts] if index.format == FORMAT else []
    except StoreAwayError:
        raise
    except (OSError, ValueError, TypeError, zlib.error, msgspec.DecodeError) as error:
        log.debug("%s is passed over: %s", path, error)
        return {}
    return {part.stamp: part for part in parts}


def _part(kept: _Part) -> IndexedPart:
    part = IndexedPart(
        _stamp(kept.stamp),
        array("q", kept.ids),
        array("Q", kept.planned_at),
        array("Q", kept.noted_at),
        bytearray(kept.states),
        Counter({(rule, state): count for rule, state, count in kept.by_rule}),
        [(size, place) for size, place in kept.biggest][:BIGGEST],
        kept.is_noted,
        kept.is_real,
        kept.efforts,
    )
    changes = len(part.ids)
    is_right = (
        len(part.planned_at) == len(part.noted_at) == len(part.states) == changes
        and not kept.states.translate(None, _IN_USE)
        and all(state in _IN_USE for _, state, _ in kept.by_rule)
        and all(0 <= -place < changes for _, place in kept.biggest)
    )
    if not is_right:
        raise ValueError("an index that does not hold together")
    return part


def _stamp(kept: list[Any]) -> Stamp:
    return tuple(_stamp(one) if isinstance(one, list) else one for one in kept)
