"""The link methods: ``crm.lead.contact.*`` and its kin, six for each kind that has them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_bitrix.sandbox import links, php
from airflow_bitrix.sandbox.calls import Answer, Call, Method
from airflow_bitrix.sandbox.errors import RestError, access_denied
from airflow_bitrix.sandbox.schema import RECORDS

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.schema import Kind

# The portal checks rights in items.set against its row arrays, and PHP casts a non-empty array to 1.
_CHECKED_BY_SET = 1


def _plain(text: str) -> RestError:
    return RestError("", text)


def _quoted_owner(call: Call) -> int:
    if call.record_id <= 0:
        raise _plain("The parameter 'ownerEntityID' is invalid or not defined.")
    return call.record_id


def _owner(call: Call) -> int:
    if call.record_id <= 0:
        raise _plain("The parameter ownerEntityID is invalid or not defined.")
    return call.record_id


def _array(call: Call, name: str, shown_as: str) -> Any:
    spellings = (name, name.upper(), name.capitalize(), f"ar{name.capitalize()}")
    found = call.param(*spellings)
    if not php.is_array(found):
        raise _plain(f"The parameter {shown_as} must be array.")
    return found


def _check_read(call: Call, kind: Kind, owner_id: int) -> None:
    if not call.may_read(kind, owner_id):
        raise access_denied()


def _check_update(call: Call, kind: Kind, owner_id: int) -> None:
    if not call.may_update(kind, owner_id):
        raise access_denied()


def _not_found(call: Call) -> RestError:
    return RestError(call.switches.not_found_code, "Not found.")


def _check_exists(call: Call, kind: Kind, owner_id: int) -> None:
    if call.state.row(kind, owner_id) is None:
        raise _not_found(call)


def _linked(sent: Any) -> int:
    linked_id = php.to_int(sent)
    # The portal compares first and casts then: "+5abc" is 5, and not above 0.
    if php.compare(sent, 0) <= 0 or linked_id <= 0:
        raise _plain("The parameter 'fields' is not valid.")
    return linked_id


def check_linked(call: Call, kind: Kind, linked_id: int) -> None:
    """Refuse what is linked and the caller may not read, as ``[Contact #7] …`` or ``[Company #7] …``."""
    linked = RECORDS[kind].family.linked
    if not call.may_read(linked, linked_id):
        text = f"[{RECORDS[linked].name} #{linked_id}] You have no permission to read this {linked}"
        raise _plain(text)


def _add(kind: Kind, call: Call) -> Answer:
    key = RECORDS[kind].family.key
    owner_id = _quoted_owner(call)
    fields = links.internalized(_array(call, "fields", "'fields'"), key)
    _check_update(call, kind, owner_id)
    _check_exists(call, kind, owner_id)
    linked_id = _linked(fields.get(key, 0))
    check_linked(call, kind, linked_id)
    before = call.state.links(kind, owner_id)
    if links.find(before, linked_id):
        return Answer(result=False)
    call.state.write_links(kind, owner_id, links.added(before, linked_id, fields, fields[key]))
    return Answer(result=True)


def _delete(kind: Kind, call: Call) -> Answer:
    family = RECORDS[kind].family
    owner_id = _quoted_owner(call)
    fields = links.internalized(_array(call, "fields", "'item'"), family.key)
    _check_update(call, kind, owner_id)
    _check_exists(call, kind, owner_id)
    linked_id = _linked(fields.get(family.key, 0))
    check_linked(call, kind, linked_id)
    before = call.state.links(kind, owner_id)
    if not links.find(before, linked_id):
        return Answer(result=False)
    # A company works out an heir, too, and forgets to write it.
    edit = links.removed(before, linked_id, heir=not family.is_shared)
    call.state.write_links(kind, owner_id, edit)
    return Answer(result=True)


def _items_get(kind: Kind, call: Call) -> Answer:
    owner_id = _owner(call)
    _check_read(call, kind, owner_id)
    if call.switches.missing_owner_items_get == "not_found":
        _check_exists(call, kind, owner_id)
    return Answer(links.as_rows(call.state.links(kind, owner_id), RECORDS[kind].family.key))


def _items_set(kind: Kind, call: Call) -> Answer:
    owner_id = _owner(call)
    items = _array(call, "items", "items")
    _check_update(call, kind, owner_id)
    _check_exists(call, kind, owner_id)
    before = call.state.links(kind, owner_id)
    family = RECORDS[kind].family
    keeps_sorts = family.is_shared and call.switches.company_set_keeps_sorts
    edit = links.replaced(before, items, family.key, keeps_sorts=keeps_sorts)
    if edit.written or edit.after != before:
        check_linked(call, kind, _CHECKED_BY_SET)
        call.state.write_links(kind, owner_id, edit)
    return Answer(result=True)


def _items_delete(kind: Kind, call: Call) -> Answer:
    owner_id = _owner(call)
    _check_update(call, kind, owner_id)
    if call.switches.missing_owner_items_get == "not_found":
        _check_exists(call, kind, owner_id)
    call.state.clear_links(kind, owner_id)
    return Answer(result=True)


def describe(
    type_name: str, title: str, *, required: bool = False, read_only: bool = False
) -> dict[str, Any]:
    """One entry of a ``fields`` result."""
    return {
        "type": type_name,
        "isRequired": required,
        "isReadOnly": read_only,
        "isImmutable": False,
        "isMultiple": type_name == "crm_multifield",
        "isDynamic": False,
        "title": title,
    }


def _fields(kind: Kind, _: Call) -> Answer:
    family = RECORDS[kind].family
    return Answer(
        {
            "SORT": describe("integer", "Sorting"),
            "IS_PRIMARY": describe("char", "Primary"),
            family.key: describe("integer", RECORDS[family.linked].name, required=True),
        }
    )


def methods() -> dict[str, Method]:
    """The methods by name."""
    table: dict[str, Method] = {}
    for kind, record in RECORDS.items():
        if prefix := record.family.prefix:
            table |= {
                f"{prefix}.add": Method(partial(_add, kind), writes=True),
                f"{prefix}.delete": Method(partial(_delete, kind), writes=True),
                f"{prefix}.items.get": Method(partial(_items_get, kind)),
                f"{prefix}.items.set": Method(partial(_items_set, kind), writes=True),
                f"{prefix}.items.delete": Method(partial(_items_delete, kind), writes=True),
                f"{prefix}.fields": Method(partial(_fields, kind)),
            }
    return table
