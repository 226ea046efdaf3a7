"""Numbers that no portal counts to tell nothing, or make an answer odd; none makes the arithmetic fail."""

from __future__ import annotations

import json
import re
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.exclusions import Conditions
from airflow_bitrix.client.flow import Manners
from airflow_bitrix.client.pacing import Account, Budgets
from airflow_bitrix.client.portal import Portal
from airflow_bitrix.client.row_pages import OddAnswer, count_in, id_in, ids_in, offset_in, total_of
from airflow_bitrix.client.wire import Answer, Reply
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.links import Owner
from airflow_bitrix.core.methods import links_of
from airflow_bitrix.core.numbers import told_id
from tests.answers import VALUES

pytestmark = pytest.mark.attack

HUGE = [10**400, -(10**400), 10**18, 10**4299, "9" * 5000]
BEYOND = pytest.mark.parametrize("number", HUGE, ids=["400", "below", "18", "4299", "text"])
NOW = 1_772_366_400.0
ACCOUNT = Account("profile")


@BEYOND
@pytest.mark.parametrize("field", ["operating", "operating_reset_at"])
def test_an_answer_with_such_a_time_is_an_answer(field: str, number: Any, manners: Manners) -> None:
    time = {"operating": 1.5, "operating_reset_at": NOW, "duration": number, field: number}
    body = json.dumps({"result": 1, "time": time, "total": number}).encode()
    portal = Portal(lambda _: Reply(200, body), manners)
    assert portal.call("profile") == 1
    assert portal.call("profile") == 1


@pytest.mark.parametrize("number", [*HUGE, inf, -inf, nan, 1.7e308], ids=lambda one: str(one)[:9])
def test_such_an_operating_time_tells_nothing(number: Any) -> None:
    told = Budgets().told([(ACCOUNT, {"operating": number, "operating_reset_at": number})], NOW)
    assert told == Budgets()
    refused = Budgets().refused(ACCOUNT, NOW, told=number)
    assert refused == Budgets()


@BEYOND
def test_what_counts_rows_so_is_odd(number: Any) -> None:
    answer = Answer([], total=number, next=number)
    for read in (total_of, offset_in):
        with pytest.raises(OddAnswer):
            read("crm.lead.list", answer)
    assert count_in(answer) is None
    with pytest.raises(OddAnswer):
        id_in("crm.lead.list", "ID", {"ID": number})


@pytest.mark.parametrize("number", [*HUGE, inf, nan, 1.7e308], ids=lambda one: str(one)[:9])
def test_no_id_is_so_large(number: Any) -> None:
    assert told_id(number) is None


@BEYOND
@pytest.mark.parametrize("field", ["SORT", "ROLE_ID", "CONTACT_ID"])
def test_no_link_has_such_a_number(field: str, number: Any) -> None:
    row = {"CONTACT_ID": 3, "SORT": 10, "ROLE_ID": 0, "IS_PRIMARY": "Y", field: number}
    with pytest.raises(Bitrix24Error, match="no list of links"):
        links_of(Owner("lead", 1), [row])


@BEYOND
@pytest.mark.parametrize("key", [">ID", "<ID", "ID", "@ID"])
def test_a_row_with_such_a_number_is_compared_all_the_same(key: str, number: Any) -> None:
    for wanted in (5, "5", number):
        found = Conditions({key: [wanted] if key == "@ID" else wanted}).broken_by({"ID": number})
        assert found in (None, key)


ODD_IDS = st.sampled_from([" 5", "05", "+5", "5_0", "\uff15", "", "-5", 0, -5, 5.0, True, inf, "9" * 25])
IDS = st.integers(1, 9) | st.integers(1, 9).map(str) | ODD_IDS | VALUES
PAGES = st.lists(IDS.map(lambda told: {"ID": told}) | VALUES, max_size=3)
RIGHT = st.lists(st.integers(1, 2**41), min_size=1, max_size=3)
RIGHT_PAGES = RIGHT.map(lambda ids: [{"ID": one} for one in ids]) | RIGHT.map(
    lambda ids: [{"ID": str(one)} for one in ids]
)


@pytest.mark.drawn
@given(PAGES | RIGHT_PAGES)
def test_ids_of_a_page_are_those_of_its_rows(rows: list[Any]) -> None:
    try:
        expected = [id_in("crm.lead.list", "ID", row) for row in rows]
    except OddAnswer as error:
        with pytest.raises(OddAnswer, match=re.escape(str(error))):
            ids_in("crm.lead.list", "ID", rows)
    else:
        assert list(map(repr, ids_in("crm.lead.list", "ID", rows))) == list(map(repr, expected))
