"""The universal methods ``crm.item.{list,get,update,fields}`` for leads, deals and contacts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_bitrix.sandbox import filters, lists, php
from airflow_bitrix.sandbox.calls import Answer, Call, Method
from airflow_bitrix.sandbox.errors import RestError
from airflow_bitrix.sandbox.filters import Row, Selection
from airflow_bitrix.sandbox.link_methods import check_contact, describe
from airflow_bitrix.sandbox.schema import (
    BY_ITEM_NAME,
    BY_NAME,
    ENTITY_TYPES,
    FIELDS,
    MULTIFIELDS,
    Field,
    Kind,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_CONTACT_IDS = "contactIds"


def _kind(call: Call) -> Kind:
    kind = ENTITY_TYPES.get(php.to_int(call.param("entityTypeId")))
    if kind is None:
        raise RestError("NOT_FOUND", "Smart Process not found")
    return kind


def _invalid(where: str, name: str, *, value: bool = False) -> RestError:
    problem = "has invalid value" if value else f"is not allowed in {where}"
    return RestError("INVALID_ARG_VALUE", f"Invalid {where}: field '{name}' {problem}")


def _links_test(call: Call, kind: Kind, operation: str, wanted: frozenset[int]) -> Callable[[Row], bool]:
    negative = operation.startswith("!")

    def test(row: Row) -> bool:
        links = call.state.links(kind, row["ID"])
        return any(link.contact_id in wanted for link in links) != negative

    return test


def _by_links(
    call: Call, kind: Kind, selection: Selection, operation: str, value: object, *, joins: bool
) -> Selection:
    wanted = frozenset(php.to_int(one) for one in php.values(value))
    selection = selection.with_test(_links_test(call, kind, operation, wanted))
    if operation not in {"", "=", "@"} or not any(wanted):
        return selection
    narrowed = selection.among(frozenset(call.state.owners_of(kind, wanted)))
    if not joins or len(wanted) == 1:
        return narrowed
    return replace(narrowed, joined=wanted)


def _selection(call: Call, kind: Kind, conditions: Any, *, nested: bool = False) -> Selection:
    selection = Selection()
    parts: list[Selection] = []
    either = str(php.item(conditions, "logic") or "AND").upper() == "OR"
    for key, value in php.items(conditions):
        if key == "logic":
            continue
        base = Selection() if either else selection
        if key.isdigit():
            if not php.is_array(value):
                raise _invalid("filter", key)
            part = base.with_test(_selection(call, kind, value, nested=True).accepts)
        else:
            part = _condition(call, kind, base, key, value, joins=not (nested or either))
        parts.append(part)
        selection = selection if either else part
    if either and parts:
        return selection.with_test(lambda row: any(part.accepts(row) for part in parts))
    return selection


def _condition(call: Call, kind: Kind, base: Selection, key: str, value: Any, *, joins: bool) -> Selection:
    operation, name = filters.split_key(key)
    has_links = kind != "contact" and name == _CONTACT_IDS
    field = BY_ITEM_NAME[kind].get(name)
    if field is None and not has_links:
        raise _invalid("filter", name)
    if not filters.takes(operation, value):
        raise _invalid("filter", name, value=True)
    if field is None:
        return _by_links(call, kind, base, operation, value, joins=joins)
    if field.name == "ID":
        if php.is_array(value) and any(php.is_array(one) for one in php.values(value)):
            raise _invalid("filter", name, value=True)
        return filters.narrow_by_id(base, operation, value)
    return base.with_test(filters.field_test(field, operation, value))


def _order(kind: Kind, wanted: Any) -> list[tuple[Field, bool]]:
    order = []
    for name, direction in php.items(wanted):
        field = BY_ITEM_NAME[kind].get(name)
        if field is None:
            raise _invalid("order", name)
        order.append((field, str(direction).upper() == "DESC"))
    return order


def _multifields(row: Row) -> list[dict[str, Any]]:
    pairs = [(name, pair) for name in MULTIFIELDS for pair in row.get(name) or ()]
    return [
        {"id": row["ID"] * 10 + index, "typeId": name, "valueType": value_type, "value": value}
        for index, (name, (value, value_type)) in enumerate(pairs, 1)
    ]


def _shown(call: Call, kind: Kind, row: Row, names: set[str] | None) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, field in BY_ITEM_NAME[kind].items():
        if names is None or name in names:
            shown[name] = field.item(call.state.value(kind, row, field.name))
    if kind != "contact" and (names is None or _CONTACT_IDS in names):
        shown[_CONTACT_IDS] = [link.contact_id for link in call.state.links(kind, row["ID"])]
    if names is None:
        shown["entityTypeId"] = next(number for number, name in ENTITY_TYPES.items() if name == kind)
        shown["fm"] = _multifields(row)
    return shown


def _list(call: Call) -> Answer:
    kind = _kind(call)
    page = lists.read(
        call.state,
        kind,
        _selection(call, kind, call.param("filter")),
        order=_order(kind, call.param("order")),
        start=call.param("start"),
        readable=lambda record_id: call.may_use(kind, record_id),
    )
    select = php.values(call.param("select") or [])
    names = None if not select or "*" in select else {str(name) for name in select} | {"id"}
    rows = call.state.tables[kind].rows
    items = [_shown(call, kind, rows[record_id], names) for record_id in page.ids]
    if call.switches.hide_contact_ids:
        for item in items:
            item.pop(_CONTACT_IDS, None)
    return Answer({"items": items}, total=page.total, next=page.next)


def _existing(call: Call, kind: Kind) -> Row:
    row = call.state.row(kind, php.to_int(call.param("id")))
    if row is None:
        raise RestError("NOT_FOUND", "Element not found")
    if not call.may_use(kind, row["ID"]):
        raise RestError("ACCESS_DENIED", "Access denied.")
    return row


def _get(call: Call) -> Answer:
    kind = _kind(call)
    return Answer({"item": _shown(call, kind, _existing(call, kind), None)})


def _update(call: Call) -> Answer:
    kind = _kind(call)
    row = _existing(call, kind)
    fields = call.param("fields")
    if not php.is_array(fields):
        raise RestError(
            "INVALID_ARG_VALUE", "Invalid value {fields} to match with parameter {fields}. Should be array."
        )
    written: dict[str, Any] = {}
    for name, value in php.items(fields):
        if name == _CONTACT_IDS and kind != "contact":
            written["CONTACT_IDS"] = value if php.is_array(value) else [value] if value else []
        elif field := BY_ITEM_NAME[kind].get(name):
            written[field.name] = value
    sent = written.get("CONTACT_IDS", [written["CONTACT_ID"]] if "CONTACT_ID" in written else [])
    for contact_id in (php.to_int(one) for one in php.values(sent)):
        if contact_id > 0:
            check_contact(call, contact_id)
    call.state.update(kind, row["ID"], written, call.user)
    return Answer({"item": _shown(call, kind, row, None)})


def _fields(call: Call) -> Answer:
    kind = _kind(call)
    shown = {
        field.item_name: describe(
            field.type, field.name.replace("_", " ").capitalize(), read_only=field.read_only
        )
        | {"upperName": field.name}
        for field in FIELDS[kind]
        if BY_NAME[kind][field.name].type != "crm_multifield"
    }
    if kind != "contact":
        shown[_CONTACT_IDS] = describe("crm_contact", "Contacts") | {
            "isMultiple": True,
            "upperName": "CONTACT_IDS",
        }
    return Answer({"fields": shown})


def methods() -> dict[str, Method]:
    """The universal methods by name."""
    return {
        "crm.item.list": Method(_list),
        "crm.item.get": Method(_get),
        "crm.item.update": Method(_update, writes=True),
        "crm.item.fields": Method(_fields),
    }
