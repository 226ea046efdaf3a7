"""Comments on the timelines of records: ``crm.timeline.comment.{add,list,delete}``.

Follows https://apidocs.bitrix24.com/api-reference/crm/timeline/comments/index.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_bitrix.sandbox import php
from airflow_bitrix.sandbox.calls import Answer, Call, Method
from airflow_bitrix.sandbox.errors import RestError
from airflow_bitrix.sandbox.fields import format_datetime
from airflow_bitrix.sandbox.lists import PAGE
from airflow_bitrix.sandbox.schema import KINDS

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.schema import Kind
    from airflow_bitrix.sandbox.state import Comment

_ORDERS: Final = ("ID", "CREATED", "AUTHOR_ID")
_NO_VALUE = "100"
"""The code of a parameter that is missing."""


def _missing(name: str) -> RestError:
    return RestError(_NO_VALUE, f"Could not find value for parameter {{{name}}}")


def owner_told(fields: Any) -> tuple[Kind | None, int]:
    """The record that fields or a filter name; without a kind where it is none that there is here."""
    kind = php.to_text(php.item(fields, "ENTITY_TYPE")).lower()
    return kind if kind in KINDS else None, php.to_int(php.item(fields, "ENTITY_ID"))


def _add(call: Call) -> Answer:
    fields = php.item(call.params, "fields")  # in small letters alone, unlike those of the older methods
    if not php.is_array(fields):
        raise _missing("fields")
    for name in ("ENTITY_ID", "ENTITY_TYPE"):
        if not php.is_truthy(php.item(fields, name)):
            raise _missing(name)
    kind, owner_id = owner_told(fields)
    if kind is None or (call.state.row(kind, owner_id) is None and not call.switches.limited_user):
        raise RestError("OWNER_NOT_FOUND", "Owner not found")
    if not call.may_update(kind, owner_id):
        raise RestError("ACCESS_DENIED", "Access denied.", 403)
    text = php.to_text(php.item(fields, "COMMENT")).strip()
    if not text:
        raise RestError("INVALID_ARG_VALUE", "Empty comment message.")
    author = php.to_int(php.item(fields, "AUTHOR_ID")) or call.user
    return Answer(call.state.comment(kind, owner_id, text, author))


def _shown(comment: Comment, names: list[Any]) -> dict[str, Any]:
    shown = {
        "ID": str(comment.id),
        "ENTITY_ID": str(comment.owner_id),
        "ENTITY_TYPE": comment.kind,
        "CREATED": format_datetime(comment.created),
        "COMMENT": comment.text,
        "AUTHOR_ID": str(comment.author),
        "FILES": {},
    }
    return {name: value for name, value in shown.items() if not names or "*" in names or name in names}


def _list(call: Call) -> Answer:
    kind, owner_id = owner_told(call.param("filter", "FILTER"))
    if kind is None or not owner_id or not call.may_read(kind, owner_id):
        raise RestError("", "Access denied.")
    found = call.state.comments_on(kind, owner_id)
    keys = {"ID": lambda one: one.id, "CREATED": lambda one: one.created, "AUTHOR_ID": lambda one: one.author}
    for name, direction in reversed(list(php.items(call.param("order", "ORDER")))):
        if name.upper() in _ORDERS:
            found.sort(key=keys[name.upper()], reverse=php.to_text(direction).upper() == "DESC")
    offset = max(php.to_int(call.param("start", "START")), 0)
    offset -= offset % PAGE
    select = call.param("select", "SELECT")
    names = php.values(select) if select else []
    page = [_shown(one, names) for one in found[offset : offset + PAGE]]
    following = offset + len(page)
    return Answer(page, total=len(found), next=following if following < len(found) else None)


def _delete(call: Call) -> Answer:
    comment = call.state.comments.get(call.record_id)
    if comment is None:
        raise RestError("NOT_FOUND", "Not found.")
    if not call.may_update(comment.kind, comment.owner_id):
        raise RestError("ACCESS_DENIED", "Access denied.", 403)
    del call.state.comments[comment.id]
    return Answer(None)


def methods() -> dict[str, Method]:
    """The methods of timelines by name."""
    return {
        "crm.timeline.comment.add": Method(_add, writes=True),
        "crm.timeline.comment.list": Method(_list),
        "crm.timeline.comment.delete": Method(_delete, writes=True),
    }
