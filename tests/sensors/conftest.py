"""A portal with leads, deals and contacts, and the connection to it."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.fixture
def sandbox(make_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    sandbox = make_sandbox(leads=120, deals=60, contacts=80, code="abcdef123456", plan="self_hosted")
    told = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(told))
    return sandbox
