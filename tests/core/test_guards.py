"""Limits that a plan carries with it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.guards import Guards

PORTAL = "https://acme.bitrix24.com"


def broken(guards: Guards, changes: int = 0, read: int = 100, emptied: int = 0) -> list[str]:
    return guards.broken_by(portal=PORTAL, counts={"changes": changes, "read": read, "emptied": emptied})


@pytest.mark.parametrize(("limit", "changes"), [(None, 0), (None, 10**9), (0, 0), (5, 5), (5, 4)], ids=repr)
def test_a_plan_within_its_limit_breaks_no_guard(limit: int | None, changes: int) -> None:
    assert broken(Guards(max_changes=limit), changes) == []


@pytest.mark.parametrize(("limit", "changes"), [(0, 1), (5, 6)])
def test_a_plan_beyond_its_limit_breaks_the_guard_and_both_numbers_are_told(limit: int, changes: int) -> None:
    expected = [f"it has {changes} changes, and max_changes allows {limit}"]
    assert broken(Guards(max_changes=limit), changes) == expected


@pytest.mark.parametrize(
    ("limit", "changes", "read"), [(0.1, 10, 100), (1, 100, 100), (0, 0, 0), (0.5, 0, 0)]
)
def test_a_plan_within_its_share_breaks_no_guard(limit: float, changes: int, read: int) -> None:
    assert broken(Guards(max_share=limit), changes, read) == []


def test_a_plan_beyond_its_share_breaks_the_guard_and_both_shares_are_told() -> None:
    expected = ["it changes 11.0% of the 100 owners read, and max_share allows 10.0%"]
    assert broken(Guards(max_share=0.1), 11) == expected


def test_where_it_is_known_the_share_is_one_of_all_owners_of_the_kind() -> None:
    assert broken(Guards(max_share=0.1, population=110), changes=11, read=11) == []
    expected = ["it changes 11.0% of the 100 owners of its kind on the portal, and max_share allows 10.0%"]
    assert broken(Guards(max_share=0.1, population=100), changes=11, read=11) == expected
    expected = ["it changes all of the 0 owners of its kind on the portal, and max_share allows 10.0%"]
    assert broken(Guards(max_share=0.1, population=0), changes=1, read=11) == expected


def test_only_portals_of_the_list_may_be_changed() -> None:
    assert broken(Guards(portals=(PORTAL + "/",))) == []
    other = "https://test.bitrix24.com"
    assert broken(Guards(portals=(other,))) == [f"it is for {PORTAL}, and portals allows {other}"]


def test_no_owner_may_be_left_without_contacts_unless_a_rule_says_so() -> None:
    expected = ["it leaves 3 owners without contacts, and no rule says that it may"]
    assert broken(Guards(), changes=5, emptied=3) == expected


@pytest.mark.parametrize("limit", [-1, "5", 1.0, True, False, [], float("nan")], ids=repr)
def test_a_limit_that_is_no_number_of_changes_is_refused(limit: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        Guards(max_changes=limit)
    accepted = "a whole number, 0 or above, or None for no limit"
    assert str(caught.value) == f"max_changes: {limit!r} is not accepted; accepted: {accepted}"


@pytest.mark.parametrize("limit", [-0.1, 1.1, "5", True, [], float("nan")], ids=repr)
def test_a_limit_that_is_no_share_is_refused(limit: Any) -> None:
    with pytest.raises(InvalidInput, match=r"max_share: .* is not accepted; accepted: a number from 0 to 1"):
        Guards(max_share=limit)


@pytest.mark.parametrize("portals", [PORTAL, ("acme.bitrix24.com",), (5,)], ids=repr)
def test_a_list_of_portals_that_is_none_is_refused(portals: Any) -> None:
    with pytest.raises(InvalidInput, match=r"portals: .* is not accepted; accepted: a list of addresses"):
        Guards(portals=portals)


def test_a_webhook_among_the_portals_is_refused_as_plans_and_approvals_would_show_it() -> None:
    with pytest.raises(InvalidInput, match=r"portals: .*/rest/1/\*\*\*/") as caught:
        Guards(portals=(f"{PORTAL}/rest/1/s3cr3tc0de/",))
    assert "s3cr3tc0de" not in f"{caught.value} {caught.value.value}"


@pytest.mark.parametrize("guards", [Guards(), Guards(0, 0.0), Guards(500, 0.25, (PORTAL,), 9)])
def test_guards_come_back_from_a_manifest_as_they_were(guards: Guards) -> None:
    assert Guards.from_json(guards.as_json()) == guards
