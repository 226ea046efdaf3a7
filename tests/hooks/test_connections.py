"""A connection at work: its test, the stock operator, certificates, and what Airflow may retry."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.http.operators.http import HttpOperator
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.core.errors import (
    AuthFailed,
    Bitrix24Error,
    InvalidInput,
    OutcomeUnknown,
    PlanRefused,
    Rejected,
    RetryLater,
)
from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook, Bitrix24Hook, pacing_folder
from airflow_bitrix.hooks.connection import who_is_connected
from airflow_bitrix.hooks.failures import final_failures
from tests.answers import VALUES, rows
from tests.moved import BEFORE_32


def test_a_connection_that_airflow_does_not_have_fails_at_once_by_its_id() -> None:
    """Airflow's own error says nothing of what is wanted, and is retried."""
    said = r"^bitrix24_conn_id: 'nope' is not accepted; accepted: the id of a connection that Airflow has"
    with pytest.raises(InvalidInput, match=said) as refused:
        Bitrix24Hook("nope").call("profile")
    assert isinstance(refused.value, AirflowFailException)
    with pytest.raises(InvalidInput, match=said) as refused:
        asyncio.run(Bitrix24AsyncHook("nope").call("profile"))
    assert isinstance(refused.value, AirflowFailException)


@pytest.mark.attack
@pytest.mark.parametrize("kind", ["postgres", "http", "bitrix", "Bitrix24", "", None])
def test_a_connection_of_another_type_is_refused_before_anything_of_it_is_read(
    kind: str | None, make_sandbox: Any, connection: Any
) -> None:
    """Its password would be sent to its host, as a path, and its user's name be shown."""
    sandbox = make_sandbox()
    host, _, port = sandbox.base_url.rpartition(":")
    conn_id = connection(
        "open-sesame", conn_type=kind, host=host, port=int(port), login="admin", extra={"a": 1}
    )
    found = f"is of type {kind!r}" if kind else "has no type"
    said = (
        "bitrix24_conn_id: 'bitrix24_default' is not accepted; accepted: "
        f"the id of a connection of type 'bitrix24', and that one {found}"
    )
    uses: list[Callable[[], Any]] = [
        lambda: Bitrix24Hook(conn_id).call("profile"),
        lambda: Bitrix24Hook(conn_id).run("profile"),
        lambda: asyncio.run(Bitrix24AsyncHook(conn_id).call("profile")),
    ]
    for use in uses:
        with pytest.raises(InvalidInput) as refused:
            use()
        assert str(refused.value) == said
        assert isinstance(refused.value, AirflowFailException)
    assert Bitrix24Hook(conn_id).test_connection() == (False, said)
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"host": "acme corp"}, ": Portal address (host): 'acme corp' is not accepted; accepted: a portal "),
        ({"extra": {"timeout": 0}}, ": Timeout in seconds (extra.timeout): 0 is not accepted; accepted: "),
        ({"extra": {"rps": 2}}, ": extra: 'rps' is not accepted; accepted: plan, "),
    ],
)
def test_a_field_that_cannot_be_right_is_told_with_its_connection(
    connection: Any, fields: dict[str, Any], said: str
) -> None:
    given: dict[str, Any] = {"host": "acme.bitrix24.com", "login": "1", "password": "abc123", **fields}
    connection(given.pop("password"), **given)
    with pytest.raises(InvalidInput, match=re.escape(f"connection 'bitrix24_default'{said}")):
        Bitrix24Hook().call("profile")


@pytest.mark.parametrize("extra", ["plan=enterprise", "[1]"])
def test_an_extra_that_is_no_json_object_is_told(connection: Any, extra: str) -> None:
    """Airflow itself takes it for an empty one; Airflow 3.1 does not find such a connection."""
    connection("abc123", host="acme.bitrix24.com", login="1", extra=extra)
    with pytest.raises(InvalidInput) as refused:
        Bitrix24Hook().call("profile")
    said = "connection 'bitrix24_default': extra: '***' is not accepted; accepted: a JSON object, "
    if BEFORE_32:
        said = "bitrix24_conn_id: 'bitrix24_default' is not accepted; accepted: the id of a connection that "
    assert str(refused.value).startswith(said)
    assert "JSON" in str(refused.value)


@pytest.mark.usefixtures("sandbox")
def test_the_stock_http_operator_works_with_the_connection() -> None:
    for endpoint in ("profile", "/profile", "profile.json"):
        answer = HttpOperator(task_id="stock", http_conn_id="bitrix24_default", endpoint=endpoint).execute({})
        assert json.loads(answer)["result"]["ID"]
    get = HttpOperator(
        task_id="get",
        http_conn_id="bitrix24_default",
        endpoint="crm.lead.get",
        method="GET",
        data={"id": 5},
        response_filter=lambda response: response.json()["result"]["ID"],
    )
    assert get.execute({}) == "5"
    with pytest.raises(Rejected, match=r"crm\.lead\.get: the portal refused: Not found"):
        HttpOperator(
            task_id="missing",
            http_conn_id="bitrix24_default",
            endpoint="crm.lead.get",
            data={"id": 10**6},
        ).execute({})


def test_the_stock_operator_counts_against_the_same_allowance(make_sandbox: Any, connection: Any) -> None:
    sandbox = make_sandbox(code="abcdef123456")
    connection(sandbox.webhook_url, extra={"requests_per_second": 1000, "burst": 2})
    stock = HttpOperator(task_id="stock", http_conn_id="bitrix24_default", endpoint="profile")
    for _ in range(4):
        stock.execute({})
    assert sandbox.stats()["refused_503"] == 0
    assert any(pacing_folder().glob(f"127.0.0.1_{sandbox.port}-*.bucket"))


def test_connection_test_says_who_is_connected(sandbox: Any) -> None:
    works, said = Bitrix24Hook().test_connection()
    assert works
    assert said.startswith(f"Connected to http://127.0.0.1:{sandbox.port} as ")
    assert "administrator" in said
    assert sandbox.code not in said


@pytest.mark.drawn
@given(rows({"NAME": "A", "LAST_NAME": "B", "ADMIN": True}), st.lists(VALUES, max_size=2) | VALUES)
def test_whatever_is_answered_the_connection_test_says_something(profile: Any, scope: Any) -> None:
    works, said = who_is_connected("https://acme.bitrix24.com", profile, scope)
    known = (
        "Connected to https://acme.bitrix24.com as ",
        "The webhook or application lacks",
        "https://acme.bitrix24.com does not say",
    )
    assert said.startswith(known)
    assert works == said.startswith("Connected")


@pytest.mark.parametrize(
    ("switches", "faults", "reason"),
    [
        ({"scope": ["user"]}, {}, "lacks the scope crm; it has: user"),
        ({}, {"html": 1.0}, "HTTP status 502"),
        ({}, {"drop_before": 1.0}, "closed before an answer came"),
        (
            {},
            {"redirect": "https://new.bitrix24.com/rest/1/abcdef123456/profile"},
            "redirects to new.bitrix24.com",
        ),
    ],
)
def test_connection_test_says_what_is_wrong(
    sandbox: Any, switches: dict[str, Any], faults: dict[str, Any], reason: str
) -> None:
    sandbox.set_switches(**switches)
    sandbox.set_faults(**faults)
    works, said = Bitrix24Hook().test_connection()
    assert not works
    assert reason in said
    assert sandbox.code not in said


@pytest.mark.parametrize(
    ("address", "proxy", "said"),
    [
        ("http://127.0.0.1:1", "", "nothing answers at this address and port (connection refused)"),
        ("https://acme.bitrix24.com", "http://127.0.0.1:2", "the proxy cannot be reached or refuses"),
        ("https://nowhere.invalid", "", "its name is not found ("),
    ],
)
def test_what_cannot_be_reached_is_told_in_plain_words(
    connection: Any, address: str, proxy: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By both hooks; the system's own words stand behind ours, without its numbers."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    connection(f"{address}/rest/1/abcdef123456/", extra={"proxy": proxy})

    async def call() -> None:
        hook = Bitrix24AsyncHook()
        hook.retries = Retries(times=0)
        async with hook.portal() as portal:
            await portal.call("profile")

    with pytest.raises(RetryLater) as caught:
        asyncio.run(call())
    for text in (Bitrix24Hook().test_connection()[1], str(caught.value).removeprefix("profile: ")):
        assert text.lower().startswith(f"the portal cannot be reached: {said}")
        assert "Errno" not in text


def test_connection_test_says_it_without_the_method_that_was_tried(sandbox: Any, connection: Any) -> None:
    connection(sandbox.webhook_url.replace("abcdef", "wrong1"))
    works, said = Bitrix24Hook().test_connection()
    assert not works
    assert said.startswith("The portal does not accept the webhook: INVALID_CREDENTIALS")


def test_connection_test_tells_of_fields_that_cannot_be_right(connection: Any) -> None:
    connection("abc123", host="acme.bitrix24.com", login="1", extra={"plan": "gold"})
    accepted = "'standard' or 'enterprise' or 'self_hosted'"
    assert Bitrix24Hook().test_connection() == (
        False,
        f"Bitrix24 plan (extra.plan): 'gold' is not accepted; accepted: {accepted}",
    )


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"host": "acme corp"}, "Portal address (host): 'acme corp' is not accepted"),
        ({"login": "anna"}, "Webhook user id (login): '***' is not accepted"),
        ({"password": ""}, "Webhook code (password): '' is not accepted"),
        ({"extra": {"timeout": 0}}, "Timeout in seconds (extra.timeout): 0 is not accepted"),
        ({"extra": {"rps": 2}}, "extra: 'rps' is not accepted"),
    ],
)
def test_connection_test_calls_fields_by_their_names_in_the_form(
    connection: Any, fields: dict[str, Any], label: str
) -> None:
    given: dict[str, Any] = {"host": "acme.bitrix24.com", "login": "1", "password": "abc123", **fields}
    connection(given.pop("password"), **given)
    works, said = Bitrix24Hook().test_connection()
    assert not works
    assert said.startswith(label)


@pytest.mark.parametrize("status", ["docs", "source"])
def test_a_wrong_webhook_is_not_retried(sandbox: Any, connection: Any, status: str) -> None:
    sandbox.set_switches(auth_status=status)
    connection(sandbox.webhook_url.replace("abcdef", "wrong1"))
    with pytest.raises(AuthFailed, match="INVALID_CREDENTIALS") as refused:
        Bitrix24Hook().call("profile")
    assert isinstance(refused.value, AirflowFailException)


def test_tls_is_verified_and_a_stranger_s_certificate_is_refused_at_once(
    make_sandbox: Any, connection: Any
) -> None:
    sandbox = make_sandbox(tls=True, plan="self_hosted")
    connection(sandbox.webhook_url)
    with pytest.raises(Rejected, match="certificate cannot be verified"):
        Bitrix24Hook().call("profile")
    with pytest.raises(Rejected, match="certificate cannot be verified"):
        asyncio.run(Bitrix24AsyncHook().call("profile"))
    connection(sandbox.webhook_url, extra={"verify": str(sandbox.authority)})
    assert Bitrix24Hook().call("profile")["ID"]
    assert asyncio.run(Bitrix24AsyncHook().call("profile"))["ID"]


def test_https_to_a_portal_without_tls_says_what_to_do(sandbox: Any, connection: Any) -> None:
    connection(sandbox.webhook_url.replace("http://", "https://"))
    for call in (Bitrix24Hook().call, lambda method: asyncio.run(Bitrix24AsyncHook().call(method))):
        with pytest.raises(Rejected, match=r"no TLS connection \(.*\); .* needs http:// before its address"):
            call("profile")


@pytest.mark.parametrize(
    "error",
    [Rejected("no"), InvalidInput("a", 1, "b"), AuthFailed("no"), OutcomeUnknown("?"), PlanRefused("no")],
)
def test_errors_that_would_come_again_fail_the_task_at_once_and_keep_their_type(error: Exception) -> None:
    with pytest.raises(type(error), match=re.escape(str(error))) as raised, final_failures():
        raise error
    assert isinstance(raised.value, AirflowFailException)
    assert vars(raised.value) == vars(error)
    assert raised.value.__suppress_context__


def test_a_busy_portal_lets_airflow_retry(sandbox: Any) -> None:
    sandbox.set_faults(throttle=1.0)
    hook = Bitrix24Hook()
    hook.retries = Retries(times=2, first=0.01, full=0.015)
    with pytest.raises(RetryLater, match="QUERY_LIMIT_EXCEEDED: Too many requests") as raised:
        hook.call("profile")
    assert not isinstance(raised.value, AirflowFailException)
    assert hook.portal.manners.meter.requests == 3


@pytest.mark.parametrize("endpoint", ["", None, "/"])
def test_without_an_endpoint_no_error_holds_the_code(
    endpoint: str | None, sandbox: Any, connection: Any
) -> None:
    """The last part of the path is the webhook's code then, and no method."""
    in_folder = sandbox.webhook_url.replace("/rest/", "/b24/rest/")
    for address in (sandbox.webhook_url, in_folder):
        connection(address, extra={"plan": "self_hosted"})
        with pytest.raises(Bitrix24Error) as caught:
            Bitrix24Hook().run(endpoint)
        assert sandbox.code not in f"{caught.value} {caught.value!r} {vars(caught.value)}"


def test_a_user_may_be_a_number_in_the_connection_s_json(sandbox: Any, connection: Any) -> None:
    host, _, path = sandbox.webhook_url.partition("/rest/")
    user, code = path.strip("/").split("/")
    for login in (int(user), float(user)):
        connection(code, host=host, login=login, extra={"plan": "self_hosted"})
        assert Bitrix24Hook().call("profile")["ID"] == user
        assert asyncio.run(Bitrix24AsyncHook().call("profile"))["ID"] == user
    connection(12345, host=host, login=int(user))
    with pytest.raises(AuthFailed, match="INVALID_CREDENTIALS"):
        Bitrix24Hook().call("profile")
    connection(code, host=host, login=[user])
    with pytest.raises(InvalidInput, match="bitrix24_conn_id: 'bitrix24_default' is not accepted"):
        Bitrix24Hook().call("profile")
