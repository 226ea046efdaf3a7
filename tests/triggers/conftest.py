"""Portals that triggers wait at, and the connections to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make a connection to a webhook's address."""

    def make(url: str, conn_id: str = "bitrix24_default", **extra: Any) -> None:
        told = {"conn_type": "bitrix24", "password": url, "extra": {"plan": "self_hosted", **extra}}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(told))

    return make


@pytest.fixture
def sandbox(make_sandbox: Any, connect: Any) -> Any:
    sandbox = make_sandbox(leads=120, deals=60, contacts=80, code="abcdef123456", plan="self_hosted")
    connect(sandbox.webhook_url)
    return sandbox
