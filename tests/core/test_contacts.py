"""Two ways of writing one phone or e-mail are one; what is none is nothing."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core.contacts import (
    ITEM_SELECT,
    LIST_SELECT,
    contact_of_item,
    contact_of_list,
    normal_email,
    normal_phone,
)
from airflow_bitrix.core.errors import Bitrix24Error


@pytest.mark.parametrize(
    "text", ["+49 30 1234 5678", "0049-30-12345678", "49 (30) 1234.5678", " 493012345678 "]
)
def test_a_phone_is_its_digits_with_country(text: str) -> None:
    assert normal_phone(text) == "493012345678"


@pytest.mark.parametrize("text", ["", "none", "12", "+1 23", "-"])
def test_what_cannot_be_a_phone_is_nobodys(text: str) -> None:
    assert normal_phone(text) == ""


def test_an_email_is_compared_in_lower_case() -> None:
    assert normal_email("  Ann.Lee@Example.COM ") == "ann.lee@example.com"
    assert [normal_email(text) for text in ("", "none", "@", "x@", "@y")] == [""] * 5


def test_doubles_within_one_contact_count_once() -> None:
    phones = [{"VALUE": "+49 30 1234 5678"}, {"VALUE": "0049 30 12345678"}, {"VALUE": ""}]
    names = dict.fromkeys(("SECOND_NAME", "LAST_NAME", "POST", "COMMENTS")) | {"NAME": "Ann"}
    contact = contact_of_list({"ID": "7", **names, "COMPANY_ID": "0", "PHONE": phones, "EMAIL": None})
    assert (contact.id, contact.phones, contact.emails, contact.filled) == (7, ("493012345678",), (), 2)


def test_a_row_without_the_company_says_nothing() -> None:
    with pytest.raises(Bitrix24Error, match="'companyId'"):
        contact_of_item({"id": 1})
    with pytest.raises(Bitrix24Error, match=r"^crm\.contact\.list: the portal left 'NAME' out of a contact$"):
        contact_of_list({"ID": "7", "COMPANY_ID": "0"})


TOLD = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.none(), max_size=1)
FIELDS = st.sampled_from([*ITEM_SELECT, *LIST_SELECT])


@pytest.mark.drawn
@given(st.dictionaries(FIELDS, TOLD | st.lists(st.dictionaries(st.just("VALUE"), TOLD), max_size=2)))
def test_whatever_a_row_holds_it_is_a_contact_or_one_clear_error(told: dict[str, Any]) -> None:
    whole = {**dict.fromkeys(LIST_SELECT), "ID": "7", "id": 7, "companyId": 0, **told}
    for read, row in product((contact_of_item, contact_of_list), (told, whole)):
        try:
            said = f"contact {read(row).id}"
        except Bitrix24Error as error:
            said = str(error)
        assert re.match(r"contact [1-9]|crm\.(item|contact)\.list: the portal ", said)
