"""The link methods: what is sent, what is refused before it is sent, and how links are read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import product
from typing import Any, get_args

import pytest

from airflow_bitrix.core import methods
from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput
from airflow_bitrix.core.links import LinkSet, Owner

LEAD = Owner("lead", 5)
BAD_IDS = ["", " ", "0", "-1", "abc", "1.5", 0, -1, None, True, False, 1.5, 5.0, math.nan, [], [5], {}]


def test_every_kind_of_owner_has_every_verb_under_the_portals_own_name() -> None:
    families = [f"crm.{kind}.contact" for kind in ("lead", "deal", "quote", "company")]
    expected = {
        f"{prefix}.{verb}": (prefix.split(".")[1], verb)
        for prefix, verb in product([*families, "crm.contact.company"], get_args(methods.Verb))
    }
    assert {name: (method.kind, method.verb) for name, method in methods.METHODS.items()} == expected
    assert len(expected) == 30


def test_a_method_is_found_by_kind_and_verb() -> None:
    assert methods.name("deal", "items.set") == "crm.deal.contact.items.set"


SENT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("add", methods.add(5, 7), {"id": 5, "fields": {"CONTACT_ID": 7}}),
    ("add of rendered text", methods.add(" 5 ", "7"), {"id": 5, "fields": {"CONTACT_ID": 7}}),
    (
        "add with all",
        methods.add(5, 7, sort="30", is_primary=True),
        {"id": 5, "fields": {"CONTACT_ID": 7, "SORT": 30, "IS_PRIMARY": "Y"}},
    ),
    (
        "add with zero and no",
        methods.add(5, 7, sort=0, is_primary=False),
        {"id": 5, "fields": {"CONTACT_ID": 7, "SORT": 0, "IS_PRIMARY": "N"}},
    ),
    ("delete", methods.delete("5", 7), {"id": 5, "fields": {"CONTACT_ID": 7}}),
    ("items.get", methods.items_get("5"), {"id": 5}),
    ("items.delete", methods.items_delete(5), {"id": 5}),
    ("fields", methods.fields(), {}),
    (
        "set of ids",
        methods.items_set(5, [7, "8"]),
        {"id": 5, "items": [{"CONTACT_ID": 7}, {"CONTACT_ID": 8}]},
    ),
    ("set of a tuple", methods.items_set(5, (7,)), {"id": 5, "items": [{"CONTACT_ID": 7}]}),
    (
        "set of a mix",
        methods.items_set(5, [7, {"CONTACT_ID": "8", "SORT": "20", "IS_PRIMARY": "Y"}]),
        {"id": 5, "items": [{"CONTACT_ID": 7}, {"CONTACT_ID": 8, "SORT": 20, "IS_PRIMARY": "Y"}]},
    ),
    (
        "set of what items.get returned",
        methods.items_set(5, [{"CONTACT_ID": 7, "SORT": 10, "ROLE_ID": 3, "IS_PRIMARY": "N"}]),
        {"id": 5, "items": [{"CONTACT_ID": 7, "SORT": 10, "IS_PRIMARY": "N"}]},
    ),
    (
        "set with booleans",
        methods.items_set(5, [{"CONTACT_ID": 7, "IS_PRIMARY": True}, {"CONTACT_ID": 8, "IS_PRIMARY": False}]),
        {
            "id": 5,
            "items": [{"CONTACT_ID": 7, "IS_PRIMARY": "Y"}, {"CONTACT_ID": 8, "IS_PRIMARY": "N"}],
        },
    ),
]


@pytest.mark.parametrize(("payload", "expected"), [row[1:] for row in SENT], ids=[row[0] for row in SENT])
def test_a_payload_is_what_the_portal_documents(payload: dict[str, Any], expected: dict[str, Any]) -> None:
    """Flags are the letters Y and N: the portal takes a JSON ``true`` for "not primary"."""
    assert payload == expected


OF_AN_OWNER: dict[str, Callable[[Any], dict[str, Any]]] = {
    "add": lambda owner_id: methods.add(owner_id, 7),
    "delete": lambda owner_id: methods.delete(owner_id, 7),
    "items.get": methods.items_get,
    "items.set": lambda owner_id: methods.items_set(owner_id, [7]),
    "items.delete": methods.items_delete,
}


def says(error: InvalidInput, argument: str, value: object, accepted: str) -> bool:
    return str(error) == f"{argument}: {value!r} is not accepted; accepted: {accepted}"


@pytest.mark.parametrize("owner_id", BAD_IDS, ids=repr)
@pytest.mark.parametrize("verb", OF_AN_OWNER)
def test_no_method_takes_an_owner_id_that_the_portal_would_read_as_0(verb: str, owner_id: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        OF_AN_OWNER[verb](owner_id)
    assert says(caught.value, "owner_id", owner_id, "a whole number from 1 to 2147483647")


@pytest.mark.parametrize("contact_id", BAD_IDS, ids=repr)
@pytest.mark.parametrize("build", [methods.add, methods.delete], ids=["add", "delete"])
def test_no_link_goes_to_a_contact_that_cannot_be(
    build: Callable[[object, object], dict[str, Any]], contact_id: object
) -> None:
    with pytest.raises(InvalidInput) as caught:
        build(5, contact_id)
    assert says(caught.value, "contact_id", contact_id, "a whole number from 1 to 2147483647")


@pytest.mark.parametrize("sort", ["", "first", "-10", -10, 1.5, "1.5", True, [], math.inf, 2**31], ids=repr)
def test_a_sort_that_the_portal_would_store_as_something_else_is_refused(sort: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        methods.add(5, 7, sort=sort)
    assert says(caught.value, "sort", sort, "a whole number from 0 to 2147483647")
    with pytest.raises(InvalidInput) as caught:
        methods.items_set(5, [{"CONTACT_ID": 7, "SORT": sort}])
    assert says(caught.value, "items[0].SORT", sort, "a whole number from 0 to 2147483647")


@pytest.mark.parametrize("flag", ["y", "n", "", "yes", "true", "True", "1", 1, 0, 1.0, [], ["Y"]], ids=repr)
def test_a_flag_is_a_capital_y_or_n_or_a_boolean(flag: object) -> None:
    """A small ``y`` in an ``add`` would leave the portal with two primary contacts."""
    accepted = "'Y', 'N', True or False"
    with pytest.raises(InvalidInput) as caught:
        methods.add(5, 7, is_primary=flag)
    assert says(caught.value, "is_primary", flag, accepted)
    with pytest.raises(InvalidInput) as caught:
        methods.items_set(5, [{"CONTACT_ID": 7, "IS_PRIMARY": flag}])
    assert says(caught.value, "items[0].IS_PRIMARY", flag, accepted)


@pytest.mark.parametrize(
    "items",
    [None, 7, 7.0, True, "", "7", "[7, 8]", b"7", {"CONTACT_ID": 7}, {7, 8}, iter([7]), {7: {}}.keys()],
    ids=lambda items: type(items).__name__,
)
def test_what_is_no_list_is_never_sent_as_items(items: object) -> None:
    """The portal takes a single object for an empty list, unlinks everything and answers ``true``."""
    with pytest.raises(InvalidInput) as caught:
        methods.items_set(5, items)
    assert str(caught.value).startswith("items: ")
    assert "accepted: a list of contact ids or dicts" in str(caught.value)


@pytest.mark.parametrize("items", [[], ()], ids=repr)
def test_an_empty_list_is_refused_and_the_error_names_the_method_that_clears(items: object) -> None:
    with pytest.raises(InvalidInput, match=r"^items: .* at least one contact; items\.delete clears"):
        methods.items_set(5, items)


ROW_ARGUMENTS: list[tuple[str, Any, str]] = [
    ("no contact", {"SORT": 10}, "items[1]"),
    ("empty dict", {}, "items[1]"),
    ("lower case", {"contact_id": 8}, "items[1] key"),
    ("camel case", {"contactId": 8}, "items[1] key"),
    ("a misspelt key beside a right one", {"CONTACT_ID": 8, "PRIMARY": "Y"}, "items[1] key"),
    ("contact 0", {"CONTACT_ID": 0}, "items[1].CONTACT_ID"),
    ("contact below 0", {"CONTACT_ID": -8}, "items[1].CONTACT_ID"),
    ("contact null", {"CONTACT_ID": None}, "items[1].CONTACT_ID"),
    ("contact true", {"CONTACT_ID": True}, "items[1].CONTACT_ID"),
    ("contact in a list", {"CONTACT_ID": [8]}, "items[1].CONTACT_ID"),
    ("bare 0", 0, "items[1]"),
    ("bare -8", -8, "items[1]"),
    ("bare null", None, "items[1]"),
    ("bare true", True, "items[1]"),
    ("bare word", "abc", "items[1]"),
    ("a list in the list", [8], "items[1]"),
    ("a fraction", 8.0, "items[1]"),
]


@pytest.mark.parametrize(
    ("row", "argument"), [row[1:] for row in ROW_ARGUMENTS], ids=[row[0] for row in ROW_ARGUMENTS]
)
def test_one_row_that_the_portal_would_skip_stops_the_whole_set(row: Any, argument: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        methods.items_set(5, [7, row])
    assert caught.value.argument == argument
    assert str(caught.value).startswith(f"{argument}: {caught.value.value!r} is not accepted; accepted: ")
    assert caught.value.accepted


@pytest.mark.parametrize(
    "items",
    [
        [7, 8, 7],
        [7, "7"],
        [7, " 7 "],
        [7, {"CONTACT_ID": 7}],
        [{"CONTACT_ID": 7, "SORT": 10}, {"CONTACT_ID": "7", "SORT": 20}],
    ],
    ids=repr,
)
def test_a_contact_that_is_named_twice_is_refused_however_it_is_written(items: list[Any]) -> None:
    """Duplicates can leave the portal without a primary contact."""
    with pytest.raises(InvalidInput) as caught:
        methods.items_set(5, items)
    message = str(caught.value)
    assert message.startswith("items: [7, ")
    assert message.endswith("accepted: each contact once (7 stands there twice)")


@pytest.mark.parametrize("flags", [("Y", "Y"), (True, True), ("Y", True)], ids=repr)
def test_two_primary_contacts_are_refused(flags: tuple[object, object]) -> None:
    rows = [{"CONTACT_ID": 7, "IS_PRIMARY": flags[0]}, 8, {"CONTACT_ID": 9, "IS_PRIMARY": flags[1]}]
    with pytest.raises(InvalidInput) as caught:
        methods.items_set(5, rows)
    assert says(caught.value, "items", [7, 9], "at most one contact with IS_PRIMARY Y")


@pytest.mark.parametrize(
    ("items", "hint"),
    [
        ("[1, 2]", r" (in a template, set render_template_as_native_obj=True on the DAG)"),
        ({}.items, " (in a template, params.items is no parameter: say params['items'])"),
        (str({}.items), " (in a template, params.items is no parameter: say params['items'])"),
        ("", ""),
        (5, ""),
    ],
    ids=["a list as text", "a method", "a method as text", "nothing", "a number"],
)
def test_what_a_template_made_of_a_list_is_refused_with_a_hint(items: object, hint: str) -> None:
    with pytest.raises(InvalidInput, match=f"{re.escape('a list of contact ids or dicts' + hint)}$"):
        methods.items_set(5, items)


def test_the_callers_own_items_are_left_as_they_were() -> None:
    items = [7, {"CONTACT_ID": "8", "IS_PRIMARY": True}]
    methods.items_set(5, items)
    assert items == [7, {"CONTACT_ID": "8", "IS_PRIMARY": True}]


def test_links_are_read_in_order_of_sort_and_equal_ones_in_order_of_contact() -> None:
    rows = [
        {"CONTACT_ID": 9, "SORT": 10, "ROLE_ID": 0, "IS_PRIMARY": "N"},
        {"CONTACT_ID": 4, "SORT": 20, "ROLE_ID": 2, "IS_PRIMARY": "N"},
        {"CONTACT_ID": 7, "SORT": 10, "ROLE_ID": 0, "IS_PRIMARY": "Y"},
    ]
    expected = [[7, 10, True, 0], [9, 10, False, 0], [4, 20, False, 2]]
    assert methods.links_of(LEAD, rows).as_json() == expected


@pytest.mark.parametrize(
    ("row", "link"),
    [
        ({"CONTACT_ID": "7", "SORT": "10", "IS_PRIMARY": "Y"}, [7, 10, True, 0]),
        ({"CONTACT_ID": 7, "SORT": 10, "ROLE_ID": None, "IS_PRIMARY": "N"}, [7, 10, False, 0]),
        ({"CONTACT_ID": 7, "SORT": 0, "IS_PRIMARY": "N"}, [7, 0, False, 0]),
    ],
    ids=["numbers as text", "no role", "zero"],
)
def test_a_link_is_read_whatever_types_an_older_portal_gives(row: dict[str, Any], link: list[Any]) -> None:
    assert methods.links_of(LEAD, [row]).as_json() == [link]


def test_an_owner_without_contacts_has_an_empty_link_set() -> None:
    assert methods.links_of(LEAD, []) == LinkSet(LEAD)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        True,
        "",
        {},
        {"items": []},
        [1],
        ["a"],
        [None],
        [{}],
        [{"CONTACT_ID": None}],
        [{"CONTACT_ID": "x"}],
    ],
    ids=repr,
)
def test_an_answer_that_holds_no_links_is_an_error_of_ours_and_names_the_owner(answer: object) -> None:
    with pytest.raises(
        Bitrix24Error, match=r"^crm\.lead\.contact\.items\.get \(lead 5\): the portal answered no"
    ):
        methods.links_of(LEAD, answer)
