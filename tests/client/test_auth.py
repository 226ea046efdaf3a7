"""Webhooks: what a connection's fields may be, and that no message shows a secret."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_bitrix.client.auth import Webhook, is_loopback, portal_address, webhook
from airflow_bitrix.core.errors import InvalidInput

SECRET = "s3cr3tc0de"
PORTAL = "https://acme.bitrix24.com"
PASTED = f"{PORTAL}/rest/1/{SECRET}/"

ADDRESSES: list[tuple[str, int | None, str]] = [
    ("acme.bitrix24.com", None, PORTAL),
    ("https://acme.bitrix24.com", None, PORTAL),
    ("https://acme.bitrix24.com/", None, PORTAL),
    ("HTTPS://Acme.Bitrix24.COM", None, PORTAL),
    ("acme.bitrix24.com", 8443, f"{PORTAL}:8443"),
    ("acme.bitrix24.com:8443", None, f"{PORTAL}:8443"),
    ("acme.bitrix24.com:8443", 8443, f"{PORTAL}:8443"),
    ("crm", None, "https://crm"),
    ("10.0.0.5", None, "https://10.0.0.5"),
    ("http://localhost:8900", None, "http://localhost:8900"),
    ("http://127.0.0.1:8900", None, "http://127.0.0.1:8900"),
    ("http://127.8.8.8", 8900, "http://127.8.8.8:8900"),
    ("http://[::1]:8900", None, "http://[::1]:8900"),
    ("Пример.рф", None, "https://xn--e1afmkfd.xn--p1ai"),
    ("https://straße.example", None, "https://xn--strae-oqa.example"),
    ("acme.bitrix24.com.", None, PORTAL),
    ("https://[2001:db8::5]", 8443, "https://[2001:db8::5]:8443"),
]


@pytest.mark.parametrize(("host", "port", "address"), ADDRESSES)
def test_an_address_is_read_with_and_without_its_scheme(host: str, port: int | None, address: str) -> None:
    assert portal_address(host, port) == address


@pytest.mark.parametrize(
    ("host", "port"), [("acme.bitrix24.com:443", None), ("acme.bitrix24.com", 443)], ids=["in host", "beside"]
)
def test_the_port_that_goes_without_saying_makes_no_other_portal(host: str, port: int | None) -> None:
    """A plan is for one portal, and a host has one allowance at it, however its address is written."""
    assert portal_address(host, port) == PORTAL


NO_HOSTS = [
    *("", " ", "https://", "acme bitrix24", "http://acme.bitrix24.com", "http://10.0.0.5", "http://0x7f.1"),
    *("http://localhost.evil.example", "http://127.0.0.1.nip.io", "http://[2001:db8::5]"),
    *(
        "ftp://acme.bitrix24.com",
        "acme.bitrix24.com:port",
        "acme:99999",
        "acme:0",
        "acme\\evil",
        "-пример.рф",
    ),
    *("https://[acme", "https://acme]", "https://ac\u2100me.example"),
]
MORE_THAN_HOSTS = [
    *("acme.bitrix24.com/crm", "https://acme.bitrix24.com/rest/", "file:///etc/passwd", "//acme"),
    *(
        "https://acme.bitrix24.com?x=1",
        "https://acme.bitrix24.com#x",
        "a@acme.bitrix24.com",
        "ac%6De.example",
    ),
    "javascript:alert(1)",
]


@pytest.mark.parametrize("host", [*NO_HOSTS, *MORE_THAN_HOSTS], ids=ascii)
def test_an_address_that_is_none_is_refused_and_the_error_tells_what_one_looks_like(host: str) -> None:
    with pytest.raises(InvalidInput, match=r"^host: .* is not accepted; accepted: a portal address such as"):
        portal_address(host)


@pytest.mark.parametrize("host", NO_HOSTS, ids=ascii)
def test_a_host_that_can_hold_no_secret_is_shown_as_it_was_given(host: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        portal_address(host)
    assert str(caught.value).startswith(f"host: {host!r} is not accepted")


@pytest.mark.parametrize(
    "host", ["127.0.0.1//rest//1//s3cr3tc0de", "https:\\\\a.bitrix24.com\\rest\\1\\s3cr3tc0de"], ids=ascii
)
@pytest.mark.parametrize("password", ["", SECRET])
def test_a_webhook_s_address_that_was_mistyped_is_shown_without_its_secret(host: str, password: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        webhook(host=host, login="1", password=password)
    assert "s3cr3tc0de" not in str(caught.value)


def test_an_address_with_a_path_and_no_code_is_called_no_secret() -> None:
    with pytest.raises(InvalidInput, match=r"is not accepted; .* without a path"):
        webhook(host="https://acme.bitrix24.com/rest/", login="1", password=SECRET)


@pytest.mark.parametrize("password", [SECRET, f"https://acme.bitrix24.com/rest/1/{SECRET}/"])
@pytest.mark.parametrize("port", [-1, 65_536, 10**6])
def test_a_port_that_no_machine_has_is_refused(port: int, password: str) -> None:
    with pytest.raises(
        InvalidInput, match=rf"^port: {port} is not accepted; accepted: a port from 1 to 65535"
    ):
        webhook(host="acme.bitrix24.com", login="1", password=password, port=port)


def test_two_different_ports_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^host: "):
        portal_address("acme.bitrix24.com:8443", 9443)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.255.255.254", "::1"])
def test_a_loopback_name_means_this_machine(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize("name", ["", "localhost.", "acme", "0.0.0.0", "10.0.0.1", "::", "localhost.example"])  # noqa: S104
def test_any_other_name_means_another_machine(name: str) -> None:
    assert not is_loopback(name)


@pytest.mark.parametrize("password", ["", SECRET])
def test_a_webhook_s_address_in_the_wrong_field_is_to_be_removed_there(password: str) -> None:
    """Airflow shows that field to everybody who sees connections."""
    with pytest.raises(InvalidInput) as caught:
        webhook(host=PASTED, login="1", password=password)
    assert str(caught.value) == (
        "host: 'https://acme.bitrix24.com/***' is a webhook's address, which is a secret; accepted: a portal "
        "address such as 'acme.bitrix24.com'. Remove it there: it is shown in the list of connections. The "
        "whole address may stand in the webhook code (password); make a new webhook if others could see it"
    )


AS_PASTED = [
    *(f"{PASTED}{method}" for method in ("profile", "profile.json", "crm.lead.list.xml", "profile/")),
    *(f"{PASTED}{rest}" for rest in ("?auth=x", "crm.lead.get.json?ID=5&x=a%20b", "#top", "profile?#")),
    *(
        around.format(PASTED)
        for around in (" {} ", '"{}"', "'{}',", "<{}>", "\u00ab{}\u00bb;", "\ufeff{}\n", "({})")
    ),
    PASTED.removeprefix("https://"),
    PASTED.replace("rest", "REST").replace("acme", "ACME").replace("https", "HTTPS"),
    PASTED.replace("/rest/1/", "//rest//1//"),
    PASTED.replace("/rest/", "/rest/api/"),
    PASTED.replace(".com/", ".com:443/"),
    PASTED.replace(".com/", ".com./"),
]

WEBHOOKS: list[tuple[str, dict[str, Any], Webhook]] = [
    ("three fields", {"host": PORTAL, "login": "1", "password": SECRET}, Webhook(PORTAL, "1", SECRET)),
    (
        "spaces around",
        {"host": f" {PORTAL}\n", "login": " 1 ", "password": f"\t{SECRET} "},
        Webhook(PORTAL, "1", SECRET),
    ),
    (
        "a port",
        {"host": PORTAL, "login": "1", "password": SECRET, "port": 8443},
        Webhook(f"{PORTAL}:8443", "1", SECRET),
    ),
    ("a user that is a number", {"host": PORTAL, "login": 1, "password": 123}, Webhook(PORTAL, "1", "123")),
    ("a code of digits", {"host": PORTAL, "login": 1.0, "password": "0012"}, Webhook(PORTAL, "1", "0012")),
    (
        "quotes around",
        {"host": f'"{PORTAL}"', "login": "'1'", "password": f"\u201c{SECRET}\u201d"},
        Webhook(PORTAL, "1", SECRET),
    ),
    *((f"pasted as {text}", {"password": text}, Webhook(PORTAL, "1", SECRET)) for text in AS_PASTED),
    (
        "pasted with a port",
        {"password": f"{PORTAL}:8443/rest/1/{SECRET}/", "port": 443},
        Webhook(f"{PORTAL}:8443", "1", SECRET),
    ),
    (
        "pasted with its port beside it",
        {"password": f"{PORTAL}:8443/rest/1/{SECRET}/", "port": 8443},
        Webhook(f"{PORTAL}:8443", "1", SECRET),
    ),
    (
        "pasted in Russian",
        {"password": f"https://Пример.рф/rest/1/{SECRET}/", "host": "пример.рф"},
        Webhook("https://xn--e1afmkfd.xn--p1ai", "1", SECRET),
    ),
    (
        "pasted from a folder",
        {"password": f"https://crm.example/b24/Ru/rest/1/{SECRET}/", "host": "crm.example"},
        Webhook("https://crm.example/b24/Ru", "1", SECRET),
    ),
    ("pasted", {"password": PASTED}, Webhook(PORTAL, "1", SECRET)),
    ("pasted without a closing slash", {"password": PASTED[:-1]}, Webhook(PORTAL, "1", SECRET)),
    ("pasted with a method", {"password": f"{PASTED}profile.json"}, Webhook(PORTAL, "1", SECRET)),
    (
        "pasted beside the same host",
        {"host": "ACME.bitrix24.com", "password": PASTED},
        Webhook(PORTAL, "1", SECRET),
    ),
    ("pasted beside the same user", {"login": "1", "password": PASTED}, Webhook(PORTAL, "1", SECRET)),
    (
        "pasted for this machine",
        {"password": f"http://127.0.0.1:8900/rest/1/{SECRET}/"},
        Webhook("http://127.0.0.1:8900", "1", SECRET),
    ),
]


@pytest.mark.parametrize(
    ("fields", "expected"), [row[1:] for row in WEBHOOKS], ids=[row[0] for row in WEBHOOKS]
)
def test_a_webhook_is_made_of_its_fields_or_of_its_address(fields: dict[str, Any], expected: Webhook) -> None:
    assert webhook(**{"host": None, "login": None, **fields}) == expected


def test_the_address_of_a_method_holds_user_and_code() -> None:
    made = Webhook(PORTAL, "1", SECRET)
    assert made.with_secret(f"{PORTAL}/crm.lead.get") == f"{PORTAL}/rest/1/{SECRET}/crm.lead.get"


@pytest.mark.attack
@pytest.mark.parametrize(
    "other", ["http://acme.bitrix24.com/x", f"{PORTAL}.evil.com/x", f"{PORTAL}:444/x", "/x", ""]
)
def test_no_other_address_gets_the_code(other: str) -> None:
    assert Webhook(PORTAL, "1", SECRET).with_secret(other) == other


def test_a_webhook_keeps_its_code_out_of_its_repr() -> None:
    assert SECRET not in repr(Webhook(PORTAL, "1", SECRET))


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("nothing", {}, "password"),
    ("no password", {"host": PORTAL, "login": "1"}, "password"),
    ("blank password", {"host": PORTAL, "login": "1", "password": "  "}, "password"),
    ("no host", {"login": "1", "password": SECRET}, "host"),
    ("no user", {"host": PORTAL, "password": SECRET}, "login"),
    ("user 0", {"host": PORTAL, "login": "0", "password": SECRET}, "login"),
    ("a name for a user", {"host": PORTAL, "login": "ann", "password": SECRET}, "login"),
    ("a code with a space", {"host": PORTAL, "login": "1", "password": f"{SECRET} x"}, "password"),
    ("a code with a question mark", {"host": PORTAL, "login": "1", "password": f"{SECRET}?x"}, "password"),
    ("a code with letters of its own", {"host": PORTAL, "login": "1", "password": f"{SECRET}ы"}, "password"),
    ("a piece of an address", {"host": PORTAL, "login": "1", "password": f"1/{SECRET}"}, "password"),
    ("an address in two lines", {"password": f"{PORTAL}/rest/1/\n{SECRET}/"}, "password"),
    ("a code in two lines", {"host": PORTAL, "login": "1", "password": f"{SECRET}\n{SECRET}"}, "password"),
    ("an address without a portal", {"host": PORTAL, "password": f"/rest/1/{SECRET}/"}, "password"),
    (
        "an address whose scheme lacks a sign",
        {"password": f"https//acme.bitrix24.com/rest/1/{SECRET}/"},
        "password",
    ),
    (
        "an address whose scheme lacks two",
        {"password": f"https:/acme.bitrix24.com/rest/1/{SECRET}/"},
        "password",
    ),
    ("an address with two schemes", {"password": f"https://{PASTED}"}, "password"),
    ("an address pasted twice", {"password": f"{PASTED}rest/1/{SECRET}/"}, "password"),
    ("an address encoded", {"password": f"{PORTAL}/rest%2F1%2F{SECRET}%2F"}, "password"),
    (
        "an address with backslashes",
        {"password": f"https:\\\\acme.bitrix24.com\\rest\\1\\{SECRET}"},
        "password",
    ),
    ("an application's address", {"password": f"{PORTAL}/rest/profile?auth={SECRET}"}, "password"),
    ("yes for a user", {"host": PORTAL, "login": True, "password": SECRET}, "login"),
    ("half a user", {"host": PORTAL, "login": 1.5, "password": SECRET}, "login"),
    ("a list for a code", {"host": PORTAL, "login": 1, "password": [SECRET]}, "password"),
    ("another port", {"password": PASTED, "port": 8443}, "port"),
    ("an address of something else", {"password": f"{PORTAL}/webhook/{SECRET}/"}, "password"),
    ("an address with a path before it", {"password": f"{PORTAL}/x/rest/1/{SECRET}/"}, "password"),
    ("an address with too much behind it", {"password": f"{PASTED}a/b/c"}, "password"),
    ("an address without a code", {"password": f"{PORTAL}/rest/1/"}, "password"),
    ("an address of user 0", {"password": f"{PORTAL}/rest/0/{SECRET}/"}, "password"),
    ("an address that is no address", {"password": f"https://[acme/rest/1/{SECRET}/"}, "password"),
    ("plain http", {"password": f"http://acme.bitrix24.com/rest/1/{SECRET}/"}, "host"),
    (
        "a login in the address",
        {"password": f"https://u:{SECRET}@acme.bitrix24.com/rest/1/{SECRET}/"},
        "host",
    ),
    ("another host", {"host": "other.example", "password": PASTED}, "host"),
    ("another user", {"login": "2", "password": PASTED}, "login"),
    ("the address as host", {"host": PASTED, "login": "1", "password": SECRET}, "host"),
    ("the bare address as host", {"host": PASTED[8:], "login": "1", "password": SECRET}, "host"),
    (
        "the address as host, encoded",
        {"host": f"acme%2Frest%2F1%2F{SECRET}", "login": "1", "password": "x"},
        "host",
    ),
    (
        "a login and a secret in the host",
        {"host": f"https://u:{SECRET}@acme.example", "login": "1", "password": "x"},
        "host",
    ),
    (
        "a token in the host",
        {"host": f"https://acme.example?auth={SECRET}", "login": "1", "password": "x"},
        "host",
    ),
    ("code and user swapped", {"host": PORTAL, "login": SECRET, "password": "1"}, "login"),
    ("the address as login", {"host": PORTAL, "login": PASTED, "password": "x"}, "login"),
    ("the code as login beside the address", {"login": SECRET, "password": PASTED}, "login"),
]


@pytest.mark.parametrize(
    ("fields", "argument"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_a_webhook_that_cannot_be_right_is_refused_by_field_and_without_its_secret(
    fields: dict[str, Any], argument: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        webhook(**{"host": None, "login": None, "password": None, **fields})
    assert caught.value.argument == argument
    assert "; accepted: " in str(caught.value)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(vars(caught.value))
    assert caught.value.__cause__ is None
