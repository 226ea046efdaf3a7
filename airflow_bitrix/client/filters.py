"""What the filter of a list method says, and how two of them are joined."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.numbers import whole_number

_PREFIX = re.compile(r"^(?:!=%|!%=|!><|><|!=|!%|!@|>=|<=|=%|%=|=|!|>|<|@|%)")

FILTER = gettext_noop("a map of crm.item.list field to value, such as {'stageId': 'NEW'}")
"""What a filter is, for who gave something else."""


def bare_field(key: str) -> str:
    """Give the field that a filter key speaks of: ``>=ID`` is about ``ID``."""
    return _PREFIX.sub("", key)


def check_keys(wanted: Mapping[Any, Any]) -> None:
    """Refuse a filter with keys that are no names.

    :raises InvalidInput: Names the filter.
    """
    for key, value in wanted.items():
        if not isinstance(key, str):
            raise InvalidInput("filter", wanted, gettext("field names as keys"))
        if isinstance(value, Mapping):
            check_keys(value)


def is_logic(key: str) -> bool:
    """Whether a key of a filter says how its conditions are joined."""
    return key.lower() == "logic"


def is_group(key: str, value: object) -> bool:
    """Whether a key of a filter holds further conditions."""
    return key.isdigit() and isinstance(value, Mapping)


def joins_links(wanted: Mapping[Any, Any]) -> bool:
    """Whether a filter asks for more than one contact of an owner.

    Then the portal joins links before it cuts a page: an owner comes once for each of them, and a page that
    is short is not the last.
    """
    asked = list(_contact_conditions(wanted))
    return len(asked) > 1 or any(sign not in ("", "=", "@") or not _is_one(value) for sign, value in asked)


def _contact_conditions(wanted: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in wanted.items():
        name = str(key)
        if bare_field(name) == "contactIds":
            yield name.removesuffix("contactIds"), value
        elif isinstance(value, Mapping):
            yield from _contact_conditions(value)


def _is_one(value: object) -> bool:
    return isinstance(value, (int, str))


def both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Give a filter that asks for both: ``one``, which may be anything, and ``other``, plain conditions.

    Where ``one`` has an OR at its top, or speaks of the same keys, it becomes a group of its own: else it
    would set the other conditions aside.
    """
    if any(is_logic(str(key)) or key in other for key in one):
        return {**other, "0": dict(one) if has_logic(one) else {"logic": "AND", **one}}
    return {**one, **other}


def id_bound(key: str, value: object) -> int:
    """Read the value of a condition that bounds the ids.

    :raises InvalidInput: It is no whole number; the portal would make 0 or 1 of it.
    """
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str):
        number = whole_number(value)
    if number is None:
        raise InvalidInput("filter", {key: value}, gettext("an id, a whole number, as the bound of the ids"))
    return number


def has_logic(wanted: Mapping[str, Any]) -> bool:
    """Whether the conditions at the top of a filter are joined in a way of their own."""
    return any(is_logic(str(key)) for key in wanted)


def has_groups(wanted: Mapping[str, Any]) -> bool:
    """Whether a filter is more than plain conditions beside each other."""
    values = [one for value in wanted.values() for one in (value if _is_list(value) else [value])]
    return has_logic(wanted) or any(isinstance(one, Mapping) for one in values)


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))


def holds_truth(value: object) -> bool:
    """Whether there is a ``True`` or ``False`` in a value: a batch says them as ``1`` and ``0``."""
    if isinstance(value, Mapping):
        return holds_truth(list(value.values()))
    return any(map(holds_truth, value)) if isinstance(value, (list, tuple)) else isinstance(value, bool)
