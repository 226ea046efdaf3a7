"""The one place that takes a webhook's secret out of text."""

from __future__ import annotations

import json

import pytest

from airflow_bitrix.client.wire import Call, Lost, Reply, error_of, read
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.redaction import redact

SECRET = "s3cr3tc0de"

ADDRESSES: list[tuple[str, str]] = [
    ("whole", f"https://acme.bitrix24.com/rest/1/{SECRET}/profile"),
    ("path", f"/rest/1/{SECRET}/profile.json"),
    ("end of line", f"/rest/1/{SECRET}"),
    ("closing slash", f"/rest/1/{SECRET}/"),
    ("long user id", f"/rest/123456/{SECRET}/batch"),
    ("query behind", f"/rest/1/{SECRET}?a=b"),
    ("fragment behind", f"/rest/1/{SECRET}#a"),
    ("quoted", f'POST "/rest/1/{SECRET}" failed'),
    ("in brackets", f"(url: /rest/1/{SECRET})"),
    ("in a tag", f"<a href=/rest/1/{SECRET}>x</a>"),
    ("new interface", f"/rest/api/1/{SECRET}/tasks.task.get"),
    ("upper case", f"HTTPS://ACME.BITRIX24.COM/REST/API/1/{SECRET}/"),
    ("encoded", f"to=https%3A%2F%2Facme.bitrix24.com%2Frest%2F1%2F{SECRET}%2Fprofile"),
    ("encoded, small", f"%2frest%2f1%2f{SECRET}%2fprofile"),
    ("doubled slashes", f"127.0.0.1//rest//1//{SECRET}"),
    ("backslashes", rf"https:\\acme.bitrix24.com\rest\1\{SECRET}\\"),
    ("two of them", f"/rest/1/{SECRET}/a and /rest/2/{SECRET}/b"),
    ("no slash in front", f"POST rest/1/{SECRET}/profile"),
    ("bars", f"path: rest|12|{SECRET}|profile"),
    ("json's own escapes", rf"\u002frest\u002F1\u002f{SECRET}\u002fprofile"),
    ("entities", f"&#47;rest&#x2F;1&sol;{SECRET}&#047;profile"),
    ("entities of entities", f"&amp;#47;rest&amp;#47;1&amp;#47;{SECRET}&amp;#47;"),
    ("encoded twice", f"%252Frest%252F1%252F{SECRET}%252Fprofile"),
    ("escaped in a repr", rf"\x2frest\x2f1\x2f{SECRET}\x2f"),
    ("escaped in json", json.dumps(f"/rest/1/{SECRET}/a").replace("/", r"\/")),
]


@pytest.mark.parametrize("text", [row[1] for row in ADDRESSES], ids=[row[0] for row in ADDRESSES])
def test_no_form_of_an_address_keeps_its_secret(text: str) -> None:
    assert SECRET not in redact(text)
    assert "***" in redact(text)


def test_what_stands_around_the_secret_stays_readable() -> None:
    text = f"HTTPConnectionPool(host='acme.bitrix24.com'): url: /rest/1/{SECRET}/crm.lead.get (Caused by X)"
    assert redact(text) == text.replace(SECRET, "***")


@pytest.mark.parametrize(
    "text", ["", "the rest/1/of it", "/rest/", "/rest/1/", "/restart/1/code", "/crm/lead/details/5/", "1/2/3"]
)
def test_text_without_an_address_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_redacting_twice_changes_nothing_more() -> None:
    once = redact(f"/rest/1/{SECRET}/profile")
    assert redact(once) == once


# -- the ways on which text of others becomes text of ours -------------------------------------------------

URL = f"https://acme.bitrix24.com/rest/1/{SECRET}/profile"
ESCAPED = URL.replace("/", r"\/")

REPLIES: list[tuple[str, Reply | Lost]] = [
    ("html title", Reply(502, f"<title>502 for {URL}</title>".encode())),
    ("html title with entities", Reply(502, f"<title>{URL.replace('/', '&#x2F;')}</title>".encode())),
    ("html body", Reply(502, f"<html><p>no answer from <b>{URL}</b></html>".encode())),
    ("html body with entities", Reply(502, f"<html>{URL.replace('/', '&#47;')}</html>".encode())),
    ("plain", Reply(404, f"{URL} not found".encode())),
    ("cut json", Reply(500, f'{{"error":"X","error_description":"{ESCAPED}'.encode())),
    ("error text", Reply(400, json.dumps({"error": "X", "error_description": URL}).encode())),
    ("error code", Reply(400, json.dumps({"error": URL, "error_description": ""}).encode())),
    ("redirect", Reply(302, b"", URL)),
    ("relative redirect", Reply(302, b"", f"/rest/1/{SECRET}/profile")),
    ("lost", Lost(sent=True, reason=f"no answer from {URL}")),
]


@pytest.mark.parametrize("reply", [row[1] for row in REPLIES], ids=[row[0] for row in REPLIES])
def test_no_reply_carries_the_secret_into_an_error(reply: Reply | Lost) -> None:
    fault = read(reply)
    assert SECRET not in repr(fault)
    assert SECRET not in repr(error_of(Call("profile"), fault))  # type: ignore[arg-type]


def test_a_whole_address_in_the_place_of_a_method_is_refused_without_its_secret() -> None:
    """People paste what the portal shows them into the first field they see."""
    with pytest.raises(InvalidInput) as caught:
        Call(URL)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(vars(caught.value))
