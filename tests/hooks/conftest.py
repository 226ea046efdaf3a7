"""A connection of type ``bitrix24``, as Airflow finds it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import pytest

from airflow_bitrix.sandbox.clock import Clock
from airflow_bitrix.sandbox.server import Sandbox
from tests.hooks.applications import Hours, connect

FROM_OUTSIDE = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"),
)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name no proxy and no authorities, whatever this machine does."""
    for name in FROM_OUTSIDE:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Set ``bitrix24_default`` to the webhook of a sandbox, or to other fields."""

    def make(webhook_url: str = "", **fields: Any) -> str:
        shown = {"conn_type": "bitrix24", "password": webhook_url, **fields}
        monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(shown))
        return "bitrix24_default"

    return make


@pytest.fixture
def sandbox(make_sandbox: Any, connection: Any) -> Any:
    sandbox = make_sandbox(leads=120, deals=60, contacts=80, code="abcdef123456", plan="self_hosted")
    connection(sandbox.webhook_url, extra={"plan": "self_hosted"})
    return sandbox


SERVER = "http://127.0.0.1:1"


@pytest.fixture(params=["webhook", "application"])
def reached(request: pytest.FixtureRequest, connection: Any) -> Callable[..., str]:
    """Set ``bitrix24_default`` to a portal and one secret: a code, or each of an application."""
    if request.param == "application":
        request.getfixturevalue("_airflow_database")

    def make(portal: str, secret: str, **extra: Any) -> str:
        if request.param == "webhook":
            return cast("str", connection(f"{portal}/rest/1/{secret}/", extra=extra))
        named = ("client_secret", "access_token", "refresh_token")
        told = {"client_id": "local.1", "server_endpoint": SERVER, **dict.fromkeys(named, secret)}
        return cast("str", connection(None, host=portal, extra={**told, **extra}))

    return make


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def app(make_sandbox: Any, connection: Any, hours: Hours, _airflow_database: None) -> Sandbox:
    clock = Clock(time=lambda: hours.now)
    sandbox: Sandbox = make_sandbox(leads=5, contacts=5, plan="self_hosted", clock=clock)
    connect(sandbox, connection)
    return sandbox
