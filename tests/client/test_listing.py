"""List methods: pages by id, filters that the portal would drop, answers of every shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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


def by_id(ids: Iterable[int], *, key: str, under_items: bool) -> Callable[[Call], Answer]:
    """A portal that gives rows after an id, 50 at most; with ``start: -1`` it does not count them."""

    def answer(call: Call) -> Answer:
        assert call.params["order"] == {key: "ASC"}
        after = call.params["filter"][f">{key}"]
        assert call.params["start"] == (-1 if after else 0)
        left = [{key: row_id} for row_id in sorted(ids) if row_id > after]
        rows = left[:PAGE]
        return Answer({"items": rows} if under_items else rows, total=None if after else len(left))

    return answer


@given(st.sets(st.integers(1, 10_000), max_size=260), st.booleans())
def test_every_row_comes_exactly_once_and_in_order(ids: set[int], legacy: bool) -> None:  # noqa: FBT001
    key = "ID" if legacy else "id"
    listing = Listing(LEADS if legacy else ITEMS, {} if legacy else {"entityTypeId": 1})
    rows = all_rows(listing, by_id(ids, key=key, under_items=not legacy))
    assert [row[key] for row in rows] == sorted(ids)


def test_ids_that_come_as_text_are_gone_by_as_numbers() -> None:
    listing = Listing(LEADS, {})
    listing.take(Answer([{"ID": str(number)} for number in range(51, 101)], total=60))
    assert listing.call().params["filter"] == {">ID": 100}


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        (LEADS, {}, {"filter": {">ID": 0}, "order": {"ID": "ASC"}, "start": 0}),
        (
            "CRM.Deal.List",
            {"filter": {"STAGE_ID": "NEW"}, "select": ["TITLE"]},
            {
                "filter": {"STAGE_ID": "NEW", ">ID": 0},
                "order": {"ID": "ASC"},
                "start": 0,
                "select": ["ID", "TITLE"],
            },
        ),
        (
            ITEMS,
            {"entityTypeId": 1, "select": ["contactIds"]},
            {
                "entityTypeId": 1,
                "filter": {">id": 0},
                "order": {"id": "ASC"},
                "start": 0,
                "select": ["id", "contactIds"],
            },
        ),
        (LEADS, {"filter": {">ID": 7}}, {"filter": {">ID": 7}, "order": {"ID": "ASC"}, "start": 0}),
        (
            LEADS,
            {"filter": {">=ID": 7, "<ID": 9}},
            {"filter": {">ID": 6, "<ID": 9}, "order": {"ID": "ASC"}, "start": 0},
        ),
        (
            ITEMS,
            {"entityTypeId": 1, "filter": {">ID": 5, ">=id": 4, "<=id": 90, "<ID": "80", "@id": [7, 8]}},
            {
                "entityTypeId": 1,
                "filter": {"@id": [7, 8], ">id": 5, "<id": 80},
                "order": {"id": "ASC"},
                "start": 0,
            },
        ),
        (
            ITEMS,
            {"entityTypeId": 1, "filter": {"logic": "OR", ">id": 90, "stageId": "NEW"}},
            {
                "entityTypeId": 1,
                "filter": {">id": 0, "0": {"logic": "OR", ">id": 90, "stageId": "NEW"}},
                "order": {"id": "ASC"},
                "start": 0,
            },
        ),
        (
            "user.get",
            {"filter": {"ACTIVE": "Y"}, "select": ["NAME"], "ADMIN_MODE": "Y"},
            {
                "ADMIN_MODE": "Y",
                "filter": {"ACTIVE": "Y", ">ID": 0},
                "select": ["ID", "NAME"],
                "sort": "ID",
                "order": "ASC",
                "start": 0,
            },
        ),
        ("user.get", {"select": ["NAME"], "ACTIVE": True}, {"ACTIVE": True, "start": 0, "select": ["NAME"]}),
        (
            "crm.activity.list",
            {"filter": {"OWNER_ID": 5}},
            {"filter": {"OWNER_ID": 5, ">ID": 0}, "order": {"ID": "ASC"}, "start": 0},
        ),
        (
            "crm.activity.list",
            {"filter": {"BINDINGS": [{"OWNER_TYPE_ID": 2}]}},
            {"filter": {"BINDINGS": [{"OWNER_TYPE_ID": 2}]}, "start": 0},
        ),
        ("tasks.task.list", {"limit": 10}, {"limit": 10, "start": 0}),
        ("crm.status.list", {"filter": {">ID": 5}}, {"filter": {">ID": 5}, "start": 0}),
    ],
    ids=[
        "legacy",
        "legacy with filter and select",
        "items",
        "own lower bound",
        "own bounds",
        "own bounds in two spellings, and ids",
        "own bounds under an OR",
        "users",
        "users by parameters that a filter would set aside",
        "activities",
        "activities by what a group of conditions joins",
        "tasks on pages of a length of their own",
        "other",
    ],
)
def test_the_first_page_is_asked_for(method: str, params: dict[str, Any], expected: dict[str, Any]) -> None:
    assert Listing(method, params).call() == Call(method, expected)


@pytest.mark.parametrize("select", [["id", "title"], ["*"], ["*", "UF_*"]], ids=repr)
def test_a_select_that_holds_the_id_stays_as_it_is(select: list[str]) -> None:
    assert Listing(ITEMS, {"entityTypeId": 1, "select": select}).call().params["select"] == select


def test_the_callers_parameters_are_left_as_they_were() -> None:
    params = {"filter": {">ID": 7, "STATUS_ID": "NEW"}, "select": ["TITLE"]}
    listing = Listing(LEADS, params)
    listing.call()
    listing.take(Answer([{"ID": 8}], total=1))
    assert params == {"filter": {">ID": 7, "STATUS_ID": "NEW"}, "select": ["TITLE"]}


def test_rows_without_an_id_to_go_by_are_read_with_the_portals_own_next() -> None:
    pages = {0: Answer([1] * 50, next=50), 50: Answer([2] * 50, next=100), 100: Answer([])}
    listing = Listing("crm.status.list", {})
    assert all_rows(listing, lambda call: pages[call.params["start"]]) == [1] * 50 + [2] * 50


@pytest.mark.parametrize(
    "wanted",
    [
        {"contactIds": [7, 8]},
        {"@contactIds": [7, 8]},
        {"=contactIds": (7, 8)},
        {"contactIds": {"0": 7, "1": 8}},
        {"0": {"logic": "OR", "contactIds": [7, 8]}},
        {"logic": "OR", "contactIds": 7, "0": {"=contactIds": 8}},
        {"!contactIds": 7},
    ],
    ids=repr,
)
def test_a_short_page_is_not_the_last_where_the_filter_joins_links(wanted: dict[str, Any]) -> None:
    """Filtering by several contacts counts an owner once for each of them, so pages come out short."""
    listing = Listing(ITEMS, {"entityTypeId": 1, "filter": wanted})
    rows = [{"id": number} for number in range(1, 40)]
    assert listing.take(Answer({"items": rows}, total=60)) == rows
    assert not listing.done
    assert listing.call().params["start"] == 0  # so that the portal counts
    listing.take(Answer({"items": []}, total=0))
    assert listing.done


def test_nothing_ends_no_list_by_several_contacts_where_the_portal_counts_rows() -> None:
    listing = Listing(ITEMS, {"entityTypeId": 1, "filter": {"@contactIds": [7, 8]}})
    listing.take(Answer({"items": [{"id": 1}, {"id": 2}]}, total=4))
    for _ in range(TIMES - 1):
        assert listing.take(Answer({"items": []}, total=2)) == []
        assert not listing.done
    with pytest.raises(RetryLater, match=r"^crm\.item\.list: 0 rows came where the portal counts 2$"):
        listing.take(Answer({"items": []}, total=2))


SHAPES: list[tuple[str, str, Any, list[Any]]] = [
    ("a list", LEADS, [{"ID": "1"}], [{"ID": "1"}]),
    ("an empty list", LEADS, [], []),
    ("items", ITEMS, {"items": [{"id": 1}]}, [{"id": 1}]),
    ("no items", ITEMS, {"items": []}, []),
    ("a name of its own", "tasks.task.list", {"tasks": [{"id": 1}]}, [{"id": 1}]),
    ("a list beside other things", "x.list", {"rows": [1], "count": 1}, [1]),
]


@pytest.mark.parametrize(
    ("method", "result", "rows"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES]
)
def test_rows_are_found_in_whatever_the_method_answers(method: str, result: Any, rows: list[Any]) -> None:
    listing = Listing(method, {})
    assert listing.take(Answer(result, total=len(rows))) == rows
    assert listing.done


@pytest.mark.parametrize(
    "result",
    [
        None,
        True,
        5,
        "x",
        {},
        {"a": [], "b": []},
        {"items": None},
        {"items": {"1": {}}},
        [5],
        [{}],
        [{"id": None}],
    ],
    ids=repr,
)
def test_an_answer_without_rows_to_go_on_from_is_an_error_that_names_the_method(result: Any) -> None:
    listing = Listing(ITEMS, {"entityTypeId": 1})
    for _ in range(TIMES - 1):
        asked = listing.call()
        assert (listing.take(Answer(result)), listing.done) == ([], False)
        assert listing.call() == asked
    with pytest.raises(Bitrix24Error, match=r"^crm\.item\.list"):
        listing.take(Answer(result))


@pytest.mark.parametrize("key", ["start", "START", "Start"])
def test_start_is_the_listings_own(key: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^params: '{key}' is not accepted"):
        Listing(LEADS, {key: 0})


@pytest.mark.parametrize("key", ["FILTER", "Filter", "SELECT", "Select", "ORDER", "Order"])
def test_a_filter_select_or_order_in_another_case_is_not_sent_beside_the_listings_own(key: str) -> None:
    """The portal reads one of the two: with its filter dropped, a list answers with every row."""
    with pytest.raises(InvalidInput, match=key):
        Listing(LEADS, {key: ["TITLE"] if key.lower() == "select" else {"STATUS_ID": "ASC"}})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("filter", value) for value in ([], "", "STATUS_ID=NEW", [("A", 1)], 5, True)],
        *[("select", value) for value in ({}, "", "ID", 5, {"ID": 1}, {"ID"})],
    ],
    ids=repr,
)
def test_a_filter_is_a_map_and_a_select_is_a_list(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        Listing(LEADS, {name: value})
    assert str(caught.value).startswith(f"{name}: {value!r} is not accepted; accepted: a ")


@pytest.mark.parametrize("wanted", [{"contactIds": 7}, {"=contactIds": "7"}, {"@contactIds": 7}], ids=repr)
def test_a_short_page_is_the_last_where_one_contact_is_asked_for(wanted: dict[str, Any]) -> None:
    listing = Listing(ITEMS, {"entityTypeId": 1, "filter": wanted})
    listing.take(Answer({"items": [{"id": 1, "contactIds": [7]}]}, total=1))
    assert listing.done


@pytest.mark.parametrize("params", ["x", ["filter"], 5, True], ids=repr)
def test_parameters_are_a_map(params: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^params: .* accepted: a map of parameter to value"):
        Listing(LEADS, params)


@pytest.mark.parametrize("bound", ["abc", [5], None, True, 5.5, "", {"0": 5}], ids=repr)
@pytest.mark.parametrize(("method", "key"), [(LEADS, ">ID"), (ITEMS, ">id"), (ITEMS, ">ID"), (LEADS, "<=ID")])
def test_a_bound_of_ids_is_a_number(method: str, key: str, bound: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^filter: .* accepted: an id"):
        Listing(method, {"filter": {key: bound}})
    asked = Listing(method, {"filter": {key: "7"}}).call().params["filter"]
    assert asked[f">{'id' if method == ITEMS else 'ID'}"] == (7 if key.startswith(">") else 0)


@pytest.mark.parametrize("wanted", [{1: 2}, {"0": {1: 2}}, {None: 1}], ids=repr)
def test_the_keys_of_a_filter_are_names(wanted: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^filter: .* accepted: field names as keys"):
        Listing(ITEMS, {"filter": wanted})
