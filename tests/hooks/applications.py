"""Connections of an application of the sandbox, and hours that pass at its portal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_bitrix.client.flow import Clock as Waits
from airflow_bitrix.client.oauth import Application
from airflow_bitrix.client.oauth_login import OAuthLogin
from airflow_bitrix.client.oauth_server import OAuthServer
from airflow_bitrix.hooks.connection import ReadsConnections, fields_of
from airflow_bitrix.hooks.tokens import VariableTokens
from airflow_bitrix.sandbox.server import Sandbox

CONN_ID = "bitrix24_default"


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


def application() -> Application:
    """Give the application that the connection describes, with the tokens in it."""
    settings, _ = fields_of(ReadsConnections(), CONN_ID)
    assert isinstance(settings.login, Application)
    return settings.login


def kept_name() -> str:
    """Give the name of the Variable that keeps its tokens."""
    return VariableTokens(application()).name


def login_of(store: Any = None, server: Any = OAuthServer, **how: Any) -> OAuthLogin:
    """Log in as another host does, which shares nothing but the Variable."""
    how = {"clock": Waits(sleep=lambda _: None), "winner": 0.1, **how}
    return OAuthLogin(application(), store or VariableTokens(application()), server, CONN_ID, **how)
