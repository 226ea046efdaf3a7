"""Methods about the caller and the portal, and the search for the same phone or e-mail."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from airflow_bitrix.sandbox import (
    item_methods,
    link_methods,
    message_methods,
    php,
    record_methods,
    status_methods,
    timeline_methods,
    user_methods,
)
from airflow_bitrix.sandbox.calls import Answer, Call, Method
from airflow_bitrix.sandbox.errors import RestError
from airflow_bitrix.sandbox.schema import COMMUNICATIONS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_VALUES = 20
MAX_HITS = 20


_LONG_PHONE = 10
"""Digits from which on the portal looks for a prefix."""

_PREFIXES = (("80", "80"), ("81", "81"), ("82", "82"), ("00", ""), ("011", ""), ("8", "7"), ("0", ""))
"""What the portal makes of the beginning of a long phone: the first that fits."""


def normal_comm(type_name: str, value: object) -> str:
    """Give a phone or an e-mail in the form in which two of them are compared."""
    return _normal_comm(type_name, str(value))


@lru_cache(maxsize=100_000)
def _normal_comm(type_name: str, text: str) -> str:
    if type_name != "PHONE":
        return text.strip().lower()
    digits = "".join(filter(str.isdigit, text))
    if len(digits) >= _LONG_PHONE:
        for prefix, becomes in _PREFIXES:
            if digits.startswith(prefix):
                return becomes + digits.removeprefix(prefix)
    return digits


def _zone(call: Call) -> Answer:
    return Answer(call.switches.address_zone)


def _profile(call: Call) -> Answer:
    return Answer(
        {
            "ID": str(call.user),
            "ADMIN": not call.switches.limited_user,
            "NAME": "Sandbox",
            "LAST_NAME": "User",
            "PERSONAL_GENDER": "",
            "PERSONAL_PHOTO": "",
            "TIME_ZONE": "",
            "TIME_ZONE_OFFSET": 0,
        }
    )


def _scope(call: Call) -> Answer:
    return Answer(list(call.switches.scope))


def _method_get(call: Call) -> Answer:
    name = str(call.param("name") or "").lower()
    method = None if name in call.switches.missing_methods else METHODS.get(name)
    available = method is not None and (not method.scope or method.scope in call.switches.scope)
    return Answer({"isExisting": method is not None, "isAvailable": available})


def _find_by_comm(call: Call) -> Answer:
    """Records by phone or e-mail: twenty for each of twenty values, whoever may read them."""
    type_name = php.to_text(call.param("type") or "").upper()
    if not type_name:
        raise RestError("", "Communication type is not defined.")
    if type_name not in COMMUNICATIONS:
        raise RestError("", f"Communication type '{type_name}' is not supported in current context.")
    sent = call.param("values")
    if not php.is_array(sent) or not sent:
        raise RestError("", "Communication values is not defined.")
    only = php.to_text(call.param("entity_type") or "").upper()
    if only == "DEAL":
        raise RestError("", "Deal is not supported in current context.")
    kinds: tuple[Kind, ...] = ("lead", "contact")
    asked = {kind.upper(): kind for kind in kinds}
    result: dict[str, list[int]] = {}
    texts = (value for value in php.values(sent) if isinstance(value, str) and value)
    for wanted in islice(dict.fromkeys(normal_comm(type_name, text) for text in texts), MAX_VALUES):
        room = MAX_HITS
        for name, kind in {only: asked[only]}.items() if only in asked else asked.items():
            hits = list(islice(_holders(call, kind, type_name, wanted), room))
            room -= len(hits)
            if hits:
                known = result.setdefault(name, [])
                known += [one for one in hits if one not in known]
    return Answer(result or [])


def _holders(call: Call, kind: Kind, type_name: str, wanted: str) -> Iterator[int]:
    for record_id, row in call.state.tables[kind].rows.items():
        if any(normal_comm(type_name, value) == wanted for value, _ in row.get(type_name) or ()):
            yield record_id


METHODS: Mapping[str, Method] = {
    **link_methods.methods(),
    **record_methods.methods(),
    **item_methods.methods(),
    **status_methods.methods(),
    **user_methods.methods(),
    **timeline_methods.methods(),
    **message_methods.methods(),
    "crm.address.getzoneid": Method(_zone),
    "crm.duplicate.findbycomm": Method(_find_by_comm),
    "profile": Method(_profile, scope=""),
    "scope": Method(_scope, scope=""),
    "method.get": Method(_method_get, scope=""),
}
"""Every method but ``batch``, by lower-case name."""
