"""What each field of a connection accepts, and what an empty one means, found out by what reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from airflow_bitrix.client.oauth import FIELDS
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.get_provider_info import get_provider_info
from airflow_bitrix.hooks.settings import read_settings
from scripts.argument_probes import REFUSED, FindingError

_APART: dict[str, Any] = {"host": "acme.bitrix24.com", "login": "1", "password": "abc123", "port": None}
_WHOLE: dict[str, Any] = dict.fromkeys(_APART) | {"password": "https://acme.bitrix24.com/rest/1/abc123/"}
_APPLICATION: dict[str, Any] = {"client_id": "local.1", "client_secret": "abc123"}

_WRONG = ("?", -1, "https://acme.bitrix24.com/crm/", 10**6)


@dataclass(frozen=True)
class ConnectionField:
    """A field of the connection form.

    :param empty: What becomes of it where it is left empty, field by field and beside a whole address.
    """

    name: str
    title: str
    about: str
    accepted: str
    empty: tuple[str, str]


def connection_fields() -> Iterator[ConnectionField]:
    """Give the fields of the form.

    :raises FindingError: One refuses nothing, or an empty text is not what ``null`` is.
    """
    (told,) = get_provider_info()["connection-types"]
    form = told["ui-field-behaviour"]
    for name in _APART:
        title = form["relabeling"].get(name, name.capitalize())
        yield _field(name, title, f"Such as: {form['placeholders'][name]}")
    for name, field in told["conn-fields"].items():
        yield _field(name, field["label"], field["description"])


def _field(name: str, title: str, about: str) -> ConnectionField:
    accepted: list[str] = []
    for value in _WRONG:
        try:
            _given(name, value)
        except InvalidInput as error:
            if error.argument in (name, f"extra.{name}") and error.accepted not in accepted:
                accepted.append(error.accepted)
    if not accepted:
        raise FindingError(f"{name}: nothing is refused")
    return ConnectionField(
        name, title, about, "; ".join(accepted), (_become(_APART, name), _become(_WHOLE, name))
    )


def _given(name: str, value: Any) -> None:
    """Read a connection with a value of a field: a webhook, or an application where the field is of one."""
    if name in FIELDS:
        bare = {**dict.fromkeys(_APART), "host": _APART["host"]}
        read_settings(**bare, extra={**_APPLICATION, name: value})
    else:
        _taken(_APART, name, value)


def _become(beside: dict[str, Any], name: str) -> str:
    found = {value: _taken_or_refused(beside, name, value) for value in (None, 0 if name == "port" else "")}
    if len(set(found.values())) > 1:
        raise FindingError(f"{name}: an empty one means several things: {found}")
    if found[None] == REFUSED:
        return REFUSED
    if name not in _APART and found[None] != repr(read_settings(**beside, extra={})):
        raise FindingError(f"{name}: an empty one is not as if it were not there: {found[None]}")
    return "the default" if name not in _APART or beside is _APART else "as the address says"


def _taken_or_refused(beside: dict[str, Any], name: str, value: Any) -> str:
    try:
        return _taken(beside, name, value)
    except InvalidInput:
        return REFUSED


def _taken(beside: dict[str, Any], name: str, value: Any) -> str:
    if name in beside:
        return repr(read_settings(**{**beside, name: value}, extra={}))
    return repr(read_settings(**beside, extra={name: value}))
