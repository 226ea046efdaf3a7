"""By which proxy and which authorities a portal is reached: the same for both hooks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import certifi
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from airflow_bitrix.client.auth import portal_address
from airflow_bitrix.client.proxies import bundle_of, proxy_of, trusted_by
from airflow_bitrix.core.errors import InvalidInput, RetryLater
from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook
from airflow_bitrix.hooks.settings import read_settings
from tests.hooks.raw_portals import BOTH_HOOKS, CODE, EACH_WAY, Way, answering, http, webhook_at

pytestmark = pytest.mark.attack

PORTAL = "https://acme.bitrix24.com"
ADDRESS = f"{PORTAL}/rest/1/{CODE}/"
REFUSING = http(b"no", status=b"403 Forbidden")
Env = pytest.MonkeyPatch


@EACH_WAY
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_of_the_environment_is_asked_by_both_hooks(
    way: Way, name: str, connection: Any, monkeypatch: Env
) -> None:
    with answering(REFUSING) as (port, asked):
        monkeypatch.setenv(name, f"http://anna:s3cr3t@127.0.0.1:{port}")
        connection(ADDRESS)
        with pytest.raises(RetryLater, match="the proxy cannot be reached or refuses") as caught:
            way("profile", {})
    assert asked[0].startswith(b"CONNECT acme.bitrix24.com:443 ")
    assert b"Basic YW5uYTpzM2NyM3Q=" in asked[0]
    assert CODE.encode() not in b"".join(asked)
    assert "s3cr3t" not in f"{caught.value} {vars(caught.value)}"


@EACH_WAY
def test_the_proxy_of_the_connection_wins(way: Way, connection: Any, monkeypatch: Env) -> None:
    with answering(REFUSING) as (port, asked), answering(REFUSING) as (other, unasked):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{other}")
        monkeypatch.setenv("NO_PROXY", "*")
        connection(ADDRESS, extra={"proxy": f"http://127.0.0.1:{port}"})
        with pytest.raises(RetryLater, match="the proxy cannot be reached or refuses"):
            way("profile", {})
    assert asked
    assert not unasked


@EACH_WAY
@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_portal_on_this_machine_is_reached_by_no_proxy(
    way: Way, name: str, connection: Any, monkeypatch: Env
) -> None:
    with answering(REFUSING) as (proxy, unasked), answering(http()) as (port, asked):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        for host in ("127.0.0.1", "localhost"):
            connection(webhook_at(port).replace("127.0.0.1", host), extra={"plan": "self_hosted"})
            assert way("profile", {}) in (1, '{"result": 1}')
    assert len(asked) == 2
    assert not unasked


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("*", True),
        ("acme.bitrix24.com", True),
        (".bitrix24.com, example.com", True),
        ("bitrix24.com", True),
        ("bitrix24.ru", False),
        ("", False),
    ],
)
def test_no_proxy_is_read_as_everybody_reads_it(no_proxy: str, direct: bool, monkeypatch: Env) -> None:  # noqa: FBT001
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example.com:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert proxy_of(PORTAL, "") == ("" if direct else "http://proxy.example.com:3128")


@pytest.mark.parametrize(
    "address",
    [
        "socks5://anna:s3cr3t@proxy:1080",
        "http://",
        "http://[::1",
        "http://anna:s3cr3t@proxy:99999",
        "http://proxy:0",
        "http://a b:3128",
        "http://proxy:3128/s3cr3t",
        "ftp://proxy:3128",
        "http://..",
    ],
)
def test_what_is_no_proxy_is_refused_without_being_shown(address: str, monkeypatch: Env) -> None:
    with pytest.raises(
        InvalidInput, match=r"extra\.proxy: '\*\*\*' is not accepted; accepted: an address such"
    ):
        proxy_of(PORTAL, address)
    monkeypatch.setenv("ALL_PROXY", address)
    said = r"HTTPS_PROXY or ALL_PROXY of the environment: '\*\*\*' is not accepted; accepted: an address such"
    with pytest.raises(InvalidInput, match=said) as caught:
        proxy_of(PORTAL, "")
    assert "s3cr3t" not in f"{caught.value} {vars(caught.value)}"
    assert proxy_of("http://localhost:8900", "") == ""


def test_a_proxy_for_a_portal_on_this_machine_is_refused() -> None:
    """It would be told the webhook in clear."""
    for portal in (
        "http://127.0.0.1:8900",
        "https://[::1]",
        "https://[::ffff:127.0.0.1]",
        "https://a.localhost",
    ):
        with pytest.raises(
            InvalidInput, match=r"extra\.proxy: '\*\*\*' is not accepted; accepted: nothing, as"
        ):
            proxy_of(portal, "http://proxy.example.com:3128")


def test_no_text_of_settings_shows_the_password_of_a_proxy() -> None:
    extra = {"proxy": "http://anna:s3cr3t@proxy:3128"}
    settings = read_settings(host="", login="", password=ADDRESS, port=None, extra=extra)
    assert "s3cr3t" not in repr(settings)
    assert CODE not in repr(settings)


def test_no_password_file_of_the_user_is_read(connection: Any, monkeypatch: Env, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login anna password s3cr3t\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with answering(http()) as (port, asked):
        connection(webhook_at(port), extra={"plan": "self_hosted"})
        hook = Bitrix24Hook()
        hook.call("profile")
        assert not hook.get_conn().trust_env
    assert b"uthorization" not in asked[0]


# -- authorities -------------------------------------------------------------------------------------------


def odd_bundles(folder: Path) -> dict[str, str]:
    (folder / "empty.pem").touch()
    (folder / "no.pem").write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
    (folder / "bytes.pem").write_bytes(bytes(range(256)))
    os.mkfifo(folder / "fifo")
    return {
        str(folder): "is no file of at most",
        str(folder / "fifo"): "is no file of at most",
        str(folder / "missing"): "is no file of at most",
        "a\0b": "'a\\x00b'",
        str(folder / "empty.pem"): "there are no certificates in",
        str(folder / "no.pem"): "there are no certificates in",
        str(folder / "bytes.pem"): "there are no certificates in",
    }


def test_what_is_no_ca_bundle_is_one_clear_error(tmp_path: Path, monkeypatch: Env) -> None:
    for path, problem in odd_bundles(tmp_path).items():
        with pytest.raises(InvalidInput) as caught:
            bundle_of(PORTAL, path)
        assert str(caught.value).startswith("extra.verify: ")
        assert problem in str(caught.value)
        assert "on this machine: a file of certificates in PEM form" in str(caught.value)
        if "\0" in path:
            continue
        monkeypatch.setenv("CURL_CA_BUNDLE", path)
        with pytest.raises(InvalidInput, match=r"^CURL_CA_BUNDLE of the environment: "):
            bundle_of(PORTAL, given=True)
        assert bundle_of("http://127.0.0.1:8900", given=True) is True


@BOTH_HOOKS
def test_such_a_bundle_stops_both_hooks_before_anything_is_sent(
    way: Way, connection: Any, tmp_path: Path
) -> None:
    with answering(http()) as (port, asked):
        connection(webhook_at(port, "https"), extra={"verify": str(tmp_path)})
        with pytest.raises(InvalidInput, match=r"CA bundle \(extra\.verify\): .* is no file of at most"):
            way("profile", {})
    assert not asked


@BOTH_HOOKS
@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_authorities_of_the_environment_are_those_of_both_hooks(
    way: Way, name: str, connection: Any, make_sandbox: Any, monkeypatch: Env
) -> None:
    sandbox = make_sandbox(tls=True, plan="self_hosted")
    connection(sandbox.webhook_url)
    monkeypatch.setenv(name, str(sandbox.authority))
    assert way("profile", {})["ID"]


def test_the_connection_s_bundle_wins(tmp_path: Path, monkeypatch: Env) -> None:
    own = certifi.where()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert bundle_of(PORTAL, own) == own
    assert trusted_by(own)


# -- hosts -------------------------------------------------------------------------------------------------

NO_HOSTS = [
    "https://a\nb", "https://..", "https://.", "https://-", "https://a:0", "https://a:99999", "https://a..b",
    f"https://{'a' * 64}.com", f"https://{'.'.join(['a' * 60] * 5)}", "https://-a.com", "https://a-.com",
    "https://u:p@a", "https://[fe80::1%eth0]", "https://127.1", "https://0x7f.1", "https://2130706433",
    "https://1.2.3.999", "https://0.0.0.0", "https://[::]", "https://224.0.0.1", "https://a.1", "https://a\\b",
]  # fmt: skip


@pytest.mark.parametrize("host", NO_HOSTS, ids=range(len(NO_HOSTS)))
def test_what_can_be_no_host_is_refused(host: str) -> None:
    for given_host, password in ((host, CODE), ("", f"{host}/rest/1/{CODE}/")):
        with pytest.raises(InvalidInput, match=r"^(host|password): ") as caught:
            read_settings(host=given_host, login="1", password=password, port=None, extra={})
        assert CODE not in str(caught.value)


SIGNS = st.sampled_from(
    [*"aA1-_.:/\\@?#[]% \t\n\0٣éß。\u200b\u202e", "xn--", "0x", "127.1", "[::1]", "https://"]
)


@pytest.mark.drawn
@given(st.lists(SIGNS, max_size=8).map("".join) | st.text(max_size=12))
def test_a_host_that_is_accepted_means_one_and_the_same_to_all_who_read_it(host: str) -> None:
    try:
        address = portal_address(host)
    except InvalidInput:
        return
    name = urlsplit(address).hostname
    prepared = requests.Request("POST", f"{address}/profile").prepare()
    assert urlsplit(prepared.url).hostname == name
    assert URL(f"{address}/profile").raw_host == name
    assert name is not None
    assert name.encode("idna")
    assert portal_address(address) == address
