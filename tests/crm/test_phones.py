"""Phones: all ways of writing a number are one, and no other number is."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.phone_regions import REGIONS
from airflow_bitrix.crm.phones import _contacts, holders, phone_reader, portal_region, spellings

MOBILE = "+79123456789"
OFFICE = "+74951234567"


def test_the_countries_are_those_whose_plans_are_known() -> None:
    assert phonenumbers.SUPPORTED_REGIONS == REGIONS


@pytest.mark.parametrize(
    ("region", "text", "number"),
    [
        *(("RU", text, MOBILE) for text in ("+7 912 345-67-89", "8 912 345 67 89", "(912) 345-67-89")),
        *(("RU", text, MOBILE) for text in ("79123456789", "8-912-345-67-89 Анна", "моб.: 89123456789")),
        *(("RU", text, MOBILE) for text in ("007 912 345 67 89", "8(912)3456789.", "\uff0b79123456789")),
        *(
            ("RU", f"8 (495) 123-45-67{ext}12", f"{OFFICE};ext=12")
            for ext in (" доб. ", ", доб.", " вн ", ",,", "#")
        ),
        *(
            ("RU", f"+7 495 1234567{ext} 12", f"{OFFICE};ext=12")
            for ext in (" ext.", "x", " внутр.", " добавочный")
        ),
        ("RU", "+49 30 1234567", "+49301234567"),
        ("RU", "0049 30 1234567", "+49301234567"),
        ("RU", "49 30 12345678", "+493012345678"),
        ("DE", "030 1234567", "+49301234567"),
        ("US", "(212) 555-1234", "+12125551234"),
        ("US", "011 49 30 1234567", "+49301234567"),
        ("AR", "011 15 2345-6789", "+5491123456789"),
        ("AR", "+54 9 11 2345 6789", "+5491123456789"),
        ("BY", "80 29 123-45-67", "+375291234567"),
        ("", "+7 912 345-67-89", MOBILE),
        ("", "7 912 345-67-89", MOBILE),
        # What is no number of a plan is its digits.
        ("", "8 912 345-67-89", "89123456789"),
        ("", "8 (912) 345-67-89 доб. 12", "8912345678912"),
        ("RU", "123-45-67", "1234567"),
        ("RU", "+7 912 345-67-89, +7 912 345-67-80", "7912345678979123456780"),
        ("RU", "8 495 1234567 (12)", "8495123456712"),
        *(("RU", text, "") for text in ("", "none", "12", "112", "+", "+1 23", "-", "доб. 12")),
    ],
)
def test_a_phone_is_read_by_the_plan_of_its_country(region: str, text: str, number: str) -> None:
    assert phone_reader(region)(text) == number


def test_the_portal_may_know_a_phone_without_its_country_code() -> None:
    assert spellings(MOBILE) == ["79123456789", "9123456789", "09123456789"]
    assert spellings(f"{OFFICE};ext=12") == ["7495123456712", "495123456712", "0495123456712"]
    assert spellings("1234567") == ["1234567"]
    assert spellings("+1") == ["1"]  # a rule of one's own may look for anything


LOCAL = (
    st.integers(9_000_000_000, 9_999_999_999)
    .map(str)
    .filter(lambda digits: phonenumbers.is_valid_number(phonenumbers.parse(f"+7{digits}")))
)
BEFORE = st.sampled_from(["+7", "8", "7", "", "007", "(+7)", "тел. +7 "])
APART = st.sampled_from(["", " ", "-", ".", "\xa0", " - "])


@pytest.mark.drawn
@given(LOCAL, LOCAL, BEFORE, BEFORE, APART)
def test_any_two_ways_of_writing_a_number_are_one_and_two_numbers_are_two(
    digits: str, other: str, before: str, also: str, apart: str
) -> None:
    read = phone_reader("RU")
    text = f"{before}{apart}{apart.join((digits[:3], digits[3:6], digits[6:8], digits[8:]))}"
    assert read(text) == f"+7{digits}"
    assert (read(f"{also}{other}") == read(text)) == (digits == other)
    assert read(f"{text} доб. 12") == f"+7{digits};ext=12"


@pytest.mark.drawn
@given(
    st.text(st.sampled_from("+0123456789 ()-.,;#*/xext\u0434\u043e\u0431\u0661\uff0b"), max_size=25)
    | st.text(max_size=12),
    st.sampled_from(["", "RU", "DE", "US", "IT"]),
)
@example("0100000eee", "RU")
def test_whatever_stands_for_a_phone_it_has_the_digits_of_its_reading(text: str, region: str) -> None:
    read = phone_reader(region)(text)
    assert re.fullmatch(r"|\+[1-9]\d{4,16}(;ext=\d+)?|\w{5,}", read)
    assert all(spellings(read)) or not read
    national = read.partition(";")[0][-4:]
    assert national in "".join(str(int(sign)) if sign.isdecimal() else "" for sign in text) or read[:1] != "+"


def run(portal: Any, asked: Any) -> Any:
    async def go() -> Any:
        async with portal as opened:
            return await asked(opened)

    return asyncio.run(go())


def test_the_portal_tells_its_country_and_who_holds_a_phone(make_sandbox: Any, connect_async: Any) -> None:
    sandbox = make_sandbox(plan="self_hosted")
    for text in ("+7 912 345-67-89", "8 912 345 67 89", "(912) 345-67-89", "89123456780"):
        sandbox.state.add("contact", {"PHONE": [{"VALUE": text}]})
    asked = [MOBILE, "+79123456780", "+79123456781"]

    async def both(portal: Any) -> Any:
        return await holders(portal, asked), await portal_region(portal)

    assert run(connect_async(sandbox.webhook_url), both) == (
        dict(zip(asked, ({1, 2, 3}, {4}, set()), strict=True)),
        "",
    )
    for zone, region in (("ru", "RU"), ("uk", "GB"), ("en", "")):
        sandbox.set_switches(address_zone=zone)
        assert run(connect_async(sandbox.webhook_url), portal_region) == region


@pytest.mark.parametrize("answer", [None, True, "none", {"CONTACT": "5"}, {"CONTACT": [None, "x"]}, [5]])
def test_an_answer_that_names_no_contacts_is_an_error(answer: Any) -> None:
    with pytest.raises(Bitrix24Error, match="answered no list of contacts"):
        _contacts(answer)
