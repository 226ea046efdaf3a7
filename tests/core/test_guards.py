"""Limits that a plan carries with it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.guards import Guards


@pytest.mark.parametrize(("limit", "changes"), [(None, 0), (None, 10**9), (0, 0), (5, 5), (5, 4)], ids=repr)
def test_a_plan_within_its_limit_breaks_no_guard(limit: int | None, changes: int) -> None:
    assert Guards(max_changes=limit).broken_by(changes=changes) == []


@pytest.mark.parametrize(("limit", "changes"), [(0, 1), (5, 6)])
def test_a_plan_beyond_its_limit_breaks_the_guard_and_both_numbers_are_told(limit: int, changes: int) -> None:
    expected = [f"it has {changes} changes, and max_changes allows {limit}"]
    assert Guards(max_changes=limit).broken_by(changes=changes) == expected


@pytest.mark.parametrize("limit", [-1, "5", 1.0, True, False, [], float("nan")], ids=repr)
def test_a_limit_that_is_no_number_of_changes_is_refused(limit: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        Guards(max_changes=limit)
    accepted = "a whole number, 0 or above, or None for no limit"
    assert str(caught.value) == f"max_changes: {limit!r} is not accepted; accepted: {accepted}"


@pytest.mark.parametrize("limit", [None, 0, 500])
def test_guards_come_back_from_a_manifest_as_they_were(limit: int | None) -> None:
    guards = Guards(max_changes=limit)
    assert Guards(**guards.as_json()) == guards
