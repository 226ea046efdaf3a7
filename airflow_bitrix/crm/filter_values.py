"""Whether the values of a filter can be right, and how the portal wants them.

``crm.item.list`` casts what it is given: a name where a number belongs is 0 to it, so ``{"categoryId":
"sales"}`` means the first pipeline, a custom field for yes or no reads ``Y`` as no, and a date that it cannot
read as none. So each value is read here by its field's type.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from airflow_bitrix.client.filters import bare_field, is_group, is_logic
from airflow_bitrix.core.errors import InvalidInput, Rejected
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.numbers import as_whole
from airflow_bitrix.crm.known_values import KnownValues, pipeline_of

log = logging.getLogger(__name__)

_EQUALS = ("", "=", "@", "!", "!=", "!@")
"""Signs behind which a field can be asked to be empty."""

_LARGEST = 10**18


@dataclass(frozen=True, slots=True)
class _Type:
    """How the values of some fields are read.

    :param accepted: What they can be, in words.
    :param read: Gives what is sent for a value, ``None`` where it is no such value.
    :param empty: What is sent for ``False``, to ask for fields that are empty; ``None`` where it does not.
    """

    accepted: str
    read: Callable[[Any], str | float | None]
    empty: str | int | None = None


def checked_values(wanted: Mapping[str, Any], known: KnownValues) -> dict[str, Any]:
    """Give a filter with its values as the portal reads them rightly.

    :param wanted: Keys are names with a prefix, groups and ``logic``.
    :raises InvalidInput: Names the condition, and what is accepted there.
    """
    found: dict[str, Any] = {}
    for key, value in wanted.items():
        if is_group(key, value):
            found[key] = checked_values(value, known)
        elif is_logic(key):
            found[key] = value
        else:
            found[key] = _checked(key, value, known)
    return found


def check_stages(stages: Sequence[str], known: KnownValues) -> None:
    """Refuse a stage that is none: nothing would be found, and the run be called a success.

    :param stages: Their ids.
    :raises InvalidInput: Names those that are none, and those that there are beside them.
    """
    there = known.entries(family_of(known.kind).stages)
    if isinstance(there, Rejected):
        _cannot_tell(gettext("whether there are such stages cannot be told"), there)
        return
    ids = {stage.casefold() for stage in there}  # the portal's filters do not tell cases apart
    if unknown := [stage for stage in stages if stage.casefold() not in ids]:
        beside = {pipeline_of(stage) for stage in stages}
        told = {stage: name for stage, name in there.items() if pipeline_of(stage) in beside}
        nothing = gettext(
            "stages of the portal, and no pipeline of {kinds} has such", **kind_words(known.kind)
        )
        raise InvalidInput("stages", ", ".join(unknown), _listed(told) if told else nothing)


def _checked(key: str, value: Any, known: KnownValues) -> Any:
    name = bare_field(key)
    if name not in known.fields:
        raise InvalidInput(
            "filter",
            name,
            gettext(
                "fields of a {kind}: {names}", names=", ".join(sorted(known.fields)), **kind_words(known.kind)
            ),
        )
    kind = _type_of(known.fields[name], known)
    asks_empty = kind.empty is not None and key.removesuffix(name) in _EQUALS
    if value is False and asks_empty:
        return kind.empty
    accepted = (
        gettext("{accepted}; False for those where it is empty", accepted=gettext(kind.accepted))
        if asks_empty
        else gettext(kind.accepted)
    )
    several = isinstance(value, (list, tuple))
    read = [kind.read(one) for one in (value if several else [value])]
    if None in read:
        raise InvalidInput("filter", {key: value}, accepted)
    return read if several else read[0]


# The types


def _whole(value: Any) -> int | None:
    text = value.strip() if isinstance(value, str) else ""
    found = as_whole(text[1:]) if text.startswith("-") else as_whole(value)
    if found is None or abs(found) > _LARGEST:
        return None
    return -found if text.startswith("-") else found


def _id(value: Any) -> int | None:
    found = _whole(value)
    return found if found is not None and found >= 0 else None


def _there(value: Any) -> int | None:
    return _id(value) or None


_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,9})?")


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip()  # of more signs than float() knows as blanks
        return float(text) if _DECIMAL.fullmatch(text) else None
    return value if isinstance(value, (int, float)) and abs(value) <= _LARGEST else None


_TRUTHS = {
    "y": True,
    "yes": True,
    "true": True,
    "1": True,
    "n": False,
    "no": False,
    "false": False,
    "0": False,
}


def _truth(value: Any) -> bool | None:
    if isinstance(value, (int, float)):
        return bool(value) if value in (0, 1) else None
    return _TRUTHS.get(value.strip().casefold()) if isinstance(value, str) else None


def _flag(value: Any) -> str | None:
    found = _truth(value)
    return None if found is None else "NY"[found]


def _bit(value: Any) -> int | None:
    found = _truth(value)
    return None if found is None else int(found)


_DAY = r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
_MOMENT = re.compile(rf"{_DAY}([T ]{_TIME})?")


def _moment(value: Any) -> str | None:
    given = value.isoformat() if isinstance(value, date) else value  # a datetime is a date
    text = given.strip() if isinstance(given, str) else ""
    try:
        # A portal makes March 2 of February 30, and reads 01/02 as Americans do.
        return text if _MOMENT.fullmatch(text) and datetime.fromisoformat(text) else None
    except ValueError:
        return None


def _text(value: Any) -> str | int | None:
    if isinstance(value, str):
        return value if value.strip() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_WHOLE = _Type(gettext_noop("a whole number"), _whole, 0)
_NUMBER = _Type(gettext_noop("a number, such as 1500.5"), _number, 0)
_ID = _Type(gettext_noop("an id, a whole number"), _id, 0)
_YES_OR_NO = gettext_noop("True or False, 'Y' or 'N', 1 or 0")
_FLAG = _Type(_YES_OR_NO, _flag)
_BIT = _Type(_YES_OR_NO, _bit)
_LINKED = _Type(gettext_noop("the id of a contact"), _there)
_MOMENTS = _Type(
    gettext_noop("a day or a moment, such as '2026-11-01' or '2026-11-01T08:00:00+01:00'"), _moment, ""
)
_TEXT = _Type(gettext_noop("a text"), _text, "")

_IDS = (
    "user",
    "employee",
    "crm_company",
    "crm_contact",
    "crm_lead",
    "crm_deal",
    "crm_quote",
    "crm_entity",
    "iblock_element",
    "iblock_section",
    "hlblock",
    "file",
)
_TYPES: Mapping[str, _Type] = {
    "integer": _WHOLE,
    "double": _NUMBER,
    "boolean": _FLAG,
    "char": _FLAG,
    "date": _MOMENTS,
    "datetime": _MOMENTS,
    **dict.fromkeys(_IDS, _ID),
}
"""How values are read by what ``crm.item.fields`` calls the type; those of any other are texts."""


def _type_of(about: Mapping[str, Any], known: KnownValues) -> _Type:
    name = about.get("type")
    if name == "boolean" and about.get("isDynamic"):
        return _BIT  # the portal casts what a custom field is compared with: Y is 0 to it
    if name == "crm_contact" and about.get("isMultiple"):
        return _LINKED  # the portal drops a condition on none
    if name == "crm_category":
        return _pipelines(known)
    if name == "crm_status":
        return _entries(known.entries(str(about.get("statusType"))))
    if name == "enumeration":
        return _items(about.get("items"))
    return _TYPES.get(str(name), _TEXT)


def _pipelines(known: KnownValues) -> _Type:
    there = known.pipelines
    if isinstance(there, Rejected):
        _cannot_tell(gettext("whether there are such pipelines cannot be told"), there)
        return _Type(_ID.accepted, _id)
    accepted = gettext("pipelines of the portal by id: {listed}", listed=_listed(there))
    return _Type(accepted, lambda value: found if (found := _id(value)) in there else None)


def _entries(there: Mapping[str, str] | Rejected) -> _Type:
    if isinstance(there, Rejected):
        _cannot_tell(gettext("whether there are such entries cannot be told"), there)
        return _TEXT
    ids = {one.casefold() for one in there}
    accepted = gettext("what the portal has there, by id: {listed}", listed=_listed(there))

    def read(value: Any) -> str | int | None:
        return found if (found := _text(value)) is not None and str(found).casefold() in ids else None

    return _Type(accepted, read, "")


def _items(told: object) -> _Type:
    rows = [row for row in told if isinstance(row, Mapping)] if isinstance(told, list) else []
    there = {number: str(row.get("VALUE")) for row in rows if (number := as_whole(row.get("ID"))) is not None}
    accepted = gettext("items of the field by id: {listed}", listed=_listed(there))
    return _Type(accepted, lambda value: found if (found := _id(value)) in there else None, 0)


_LONGEST_NAME = 100
"""Signs of a name that the portal gave, in a list of them."""


def _listed(there: Mapping[Any, str]) -> str:
    told = (
        (as_plain_text(one, _LONGEST_NAME), as_plain_text(name, _LONGEST_NAME)) for one, name in there.items()
    )
    return ", ".join(f"{one} ({name})" for one, name in told) or gettext("none")


def _cannot_tell(what: str, why: Rejected) -> None:
    log.warning("%s", f"{what[:1].upper()}{what[1:]}: {why}")
