"""An Airflow connection of type redis becomes what runs scripts in Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseHook

from airflow_bitrix.client.redis_allowance import Scripts
from airflow_bitrix.client.redis_scripts import scripts_of
from airflow_bitrix.compat import AirflowNotFoundException, conf
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.redaction import keep_secret

_TLS = ("ssl", "ssl_cert_reqs", "ssl_ca_certs", "ssl_keyfile", "ssl_certfile", "ssl_check_hostname")
"""Extras of the connection, by the names that Airflow's Redis provider gives them."""


def redis_scripts() -> Scripts:
    """Give what runs scripts in the Redis of ``[bitrix24] redis_conn_id``.

    :raises InvalidInput: There is no such connection, a field of it cannot be right, or the client is not
        installed.
    """
    conn_id = conf.get("bitrix24", "redis_conn_id", fallback="") or "redis_default"
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        accepted = gettext("the id of a connection of type redis")
        raise InvalidInput("[bitrix24] redis_conn_id", conn_id, accepted) from None
    if connection.conn_type != "redis":
        accepted = gettext(
            "the id of a connection of type redis, and that one is of type {conn_type}",
            conn_type=repr(connection.conn_type),
        )
        raise InvalidInput("[bitrix24] redis_conn_id", conn_id, accepted)
    keep_secret(connection.password or "")
    extra: Mapping[str, Any] = connection.extra_dejson
    try:
        number = int(extra.get("db") or 0)
    except (TypeError, ValueError):
        raise InvalidInput(
            f"connection {conn_id!r}: db", extra.get("db"), gettext("the number of a database")
        ) from None
    tls = tuple((name, extra[name]) for name in _TLS if extra.get(name) is not None)
    return scripts_of(
        host=connection.host or "localhost",
        port=connection.port or 6379,
        user=connection.login or None,
        password=connection.password or None,
        number=number,
        tls=tls,
    )
