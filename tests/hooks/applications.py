"""Connections of an application of the sandbox, and hours that pass at its portal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_bitrix.client.flow import Clock as Waits
from airflow_bitrix.client.oauth import Application, server_address
from airflow_bitrix.client.oauth_login import OAuthLogin
from airflow_bitrix.client.oauth_server import OAuthServer
from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook
from airflow_bitrix.hooks.tokens import VariableTokens
from airflow_bitrix.sandbox.server import Sandbox

CONN_ID = "bitrix24_default"
NAME = f"bitrix24_oauth_token_{CONN_ID}"


class Hours:
    """A portal's clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def pass_(self, hours: float = 1.1) -> None:
        self.now += hours * 3600


def connect(sandbox: Sandbox, connection: Callable[..., str], **extra: Any) -> None:
    fields = {**sandbox.application(), "plan": "self_hosted", **extra}
    connection(None, host=sandbox.base_url, extra={name: one for name, one in fields.items() if one})


def refreshes(sandbox: Sandbox) -> dict[str, int]:
    told: dict[str, int] = sandbox.stats()["oauth"]
    return {name: count for name, count in told.items() if name != "authorization_code"}


def login_of(sandbox: Sandbox, store: Any = None, server: Any = OAuthServer, **how: Any) -> OAuthLogin:
    """Log in as another host does, which shares nothing but the Variable."""
    hook = Bitrix24Hook()
    told = hook.get_connection(CONN_ID).extra_dejson
    application = Application(
        sandbox.base_url,
        told["client_id"],
        told["client_secret"],
        server_address(told["server_endpoint"]),
        hook.settings.login._application.pair,  # type: ignore[attr-defined]
    )
    how = {"clock": Waits(sleep=lambda _: None), "winner": 0.1, **how}
    return OAuthLogin(application, store or VariableTokens(CONN_ID), server, CONN_ID, **how)
