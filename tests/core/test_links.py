"""Owners, contact links and link sets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner, owner_kind, positive_id

LEAD = Owner("lead", 5)
OTHER_LEAD = Owner("lead", 6)
SAME_ID_DEAL = Owner("deal", 5)

KINDS = "'lead', 'deal', 'quote', 'company', 'smart_invoice', or 'dynamic_1036' for the smart process 1036"


@pytest.mark.parametrize(
    ("given_value", "number"),
    [(5, 5), ("5", 5), (" 5 ", 5), ("\t12\n", 12), ("007", 7), (2**31 - 1, 2147483647)],
    ids=repr,
)
def test_a_number_and_its_digits_are_the_same_id(given_value: object, number: int) -> None:
    assert positive_id("owner_id", given_value) == number


@pytest.mark.parametrize(
    "refused",
    [
        *("", " ", "0", "-1", "+5", "abc", "1.5", "5.0", "1e3", "0x5", "1_000", "5 6", "5,6"),
        *("\uff15", "\u0665", "\u00b2"),
        *(0, -1, None, True, False, 1.5, 5.0, float("nan"), [], [5], {}, (5,), b"5"),
        *(2**31, "2147483648", 10**17, 2**63),
    ],
    ids=ascii,
)
def test_anything_else_is_no_id_and_the_error_names_argument_value_and_what_is_accepted(
    refused: object,
) -> None:
    with pytest.raises(InvalidInput) as caught:
        positive_id("owner_id", refused)
    told = str(caught.value)
    assert told == f"owner_id: {refused!r} is not accepted; accepted: a whole number from 1 to 2147483647"
    assert caught.value.argument == "owner_id"


def test_thousands_of_digits_are_refused_like_any_other_value() -> None:
    """Python itself refuses to read more than 4,300 digits, with an error of its own."""
    with pytest.raises(InvalidInput, match=r"^owner_id: '9+…? is not accepted; accepted: a whole number"):
        positive_id("owner_id", "9" * 5000)


@given(st.text())
def test_text_is_an_id_exactly_where_it_is_ascii_digits_worth_more_than_nothing(text: str) -> None:
    bare = text.strip()
    if bare and set(bare) <= set("0123456789") and 0 < int(bare) < 2**31:
        assert positive_id("id", text) == int(bare)
    else:
        with pytest.raises(InvalidInput):
            positive_id("id", text)


@pytest.mark.parametrize("kind", ["lead", "deal"])
def test_leads_and_deals_are_owners(kind: str) -> None:
    assert owner_kind(kind) == kind


@pytest.mark.parametrize("refused", ["", "Lead", "leads", "contact", None, 1, True, ["lead"], {}], ids=repr)
def test_nothing_else_is_an_owner(refused: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        owner_kind(refused)
    assert str(caught.value) == f"kind: {refused!r} is not accepted; accepted: {KINDS}"


def test_an_owner_is_shown_as_kind_and_id() -> None:
    assert str(LEAD) == "lead 5"


def links(*rows: tuple[Any, ...], owner: Owner = LEAD) -> LinkSet:
    return LinkSet(owner, tuple(ContactLink(*row) for row in rows))


def test_a_link_set_knows_its_contacts_in_order_and_the_primary_one() -> None:
    both = links((7, 10, False, 0), (5, 20, True, 0))
    assert both.contact_ids == (7, 5)
    assert both.primary_id == 5


def test_a_link_set_without_a_flagged_link_has_no_primary() -> None:
    assert links((7, 10, False, 0)).primary_id is None
    assert links().primary_id is None


def test_where_two_links_are_flagged_the_smaller_id_is_primary_as_in_the_portals_scalar_field() -> None:
    """An ``add`` with ``IS_PRIMARY: "y"`` leaves two primary rows; CONTACT_ID is then the smaller one."""
    assert links((7, 10, True, 0), (5, 20, True, 0)).primary_id == 5


@pytest.mark.parametrize(
    ("rows", "exact"),
    [
        ((), True),
        (((7, 10, True, 0),), True),
        (((7, 0, True, 0),), True),
        (((7, None, True, 0),), False),
        (((7, 10, True, None),), False),
        (((7, 10, True, 0), (8, 20, False, None)), False),
    ],
    ids=["none", "known", "sort-0", "no-sort", "no-role", "one-of-two"],
)
def test_a_link_set_is_exact_where_every_sort_and_role_is_known(
    rows: tuple[tuple[Any, ...], ...],
    exact: bool,  # noqa: FBT001
) -> None:
    assert links(*rows).is_exact is exact


SAME = [
    ("both empty", links(), links()),
    ("same rows", links((7, 10, True, 0)), links((7, 10, True, 0))),
    ("roles do not count", links((7, 10, True, 1)), links((7, 10, True, 0))),
    ("an unknown sort says nothing", links((7, None, True)), links((7, 30, True, 0))),
    ("order of a scan", links((7, None, True), (8,)), links((8,), (7, None, True))),
    ("sort known on one side each", links((7, 10, True), (8,)), links((7, None, True), (8, 20))),
]
DIFFERENT = [
    ("other lead", links((7, 10, True, 0)), links((7, 10, True, 0), owner=OTHER_LEAD)),
    ("deal of the same id", links(), links(owner=SAME_ID_DEAL)),
    ("one more", links((7, None, True)), links((7, None, True), (8,))),
    ("one less", links((7, None, True)), links()),
    ("other contact", links((7, None, True)), links((8, None, True))),
    ("other primary", links((7, None, True), (8,)), links((7,), (8, None, True))),
    ("no primary", links((7, None, True)), links((7,))),
    ("other sort", links((7, 10, True, 0)), links((7, 20, True, 0))),
    ("sort 0 is a sort", links((7, 0, True, 0)), links((7, 10, True, 0))),
    ("swapped sorts", links((7, 10, True), (8, 20)), links((8, 10), (7, 20, True))),
    ("a second flag", links((7, 10, True), (8, 20, True)), links((7, 10, True), (8, 20))),
]


@pytest.mark.parametrize(("one", "other"), [row[1:] for row in SAME], ids=[row[0] for row in SAME])
def test_link_sets_agree_as_far_as_both_know(one: LinkSet, other: LinkSet) -> None:
    assert one.agrees_with(other)
    assert other.agrees_with(one)


@pytest.mark.parametrize(("one", "other"), [row[1:] for row in DIFFERENT], ids=[row[0] for row in DIFFERENT])
def test_link_sets_disagree_where_both_know_better(one: LinkSet, other: LinkSet) -> None:
    assert not one.agrees_with(other)
    assert not other.agrees_with(one)


def test_a_scan_gives_ids_in_order_and_the_owners_scalar_contact_as_primary() -> None:
    seen = LinkSet.of_ids(LEAD, [9, 3, 4], primary_id=3)
    assert seen.contact_ids == (9, 3, 4)
    assert seen.primary_id == 3
    assert not seen.is_exact


def test_a_scalar_contact_that_is_not_linked_makes_no_link() -> None:
    seen = LinkSet.of_ids(LEAD, [9], primary_id=3)
    assert seen.contact_ids == (9,)
    assert seen.primary_id is None


a_link = st.builds(
    ContactLink,
    st.integers(min_value=1),
    st.none() | st.integers(min_value=0),
    st.booleans(),
    st.none() | st.integers(min_value=0),
)


@given(st.lists(a_link, unique_by=lambda link: link.contact_id))
def test_a_link_set_comes_back_from_a_file_as_it_was(rows: list[ContactLink]) -> None:
    before = LinkSet(LEAD, tuple(rows))
    assert LinkSet.from_json(LEAD, before.as_json()) == before
