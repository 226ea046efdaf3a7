"""What migrations want of a link set: order, sorts and primary stay, and nothing is lost."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.migrations import (
    EXTRAS,
    Aim,
    Extra,
    carried_over,
    chained,
    differences,
    joined,
    main_contact,
    one_to_one,
    released,
    remapped,
    single,
    translated,
)

DEAL, LEAD = Owner("deal", 5), Owner("lead", 7)


def rows(*links: tuple[int, int, bool], owner: Owner = DEAL) -> LinkSet:
    return LinkSet(owner, tuple(ContactLink(*link, role_id=0) for link in links))


def shown(links: LinkSet) -> list[tuple[int, int | None, bool]]:
    return [(link.contact_id, link.sort, link.is_primary) for link in links.links]


def lines(*pairs: tuple[int, int]) -> list[tuple[str, int, int]]:
    return [(f"line {number}", *pair) for number, pair in enumerate(pairs, start=1)]


@st.composite
def link_sets(draw: st.DrawFn) -> LinkSet:
    """Link sets that a portal can be in: with ties, several primaries or none, a scalar at odds."""
    contact_ids = draw(st.lists(st.integers(1, 12), unique=True, max_size=6))
    sorts = sorted(draw(st.lists(st.integers(0, 40), min_size=6, max_size=6)))
    flags = draw(st.lists(st.booleans(), min_size=6, max_size=6))
    links = rows(*zip(contact_ids, sorts, flags, strict=False))
    scalar = draw(st.sampled_from([None, *contact_ids, 99]))
    return links if scalar is None else links.with_scalar(scalar)


@st.composite
def contact_maps(draw: st.DrawFn) -> dict[int, int]:
    """Maps without a circle: each contact becomes a larger one."""
    olds = draw(st.sets(st.integers(1, 12), max_size=6))
    pairs = [(old, draw(st.integers(old + 1, 16))) for old in olds]
    return chained(lines(*pairs), "contact_map")


def test_a_new_contact_takes_the_place_of_the_old_one() -> None:
    links = rows((3, 10, False), (5, 20, True), (9, 35, False))
    assert shown(remapped(links, {5: 8, 9: 1})) == [(3, 10, False), (8, 20, True), (1, 35, False)]


def test_old_and_new_on_one_owner_become_one_in_the_earlier_place_and_primary_if_either_was() -> None:
    links = rows((3, 10, True), (8, 20, False), (5, 30, False))
    assert shown(remapped(links, {5: 8})) == [(3, 10, True), (8, 20, False)]
    links = rows((5, 10, False), (3, 20, False), (8, 30, True))
    assert shown(remapped(links, {5: 8})) == [(8, 10, True), (3, 20, False)]
    links = rows((5, 10, False), (6, 20, True), (3, 30, False))
    assert shown(remapped(links, {5: 8, 6: 8})) == [(8, 10, True), (3, 30, False)]


def test_the_contact_that_the_portal_shows_stays_the_one_whatever_the_new_ids_are() -> None:
    """With two primaries the portal shows the smaller id: another one after the map."""
    links = rows((2, 10, True), (4, 20, True))
    assert shown(remapped(links, {2: 9})) == [(9, 10, True), (4, 20, False)]
    at_odds = rows((2, 10, True), (4, 20, False)).with_scalar(4)
    assert shown(remapped(at_odds, {4: 9})) == [(2, 10, False), (9, 20, True)]


def test_chains_are_followed_and_a_contact_mapped_onto_itself_is_ignored() -> None:
    assert chained(lines((5, 6), (6, 7), (8, 8), (9, 8)), "contact_map") == {5: 7, 6: 7, 9: 8}
    assert chained(lines((6, 7), (5, 6), (5, 6)), "contact_map") == {5: 7, 6: 7}


@pytest.mark.slow
def test_a_chain_of_a_million_contacts_is_followed_in_moments() -> None:
    most = 1_000_000
    found = chained((("", one, one + 1) for one in range(1, most)), "contact_map")
    assert set(found.values()) == {most}


def test_a_contact_mapped_to_two_new_ones_is_refused_by_its_row() -> None:
    said = (
        "contact_map: 'line 3: 5,7' is not accepted; accepted: one new id for 5, which was mapped to 6 before"
    )
    with pytest.raises(InvalidInput, match=f"^{re.escape(said)}$"):
        chained(lines((5, 6), (9, 1), (5, 7)), "contact_map")


@pytest.mark.parametrize(
    ("pairs", "circle"),
    [([(5, 6), (6, 5)], "5 -> 6 -> 5"), ([(1, 2), (2, 3), (3, 4), (4, 2)], "2 -> 3 -> 4 -> 2")],
)
def test_a_circle_is_refused_with_its_contacts(pairs: list[tuple[int, int]], circle: str) -> None:
    with pytest.raises(InvalidInput, match=f"contact_map: '{circle}' is not accepted"):
        chained(lines(*pairs), "contact_map")


def test_ids_of_two_portals_form_no_chains() -> None:
    assert single(lines((5, 6), (6, 5), (7, 7)), "owner_map") == {5: 6, 6: 5, 7: 7}
    with pytest.raises(InvalidInput, match="owner_map: '5,6 and 8,6'"):
        one_to_one({5: 6, 8: 6}, "owner_map")
    one_to_one({5: 6, 6: 5}, "owner_map")


@given(link_sets(), contact_maps())
def test_remapping_loses_nobody_keeps_the_order_and_twice_is_once(
    links: LinkSet, contact_map: dict[int, int]
) -> None:
    after = remapped(links, contact_map)
    assert remapped(after, contact_map) == after
    wanted = list(dict.fromkeys(contact_map.get(one, one) for one in links.contact_ids))
    assert list(after.contact_ids) == wanted
    first = main_contact(links)
    assert main_contact(after) == (None if first is None else contact_map.get(first, first))
    if after != links:
        assert sum(link.is_primary for link in after.links) == (first is not None)
    sorts = [link.sort or 0 for link in after.links]
    assert all(one <= other for one, other in pairwise(sorts))


@given(link_sets(), contact_maps())
def test_what_a_change_comes_to_shows_no_difference(links: LinkSet, contact_map: dict[int, int]) -> None:
    change = Aim(links, remapped(links, contact_map), "why").change("contact_map")
    if change is None:
        return
    assert not change.before.agrees_with(change.after)
    again = Aim(change.after, remapped(change.after, contact_map), "why")
    assert again.change("contact_map") is None
    assert again.differences == []


def test_a_deal_keeps_its_own_contacts_first_and_the_lead_s_missing_ones_follow() -> None:
    deal = rows((3, 10, False), (5, 40, True))
    lead = rows((9, 10, True), (5, 20, False), (2, 60, False), owner=LEAD)
    assert shown(joined(deal, lead)) == [(3, 10, False), (5, 40, True), (9, 50, False), (2, 60, False)]
    assert joined(deal, lead).owner == DEAL


def test_a_deal_without_a_primary_gets_that_of_its_lead() -> None:
    lead = rows((9, 10, False), (5, 20, True), owner=LEAD)
    assert shown(joined(rows(), lead)) == [(9, 10, False), (5, 20, True)]
    assert shown(joined(rows((3, 10, False)), lead)) == [(3, 10, False), (9, 20, False), (5, 30, True)]


@given(link_sets(), link_sets())
def test_joining_loses_nobody_and_twice_is_once(deal: LinkSet, lead: LinkSet) -> None:
    after = joined(deal, lead)
    assert after.contact_ids[: len(deal.links)] == deal.contact_ids
    further = [one for one in lead.contact_ids if one not in deal.contact_ids]
    assert list(after.contact_ids[len(deal.links) :]) == further
    assert joined(after, lead) == after
    assert main_contact(after) == (main_contact(deal) or main_contact(lead))


def test_links_come_over_with_order_sort_and_primary() -> None:
    source = rows((3, 10, False), (5, 25, True), (9, 30, False), owner=Owner("deal", 1))
    there = {3: 103, 5: 105, 9: 109}
    assert shown(translated(source, DEAL, there)) == [(103, 10, False), (105, 25, True), (109, 30, False)]
    target = rows((7, 10, True), (109, 20, False))
    kept = [(103, 10, False), (105, 25, True), (109, 30, False), (7, 40, False)]
    assert shown(carried_over(source, target, there, "keep")) == kept
    assert shown(carried_over(source, target, there, "remove")) == kept[:3]


def test_a_source_without_a_primary_leaves_that_of_the_target() -> None:
    source = rows((3, 10, False), (5, 20, False))
    target = rows((103, 10, False), (105, 20, True))
    for extra in EXTRAS:
        wanted = carried_over(source, target, {3: 103, 5: 105}, extra)
        assert Aim(target, wanted, "why").change("portal_to_portal") is None


@given(link_sets(), link_sets(), st.sampled_from(EXTRAS))
def test_carrying_over_again_finds_nothing_to_do(source: LinkSet, target: LinkSet, extra: Extra) -> None:
    contacts = {one: one + 3 for one in source.contact_ids}

    def aim(now: LinkSet) -> Aim:
        return Aim(now, carried_over(source, now, contacts, extra), "why")

    # Where CONTACT_ID was at odds, or several were primary, sorts move a step, and back in the next run.
    is_odd = target.scalar_id is not None or sum(link.is_primary for link in target.links) > 1
    changes = 0
    now = target
    while source.links and (change := aim(now).change("portal_to_portal")):
        changes += 1
        assert changes <= (2 if is_odd else 1)
        now = change.after
    assert set(now.contact_ids) >= set(contacts.values()) or not source.links
    if extra == "remove" and source.links:
        assert set(now.contact_ids) == set(contacts.values())


def test_releasing_takes_only_what_is_held() -> None:
    links = rows((3, 10, True), (5, 20, False), owner=LEAD).with_scalar(5)
    assert released(links, {3, 9}) == rows((5, 20, False), owner=LEAD).with_scalar(5)
    assert released(links, {5}) == rows((3, 10, True), owner=LEAD)
    assert released(links, {3, 5}) == LinkSet(LEAD)


def test_differences_are_told_link_by_link() -> None:
    now = rows((3, 10, True), (5, 20, False), (9, 30, False), (4, 40, False))
    assert differences(now, now) == []
    wanted = rows((5, 10, True), (3, 20, False), (8, 30, False), (4, 50, False))
    found = [(one.what, one.contact_id) for one in differences(now, wanted)]
    assert found == [("missing", 8), ("extra", 9), ("primary", 5), ("order", 3)]
    moved = rows((3, 10, True), (5, 20, False), (9, 30, False), (4, 45, False))
    assert [(one.what, one.contact_id, one.detail) for one in differences(now, moved)] == [
        ("sort", 4, "is 40, wanted 45")
    ]


def test_flags_that_are_at_odds_are_a_difference_of_the_primary() -> None:
    """The portal shows contact 3 by its CONTACT_ID, and another one is flagged."""
    wanted = rows((3, 10, True), (5, 20, False))
    for odd in (
        rows((3, 10, False), (5, 20, True)).with_scalar(3),
        rows((3, 10, True), (5, 20, True)),
        rows((3, 10, True), (5, 20, False)).with_scalar(8),
    ):
        assert [(one.what, one.contact_id) for one in differences(odd, wanted)] == [("primary", 3)]


def test_contacts_of_equal_sort_have_no_order() -> None:
    tied = rows((5, 10, True), (3, 10, False))
    assert differences(rows((3, 10, False), (5, 10, True)), tied) == []
    assert {one.what for one in differences(rows((3, 10, False), (5, 20, True)), tied)} == {"sort"}
    in_order = rows((5, 10, True), (3, 20, False))
    assert {one.what for one in differences(tied, in_order)} == {"order"}


def test_a_scan_is_compared_by_contacts_order_and_primary() -> None:
    scanned = LinkSet.of_ids(DEAL, [3, 5], 3)
    assert differences(scanned, rows((3, 15, True), (5, 60, False))) == []
    assert [one.what for one in differences(scanned, rows((5, 10, False), (3, 60, True)))] == ["order"]
    assert [one.what for one in differences(scanned, rows((3, 10, False), (5, 60, True)))] == ["primary"]
