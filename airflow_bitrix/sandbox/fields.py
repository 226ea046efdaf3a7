"""A field of a record: what may be written to it, and how each family of methods shows it.

``crm.lead.*`` and its kin speak upper-case names and strings, ``crm.item.*`` speaks camelCase and numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final, Literal

from airflow_bitrix.sandbox import php

FieldType = Literal[
    "integer", "string", "char", "boolean", "datetime", "double", "crm_status", "crm_multifield"
]

SERVER_ZONE: Final = timezone(timedelta(hours=3))


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its two names, its type and whether a caller may write it.

    A ``char`` holds Y or N; a ``boolean``, as custom fields are, 1 or 0.
    """

    name: str
    item_name: str
    type: FieldType
    read_only: bool = False
    default: Any = None
    told: str = ""
    """What ``crm.item.fields`` calls its type, where that says more."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What ``crm.item.fields`` tells besides: the directory of its values, or the values."""

    @property
    def is_number(self) -> bool:
        """Whether it holds a whole number."""
        return self.type in ("integer", "boolean")

    @property
    def is_custom(self) -> bool:
        """Whether an administrator added it."""
        return self.name.startswith("UF_")

    def clean(self, value: object) -> Any:
        """Turn what a caller sent into what is kept."""
        if self.type == "integer":
            return php.to_int(value)
        if self.type == "double":
            return php.to_float(value)
        if self.type in ("char", "boolean"):
            is_yes = value in ("Y", "y", "true", True)
            return "NY"[is_yes] if self.type == "char" else int(is_yes or value == "1")
        if self.type == "datetime":
            return parse_datetime(value)
        if self.type == "crm_multifield":
            return multifield(value)
        return None if value is None else php.to_text(value)

    def legacy(self, value: Any) -> Any:
        """The value as ``crm.lead.get`` and its kin give it: nearly everything is a string."""
        if self.type == "datetime":
            return "" if value is None else format_datetime(value)
        if value is None:
            return None
        if self.is_number:
            return str(value)
        if self.type == "double":
            return f"{value:.2f}"
        return value

    def item(self, value: Any) -> Any:
        """The value as ``crm.item.*`` gives it: numbers are numbers."""
        if self.type == "integer":
            return value or 0
        if self.type == "datetime":
            return None if value is None else format_datetime(value)
        if self.type == "double":
            return int(value) if value == int(value or 0) else value
        if self.type == "boolean":
            return "NY"[value or 0]
        return value


@lru_cache(maxsize=10_000)
def format_datetime(moment: int) -> str:
    """An epoch second in the portal's form and time zone."""
    return datetime.fromtimestamp(moment, SERVER_ZONE).isoformat()


def parse_datetime(value: object) -> int | None:
    """The epoch second in a request value, None where it cannot be read."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value)
    if not isinstance(value, str) or not value:
        return None
    for read in (datetime.fromisoformat, _parse_dotted):
        try:
            moment = read(value.strip())
        except ValueError:
            continue
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=SERVER_ZONE)
        return int(moment.timestamp())
    return None


def _parse_dotted(text: str) -> datetime:
    form = "%d.%m.%Y %H:%M:%S" if " " in text else "%d.%m.%Y"
    return datetime.strptime(text, form).replace(tzinfo=SERVER_ZONE)


def multifield(value: object) -> tuple[tuple[str, str], ...]:
    """Phones or e-mails as pairs of value and type, from ``[{"VALUE": …, "VALUE_TYPE": …}]``."""
    return tuple(
        (php.to_text(text), php.to_text(php.item(row, "VALUE_TYPE") or "WORK"))
        for row in php.values(value)
        if php.is_array(row) and (text := php.item(row, "VALUE"))
    )
