"""An index of a run's outcomes, kept beside its parts: on an object storage one request instead of hundreds.

It tells of which files it was made, each as a listing tells it; parts that have changed since are read anew.
Whoever can write it can write the journal as well: it is believed as far as that is.

A file is packed by zlib: a line of JSON that tells what each part holds, and then the numbers of all parts.
"""

from __future__ import annotations

import json
import logging
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.apply_times import LATEST, STRETCH, ApplyTimes
from airflow_bitrix.files.indexed_parts import BIGGEST, OVERWRITE, STATES, IndexedPart
from airflow_bitrix.files.json_texts import json_value
from airflow_bitrix.files.plain_files import read_plain
from airflow_bitrix.files.stamps import Stamp

_MOST_BYTES = 2**27
"""Bytes of an index that are unpacked; one of a million changes has a fifth of it."""

_LAYOUT = 2
"""How it is laid out; one that is laid out otherwise is passed over."""

_ORDER = sys.byteorder
"""How numbers of eight bytes stand here; an index of a machine that has it otherwise is passed over."""

_WIDE = 4
"""Numbers of eight bytes of each change."""

_IN_USE = bytes({state | flag for state in range(len(STATES)) for flag in (0, OVERWRITE)})

log = logging.getLogger(__name__)


class _Part(msgspec.Struct, array_like=True):
    """What is told of a part beside its numbers."""

    stamp: list[Any]
    changes: int
    by_rule: list[tuple[str, int, int]]
    biggest: list[tuple[int, int]]
    is_noted: bool
    is_real: bool
    real: ApplyCost
    dry: ApplyCost
    is_cost_told: bool
    first: int
    last: int
    counts: list[tuple[int, int]]


class _Head(msgspec.Struct):
    index: int
    order: str
    parts: list[_Part]


def packed(parts: Iterable[IndexedPart]) -> bytes:
    """Give parts as they are kept.

    :raises TypeError: They are of a storage that does not tell when files were written.
    """
    parts = list(parts)
    head = msgspec.to_builtins(_Head(_LAYOUT, _ORDER, [_told(part) for part in parts]))
    pieces = [json.dumps(head, separators=(",", ":")).encode(), b"\n"]
    for part in parts:
        pieces += [bytes(some) for some in (*_wide(part), part.states)]
    return zlib.compress(b"".join(pieces), 1)


def _wide(part: IndexedPart) -> tuple[array[int], ...]:
    """Give its numbers of eight bytes."""
    return part.ids, part.planned_at, part.noted_at, part.named_at


def _told(part: IndexedPart) -> _Part:
    return _Part(
        list(part.stamp),
        len(part.ids),
        [(rule, state, count) for (rule, state), count in part.by_rule.items()],
        part.biggest,
        part.is_noted,
        part.is_real,
        part.real,
        part.dry,
        part.is_cost_told,
        part.times.first,
        part.times.last,
        [*part.times.counts.items()],
    )


def kept_parts(path: Path) -> dict[Stamp, IndexedPart]:
    """Read the parts of an index by what they were made of; none where there is none that is right.

    :raises RetryLater: The object storage is away.
    """
    try:
        unpacked = zlib.decompressobj().decompress(read_plain(path), _MOST_BYTES)
        line, _, numbers = unpacked.partition(b"\n")
        head = msgspec.convert(json_value(line), _Head)
        is_ours = (head.index, head.order) == (_LAYOUT, _ORDER)
        return _parts(head.parts, memoryview(numbers)) if is_ours else {}
    except (OSError, ValueError, TypeError, RecursionError, zlib.error, msgspec.MsgspecError) as error:
        log.debug("%s is passed over: %s", path, error)
        return {}


def _parts(told: Iterable[_Part], numbers: memoryview) -> dict[Stamp, IndexedPart]:
    found = {}
    for one in told:
        wide, changes = 8 * one.changes, one.changes
        ids, *places = (bytes(numbers[wide * n : wide * (n + 1)]) for n in range(_WIDE))
        planned_at, noted_at, named_at = (array("Q", some) for some in places)
        states = bytes(numbers[_WIDE * wide : _WIDE * wide + changes])
        numbers = numbers[_WIDE * wide + changes :]
        is_right = (
            len(states) == changes
            and not states.translate(None, _IN_USE)
            and all(state in _IN_USE for _, state, _ in one.by_rule)
            and all(0 <= -place < changes for _, place in one.biggest)
            and 0 <= one.first <= one.last < LATEST
            and all(one.first - STRETCH < at <= one.last and count > 0 for at, count in one.counts)
        )
        if not is_right:
            raise ValueError(gettext("it does not hold together"))
        part = IndexedPart(
            _stamp(one.stamp),
            array("q", ids),
            planned_at,
            noted_at,
            named_at,
            bytearray(states),
            Counter({(rule, state): count for rule, state, count in one.by_rule}),
            one.biggest[:BIGGEST],
            one.is_noted,
            one.is_real,
            one.real,
            one.dry,
            one.is_cost_told,
            ApplyTimes(one.first, one.last, Counter(dict(one.counts))),
        )
        found[part.stamp] = part
    return found


def _stamp(told: list[Any]) -> Stamp:
    return tuple(_stamp(one) if isinstance(one, list) else one for one in told)
