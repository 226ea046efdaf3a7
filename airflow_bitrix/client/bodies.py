"""What an answer may hold: so many bytes, packed and unpacked, so many values, so deep. Pure functions.

An answer is received as it comes over the wire and unpacked here, step by step, for both hooks alike. The
HTTP libraries unpack as much as there is, and a few bytes of a packed answer can become gigabytes.
"""

from __future__ import annotations

import json
import zlib
from itertools import count
from typing import Any

import msgspec

from airflow_bitrix.core.languages import gettext

MOST_BYTES = 64_000_000
"""The largest answer. The 2,500 rows of a full batch, with all fields, are two million bytes in the sandbox;
a portal with hundreds of fields and long texts may have some tens of millions."""

MOST_VALUES = 4_000_000
"""Values in an answer, maps and lists among them. A full batch of rows with 800 fields has half of that."""

DEEPEST = 100
"""Maps and lists within each other. The rows of a batch lie in the fourth; what is deeper than some hundreds,
Python itself can neither show nor write down."""

_AT_ONCE = 8
"""Levels that an answer may have to be read in one go. A row of a batch lies in the sixth; a list in it, such
as that of its phone numbers, is in the seventh, and each of them in the eighth."""

ENCODINGS = "gzip, deflate"
"""What may be packed how, for ``Accept-Encoding``: what is unpacked here."""

_EITHER = zlib.MAX_WBITS + 32
"""Tells zlib to look at the first bytes for which of the two it is."""

_STEP = 2**20
_NESTED = frozenset({dict, list})


class UnreadableError(Exception):
    """An answer that is not read on, and why."""


class Body:
    """The body of an answer, as far as it has come.

    :param encoding: The answer's ``Content-Encoding``.
    :param most: Bytes that it may have, on the wire and unpacked.
    :raises UnreadableError: It is packed in a way that was not asked for.
    """

    def __init__(self, encoding: str, most: int) -> None:
        self._most, self._received = most, 0
        self._unpacked = bytearray()
        name = encoding.strip().lower()
        if name not in ("", "identity", "gzip", "x-gzip", "deflate"):
            said = gettext(
                "the answer is packed in a way that was not asked for ({how})", how=ascii(name[:40])
            )
            raise UnreadableError(said)
        self._packed = None if name in ("", "identity") else zlib.decompressobj(_EITHER)

    def add(self, piece: bytes) -> None:
        """Take what has come over the wire.

        :raises UnreadableError: It is too much, or cannot be unpacked.
        """
        self._received += len(piece)
        if self._packed:
            self._unpack(self._packed, piece)
        else:
            self._unpacked += piece
        self._check()

    def _unpack(self, packed: Any, piece: bytes) -> None:
        try:
            while True:
                step = packed.decompress(piece, _STEP)
                self._unpacked += step
                self._check()
                piece = packed.unconsumed_tail
                if not piece and len(step) < _STEP:
                    break
        except zlib.error:
            raise UnreadableError(gettext("the answer cannot be unpacked")) from None
        if packed.unused_data:
            raise UnreadableError(gettext("something follows the end of a packed answer"))

    def _check(self) -> None:
        if max(self._received, len(self._unpacked)) > self._most:
            raise UnreadableError(too_large(self._most))

    def whole(self) -> bytes:
        """Give all of it, unpacked, where no more comes.

        :raises UnreadableError: Its end is missing.
        """
        if self._packed and self._received and not self._packed.eof:
            raise UnreadableError(gettext("the end of a packed answer is missing"))
        return bytes(self._unpacked)


def too_large(most: int) -> str:
    """Say that an answer is too large."""
    return gettext("the answer is larger than {most} bytes", most=most)


def parsed(body: bytes) -> Any:
    """Read JSON: no deeper, and of no more values, than any answer is.

    :raises UnreadableError: It is deeper, or of more values.
    :raises ValueError: It is no JSON.
    """
    # Each value is the first in a map or list, or stands behind a comma; in texts there may be more of them.
    if len(body) > 2 * MOST_VALUES and sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise UnreadableError(gettext("more than {most_values} values", most_values=MOST_VALUES))
    try:
        return _decode(body)
    except (msgspec.MsgspecError, ValueError):
        pass  # deeper, or no JSON; or such as json alone takes: in UTF-16, with half of a pair of surrogates
    try:
        value = json.loads(body, parse_constant=_refuse)
    except RecursionError:
        raise _too_deep() from None
    _check_depth(value)
    return value


def _decoder(levels: int) -> msgspec.json.Decoder[Any]:
    """Give what reads JSON of so many levels, and none that is deeper, in half the time of ``json``."""
    scalar = bool | int | float | str | None
    shape: Any = scalar
    for _ in range(levels):
        shape = scalar | list[shape] | dict[str, shape]
    return msgspec.json.Decoder(shape)


_decode = _decoder(_AT_ONCE).decode


def _refuse(constant: str) -> None:
    """Take no ``NaN`` or ``Infinity``: only Python calls them JSON."""
    raise ValueError(constant)


def _check_depth(value: Any) -> None:
    level: list[Any] = [[value]]
    for depth in count():
        level = [
            inner
            for one in level
            for inner in (one.values() if type(one) is dict else one)
            if type(inner) in _NESTED
        ]
        if not level:
            return
        if depth >= DEEPEST:
            raise _too_deep()


def _too_deep() -> UnreadableError:
    return UnreadableError(gettext("maps and lists more than {deepest} deep", deepest=DEEPEST))
