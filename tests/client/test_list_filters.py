"""Fields that the portal would drop from a filter, or ignore in an order."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_bitrix.client.filters import bare_field
from airflow_bitrix.client.listing import Listing
from airflow_bitrix.core.errors import InvalidInput

LEADS = "crm.lead.list"
ITEMS = "crm.item.list"

PREFIXES = [
    "",
    "=",
    "!",
    ">",
    ">=",
    "<",
    "<=",
    "@",
    "!@",
    "%",
    "=%",
    "%=",
    "!%",
    "!=%",
    "!%=",
    "!=",
    "><",
    "!><",
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_filter_key_speaks_of_the_field_behind_its_prefix(prefix: str) -> None:
    assert bare_field(f"{prefix}UF_CRM_1") == "UF_CRM_1"


@pytest.mark.parametrize("method", ["crm.lead.list", "crm.deal.list", "crm.contact.list", "CRM.Lead.LIST"])
def test_a_legacy_list_with_a_filter_asks_for_the_fields_there_are(method: str) -> None:
    call = Listing(method, {"filter": {"TITLE": "x"}}).fields_call
    assert call is not None
    assert call.method.lower() == method.lower().replace("list", "fields")


@pytest.mark.parametrize(
    ("method", "params"),
    [(LEADS, {}), (LEADS, {"filter": {}}), (LEADS, {"filter": {">ID": 5}}), (ITEMS, {"filter": {"x": 1}})],
    ids=["no filter", "empty filter", "only a bound by id", "a method that checks by itself"],
)
def test_where_nothing_can_be_dropped_no_fields_are_asked_for(method: str, params: dict[str, Any]) -> None:
    assert Listing(method, params).fields_call is None


@pytest.mark.parametrize(
    "key", ["STATUS", "=STATUS", "!@STATUS", "title", " TITLE", "TITLE ", "?TITLE", "0", ""]
)
def test_a_filter_field_that_the_portal_would_drop_is_refused_by_name(key: str) -> None:
    """The portal would answer with every row, and a plan made of that would unlink them all."""
    listing = Listing(LEADS, {"filter": {"TITLE": "x", key: "NEW"}})
    with pytest.raises(InvalidInput) as caught:
        listing.check_filter({"TITLE": {}, "STATUS_ID": {}})
    assert str(caught.value) == (
        f"filter: {key!r} is not accepted; accepted: fields of crm.lead.list: STATUS_ID, TITLE"
    )


@pytest.mark.parametrize("key", [f"{prefix}TITLE" for prefix in PREFIXES])
def test_a_filter_field_that_is_there_is_accepted_with_every_prefix(key: str) -> None:
    listing = Listing(LEADS, {"filter": {key: "x"}})
    listing.check_filter({"TITLE": {"type": "string"}})
    assert listing.call().params["filter"] == {key: "x", ">ID": 0}
