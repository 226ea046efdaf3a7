"""In which order rows of a list are read, and which lists can be read in ranges of ids."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.listing import Listing
from airflow_bitrix.client.row_pages import PAGE, TIMES
from airflow_bitrix.client.wire import Answer, Call
from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput, RetryLater
from tests.client.listings import all_rows

LEADS = "crm.lead.list"
ITEMS = "crm.item.list"


@pytest.mark.parametrize("method", [LEADS, "x.list"])
@pytest.mark.parametrize("total", [180, None])
@pytest.mark.parametrize("following", [-5, 0, 25, 49])
@pytest.mark.parametrize("start", [0, 50])
def test_a_next_page_that_begins_no_further_on_ends_in_one_error(
    method: str, total: int | None, following: int, start: int
) -> None:
    """Taken at its word it would bring rows again, or end the list early without a word."""
    listing = Listing(method, {"order": {"TITLE": "ASC"}})
    if start:
        listing.take(Answer([{"TITLE": "first"}] * 50, next=50, total=total or 180))
    again = Answer([{"TITLE": "x"}] * 50, next=start + following, total=total)
    for _ in range(TIMES - 1):
        assert listing.take(again) == []
        assert not listing.done
    with pytest.raises(RetryLater, match=rf"^{method}: "):
        listing.take(again)


def test_pages_that_come_again_under_another_number_end_in_one_error() -> None:
    """A method that reads no ``start`` gives the first page for ever."""
    listing = Listing("x.list", {})
    page = [{"TITLE": str(at)} for at in range(50)]
    assert listing.take(Answer(page, next=50)) == page
    for _ in range(TIMES - 1):
        assert listing.take(Answer(page, next=100)) == []
    with pytest.raises(
        RetryLater, match=r"^x\.list: the portal gives the page before again, from row 51 on$"
    ):
        listing.take(Answer(page, next=100))


def test_a_portal_that_counts_may_give_pages_that_look_the_same() -> None:
    listing = Listing("x.list", {})
    for at in range(3):
        listing.take(Answer(["x"] * 50, next=50 * at + 50 if at < 2 else None, total=150))
    assert listing.done


@pytest.mark.parametrize("order", [{"ID": "ASC"}, {"ID": "asc", "TITLE": "DESC"}, {}, None], ids=repr)
def test_an_order_of_ids_is_what_a_list_has_anyway(order: Any) -> None:
    listing = Listing(LEADS, {"order": order})
    assert listing.call() == Listing(LEADS, {}).call()
    assert listing.in_ranges


@given(st.sets(st.integers(1, 10_000), max_size=160))
def test_the_largest_id_may_come_first(ids: set[int]) -> None:
    def answer(call: Call) -> Answer:
        assert call.params["order"] == {"ID": "DESC"}
        wanted = call.params["filter"]
        left = [n for n in ids if wanted[">ID"] < n < wanted.get("<ID", 10**6)]
        return Answer([{"ID": str(n)} for n in sorted(left, reverse=True)[:PAGE]], total=len(left))

    rows = all_rows(Listing(LEADS, {"order": {"ID": "desc"}}), answer)
    assert [int(row["ID"]) for row in rows] == sorted(ids, reverse=True)


def test_another_order_is_read_page_by_page_and_what_a_filter_says_of_ids_stays() -> None:
    listing = Listing(
        LEADS, {"order": {"TITLE": "ASC", "ID": "ASC"}, "filter": {">ID": 7}, "select": ["TITLE"]}
    )
    asked = {"order": {"TITLE": "ASC", "ID": "ASC"}, "filter": {">ID": 7}, "select": ["TITLE"]}
    assert listing.call() == Call(LEADS, {**asked, "start": 0})
    listing.take(Answer([{}] * 50, next=50, total=70))
    assert not listing.in_ranges
    assert listing.call() == Call(LEADS, {**asked, "start": 50})
    assert len(listing.take(Answer([{}] * 20, total=70))) == 20
    assert listing.done


@pytest.mark.parametrize(
    "again", [Answer([{}] * 50, next=50, total=90), Answer([{}] * 50, total=50), Answer([{}] * 3, total=3)]
)
def test_the_first_page_in_place_of_one_behind_the_last_row_is_not_given_twice(again: Answer) -> None:
    """Rows were deleted meanwhile; the older lists then begin again, and a loop by ``next`` has no end."""
    listing = Listing(LEADS, {"order": {"TITLE": "ASC"}})
    listing.take(Answer([{}] * 50, next=50, total=120))
    listing.take(Answer([{}] * 50, next=100, total=120))
    assert listing.take(again) == []
    assert listing.done


@pytest.mark.parametrize("order", ["ID", ["ID"], 0.5, {"ID": "UP"}, {"TITLE": None}, {"ID": 1}], ids=repr)
def test_an_order_is_a_map_of_field_to_direction(order: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^order: .* is not accepted; accepted: \{'ID': 'ASC'\}, or"):
        Listing(LEADS, {"order": order})


def test_users_are_filtered_by_ids_in_any_case() -> None:
    """The portal makes capitals of both, and would forget one of two bounds."""
    assert Listing("user.get", {"filter": {">id": "7"}}).call().params["filter"] == {">ID": 7}


def test_users_are_ordered_by_two_words() -> None:
    assert Listing("user.get", {"sort": "ID", "order": "desc"}).call().params["order"] == "DESC"
    by_name = Listing("user.get", {"sort": "LAST_NAME", "order": "ASC"})
    assert by_name.call().params == {"sort": "LAST_NAME", "order": "ASC", "start": 0}
    with pytest.raises(InvalidInput, match=r"^order: .* accepted: 'ASC', or with 'DESC'"):
        Listing("user.get", {"order": {"ID": "ASC"}})


def test_a_field_to_order_by_that_the_portal_would_ignore_is_refused_by_name() -> None:
    listing = Listing(LEADS, {"order": {"TITEL": "ASC"}})
    assert listing.fields_call == Call("crm.lead.fields")
    with pytest.raises(
        InvalidInput, match=r"^order: 'TITEL' is not accepted; accepted: fields of crm\.lead\.list: ID, "
    ):
        listing.check_filter({"TITLE": {}, "ID": {}})


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("crm.status.list", {}),
        (ITEMS, {"filter": {"@contactIds": [7, 8]}}),
        (LEADS, {"filter": {"=OPENED": True}}),
        (ITEMS, {"filter": {"0": {"logic": "OR", "opened": False, "id": 5}}}),
        (LEADS, {"filter": {"COMPANY_ID": None}}),
        (LEADS, {"filter": {"@ID": list(range(901))}}),
        (LEADS, {"filter": {"TITLE": "$result[a]"}}),
        ("user.get", {"filter": {"ACTIVE": True}}),
    ],
    ids=repr,
)
def test_what_a_batch_cannot_say_in_the_same_words_is_read_page_by_page(method: str, params: Any) -> None:
    assert not Listing(method, params).in_ranges


@pytest.mark.parametrize(
    ("params", "piece", "bounds"),
    [({}, (51, 100), (51, 100)), ({"order": {"ID": "DESC"}}, (-100, -51), (51, 100))],
    ids=["ascending", "descending"],
)
def test_a_range_keeps_the_filter_and_stands_between_two_ids(
    params: dict[str, Any], piece: tuple[int, int], bounds: tuple[int, int]
) -> None:
    listing = Listing(LEADS, {"filter": {"STATUS_ID": "NEW", "!@ID": [60]}, **params})
    low, high = bounds
    asked = {"STATUS_ID": "NEW", "!@ID": [60], ">=ID": low, "<=ID": high}
    assert listing.range_call(piece).params["filter"] == asked


def test_rows_outside_of_a_range_are_an_error() -> None:
    """A portal that reads no bounds would give every row again and again."""
    listing = Listing("user.get", {})

    def answer(ids: list[int]) -> Answer:
        return Answer([{"ID": str(one)} for one in ids], total=len(ids))

    assert listing.range_rows(answer([51, 60]), (51, 100)) == [{"ID": "51"}, {"ID": "60"}]
    for ids in ([50], [101], [51, 60, 101]):
        with pytest.raises(Bitrix24Error, match=r"^user\.get: the portal gave rows that were not asked for"):
            listing.range_rows(answer(ids), (51, 100))
    with pytest.raises(Bitrix24Error, match=r"^user\.get: the portal gave rows out of order, such as id 51$"):
        listing.range_rows(answer([60, 51]), (51, 100))
    with pytest.raises(Bitrix24Error, match=r"^user\.get: the portal gave rows twice, such as id 60$"):
        listing.range_rows(answer([60, 60]), (51, 100))


def test_tasks_have_their_id_in_small_letters() -> None:
    listing = Listing("tasks.task.list", {"select": ["TITLE"]})
    assert listing.call().params["select"] == ["ID", "TITLE"]
    rows = [{"id": str(n), "title": "x"} for n in range(1, 51)]
    assert listing.take(Answer({"tasks": rows}, total=60)) == rows
    assert listing.call().params["filter"] == {">ID": 50}
