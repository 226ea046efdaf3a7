"""A connection's fields are checked before anything is sent, and the error names what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_bitrix.client.pacing import Bucket
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.hooks.settings import read_settings

GOOD: dict[str, Any] = {
    "host": "acme.bitrix24.com",
    "login": "1",
    "password": "abc123",
    "port": None,
    "extra": {},
}


def test_the_plain_fields_make_a_webhook_of_the_standard_plan() -> None:
    settings = read_settings(**GOOD)
    assert (
        settings.login.with_secret("https://acme.bitrix24.com/profile")
        == "https://acme.bitrix24.com/rest/1/abc123/profile"
    )
    assert settings.bucket == Bucket(rate=2, burst=49, gap=0.05)
    assert (settings.timeout, settings.deadline, settings.in_flight) == (65, 180, 5)
    assert (settings.verify, settings.proxy) == (True, "")


@pytest.mark.parametrize(
    "pasted",
    [
        "https://acme.bitrix24.com/rest/1/abc123/",
        "https://acme.bitrix24.com/rest/1/abc123",
        " https://acme.bitrix24.com/rest/1/abc123/profile.json ",
    ],
)
@pytest.mark.parametrize("others", [("", ""), ("acme.bitrix24.com", "1"), (None, None)])
def test_a_pasted_webhook_needs_no_other_field(pasted: str, others: tuple[Any, Any]) -> None:
    fields = {**GOOD, "host": others[0], "login": others[1], "password": pasted}
    assert read_settings(**fields).login == read_settings(**GOOD).login


@pytest.mark.parametrize(
    ("extra", "bucket"),
    [
        ({"plan": "enterprise"}, Bucket(rate=5, burst=249, gap=0.05)),
        ({"plan": "self_hosted"}, None),
        ({"plan": "", "burst": None}, Bucket(rate=2, burst=49, gap=0.05)),
        ({"requests_per_second": "0.5", "burst": 10}, Bucket(rate=0.5, burst=10, gap=0.05)),
        ({"plan": "self_hosted", "requests_per_second": 3}, Bucket(rate=3, burst=1000)),
    ],
)
def test_the_plan_and_overrides_make_the_bucket(extra: dict[str, Any], bucket: Bucket | None) -> None:
    assert read_settings(**{**GOOD, "extra": extra}).bucket == bucket


@pytest.mark.parametrize(
    ("changed", "argument", "shown", "accepted"),
    [
        (
            {"host": "https://acme.bitrix24.com/crm"},
            "host",
            "'https://acme.bitrix24.com/***'",
            "without a path",
        ),
        ({"host": "http://acme.bitrix24.com"}, "host", "'http://acme.bitrix24.com'", "only for a loopback"),
        ({"host": "ftp://acme.bitrix24.com"}, "host", "'ftp://acme.bitrix24.com'", "https://"),
        ({"host": "https://u:p@acme.bitrix24.com"}, "host", "", "without a path"),
        ({"host": ""}, "host", "''", "acme.bitrix24.com"),
        ({"host": "acme.bitrix24.com?x=1"}, "host", "", "without a path"),
        (
            {"host": "https://acme.bitrix24.com/rest/1/abc123/"},
            "host",
            "'https://acme.bitrix24.com/***'",
            "Remove it there",
        ),
        ({"host": "a.com:99", "port": 98}, "host", "", "address"),
        (
            {"host": "https://acme.bitrix24.com/rest/1/abc123/", "password": ""},
            "host",
            "'https://acme.bitrix24.com/***'",
            "The whole address may stand in the webhook code (password)",
        ),
        ({"login": ""}, "login", "''", "number of the webhook's user"),
        ({"login": "admin"}, "login", "'***'", "number of the webhook's user"),
        ({"login": "0"}, "login", "'0'", "number of the webhook's user"),
        ({"password": ""}, "password", "''", "inbound webhook"),
        ({"password": "no spaces"}, "password", "'***'", "inbound webhook"),
        ({"password": "https://acme.bitrix24.com/"}, "password", "'***'", "whole address"),
        ({"password": "https://other.bitrix24.com/rest/1/abc123/"}, "host", "'acme", "'https://other"),
        ({"password": "https://acme.bitrix24.com/rest/2/abc123/"}, "login", "'1'", "'2'"),
        ({"extra": {"plan": "gold"}}, "extra.plan", "'gold'", "'standard' or 'enterprise' or 'self_hosted'"),
        ({"extra": {"rps": 2}}, "extra", "'rps'", "requests_per_second"),
        ({"extra": {"requests_per_second": 0}}, "extra.requests_per_second", "0", "from 0.01 to 1000"),
        ({"extra": {"requests_per_second": "fast"}}, "extra.requests_per_second", "'fast'", "number from"),
        ({"extra": {"burst": True}}, "extra.burst", "True", "number from 1"),
        ({"extra": {"in_flight": 2.5}}, "extra.in_flight", "2.5", "whole number from 1 to 20"),
        ({"extra": {"timeout": -1}}, "extra.timeout", "-1", "from 1 to 600"),
        ({"extra": {"timeout": float("nan")}}, "extra.timeout", "nan", "from 1 to 600"),
        ({"extra": {"deadline": 0}}, "extra.deadline", "0", "from 0.1 to 3600"),
        ({"extra": {"deadline": "soon"}}, "extra.deadline", "'soon'", "from 0.1 to 3600"),
        ({"extra": {"verify": False}}, "extra.verify", "False", "CA bundle"),
        ({"extra": {"verify": "/no/such/file.pem"}}, "extra.verify", "'/no/such/file.pem'", "CA bundle"),
        ({"extra": {"proxy": "proxy:3128"}}, "extra.proxy", "'***'", "http://proxy.example.com"),
    ],
)
def test_a_field_that_cannot_be_right_is_refused_by_name(
    changed: dict[str, Any], argument: str, shown: str, accepted: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_settings(**{**GOOD, **changed})
    message = str(refused.value)
    assert refused.value.argument == argument
    assert message.startswith(f"{argument}: {shown}")
    assert accepted in message
    assert "abc123" not in message
