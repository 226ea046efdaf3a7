"""How PHP reads a request and writes JSON. Pure functions.

A portal is a PHP program, and much of what surprises its clients is PHP: query strings become nested
arrays of strings, an array is a list or an object depending on its keys, and text turns into numbers
without complaint.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_INPUT_VARS = 1000

_INTEGER_KEY = re.compile(r"(?:0|-?[1-9]\d{0,17})\Z")
_LEADING_NUMBER = re.compile(r"[ \t\n\r\v\f]*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)")
_NUMERIC = re.compile(_LEADING_NUMBER.pattern + r"[ \t\n\r\v\f]*\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPES = re.compile(r"\\.|[/<>&']")
_ESCAPED = {
    '\\"': "\\u0022",
    "/": "\\/",
    "<": "\\u003C",
    ">": "\\u003E",
    "&": "\\u0026",
    "'": "\\u0027",
}


def is_array(value: object) -> bool:
    """Whether PHP would hold the value as an array."""
    return isinstance(value, (list, dict))


def to_int(value: object) -> int:
    """Cast like ``(int)``: the leading number of a string, 1 for an array that is not empty."""
    if isinstance(value, (list, dict)):
        return 1 if value else 0
    if isinstance(value, (bool, int, float)):
        return int(value) if value == value and abs(value) < 2**63 else 0  # noqa: PLR0124 - NaN casts to 0
    if isinstance(value, str) and (found := _LEADING_NUMBER.match(value)):
        return to_int(float(found[1])) if set(found[1]) & set(".eE") else int(found[1])
    return 0


def to_numeric_id(value: object) -> int:
    """The id in a request value, 0 where ``is_numeric`` would refuse it."""
    if isinstance(value, str):
        return to_int(value) if _NUMERIC.match(value) else 0
    return 0 if is_array(value) else to_int(value)


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
    return _ESCAPES.sub(lambda found: _ESCAPED.get(found[0], found[0]), text).encode("utf-8", "replace")


def loads(body: bytes) -> Any:
    """Decode a JSON body, None where it is no JSON: the portal goes on without it."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _decode(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")


def _path(name: str) -> list[str | None]:
    """Split ``a[b][]`` into ``["a", "b", None]``."""
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
    return path


def _next_index(array: dict[str, Any]) -> str:
    taken = [int(key) for key in array if _INTEGER_KEY.match(key)]
    return str(max(taken) + 1) if taken and max(taken) >= 0 else "0"


def _store(target: dict[str, Any], path: list[str | None], value: str) -> None:
    for key in path[:-1]:
        name = _next_index(target) if key is None else key
        below = target.get(name)
        if not isinstance(below, dict):
            below = target[name] = {}
        target = below
    last = path[-1]
    target[_next_index(target) if last is None else last] = value


def parse_str(query: str, max_vars: int = MAX_INPUT_VARS) -> dict[str, Any]:
    """Parse a query string or form body like ``parse_str``; what is over ``max_vars`` is lost silently.

    All values are strings and all arrays are dicts with string keys.
    """
    result: dict[str, Any] = {}
    for part in [part for part in query.split("&") if part][:max_vars]:
        name, _, value = part.partition("=")
        path = _path(_decode(name))
        if path[0]:
            _store(result, path, _decode(value))
    return result


def split_command(command: str) -> tuple[str, str]:
    """Method and query of a batch command, by the rules of ``parse_url``: ``#`` cuts the rest off."""
    path, _, query = _CONTROL.sub("_", command).partition("#")[0].partition("?")
    return path, query
