"""The options of clean-up rules: fields of the rule's class, read by what they are annotated with.

A field with one of :data:`READERS` as its type, a ``Literal`` of words, or such a type ``| None`` is read by
that; the functions below give fields that accept less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.numbers import as_whole
from airflow_bitrix.core.phone_regions import REGIONS

Read = Callable[[str, object], Any]
"""Reads an option, given where it stands and its value; raises :class:`InvalidInput`."""

_MOST = 10**9
_MOST_ITEMS = 10_000
_LONGEST = 10_000


def choice(*accepted: str) -> Any:
    """Give an option that is one of some words, the first by default."""
    return field(default=accepted[0], metadata={"read": _one_of(accepted)})


def whole(default: int, *, most: int, least: int = 0) -> Any:
    """Give an option that is a whole number."""
    return field(default=default, metadata={"read": _whole(least, most)})


def country() -> Any:
    """Give an option that is a country by whose plan phones are read; empty for the portal's own."""

    def read(where: str, value: object) -> str:
        code = value.strip().upper() if isinstance(value, str) else None
        if code is None or (code and code not in REGIONS):
            accepted = gettext(
                "the two letters of a country, such as 'RU' or 'DE', or nothing for the portal's own"
            )
            raise InvalidInput(where, value, accepted)
        return code

    return field(default="", metadata={"read": read})


def _one_of(accepted: tuple[Any, ...]) -> Read:
    def read(where: str, value: object) -> Any:
        for one in accepted:
            if value == one and type(value) is type(one):
                return one
        raise InvalidInput(where, value, gettext(" or ").join(map(repr, accepted)))

    return read


def _whole(least: int, most: int) -> Read:
    def read(where: str, value: object) -> int:
        number = as_whole(value)
        if number is None or not least <= number <= most:
            accepted = gettext("a whole number from {least} to {most}", least=str(least), most=str(most))
            raise InvalidInput(where, value, accepted)
        return number

    return read


def _switch(where: str, value: object) -> bool:
    if not isinstance(value, bool) and value not in ("True", "False"):
        raise InvalidInput(where, value, gettext("{this} or {that}", this="True", that="False"))
    return value in (True, "True")


def _number(where: str, value: object) -> float:
    number: float | None = None
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = None
    if number is None or not -_MOST <= number <= _MOST:
        accepted = gettext("a number from {least} to {most}", least=str(-_MOST), most=str(_MOST))
        raise InvalidInput(where, value, accepted)
    return number


def _text(where: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise InvalidInput(where, value, gettext("a text of at most {most} signs", most=_LONGEST))
    return value


READERS: Mapping[Any, Read] = {
    bool: _switch,
    int: _whole(-_MOST, _MOST),
    float: _number,
    str: _text,
}
"""How an option is read, by the type that it is annotated with."""

_ACCEPTED_TYPES = gettext_noop(
    "bool, int, float, str, a Literal of words, tuple[…, ...] of one of them, or one of them | None"
)


def _reader_of(hint: Any) -> Read | None:
    """Give what reads options of a type, ``None`` where nothing does."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _one_of(inner)
    if origin in (Union, UnionType) and NoneType in inner:
        [*others] = (one for one in inner if one is not NoneType)
        return _or_none(_reader_of(others[0])) if len(others) == 1 else None
    if origin is tuple and inner[1:] == (...,):
        return _several(_reader_of(inner[0]))
    return READERS.get(hint)


def _or_none(read: Read | None) -> Read | None:
    return read and (lambda where, value: None if value is None else read(where, value))


def _several(read: Read | None) -> Read | None:
    if read is None:
        return None

    def several(where: str, value: object) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)) or len(value) > _MOST_ITEMS:
            raise InvalidInput(where, value, gettext("a list of at most {most}", most=_MOST_ITEMS))
        return tuple(read(where, one) for one in value)

    return several


def readers_of(rule: type, taken: frozenset[str]) -> dict[str, Read]:
    """Give what reads each option of a rule's class.

    :param taken: Names that mean something else, and are no options.
    :raises InvalidInput: An option has a name that means something else, or a type that nothing reads.
    """
    found: dict[str, Read] = {}
    hints: dict[str, Any] | None = None
    for one in fields(rule):
        if one.name in taken:
            accepted = gettext("{name} = … without a type, as it is no option of the rule", name=one.name)
            raise InvalidInput(f"{rule.__name__}.{one.name}", one.type, accepted)
        read = one.metadata.get("read")
        if read is None:
            hints = _hints(rule) if hints is None else hints
            read = _reader_of(hints.get(one.name))
        if read is None:
            raise InvalidInput(f"{rule.__name__}.{one.name}", one.type, gettext(_ACCEPTED_TYPES))
        found[one.name] = read
    return found


def _hints(rule: type) -> dict[str, Any]:
    try:
        return get_type_hints(rule)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        accepted = gettext("annotations that can be read where the class stands ({error})", error=str(error))
        raise InvalidInput("rules", rule.__name__, accepted) from None


def is_needed(option: Field[Any]) -> bool:
    """Whether an option has no default."""
    return option.default is MISSING and option.default_factory is MISSING
