"""The older record methods: ``crm.lead.{list,get,add,update,delete,fields}`` and their kin."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_bitrix.sandbox import filters, lists, php
from airflow_bitrix.sandbox.calls import Answer, Call, Method
from airflow_bitrix.sandbox.errors import RestError
from airflow_bitrix.sandbox.filters import Selection
from airflow_bitrix.sandbox.link_methods import describe
from airflow_bitrix.sandbox.schema import BY_NAME, MULTIFIELDS, RECORDS, Kind

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.fields import Field
    from airflow_bitrix.sandbox.state import Row


def _multifield(record_id: int, name: str, pairs: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [
        {"ID": f"{record_id}{index}", "VALUE_TYPE": value_type, "VALUE": value, "TYPE_ID": name}
        for index, (value, value_type) in enumerate(pairs, 1)
    ]


def _shown(call: Call, kind: Kind, row: Row, fields: list[Field]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for field in fields:
        value = call.state.value(kind, row, field.name)
        if field.type != "crm_multifield":
            shown[field.name] = field.legacy(value)
        elif value:
            shown[field.name] = _multifield(row["ID"], field.name, value)
    return shown


def _select(kind: Kind, names: list[Any]) -> list[Field]:
    if not names or "*" in names:
        wanted = {field.name for field in RECORDS[kind].fields if not field.name.startswith("UF_")} - set(
            MULTIFIELDS
        )
        return [field for field in RECORDS[kind].fields if field.name in wanted or field.name in names]
    return [field for field in RECORDS[kind].fields if field.name == "ID" or field.name in names]


def _selection(kind: Kind, conditions: Any) -> Selection:
    selection = Selection()
    for key, value in php.items(conditions):
        operation, name = filters.split_key(key)
        field = BY_NAME[kind].get(name)
        if field is None or operation in {"><", "!><"}:
            # A misspelt condition is dropped without a word, and the answer covers everything.
            continue
        if name == "CONTACT_ID" and operation == "%":
            operation = "="
        if php.is_array(value) and not filters.takes_a_list(operation):
            value = php.to_int(value)  # noqa: PLW2901 - PHP casts an array here, and 1 is what comes out
        if name == "ID":
            selection = filters.narrow_by_id(selection, operation, value)
        else:
            selection = selection.with_test(filters.field_test(field, operation, value))
    return selection


def _order(kind: Kind, wanted: Any) -> list[tuple[Field, bool]]:
    return [
        (BY_NAME[kind][name.upper()], str(direction).upper() == "DESC")
        for name, direction in php.items(wanted)
        if name.upper() in BY_NAME[kind]
    ]


def _list(kind: Kind, call: Call) -> Answer:
    page = lists.read(
        call.state,
        kind,
        _selection(kind, call.param("filter", "FILTER")),
        order=_order(kind, call.param("order", "ORDER")),
        start=call.param("start", "START"),
        readable=lambda record_id: call.may_read(kind, record_id),
        begins_again=True,
    )
    select = call.param("select", "SELECT")
    fields = _select(kind, php.values(select) if select else [])
    rows = call.state.tables[kind].rows
    shown = [_shown(call, kind, rows[record_id], fields) for record_id in page.ids]
    return Answer(shown, total=page.total or 0, next=page.next)


def _denied() -> RestError:
    return RestError("", "Access denied.")


def _existing(kind: Kind, call: Call, *, to_update: bool = False) -> Row:
    if call.record_id <= 0:
        raise RestError("", "ID is not defined or invalid.")
    row = call.state.row(kind, call.record_id)
    if row is None and not call.switches.limited_user:
        raise RestError("", "Not found")
    may = call.may_update if to_update else call.may_read
    if row is None or not may(kind, call.record_id):
        raise _denied()
    return row


def _get(kind: Kind, call: Call) -> Answer:
    return Answer(_shown(call, kind, _existing(kind, call), list(RECORDS[kind].fields)))


def _fields_of(call: Call) -> dict[str, Any]:
    found = call.param("fields", "FIELDS", "Fields", "arFields")
    if not php.is_array(found):
        raise RestError("", "Parameter 'fields' must be array.")
    return dict(php.items(found))


def _add(kind: Kind, call: Call) -> Answer:
    fields = _fields_of(call)
    if not call.may_add:
        raise _denied()
    return Answer(call.state.add(kind, fields, call.user))


def _update(kind: Kind, call: Call) -> Answer:
    fields = _fields_of(call)
    row = _existing(kind, call, to_update=True)
    call.state.update(kind, row["ID"], fields, call.user)
    return Answer(result=True)


def _delete(kind: Kind, call: Call) -> Answer:
    call.state.delete(kind, _existing(kind, call, to_update=True)["ID"])
    return Answer(result=True)


def _fields(kind: Kind, _: Call) -> Answer:
    shown = {
        field.name: describe(field.type, field.name.replace("_", " ").capitalize(), read_only=field.read_only)
        for field in RECORDS[kind].fields
    }
    linked = RECORDS[kind].family.linked
    shown["CONTACT_ID" if RECORDS[kind].family.is_shared else RECORDS[kind].links] = describe(
        f"crm_{linked}", RECORDS[linked].several
    ) | {"isMultiple": True}
    return Answer(shown)


def methods() -> dict[str, Method]:
    """The record methods by name."""
    table: dict[str, Method] = {}
    for kind in (kind for kind, record in RECORDS.items() if record.has_methods):
        table |= {
            f"crm.{kind}.list": Method(partial(_list, kind)),
            f"crm.{kind}.get": Method(partial(_get, kind)),
            f"crm.{kind}.fields": Method(partial(_fields, kind)),
            f"crm.{kind}.add": Method(partial(_add, kind), writes=True),
            f"crm.{kind}.update": Method(partial(_update, kind), writes=True),
            f"crm.{kind}.delete": Method(partial(_delete, kind), writes=True),
        }
    return table
