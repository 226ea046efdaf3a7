"""The webhook's code appears nowhere, whatever goes wrong, also at DEBUG level."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.http.operators.http import HttpOperator
from requests.adapters import HTTPAdapter

from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.compat import read_variable
from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook, Bitrix24Hook
from airflow_bitrix.hooks.settings import read_settings
from airflow_bitrix.operators.contact_links import Bitrix24LeadContactAddOperator, Bitrix24MethodOperator
from airflow_bitrix.sandbox.server import Sandbox
from tests.hooks.applications import kept_name

CODE = "s3cr3tWebhookCode42"
QUICK = Retries(times=1, first=0.01, longest=0.01, full=0.01)


class OwnAdapter(Bitrix24Hook):
    def __init__(self, conn_id: str) -> None:
        super().__init__(conn_id, adapter=HTTPAdapter())


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def arrange(trouble: str, sandbox: Sandbox) -> str:
    """Bring trouble about, and give the webhook that meets it."""
    faults: dict[str, dict[str, Any]] = {
        "reset": {"drop_before": 1.0},
        "lost answer": {"drop_after": 1.0},
        "timeout": {"slow": 1.0, "slow_seconds": 1.6},
        "html 502": {"html": 1.0},
        "throttled": {"throttle": 1.0},
        "redirect": {"redirect": f"http://127.0.0.1:1/rest/1/{CODE}/profile"},
    }
    if trouble in faults:
        sandbox.set_faults(**faults[trouble])
    if trouble == "no scope":
        sandbox.set_switches(scope=["user"])
    if trouble == "no access":
        sandbox.set_switches(limited_user=True)
    if trouble == "refused":
        return f"http://127.0.0.1:{closed_port()}/rest/1/{CODE}/"
    if trouble == "wrong webhook":
        return sandbox.webhook_url.replace(CODE, CODE[::-1])
    return sandbox.webhook_url


def call_sync(conn_id: str) -> None:
    hook = Bitrix24Hook(conn_id)
    hook.retries = QUICK
    hook.call("crm.lead.contact.add", {"id": 1, "fields": {"CONTACT_ID": 1}})


def call_async(conn_id: str) -> None:
    hook = Bitrix24AsyncHook(conn_id)
    hook.retries = QUICK
    asyncio.run(hook.call("crm.lead.contact.add", {"id": 1, "fields": {"CONTACT_ID": 1}}))


def batch_sync(conn_id: str) -> None:
    hook = Bitrix24Hook(conn_id)
    hook.retries = QUICK
    (outcome,) = hook.batch([("crm.lead.contact.add", {"id": 1, "fields": {"CONTACT_ID": 1}})])
    raise outcome.error or AssertionError(outcome)


def operator(conn_id: str) -> None:
    task = Bitrix24LeadContactAddOperator(task_id="add", bitrix24_conn_id=conn_id, owner_id=1, contact_id=1)
    task.hook.retries = QUICK
    task.execute({})


def stock_operator(conn_id: str) -> None:
    body = {"id": "1", "fields[CONTACT_ID]": "1"}
    HttpOperator(task_id="stock", http_conn_id=conn_id, endpoint="crm.lead.contact.add", data=body).execute(
        {}
    )


def test_connection(conn_id: str) -> None:
    raise RuntimeError(Bitrix24Hook(conn_id).test_connection())


CALLERS = [call_sync, call_async, batch_sync, operator, stock_operator, test_connection]
TROUBLES = [
    "refused",
    "reset",
    "lost answer",
    "timeout",
    "redirect",
    "html 502",
    "throttled",
    "no access",
    "no scope",
    "wrong webhook",
]
# Finding a connection works through templates, and a profile needs no access to leads.
test_connection.__test__ = False  # type: ignore[attr-defined]


def everything_said(error: BaseException | None) -> str:
    """Text, repr and traceback of an error and of all that it came from."""
    said = ""
    while error is not None:
        said += "".join(traceback.format_exception(error)) + repr(error) + str(error) + repr(error.args)
        error = error.__cause__ or error.__context__
    return said


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.__name__)
def test_no_code_in_logs_errors_or_tracebacks(  # noqa: PLR0917 (fixtures)
    caller: Callable[[str], None],
    trouble: str,
    make_sandbox: Any,
    connection: Any,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    sandbox = make_sandbox(code=CODE, plan="self_hosted")
    sandbox.state.add("contact", {"NAME": "A"})
    sandbox.state.add("lead", {"TITLE": "L", "ASSIGNED_BY_ID": 77})
    conn_id = connection(arrange(trouble, sandbox), extra={"timeout": 1})
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "aiohttp", "requests", "asyncio", "airflow"):
        caplog.set_level(logging.DEBUG, logger=name)
    error: BaseException | None = None
    try:
        caller(conn_id)
    except Exception as raised:  # noqa: BLE001 (every kind is looked at)
        error = raised
    passes = {("no access", "test_connection"), ("no scope", "stock_operator")}
    assert error is not None or (trouble, caller.__name__) in passes
    out, err = capfd.readouterr()
    everything = everything_said(error) + caplog.text + out + err
    assert CODE not in everything
    assert CODE[::-1] not in everything


@pytest.mark.usefixtures("_airflow_database")
@pytest.mark.parametrize("trouble", ["lost answer", "timeout", "html 502", "redirect", "expired"])
@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.__name__)
def test_no_secret_of_an_application_in_logs_errors_or_tracebacks(  # noqa: PLR0917 (fixtures)
    caller: Callable[[str], None],
    trouble: str,
    make_sandbox: Any,
    connection: Any,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Those that are got anew are not known when all begins, and are as secret."""
    sandbox = make_sandbox(plan="self_hosted")
    application = sandbox.application()
    conn_id = connection(None, host=sandbox.base_url, extra={**application, "timeout": 1})
    sandbox.set_switches(clocks_apart=7200.0)  # from now on each token is expired at once
    Bitrix24Hook(conn_id).settings.login.renewal.renew(0, expired=True)  # type: ignore[union-attr]
    arrange(trouble, sandbox)
    caplog.set_level(logging.DEBUG)
    for logger in ("urllib3", "aiohttp", "requests", "asyncio", "airflow"):
        caplog.set_level(logging.DEBUG, logger=logger)
    with pytest.raises(Exception, match=r"\w") as caught:
        caller(conn_id)
    out, err = capfd.readouterr()
    everything = everything_said(caught.value) + caplog.text + out + err
    kept = json.loads(read_variable(kept_name()))
    told = {key: value for key, value in {**application, **kept}.items() if "secret" in key or "token" in key}
    assert len(told) == 3
    for secret in (*told.values(), application["access_token"], application["refresh_token"]):
        assert secret not in everything


def test_the_debug_lines_of_the_http_libraries_are_there_without_the_code(
    make_sandbox: Any, connection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An author's own adapter has connections of its own, and knows the whole address."""
    sandbox = make_sandbox(code=CODE, plan="self_hosted")
    conn_id = connection(sandbox.webhook_url)
    caplog.set_level(logging.DEBUG, logger="urllib3.connectionpool")
    for hook, path in ((Bitrix24Hook(conn_id), "/profile"), (OwnAdapter(conn_id), "/rest/1/***/profile")):
        caplog.clear()
        assert hook.call("profile")["ID"]
        assert f'"POST {path} HTTP/1.1" 200' in caplog.text


def test_the_code_is_in_no_result_field_or_repr(make_sandbox: Any, connection: Any) -> None:
    sandbox = make_sandbox(code=CODE, plan="self_hosted")
    task = Bitrix24MethodOperator(
        task_id="profile", bitrix24_conn_id=connection(sandbox.webhook_url), api_method="profile"
    )
    result = task.execute({})
    url, proxy = f"https://acme.bitrix24.com/rest/1/{CODE}/", f"http://me:{CODE}@proxy"
    proxied = read_settings(host="", login="", password=url, port=None, extra={"proxy": proxy})
    assert CODE in proxied.proxy
    hook = task.hook
    shown = [
        proxied,
        result,
        hook.base_url,
        hook.settings,
        hook.portal,
        hook.get_conn().auth,
        vars(hook),
        task,
    ]
    assert CODE not in repr(shown)
