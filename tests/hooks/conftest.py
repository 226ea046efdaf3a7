"""A connection of type ``bitrix24``, as Airflow finds it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

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
