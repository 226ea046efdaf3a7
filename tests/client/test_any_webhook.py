"""Webhook addresses in every form: the webhook that was meant, or one error without its code."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.auth import Webhook, webhook
from airflow_bitrix.client.transport import LoginAuth
from airflow_bitrix.core.errors import InvalidInput

CODE = "s3cr3tc0de"

HOSTS = st.sampled_from(
    [
        "acme.bitrix24.com",
        "acme.bitrix24.ru:8443",
        "crm.example",
        "10.0.0.5",
        "портал.рф",
        "[2001:db8::5]:444",
    ]
)
FOLDERS = st.sampled_from(["", "/b24", "/b24/ru-1"])
ENDS = st.sampled_from(["", "/", "/profile", "/profile.json", "/crm.lead.list.xml?ID=5", "/?auth=x", "#x"])
AROUND = st.text(" \t\n\"'<>()«»“”,;\ufeff\u200b", max_size=3)
SIGNS = '/:?#@%.\\ \n0[]-"15'
WORDS = "https:// HTTP:// http: acme.bitrix24.com localhost пример.рф /rest/1/ rest REST api profile.json crm"
PIECES = st.sampled_from([*SIGNS, *WORDS.split(), CODE])


@pytest.mark.drawn
@given(HOSTS, FOLDERS, st.integers(1, 10**6), ENDS, st.tuples(AROUND, AROUND))
def test_an_address_is_the_webhook_that_it_shows(
    host: str, folder: str, user: int, end: str, around: tuple[str, str]
) -> None:
    folder = "" if "bitrix24" in host else folder
    pasted = f"{around[0]}https://{host}{folder}/rest/{user}/{CODE}{end}{around[1]}"
    name = host.encode("idna").decode() if "." in host and not host.isascii() else host
    assert webhook(host=None, password=pasted) == Webhook(f"https://{name}{folder}", str(user), CODE)


@pytest.mark.drawn
@given(
    password=st.lists(PIECES, max_size=9).map("".join) | st.integers(),
    host=st.sampled_from([None, "", "acme.bitrix24.com", "пример.рф"])
    | st.lists(PIECES, max_size=4).map("".join),
    login=st.sampled_from([None, "", "1", 1, 5.0, True, [1]]),
    port=st.sampled_from([None, 0, 443, 8443]),
)
def test_whatever_a_connection_holds_it_is_what_it_shows_or_one_error(
    password: Any, host: str | None, login: Any, port: int | None
) -> None:
    said = ""
    try:
        made = webhook(host=host, login=login, password=password, port=port)
    except InvalidInput as error:
        said = str(error)
    if said:
        assert re.match(r"(host|login|password|port): .*; accepted: ", said, re.DOTALL)
        # What stands where a portal's name belongs is shown as one.
        names = f"{host} {str(password).split('/rest', 1)[0]}"
        assert CODE not in said.replace(f"'{CODE}'", "").replace(f"'http://{CODE}", "") or CODE in names
        return
    parts = urlsplit(made.portal)
    assert parts.scheme in ("http", "https")
    assert not parts.query + parts.fragment
    assert made.user_id.isdigit()
    assert re.fullmatch(r"[A-Za-z0-9_-]+", made.code)
    whole = str(password)
    assert made.code in whole
    if "/" in whole:
        assert re.search(rf"rest/+(api/+)?{made.user_id}/+{made.code}", whole, re.IGNORECASE)
        assert CODE not in made.portal or CODE in whole.split("rest", 1)[0].lower()
    shown = (parts.hostname or "").encode().decode("idna")
    assert shown in f"{whole} {host}".lower()


@pytest.mark.parametrize(
    "portal", ["https://crm.example", "https://crm.example/b24", "https://xn--e1afmkfd.xn--p1ai"]
)
def test_the_code_goes_into_a_request_behind_the_portal_s_address(portal: str) -> None:
    hook = Webhook(portal, "1", CODE)
    request = requests.Request("POST", f"{portal}/profile", auth=LoginAuth(hook)).prepare()
    assert request.url == f"{portal}/rest/1/{CODE}/profile" == hook.with_secret(f"{portal}/profile")
    assert hook.with_secret(request.url) == request.url
    assert hook.method_of(request.url) == hook.method_of(f"{portal}/profile.json?a=b/c") == "profile"
    assert [hook.method_of(hook.with_secret(bare)) for bare in (portal, portal + "/")] == ["", ""]


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("abc def", "there is a space or a line break in it"),
        ("abc?def", "a code has letters, digits, - and _ alone"),
        ("https://[acme/rest/1/x/", "it is no address"),
        (f"https://acme.bitrix24.com/rest/profile?auth={CODE}",
         "it has no portal, /rest/, user id and code, with at most a method behind them"),
        (f"https://acme.bitrix24.com/rest/1/{CODE}/rest/1/{CODE}/", "it has two webhooks in it"),
        (f"https://acme.bitrix24.com/x/rest/1/{CODE}/",
         "at this portal nothing stands before /rest/"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_address_is_said(password: str, said: str) -> None:
    accepted = "the code of an inbound webhook, or its whole address https://…/rest/<user id>/<code>/"
    with pytest.raises(InvalidInput) as caught:
        webhook(host="", password=password)
    assert str(caught.value) == f"password: '***' is not accepted, {said}; accepted: {accepted}"
