"""What the universal methods ``crm.item.*`` have in common: arguments, names, and how a record is shown."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from airflow_bitrix.core.families import SMART_PROCESS, family_of, is_smart_process
from airflow_bitrix.sandbox import php
from airflow_bitrix.sandbox.errors import RestError
from airflow_bitrix.sandbox.schema import BY_ITEM_NAME, ENTITY_TYPES, KINDS, MULTIFIELDS, RECORDS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_bitrix.sandbox.calls import Call
    from airflow_bitrix.sandbox.fields import Field
    from airflow_bitrix.sandbox.state import Row

_MISFIT = "100"
_WORDS = re.compile(r"[A-Za-z_]+|ufCrm[0-9]{1,4}(?:_[0-9_]+|[A-Za-z_]+)")
_BREAKS = (
    re.compile(r"(?<![0-9])([0-9]++)([A-Za-z])"),
    re.compile(r"([A-Za-z])([0-9])"),
    re.compile(r"([^_])([A-Z])", re.DOTALL),
)


# Arguments: a parameter that does not fit its declared type is refused before the method begins.


def _misfit(name: str, value: object, type_name: str) -> RestError:
    text = f"Invalid value {{{php.to_text(value)}}} to match with parameter {{{name}}}."
    return RestError(_MISFIT, f"{text} Should be value of type {type_name}.")


def _sent(call: Call, name: str) -> Any:
    sent = dict(php.items(call.params))
    if name not in sent:
        raise RestError(_MISFIT, f"Could not find value for parameter {{{name}}}")
    return sent[name]


def number(call: Call, name: str) -> int:
    """A parameter that has to be there, and a number or its text."""
    value = _sent(call, name)
    if not php.is_numeric(value):
        raise _misfit(name, value, "int")
    return php.to_int(value)


def array(call: Call, name: str) -> Any:
    """A parameter that has to be there, and an array."""
    value = _sent(call, name)
    if not php.is_array(value):
        raise _misfit(name, value, "array")
    return value


def array_or(call: Call, name: str, default: Any, *, or_null: bool = True) -> Any:
    """A parameter that may be left out, and null where it says so, but is nothing else than an array."""
    value = php.item(call.params, name)
    if value is None and (or_null or name not in dict(php.items(call.params))):
        return default
    return array(call, name)


def known_kind(call: Call) -> Kind:
    """The kind of record that ``entityTypeId`` names."""
    kind = ENTITY_TYPES.get(number(call, "entityTypeId"))
    if kind is None:
        raise RestError("NOT_FOUND", "Smart Process not found")
    return kind


def kind_of(call: Call) -> Kind:
    """The same for ``crm.item.*``, which tell what no smart process can be from one that there is not."""
    type_id = number(call, "entityTypeId")
    if type_id not in ENTITY_TYPES and not _may_be_a_process(type_id):
        raise RestError("ENTITY_TYPE_NOT_SUPPORTED", "The entity type is not supported")
    return known_kind(call)


def _may_be_a_process(type_id: int) -> bool:
    try:
        return is_smart_process(family_of(f"{SMART_PROCESS}_{type_id}").kind)
    except KeyError:
        return False


# Names: camelCase outside, upper case inside


@lru_cache(maxsize=1000)
def _upper(name: str) -> str:
    if not _WORDS.fullmatch(name) and name[:2].lower() == "uf":
        lead = next(lead for lead in ("ufCrm_", "ufCrm", "uf") if name.lower().startswith(lead.lower()))
        return {"ufCrm_": "UF_CRM_", "ufCrm": "UF_CRM", "uf": "UF_"}[lead] + name[len(lead) :]
    for between in _BREAKS:
        name = between.sub(r"\1_\2", name)
    return name.lower().upper()


FIELDS_BY_UPPER: Final[Mapping[Kind, Mapping[str, Field]]] = {
    kind: {_upper(name): field for name, field in BY_ITEM_NAME[kind].items()} for kind in KINDS
}


class Names:
    """Makes upper-case names of the keys of one request, their prefixes included.

    A name that is upper-case already stays so where it is that of a field, as ``STAGE_ID``, or where the
    request had the other spelling before: ``>STAGE_ID`` behind ``>stageId``, ``LOGIC`` behind ``logic``.
    """

    def __init__(self, kind: Kind) -> None:
        self._known = {*FIELDS_BY_UPPER[kind], RECORDS[kind].links}

    def upper(self, name: str) -> str:
        """The upper-case name of a key."""
        if name in self._known:
            return name
        made = _upper(name)
        self._known.add(made)
        return made


def is_known(kind: Kind, name: str) -> bool:
    """Whether records of a kind have a field of this upper-case name."""
    return name in FIELDS_BY_UPPER[kind] or name == RECORDS[kind].links


# Records


def _multifields(row: Row) -> list[dict[str, Any]]:
    pairs = [(name, pair) for name in MULTIFIELDS for pair in row.get(name) or ()]
    return [
        {"id": row["ID"] * 10 + index, "typeId": name, "valueType": value_type, "value": value}
        for index, (name, (value, value_type)) in enumerate(pairs, 1)
    ]


def shown(call: Call, kind: Kind, row: Row) -> dict[str, Any]:
    """All of a record, by camelCase names."""
    return _shown(call, kind, row, FIELDS_BY_UPPER[kind].values(), with_links=True) | {
        "entityTypeId": RECORDS[kind].family.entity_type_id,
        "fm": _multifields(row),
    }


def some_shown(call: Call, kind: Kind, rows: Iterable[Row], names: set[str]) -> list[dict[str, Any]]:
    """Records by camelCase names: the fields with these upper-case names."""
    fields = [field for name, field in FIELDS_BY_UPPER[kind].items() if name in names]
    with_links = RECORDS[kind].links in names
    return [_shown(call, kind, row, fields, with_links=with_links) for row in rows]


def _shown(call: Call, kind: Kind, row: Row, fields: Iterable[Field], *, with_links: bool) -> dict[str, Any]:
    found = {field.item_name: field.item(call.state.value(kind, row, field.name)) for field in fields}
    if with_links:
        found[RECORDS[kind].family.several] = [link.contact_id for link in call.state.links(kind, row["ID"])]
    return found
