"""How PHP reads a request and writes JSON. Pure functions.

A portal is a PHP program, and much of what surprises its clients is PHP: query strings become nested
arrays of strings, an array is a list or an object depending on its keys, and text turns into numbers
without complaint.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_INPUT_VARS = 1000

_INTEGER_KEY = re.compile(r"(?:0|-?[1-9]\d{0,17})\Z")
_LEADING_NUMBER = re.compile(r"[ \t\n\r\v\f]*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_NUMERIC = re.compile(_LEADING_NUMBER.pattern + r"[ \t\n\r\v\f]*\Z")
_SHORT_INT = re.compile(r"[0-9]{1,18}")
_MAX_INT = 2**63 - 1
_LONGEST_INT = 400
_MAX_DEPTH = 512
_MAX_INPUT_DEPTH = 64
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SCHEME = re.compile(r"^[A-Za-z0-9+.-]+:(?!/|\d*$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPES = re.compile(r"\\.")
_ESCAPED = {
    "/": "\\/",
    "<": "\\u003C",
    ">": "\\u003E",
    "&": "\\u0026",
    "'": "\\u0027",
}


def is_array(value: object) -> bool:
    """Whether PHP would hold the value as an array."""
    return isinstance(value, (list, dict))


def number(whole: int) -> int | float:
    """A whole number as PHP holds it: beyond 64 bits it is a float, and beyond those it is infinite."""
    return whole if -_MAX_INT <= whole <= _MAX_INT else float(str(whole))


def _number(text: str) -> int | float:
    """The number of a numeric text."""
    return float(text) if len(text) > _LONGEST_INT or set(text) & set(".eE") else number(int(text))


def to_int(value: object) -> int:
    """Cast like ``(int)``: the leading number of a string, 1 for an array that is not empty.

    Beyond 64 bits a float is wrapped around, and a text stands at the bound.
    """
    if is_array(value):
        return 1 if value else 0
    if isinstance(value, float):
        return (int(value) + 2**63) % 2**64 - 2**63 if math.isfinite(value) else 0
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str) and _SHORT_INT.fullmatch(value):
        return int(value)
    found = _LEADING_NUMBER.match(value) if isinstance(value, str) else None
    meant = _number(found[1]) if found else 0
    return int(max(-_MAX_INT - 1, min(_MAX_INT, meant)))


def to_float(value: object) -> float:
    """Cast like ``(float)``, but for what JSON cannot hold: that is 0."""
    if isinstance(value, float):
        return value if math.isfinite(value) else 0.0
    found = _LEADING_NUMBER.match(value) if isinstance(value, str) else None
    meant = float(found[1]) if found else float(to_int(value))
    return meant if math.isfinite(meant) else 0.0


def is_numeric(value: object) -> bool:
    """Whether ``is_numeric`` takes the value."""
    if isinstance(value, str):
        return _NUMERIC.match(value) is not None
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def compare(value: object, other: int) -> int:
    """``$value <=> $other`` of a scalar: a text that is no number is compared as text, a flag as a flag."""
    left: Any = value
    right: Any = other
    if isinstance(value, bool):
        right = bool(other)
    elif isinstance(value, str) and (found := _NUMERIC.match(value)):
        left = _number(found[1])
    elif isinstance(value, str):
        left, right = value.encode("utf-8", "replace"), str(other).encode()
    if isinstance(left, float):
        right = float(right)
    return int(left > right) - int(left < right)


def to_text(value: object) -> str:
    """Cast like ``(string)``."""
    if value is None or value is False:
        return ""
    return "1" if value is True else "Array" if is_array(value) else str(value)


def is_truthy(value: object) -> bool:
    """Cast like ``(bool)``: the string "0" is false, the string "false" is true."""
    return bool(value) and value != "0"


def items(array: object) -> Iterator[tuple[str, Any]]:
    """Keys, as strings, and values of a PHP array."""
    if isinstance(array, dict):
        yield from array.items()
    elif isinstance(array, list):
        yield from ((str(index), value) for index, value in enumerate(array))


def item(array: object, key: str) -> Any:
    """``$array[$key] ?? null``."""
    if isinstance(array, dict):
        return array.get(key)
    if isinstance(array, list) and _INTEGER_KEY.match(key) and 0 <= int(key) < len(array):
        return array[int(key)]
    return None


def values(array: object) -> list[Any]:
    """The values of a PHP array, in order; a scalar counts as a list of itself."""
    return [value for _, value in items(array)] if is_array(array) else [array]


def as_json_array(array: Mapping[str, Any]) -> list[Any] | dict[str, Any]:
    """A list where the keys are 0, 1, 2 …, else an object: the choice that ``json_encode`` makes."""
    if all(key == str(index) for index, key in enumerate(array)):
        return list(array.values())
    return dict(array)


def dumps(value: object) -> bytes:
    r"""Encode as the portal does: ``<>&'"`` in strings as ``\uXXXX``, ``/`` as ``\/``, UTF-8 raw."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if "\\" in text:
        text = _ESCAPES.sub(lambda found: "\\u0022" if found[0] == '\\"' else found[0], text)
    for sign, escaped in _ESCAPED.items():
        text = text.replace(sign, escaped)
    return text.encode("utf-8", "replace")


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON knows no {constant}")


def _is_deep(value: Any) -> bool:
    """Whether arrays lie in each other deeper than the portal reads them."""
    level = [value]
    for _ in range(_MAX_DEPTH + 1):
        level = [below for array in level for _, below in items(array)]
    return bool(level)


def loads(body: bytes) -> Any:
    """Decode a JSON body, None where it is none to PHP: the portal goes on without it.

    A byte order mark, ``NaN`` and half of a surrogate pair are none to PHP.
    """
    try:
        value = json.loads(body.decode(), parse_int=_number, parse_constant=_refuse)
        if _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return None if body.count(b"[") + body.count(b"{") > _MAX_DEPTH and _is_deep(value) else value


def _decode(text: str) -> str:
    spaced = text.replace("+", " ")
    if "%" not in text and text.isascii():
        return spaced
    return unquote_to_bytes(spaced).decode("utf-8", "replace")


@lru_cache(maxsize=1000)
def _path(name: str) -> tuple[str | None, ...]:
    """Split ``a[b][]`` into ``("a", "b", None)``."""
    name = name.lstrip(" ")
    head, bracket, rest = name.partition("[")
    if bracket and not head:
        head, bracket, rest = "_" + rest, "", ""
    path: list[str | None] = [re.sub(r"[ .]", "_", head)]
    while bracket:
        key, closing, tail = rest.partition("]")
        if not closing:
            if len(path) == 1:
                path[0] = f"{path[0]}_{rest}"
            break
        path.append(key or None)
        if not tail.startswith("["):
            break
        rest = tail[1:]
    return tuple(path)


def _next_index(array: dict[str, Any]) -> str:
    taken = [int(key) for key in array if _INTEGER_KEY.match(key)]
    return str(max(taken) + 1) if taken and max(taken) >= 0 else "0"


def _store(target: dict[str, Any], path: Sequence[str | None], value: str) -> None:
    for key in path[:-1]:
        name = _next_index(target) if key is None else key
        below = target.get(name)
        if not isinstance(below, dict):
            below = target[name] = {}
        target = below
    last = path[-1]
    target[_next_index(target) if last is None else last] = value


def parse_str(query: str, max_vars: int = MAX_INPUT_VARS) -> dict[str, Any]:
    """Parse a query string or form body like ``parse_str``; what is over ``max_vars``, or too deep, is lost.

    All values are strings and all arrays are dicts with string keys.
    """
    result: dict[str, Any] = {}
    for part in [part for part in query.split("&") if part][:max_vars]:
        name, _, value = part.partition("=")
        path = _path(_decode(name))
        if path[0] and len(path) <= _MAX_INPUT_DEPTH:
            _store(result, path, _decode(value))
    return result


def split_command(command: str) -> tuple[str, str]:
    """Method and query of a batch command, by the rules of ``parse_url``: ``#`` cuts the rest off.

    What stands before a colon is the scheme of an address, and no part of its path.
    """
    path, _, query = _CONTROL.sub("_", command).partition("#")[0].partition("?")
    return _SCHEME.sub("", path), query
