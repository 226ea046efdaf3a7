"""``crm.item.list``: the checks of its filter and order, and the page that they ask for."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_bitrix.sandbox import filters, items, lists, php
from airflow_bitrix.sandbox.calls import Answer, Call
from airflow_bitrix.sandbox.errors import RestError
from airflow_bitrix.sandbox.filters import Row, Selection
from airflow_bitrix.sandbox.items import FIELDS_BY_UPPER, Names
from airflow_bitrix.sandbox.schema import RECORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_bitrix.sandbox.fields import Field
    from airflow_bitrix.sandbox.schema import Kind

_LOGIC = "LOGIC"
_TAKES_A_LIST = re.compile(r"(?:=|@|!=|!@)?\w+\n?", re.ASCII)
_DIRECTIONS = ("ASC", "DESC")


def _invalid(where: str, problem: str) -> RestError:
    return RestError("INVALID_ARG_VALUE", f"Invalid {where}: {problem}")


# Filters


def _named(names: Names, conditions: Any) -> dict[str, Any]:
    """The conditions by upper-case names, at any depth; dots in a name are taken out."""
    return {
        names.upper(key).replace(".", ""): _named(names, value) if php.is_array(value) else value
        for key, value in php.items(conditions)
    }


def _check(kind: Kind, conditions: dict[str, Any]) -> None:
    """Refuse unknown names, also in the arrays under names, and arrays where the portal takes none."""
    for key, value in conditions.items():
        if isinstance(value, dict):
            _check(kind, value)
        name = filters.split_key(key)[1]
        if not (items.is_known(kind, name) or php.is_numeric(key) or key == _LOGIC):
            raise _invalid("filter", f"field '{key}' is not allowed in filter")
        if isinstance(value, dict) and not _TAKES_A_LIST.fullmatch(key):
            raise _invalid("filter", f"field '{key}' has invalid value")


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


def _selection(call: Call, kind: Kind, conditions: dict[str, Any], *, nested: bool = False) -> Selection:
    selection = Selection()
    parts: list[Selection] = []
    either = php.to_text(conditions.get(_LOGIC)).upper() == "OR"
    for key, value in conditions.items():
        base = Selection() if either else selection
        if key == _LOGIC or (php.is_numeric(key) and not isinstance(value, dict)):
            continue
        if php.is_numeric(key):
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
    if operation in {"><", "!><"}:
        # The checks let no list through here, and without one the portal asks its database for nothing.
        return base
    if name == RECORDS[kind].links:
        if RECORDS[kind].family.linked != "contact":
            # Its checks let the name through, and its database knows none such.
            entity = f"Bitrix\\Crm\\{RECORDS[kind].name}"
            raise RestError("100", f"Unknown field definition `{name}` ({name}) for {entity} Entity.")
        return _by_links(call, kind, base, operation, value, joins=joins)
    field = FIELDS_BY_UPPER[kind][name]
    if field.name == "ID":
        return filters.narrow_by_id(base, operation, value)
    return base.with_test(filters.field_test(field, operation, value))


# Order and pages


def _order(kind: Kind, names: Names, wanted: Any) -> list[tuple[Field, bool]]:
    # Two spellings of one name are one name, with the last direction.
    named = {names.upper(key): direction for key, direction in php.items(wanted)}
    order = []
    for name, sent in named.items():
        direction = sent.upper() if isinstance(sent, str) else sent
        if not items.is_known(kind, name):
            raise _invalid("order", f"field '{name}' is not allowed in order")
        if direction not in _DIRECTIONS:
            problem = f"But got '{php.to_text(direction)}' for field '{name}'"
            raise _invalid("order", f"allowed sort directions are ASC, DESC. {problem}")
        # An order by the list of links passes the checks; no column holds it.
        if name != RECORDS[kind].links:
            order.append((FIELDS_BY_UPPER[kind][name], direction == "DESC"))
    return order


def item_list(call: Call) -> Answer:
    """A page of records. A negative start means the first page, without total and next."""
    kind = items.kind_of(call)
    select = [php.to_text(name) for name in php.values(items.array_or(call, "select", ["*"], or_null=False))]
    order, conditions = items.array_or(call, "order", {}), items.array_or(call, "filter", {})
    names = Names(kind)
    shown = {names.upper(name).replace(".", "") for name in select} | {"ID"}
    named = _named(names, conditions)
    _check(kind, named)
    page = lists.read(
        call.state,
        kind,
        _selection(call, kind, named),
        order=_order(kind, names, order),
        start=call.param("start"),
        readable=lambda record_id: call.may_read(kind, record_id),
    )
    total = page.total
    if total is not None and call.switches.counts_hidden:
        total = lists.count(call.state, kind, _selection(call, kind, named))
    rows = [call.state.tables[kind].rows[record_id] for record_id in page.ids]
    if not select or "*" in select:
        found = [items.shown(call, kind, row) for row in rows]
    else:
        found = items.some_shown(call, kind, rows, shown)
    if call.switches.hide_contact_ids:
        for item in found:
            item.pop(RECORDS[kind].family.several, None)
    return Answer({"items": found}, total=total, next=page.next)
