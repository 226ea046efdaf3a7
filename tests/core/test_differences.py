"""Comparing link sets: every change is told once, and nothing that is not one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core.differences import WHATS, compare, differences
from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner

LEAD = Owner("lead", 5)


def full(*rows: tuple[int, int, bool], scalar: int | None = None, role: int = 0, owner: int = 5) -> LinkSet:
    links = tuple(ContactLink(one, sort, flag, role) for one, sort, flag in rows)
    return LinkSet(Owner("lead", owner), tuple(sorted(links, key=lambda link: link.sort or 0)), scalar)


def ids(*contact_ids: int, primary: int | None = None, owner: int = 5) -> LinkSet:
    return LinkSet.of_ids(Owner("lead", owner), contact_ids, primary)


A = full((1, 10, True), (2, 20, False), (3, 30, False))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (A, A, {}),
        (A, full((1, 10, True), (2, 20, False)), {"removed": (3,)}),
        (full((1, 10, True)), full((1, 10, True), (4, 20, False)), {"added": (4,)}),
        (full(), full((4, 10, True)), {"added": (4,)}),
        (full((4, 10, True)), full(), {"removed": (4,)}),
        (full((4, 10, True)), full((6, 10, True)), {"added": (6,), "removed": (4,), "primary": (4, 6)}),
        (A, full((1, 10, True), (3, 20, False), (2, 30, False)), {"order": (1, 3, 2)}),
        (A, full((1, 10, True), (2, 25, False), (3, 30, False)), {"sort": (2,)}),
        (A, full((1, 10, False), (2, 20, True), (3, 30, False)), {"primary": (1, 2)}),
        (A, full((1, 10, False), (2, 20, False), (3, 30, False), scalar=1), {"primary": (1,)}),
        (A, full((1, 10, True), (2, 20, False), (3, 30, False), scalar=2), {"scalar": (1, 2)}),
        (A, full((1, 10, True), (2, 20, False), (3, 30, False), scalar=0), {"scalar": (1,)}),
        (full((1, 10, True), role=2), full((1, 10, True)), {"role": (1,)}),
        (full((1, 10, True), (2, 10, False)), full((1, 10, True), (2, 20, False)), {"sort": (2,)}),
        (A, ids(1, 2, 3, primary=1), {}),
        (ids(1, 2, 3, primary=1), A, {}),
        (A, ids(1, 3, 2, primary=1), {"order": (1, 3, 2)}),
        (full((1, 10, True), (2, 10, False)), ids(2, 1, primary=1), {}),
        (A, ids(1, 2, 3, primary=3), {"primary": (1, 3)}),
        (ids(1, 2, primary=1), ids(2, 1, primary=1), {"order": (2, 1)}),
        (full((1, 10, False), scalar=1), ids(1, primary=1), {}),
    ],
)
def test_each_change_of_an_owner_is_told_once(
    before: LinkSet, after: LinkSet, told: dict[str, tuple[int, ...]]
) -> None:
    assert {one.what: one.contact_ids for one in compare(before, after)} == told


exact_sets = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from([10, 20, 30, 35]), st.booleans()),
    unique_by=lambda row: row[0],
    max_size=4,
).map(lambda rows: full(*rows))


@given(exact_sets, exact_sets)
def test_two_exact_sets_differ_in_something_or_are_the_same(before: LinkSet, after: LinkSet) -> None:
    def rows(links: LinkSet) -> set[ContactLink]:
        return set(links.links)

    told = [one.what for one in compare(before, after)]
    assert bool(told) == (rows(before) != rows(after))
    assert len(told) == len(set(told))
    assert set(told) <= set(WHATS)


@given(exact_sets)
def test_a_scan_of_the_same_links_is_no_change(links: LinkSet) -> None:
    assert list(compare(links, links.as_scanned())) == []
    assert list(compare(links.as_scanned(), links)) == []


portals = st.dictionaries(st.integers(1, 12), exact_sets)


@given(portals, portals)
def test_owners_are_new_gone_or_compared(old: dict[int, LinkSet], new: dict[int, LinkSet]) -> None:
    def listed(portal: dict[int, LinkSet]) -> Iterator[LinkSet]:
        return (LinkSet(Owner("lead", one), portal[one].links) for one in sorted(portal))

    found = list(differences(listed(old), listed(new)))
    assert {one.owner.id for one in found if one.what == "new"} == new.keys() - old.keys()
    assert {one.owner.id for one in found if one.what == "gone"} == old.keys() - new.keys()
    assert {one.owner.id for one in found} == {
        one
        for one in old.keys() | new.keys()
        if one not in old or one not in new or set(old[one].links) != set(new[one].links)
    }
    assert [one.owner.id for one in found] == sorted(one.owner.id for one in found)


@pytest.mark.parametrize("owners", [[2, 1], [1, 1]])
def test_owners_out_of_order_are_refused(owners: list[int]) -> None:
    wrong = [ids(owner=one) for one in owners]
    with pytest.raises(PlanRefused, match="the first snapshot is not in order of owner id: lead 1 stands"):
        list(differences(wrong, []))
    with pytest.raises(PlanRefused, match="the second snapshot"):
        list(differences([], wrong))
