"""The universal methods ``crm.item.*``, for records of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_bitrix.sandbox import items, php
from airflow_bitrix.sandbox.calls import Answer, Call, Method
from airflow_bitrix.sandbox.errors import RestError
from airflow_bitrix.sandbox.item_list import item_list
from airflow_bitrix.sandbox.items import FIELDS_BY_UPPER, Names
from airflow_bitrix.sandbox.link_methods import check_linked, describe
from airflow_bitrix.sandbox.schema import BY_ITEM_NAME, MULTIFIELDS, RECORDS, Kind

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.fields import Field
    from airflow_bitrix.sandbox.state import Row

MAX_IMPORT: Final = 20


def _denied() -> RestError:
    return RestError("ACCESS_DENIED", "Access denied.")


def _existing(call: Call, kind: Kind) -> Row:
    row = call.state.row(kind, items.number(call, "id"))
    if row is None:
        raise RestError("NOT_FOUND", "Element not found")
    return row


def _get(call: Call) -> Answer:
    kind = items.kind_of(call)
    row = _existing(call, kind)
    if not call.may_read(kind, row["ID"]):
        raise _denied()
    return Answer({"item": items.shown(call, kind, row)})


def _multifields(sent: Any) -> dict[str, Any]:
    """Phones and the like of ``fm``, a list of ``typeId``, ``valueType`` and ``value``, by their types."""
    found: dict[str, list[Any]] = {}
    for row in php.values(sent or []):
        name = php.to_text(php.item(row, "typeId"))
        if name in MULTIFIELDS:
            pair = {"VALUE": php.item(row, "value"), "VALUE_TYPE": php.item(row, "valueType")}
            found.setdefault(name, []).append(pair)
    return found


def _written(call: Call, kind: Kind, sent: Any) -> dict[str, Any]:
    """The fields of a request by the names that the records have; others are dropped without a word."""
    written: dict[str, Any] = _multifields(php.item(sent, "fm"))
    names, record = Names(kind), RECORDS[kind]
    for key, value in php.items(sent):
        name = names.upper(key)
        if name == record.links:
            written[name] = value if php.is_array(value) else [value] if value else []
        elif field := FIELDS_BY_UPPER[kind].get(name):
            written[field.name] = value
    linked = written.get(record.links, [written[record.scalar]] if record.scalar in written else [])
    for linked_id in (php.to_int(one) for one in php.values(linked)):
        if linked_id > 0:
            check_linked(call, kind, linked_id)
    return written


def _check_required(call: Call, kind: Kind, row: Row, written: dict[str, Any]) -> None:
    """Refuse a save that leaves a required field empty, be it one that the request has nothing to say of."""
    for item_name in call.switches.required_fields:
        field = BY_ITEM_NAME[kind].get(item_name)
        if field and not php.is_truthy(written.get(field.name, row.get(field.name, field.default))):
            raise RestError("CRM_FIELD_ERROR_REQUIRED", f'Field "{field.name}" is required')


def _update(call: Call) -> Answer:
    kind = items.kind_of(call)
    row = _existing(call, kind)
    fields = items.array(call, "fields")
    if not call.may_update(kind, row["ID"]):
        raise _denied()
    written = _written(call, kind, fields)
    _check_required(call, kind, row, written)
    call.state.update(kind, row["ID"], written, call.user)
    return Answer({"item": items.shown(call, kind, row)})


def _add(call: Call) -> Answer:
    kind = items.kind_of(call)
    fields = items.array(call, "fields")
    if not call.may_add:
        raise _denied()
    written = _written(call, kind, fields)
    _check_required(call, kind, {}, written)
    record_id = call.state.add(kind, written, call.user)
    return Answer({"item": items.shown(call, kind, call.state.tables[kind].rows[record_id])})


def _delete(call: Call) -> Answer:
    kind = items.kind_of(call)
    row = _existing(call, kind)
    if not call.may_update(kind, row["ID"]):
        raise _denied()
    call.state.delete(kind, row["ID"])
    return Answer([])


def _imported(call: Call, kind: Kind, sent: Any) -> dict[str, Any]:
    fields = dict(php.items(sent))
    fields.pop("ID", None)
    try:
        if not call.may_add:
            raise _denied()
        written = _written(call, kind, fields)
    except RestError as error:
        return error.body()
    # Here phones and the like come under their own names, and not in "fm".
    written |= {name: fields[name] for name in MULTIFIELDS if php.is_array(fields.get(name))}
    return {"item": {"id": call.state.add(kind, written, call.user)}}


def _batch_import(call: Call) -> Answer:
    kind = items.kind_of(call)
    sent = items.array(call, "data")
    if len(php.values(sent)) > MAX_IMPORT:
        text = f"You can only import {MAX_IMPORT} items at a time"
        raise RestError("MAX_IMPORT_BATCH_SIZE_EXCEEDED", text)
    outcomes = {key: _imported(call, kind, fields) for key, fields in php.items(sent)}
    return Answer({"items": php.as_json_array(outcomes)})


def _described(field: Field) -> dict[str, Any]:
    told = field.told or ("boolean" if field.type == "char" else field.type)
    title = field.name.replace("_", " ").capitalize()
    about = {**field.about, "isDynamic": field.is_custom, "upperName": field.name}
    return describe(told, title, read_only=field.read_only) | about


def _fields(call: Call) -> Answer:
    kind = items.kind_of(call)
    shown = {field.item_name: _described(field) for field in BY_ITEM_NAME[kind].values()}
    record = RECORDS[kind]
    linked = record.family.linked
    described = describe(f"crm_{linked}", RECORDS[linked].several)
    shown[record.family.several] = described | {"isMultiple": True, "upperName": record.links}
    return Answer({"fields": shown})


def methods() -> dict[str, Method]:
    """The universal methods by name."""
    return {
        "crm.item.list": Method(item_list),
        "crm.item.get": Method(_get),
        "crm.item.add": Method(_add, writes=True),
        "crm.item.update": Method(_update, writes=True),
        "crm.item.delete": Method(_delete, writes=True),
        "crm.item.batchimport": Method(_batch_import, writes=True),
        "crm.item.fields": Method(_fields),
    }
