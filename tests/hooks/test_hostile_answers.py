"""Whatever a portal answers, or a proxy before it: the code appears on no stream, whoever prints."""

from __future__ import annotations

import base64
import http.client
import logging
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

from airflow_bitrix.client.oauth import Application, Refusal, refused
from airflow_bitrix.client.oauth_server import OAuthServer
from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook
from tests.hooks.test_secrets import CODE, call_async, call_sync, everything_said, stock_operator
from tests.hostile import ANSWERS, hostile

pytestmark = pytest.mark.attack
PASSWORD = "open-sesame-1001"


def own_adapter(conn_id: str) -> None:
    Bitrix24Hook(conn_id, adapter=HTTPAdapter()).run("profile", extra_options={"timeout": 5})


CALLERS = [call_sync, call_async, stock_operator, own_adapter]


@pytest.fixture(autouse=True)
def _all_that_libraries_say(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "urllib3.connection", "aiohttp", "requests", "asyncio", "airflow"):
        caplog.set_level(logging.DEBUG, logger=name)
    monkeypatch.delenv("NO_PROXY", raising=False)


def assert_silent(error: BaseException | None, caplog: Any, capfd: Any) -> None:
    out, err = capfd.readouterr()
    said = (everything_said(error) + caplog.text + out + err).lower()
    for secret in (CODE, PASSWORD):
        assert secret.lower() not in said
        assert base64.b64encode(f"user:{secret}".encode()).decode().lower() not in said


def failed(caller: Any, conn_id: str) -> BaseException | None:
    try:
        caller(conn_id)
    except Exception as error:  # noqa: BLE001 (every kind is looked at)
        return error
    return None


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.__name__)
def test_no_answer_makes_anybody_print_the_code(  # noqa: PLR0917 (fixtures)
    caller: Any,
    answer: bytes,
    reached: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if caller is not own_adapter:  # its connections are not ours, and print what they are told to
        monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    with hostile(answer) as port:
        error = failed(caller, reached(f"http://127.0.0.1:{port}", CODE, timeout=5))
    assert_silent(error, caplog, capfd)


@pytest.mark.parametrize(
    "answer", ["HTTP/1.1 403 no %path\r\n\r\n", "HTTP/1.1 407 %path\r\nno header\r\n\r\n", ""]
)
@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.__name__)
def test_a_proxy_that_refuses_makes_nobody_print_the_code_or_its_password(
    caller: Any,
    answer: str,
    reached: Any,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with hostile(answer.encode()) as port:
        proxy = f"http://user:{PASSWORD}@127.0.0.1:{port}"
        error = failed(caller, reached("https://acme.bitrix24.com", CODE, timeout=5, proxy=proxy))
    assert error is not None
    assert_silent(error, caplog, capfd)


@pytest.mark.parametrize("caller", [call_sync, call_async, stock_operator], ids=lambda one: one.__name__)
def test_no_library_knows_the_code(
    caller: Any, reached: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What none of them knows none of them can print; of a code as short as this no record is cleaned."""
    monkeypatch.setattr(logging, "_logRecordFactory", logging.LogRecord)
    for answer in (ANSWERS["no header"].replace(b"%path", b"x"), b""):
        with hostile(answer) as port:
            error = failed(caller, reached(f"http://127.0.0.1:{port}", "Zq-7x", timeout=5))
        assert "Zq-7x" not in everything_said(error) + caplog.text
    assert logging.getLogRecordFactory() is logging.LogRecord


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_no_answer_of_an_oauth_server_makes_anybody_print_a_secret(
    answer: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    with hostile(answer) as port:
        server = f"http://127.0.0.1:{port}"
        application = Application("https://acme.bitrix24.com", "local.1", CODE)
        found = OAuthServer(server).refresh(application, PASSWORD)
        assert isinstance(found, Refusal)
        assert_silent(refused(found, server, "crm"), caplog, capfd)
        assert CODE not in repr(found)


@pytest.mark.parametrize("own", [None, HTTPAdapter()], ids=["ours", "an author's"])
def test_a_redirect_is_not_followed(own: HTTPAdapter | None, connection: Any) -> None:
    """Who it leads to would learn what was asked, if not of whom: the answer there is the path."""
    with hostile(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%path") as other:
        away = (
            f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{other}/profile\r\nContent-Length: 0\r\n\r\n"
        )
        with hostile(away.encode()) as port:
            hook = Bitrix24Hook(connection(f"http://127.0.0.1:{port}/rest/1/{CODE}/"), adapter=own)
            options = {"allow_redirects": True, "check_response": False}
            response = hook.run("profile", extra_options=options)
        assert (response.status_code, response.text) == (302, "")
