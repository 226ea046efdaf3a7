"""The twelve link methods: ``crm.lead.contact.*`` and ``crm.deal.contact.*``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_bitrix.sandbox import links, php
from airflow_bitrix.sandbox.calls import Answer, Call, Method
from airflow_bitrix.sandbox.errors import RestError, access_denied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bitrix.sandbox.schema import Kind

# The portal checks contact rights in items.set against its row arrays, and PHP casts a non-empty array to 1.
_CONTACT_CHECKED_BY_SET = 1


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


def _contact(fields: Mapping[str, Any]) -> int:
    sent = fields.get("CONTACT_ID", 0)
    contact_id = php.to_int(sent)
    # The portal compares first and casts then: "+5abc" is 5, and not above 0.
    if php.compare(sent, 0) <= 0 or contact_id <= 0:
        raise _plain("The parameter 'fields' is not valid.")
    return contact_id


def check_contact(call: Call, contact_id: int) -> None:
    """Refuse a contact that the caller may not read."""
    if not call.may_read("contact", contact_id):
        raise _plain(f"[Contact #{contact_id}] You have no permission to read this contact")


def _add(kind: Kind, call: Call) -> Answer:
    owner_id = _quoted_owner(call)
    fields = links.internalized(_array(call, "fields", "'fields'"))
    _check_update(call, kind, owner_id)
    _check_exists(call, kind, owner_id)
    contact_id = _contact(fields)
    check_contact(call, contact_id)
    before = call.state.links(kind, owner_id)
    if links.find(before, contact_id):
        return Answer(result=False)
    call.state.write_links(kind, owner_id, links.added(before, contact_id, fields))
    return Answer(result=True)


def _delete(kind: Kind, call: Call) -> Answer:
    owner_id = _quoted_owner(call)
    fields = links.internalized(_array(call, "fields", "'item'"))
    _check_update(call, kind, owner_id)
    _check_exists(call, kind, owner_id)
    contact_id = _contact(fields)
    check_contact(call, contact_id)
    before = call.state.links(kind, owner_id)
    if not links.find(before, contact_id):
        return Answer(result=False)
    call.state.write_links(kind, owner_id, links.removed(before, contact_id))
    return Answer(result=True)


def _items_get(kind: Kind, call: Call) -> Answer:
    owner_id = _owner(call)
    _check_read(call, kind, owner_id)
    if call.switches.missing_owner_items_get == "not_found":
        _check_exists(call, kind, owner_id)
    return Answer(links.as_rows(call.state.links(kind, owner_id)))


def _items_set(kind: Kind, call: Call) -> Answer:
    owner_id = _owner(call)
    items = _array(call, "items", "items")
    _check_update(call, kind, owner_id)
    _check_exists(call, kind, owner_id)
    before = call.state.links(kind, owner_id)
    after = links.replaced(before, items)
    if after != before:
        check_contact(call, _CONTACT_CHECKED_BY_SET)
        call.state.write_links(kind, owner_id, after)
    return Answer(result=True)


def _items_delete(kind: Kind, call: Call) -> Answer:
    owner_id = _owner(call)
    _check_update(call, kind, owner_id)
    if call.switches.missing_owner_items_get == "not_found":
        _check_exists(call, kind, owner_id)
    if call.state.row(kind, owner_id) is not None:
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


def _fields(_: Call) -> Answer:
    return Answer(
        {
            "SORT": describe("integer", "Sorting"),
            "IS_PRIMARY": describe("char", "Primary"),
            "CONTACT_ID": describe("integer", "Contact", required=True),
        }
    )


def methods() -> dict[str, Method]:
    """The twelve methods by name."""
    table: dict[str, Method] = {}
    kinds: tuple[Kind, ...] = ("lead", "deal")
    for kind in kinds:
        table |= {
            f"crm.{kind}.contact.add": Method(partial(_add, kind), writes=True),
            f"crm.{kind}.contact.delete": Method(partial(_delete, kind), writes=True),
            f"crm.{kind}.contact.items.get": Method(partial(_items_get, kind)),
            f"crm.{kind}.contact.items.set": Method(partial(_items_set, kind), writes=True),
            f"crm.{kind}.contact.items.delete": Method(partial(_items_delete, kind), writes=True),
            f"crm.{kind}.contact.fields": Method(_fields),
        }
    return table
