"""Assets of portals: one form for each address, and none that holds a secret."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from airflow.sdk import Asset

from airflow_bitrix.assets.portals import (
    create_asset,
    dataset_of,
    links_asset,
    links_seen,
    records_asset,
    sanitize_uri,
)
from airflow_bitrix.core.errors import InvalidInput

LINKS = "bitrix24://acme.bitrix24.com/lead/contact-links"


@pytest.mark.parametrize(
    ("portal", "uri"),
    [
        ("acme.bitrix24.com", LINKS),
        ("https://ACME.bitrix24.com:443/", LINKS),
        ("http://127.0.0.1:8900", "bitrix24://127.0.0.1:8900/lead/contact-links"),
        ("https://crm.example.com:8443/b24", "bitrix24://crm.example.com:8443/b24/lead/contact-links"),
        ("портал.рф", "bitrix24://xn--80awhdgm.xn--p1ai/lead/contact-links"),
    ],
)
def test_a_portal_has_one_asset(portal: str, uri: str) -> None:
    asset = links_asset(portal, "lead")
    assert (asset.name, asset.uri) == (uri, uri)
    assert Asset(uri).uri == uri
    assert create_asset(portal=portal, kind="lead", extra={"a": 1}).uri == uri


@pytest.mark.parametrize(
    ("written", "uri"),
    [
        ("bitrix24://Acme.Bitrix24.com/lead/contact-links/", LINKS),
        ("BITRIX24://acme.bitrix24.com:443/lead/contact-links#x", LINKS),
        ("bitrix24://acme.bitrix24.com/contact", "bitrix24://acme.bitrix24.com/contact"),
        ("bitrix24://crm.example.com/a/lead/deal", "bitrix24://crm.example.com/a/lead/deal"),
    ],
)
def test_airflow_gives_what_people_write_its_one_form(written: str, uri: str) -> None:
    assert Asset(written).uri == uri
    assert urlunsplit(sanitize_uri(urlsplit(uri))) == uri


@pytest.mark.parametrize(
    "written",
    [
        "bitrix24:///lead/contact-links",
        "bitrix24://acme.bitrix24.com/",
        "bitrix24://acme.bitrix24.com/order",
        "bitrix24://acme.bitrix24.com/contact/contact-links",
        "bitrix24://acme.bitrix24.com/lead/contact-links?a=1",
        "bitrix24://acme.bitrix24.com:99999/lead",
        "bitrix24://1@acme.bitrix24.com/lead",
    ],
)
def test_what_is_no_asset_of_a_portal_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="accepted: "):
        Asset(written)


@pytest.mark.attack
@pytest.mark.parametrize(
    "make",
    [
        lambda: links_asset("https://acme.bitrix24.com/rest/1/abcdef123456/", "lead"),
        lambda: records_asset("acme.bitrix24.com/REST/1/abcdef123456", "deal"),
        lambda: records_asset("https://1:abcdef123456@acme.bitrix24.com", "deal"),
        lambda: Asset("bitrix24://acme.bitrix24.com/rest/1/abcdef123456/lead"),
        lambda: Asset("bitrix24://abcdef123456@acme.bitrix24.com/lead"),
    ],
)
def test_no_webhook_becomes_a_name_that_everybody_sees(make: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        make()
    assert "abcdef123456" not in str(refused.value)


@pytest.mark.parametrize(
    ("uri", "namespace", "name"),
    [
        (LINKS, "bitrix24://acme.bitrix24.com", "lead/contact-links"),
        ("bitrix24://crm.example.com:8443/b24/deal", "bitrix24://crm.example.com:8443/b24", "deal"),
    ],
)
def test_openlineage_knows_a_portal_and_what_is_in_it(uri: str, namespace: str, name: str) -> None:
    assert dataset_of(uri) == {"namespace": namespace, "name": name}


def test_kinds_are_checked() -> None:
    with pytest.raises(InvalidInput, match=r"^kind: 'leads' .*'lead', 'deal', 'quote'"):
        links_asset("acme.bitrix24.com", "leads")
    assert links_asset("acme.bitrix24.com", "contact").uri.endswith("/contact/company-links")
    assert links_seen("lead").name == "bitrix24_lead_links_seen"
