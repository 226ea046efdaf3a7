"""What both hooks make of a connection and of Airflow's configuration."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret

from airflow_bitrix.client.allowance import Allowance, file_name, shared_allowance
from airflow_bitrix.client.known_secrets import keep_secrets
from airflow_bitrix.client.oauth import for_connection, log_in_again
from airflow_bitrix.client.pacing import OperatingTime, Patience
from airflow_bitrix.client.redis_allowance import RedisAllowance, WithFallback
from airflow_bitrix.compat import AirflowNotFoundException, conf
from airflow_bitrix.core.errors import AuthFailed, Bitrix24Error, InvalidInput, RetryLater
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.numbers import as_whole
from airflow_bitrix.get_provider_info import field_labels
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.hooks.folders import pacing_folder
from airflow_bitrix.hooks.redis_connection import redis_scripts
from airflow_bitrix.hooks.settings import Settings, read_settings
from airflow_bitrix.hooks.tokens import logged_in

CONN_TYPE = "bitrix24"


class ReadsConnections(BaseHook):
    """What both hooks do to find a connection."""

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """Give a connection of Airflow, also one in an environment variable whose user id is a number.

        Airflow calls such a connection not defined: it makes an address of it, for its cache, and that fails.
        """
        try:
            return super().get_connection(conn_id)
        except AirflowNotFoundException:
            if connection := _with_numbers(conn_id):
                return connection
            raise


def _with_numbers(conn_id: str) -> Connection | None:
    """Give the connection in an environment variable, as JSON, whose user or code is a number."""
    try:
        given = json.loads(os.environ.get(f"AIRFLOW_CONN_{conn_id.upper()}", ""))
        told = {name: given.get(name) for name in ("login", "password")}
        texts = {
            name: str(as_whole(value))
            for name, value in told.items()
            if not isinstance(value, str) and as_whole(value) is not None
        }
        connection = Connection.from_json(json.dumps({**given, **texts}), conn_id) if texts else None
    except (ValueError, TypeError, AttributeError):  # what Airflow cannot read, this cannot either
        return None
    if connection and connection.password:
        mask_secret(connection.password)
    return connection


def patience() -> Patience:
    """Give how far the portal's operating time is used, and how long its return is waited for.

    :raises InvalidInput: A setting of Airflow's configuration is no number of seconds.
    """
    usual = Patience()
    with final_failures():
        return Patience(
            _seconds("operating_limit", usual.operating_limit), _seconds("max_wait", usual.max_wait)
        )


def _seconds(name: str, otherwise: float) -> float:
    given = conf.get("bitrix24", name, fallback="")
    with suppress(ValueError):
        number = float(given) if given else otherwise
        if 0 <= number < math.inf:
            return number
    raise InvalidInput(f"[bitrix24] {name}", given, gettext("a number of seconds, 0 or above"))


def connection_settings(hook: BaseHook, conn_id: str) -> Settings:
    """Read what a connection says; its secrets are masked in all logs from then on.

    It talks to Airflow and waits for it: from an event loop, call it in a thread. Airflow's own way for that
    waits on the loop all the same until 3.3.2, and fails outside a task in 3.1.

    :raises InvalidInput: There is no such connection, or a field of it cannot be right. Airflow does not
        retry it, as it does its own error.
    :raises AuthFailed: It is for an application, and nobody has logged in yet.
    """
    with final_failures():
        settings, proxy = fields_of(hook, conn_id)
        return logged_in(settings, conn_id, proxy)


def fields_of(hook: BaseHook, conn_id: str) -> tuple[Settings, object]:
    """Read a connection as it is, without the tokens that are kept elsewhere; and the proxy that it names.

    :raises InvalidInput: There is no such connection, or a field of it cannot be right.
    """
    connection = _found(hook, conn_id)
    _check_type(conn_id, connection)
    try:
        extra = _extra(connection)
        settings = read_settings(
            host=connection.host,
            login=connection.login,
            password=connection.password,
            port=connection.port,
            extra=extra,
        )
    except InvalidInput as error:
        error.inside(_named(conn_id), field_labels().get(error.argument, ""))
        raise
    for secret in keep_secrets(settings.login, settings.proxy):
        mask_secret(secret)
    return settings, extra.get("proxy", "")


def _named(conn_id: str) -> str:
    return gettext("connection {conn_id}", conn_id=repr(conn_id))


def _check_type(conn_id: str, connection: Connection) -> None:
    """Refuse a connection that is not for Bitrix24, before anything of it is read.

    Its password would become a part of an address, and its host be asked: both may belong to anybody.
    """
    kind = connection.conn_type
    if kind != CONN_TYPE:
        found = (
            gettext("that one is of type {kind}", kind=repr(kind))
            if kind
            else gettext("that one has no type")
        )
        accepted = gettext(
            "the id of a connection of type {conn_type}, and {found}", conn_type=repr(CONN_TYPE), found=found
        )
        raise InvalidInput("bitrix24_conn_id", conn_id, accepted)


def _extra(connection: Connection) -> Mapping[str, Any]:
    """Give the extra of a connection. Airflow takes one that is no JSON for one with nothing in it.

    :raises InvalidInput: It is no JSON object. It may hold secrets, and is not shown.
    """
    with suppress(ValueError):
        if isinstance(json.loads(connection.extra or "{}"), dict):
            return connection.extra_dejson
    raise InvalidInput("extra", "***", gettext('a JSON object, such as {"plan": "enterprise"}'))


def _found(hook: BaseHook, conn_id: str) -> Any:
    with suppress(AirflowNotFoundException):
        return hook.get_connection(conn_id)
    accepted = gettext(
        "the id of a connection that Airflow has and can read: its extra has to be JSON, its port a number"
    )
    raise InvalidInput("bitrix24_conn_id", conn_id, accepted)


def in_words_of_the_form(error: Bitrix24Error, conn_id: str) -> str:
    """Say in its form why a connection does not work: without its id and the method that was tried."""
    if isinstance(error, InvalidInput):
        return error.bare
    said = str(error)
    if isinstance(error, (AuthFailed, RetryLater)):
        said = said.removeprefix(f"{error.method}: ")
        # Airflow tests it under an id that it makes up.
        said = said.replace(for_connection(conn_id), "").replace(log_in_again(conn_id), log_in_again("…"))
    return said[:1].upper() + said[1:]


_LONGEST_NAME = 100


def who_is_connected(portal: str, profile: object, scope: object) -> tuple[bool, str]:
    """Say who a webhook's user is, or what is wrong with it.

    :param profile: The result of ``profile``.
    :param scope: The result of ``scope``.
    """
    scope = scope or []
    if not isinstance(profile, Mapping) or not isinstance(scope, list):
        return False, gettext(
            "{portal} does not say whose login this is and what it may use, as a portal does", portal=portal
        )
    if "crm" not in scope:
        has = as_plain_text(", ".join(map(str, scope))) or gettext("none")
        return False, gettext("The webhook or application lacks the scope crm; it has: {has}", has=has)
    names = (as_plain_text(profile.get(part) or "", _LONGEST_NAME) for part in ("NAME", "LAST_NAME"))
    name = " ".join(names).strip()
    role = gettext("administrator") if profile.get("ADMIN") else gettext("no administrator")
    return True, gettext(
        "Connected to {portal} as {name} ({role})", portal=portal, name=name or gettext("a user"), role=role
    )


def allowance_of(settings: Settings, operating: OperatingTime) -> Allowance:
    """Give the allowance at the connection's portal that ``[bitrix24] allowance`` asks for.

    It may talk to Airflow, for the connection of Redis: from an event loop, call it in a thread.

    :param operating: What the caller knows of operating time; in Redis it is shared.
    :raises InvalidInput: The setting is neither ``file`` nor ``redis``; or Redis cannot be used as it is set.
    """
    chosen = conf.get("bitrix24", "allowance", fallback="") or "file"
    host = shared_allowance(settings.bucket, settings.portal, pacing_folder())
    if chosen not in ("file", "redis"):
        with final_failures():
            raise InvalidInput("[bitrix24] allowance", chosen, gettext("file or redis"))
    if chosen == "file" or settings.bucket is None:
        return host
    credential = hashlib.sha256(settings.login.identity.encode()).hexdigest()[:16]
    with final_failures():
        run = redis_scripts()
    remote = RedisAllowance(settings.bucket, run, file_name(settings.portal), credential, operating)
    return WithFallback(remote, host)
