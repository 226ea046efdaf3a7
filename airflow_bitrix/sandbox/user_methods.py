"""The portal's users: ``user.get``.

Follows https://apidocs.bitrix24.com/api-reference/user/user-get.html. Whoever may call sees all of them; the
method does not tell who is an administrator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_bitrix.sandbox import filters, php
from airflow_bitrix.sandbox.calls import Answer, Call, Method
from airflow_bitrix.sandbox.fields import Field
from airflow_bitrix.sandbox.filters import Selection
from airflow_bitrix.sandbox.lists import PAGE

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.state import Row

_FIELDS: Final = {
    field.name: field
    for field in (
        Field("ID", "id", "integer"),
        Field("ACTIVE", "active", "char", default="Y"),
        Field("NAME", "name", "string", default=""),
        Field("LAST_NAME", "lastName", "string", default=""),
        Field("SECOND_NAME", "secondName", "string", default=""),
        Field("EMAIL", "email", "string", default=""),
        Field("WORK_POSITION", "workPosition", "string", default=""),
        Field("USER_TYPE", "userType", "string", default="employee"),
    )
}


def _selection(conditions: Any) -> Selection:
    selection = Selection()
    for key, value in php.items(conditions):
        operation, name = filters.split_key(key.upper())
        # Conditions on what is no field are dropped without a word, as in the older lists.
        if name == "ID":
            selection = filters.narrow_by_id(selection, operation, value)
        elif name in _FIELDS and operation not in {"><", "!><"}:
            wanted = [_FIELDS[name].clean(one) for one in php.values(value)]
            selection = selection.with_test(filters.field_test(_FIELDS[name], operation or "=", wanted))
    return selection


def _shown(row: Row, names: list[Any]) -> dict[str, Any]:
    found = {name: row.get(name, field.default) for name, field in _FIELDS.items()}
    shown = {**found, "ID": str(row["ID"]), "ACTIVE": found["ACTIVE"] == "Y", "UF_DEPARTMENT": [1]}
    return {name: value for name, value in shown.items() if not names or "*" in names or name in names}


def _get(call: Call) -> Answer:
    sent = {key.upper(): value for key, value in php.items(call.params)}
    # Without a filter the parameters themselves are the conditions.
    selection = _selection(sent["FILTER"] if php.is_array(sent.get("FILTER")) else sent)
    users = {call.user: {"ID": call.user}, **call.state.users}
    rows = [row for _, row in sorted(users.items()) if selection.accepts(row)]
    sort, order = php.to_text(sent.get("SORT")), php.to_text(sent.get("ORDER"))
    if sort in _FIELDS and order:
        default = _FIELDS[sort].default
        rows.sort(key=lambda row: row.get(sort, default), reverse=order.upper() == "DESC")
    start = php.to_int(call.param("start"))
    offset = max(start, 0)
    page = rows[offset : offset + PAGE]
    names = php.values(sent.get("SELECT") or [])
    shown = [_shown(row, names) for row in page]
    if not shown or start < 0:
        return Answer(shown, total=0 if shown else None)
    following = offset + len(page)
    return Answer(shown, total=len(rows), next=following if following < len(rows) else None)


def methods() -> dict[str, Method]:
    """The methods of users by name."""
    return {"user.get": Method(_get, scope="user")}
