"""One allowance for all hosts: a connection of type redis, and what the configuration says of it."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from airflow_bitrix.client.redis_allowance import WithFallback
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook, Bitrix24Hook
from scripts.processes import free_port

SECRET = "r3disPassw0rd"


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that does not answer, with a password."""
    monkeypatch.setenv("AIRFLOW__BITRIX24__ALLOWANCE", "redis")
    away = {"conn_type": "redis", "host": "127.0.0.1", "port": free_port(), "password": SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_REDIS_DEFAULT", json.dumps(away))


@pytest.fixture
def paced(make_sandbox: Any, connection: Any) -> Any:
    sandbox = make_sandbox(code="abcdef123456")
    connection(sandbox.webhook_url)
    return sandbox


@pytest.mark.usefixtures("redis_away", "paced")
def test_where_redis_is_away_both_hooks_go_on_and_tell_no_password(caplog: pytest.LogCaptureFixture) -> None:
    hook = Bitrix24Hook()
    with caplog.at_level(logging.DEBUG):
        assert hook.call("profile")["ID"]
        assert asyncio.run(Bitrix24AsyncHook().call("profile"))["ID"]
    assert isinstance(hook._allowance, WithFallback)
    assert "Redis does not answer" in caplog.text
    assert "this host alone" in caplog.text
    assert SECRET not in caplog.text


WRONG: list[tuple[dict[str, str], str]] = [
    (
        {"AIRFLOW__BITRIX24__ALLOWANCE": "Redis"},
        r"\[bitrix24\] allowance: 'Redis' is not accepted.*file or redis",
    ),
    (
        {"AIRFLOW__BITRIX24__ALLOWANCE": "redis", "AIRFLOW__BITRIX24__REDIS_CONN_ID": "nowhere"},
        r"\[bitrix24\] redis_conn_id.*'nowhere'.*the id of a connection of type redis",
    ),
    (
        {
            "AIRFLOW__BITRIX24__ALLOWANCE": "redis",
            "AIRFLOW_CONN_REDIS_DEFAULT": '{"conn_type": "postgres", "password": "pa55word"}',
        },
        r"redis_conn_id.*'redis_default'.*of type redis, and that one is of type 'postgres'",
    ),
    (
        {
            "AIRFLOW__BITRIX24__ALLOWANCE": "redis",
            "AIRFLOW_CONN_REDIS_DEFAULT": '{"conn_type": "redis", "extra": {"db": "x"}}',
        },
        r"connection 'redis_default': db.*'x'.*the number of a database",
    ),
]


@pytest.mark.parametrize(("settings", "said"), WRONG)
def test_a_wrong_setting_is_told_before_anything_is_sent(
    settings: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch, paced: Any
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput, match=said):
        Bitrix24Hook().call("profile")
    with pytest.raises(InvalidInput, match=said):
        asyncio.run(Bitrix24AsyncHook().call("profile"))
    assert paced.stats()["admitted"] == 0
