"""Conditions on contact links: what holds, what is refused, and how it is said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.link_conditions import LinkCondition, link_condition
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.row_counts import CountCondition

LEAD = Owner("lead", 5)
IDS = st.frozensets(st.integers(1, 5))


def links(*ids: int, primary: int | None = None) -> LinkSet:
    return LinkSet.of_ids(LEAD, ids, primary)


@pytest.mark.parametrize(
    ("given", "linked", "holds"),
    [
        ({"has": 7}, links(8, 7), True),
        ({"has": "7"}, links(8), False),
        ({"has": [7, "8"]}, links(9, 8, 7), True),
        ({"has": [7, 8]}, links(7), False),
        ({"lacks": 7}, links(), True),
        ({"lacks": (7, 8)}, links(8), False),
        ({"exactly": [7, 8]}, links(8, 7), True),
        ({"exactly": 7}, links(8, 7), False),
        ({"exactly": []}, links(), True),
        ({"exactly": []}, links(7), False),
        ({"primary": 7}, links(8, 7, primary=7), True),
        ({"primary": 7}, links(8, 7, primary=8), False),
        ({"has": 8, "lacks": 9, "primary": 7}, links(8, 7, primary=7), True),
        ({"has": 8, "lacks": "None", "primary": 7}, links(8, 7, primary=8), False),
    ],
)
def test_what_holds(given: dict[str, Any], linked: LinkSet, *, holds: bool) -> None:
    assert link_condition(**given).holds(linked) is holds


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {},
            r"^has: None is not accepted; accepted: a contact to wait for, here or as lacks, exactly",
        ),
        ({"has": []}, r"^has: \[\] .*a list with at least one id of a contact; None leaves it open"),
        ({"lacks": 0}, "^lacks: 0 is not accepted; accepted: the id of a contact, or a list of such ids"),
        ({"has": ""}, "^has: '' is not accepted"),
        ({"has": "[7, 8]"}, r"^has: '\[7, 8\]' .*set render_template_as_native_obj=True on the DAG"),
        ({"exactly": ["x"]}, "^exactly: 'x' is not accepted; accepted: a whole number from 1"),
        ({"exactly": [7], "has": 7}, "^exactly: .*no has and no lacks beside it, as it says it all"),
        ({"has": [6, 7], "lacks": 7}, "^lacks: .*no contact of has, as 7 is"),
        ({"primary": 7, "lacks": 7}, "^primary: 7 .*by what lacks and exactly say"),
        ({"primary": 7, "exactly": []}, "^primary: 7 .*by what lacks and exactly say"),
        ({"primary": True}, "^primary: True is not accepted"),
    ],
)
def test_what_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        link_condition(**given)


def test_a_condition_says_itself() -> None:
    assert (
        str(link_condition(has=[8, 7], lacks=9, primary=7)) == "has contacts 7, 8, lacks contact 9, primary 7"
    )
    assert str(link_condition(exactly=[])) == "has exactly no contact"


@given(IDS, IDS, st.none() | IDS, st.none() | st.integers(1, 5))
def test_what_is_accepted_can_hold(
    has: frozenset[int], lacks: frozenset[int], exactly: frozenset[int] | None, primary: int | None
) -> None:
    try:
        condition = link_condition(has=has or None, lacks=lacks or None, exactly=exactly, primary=primary)
    except InvalidInput:
        return
    assert condition == LinkCondition(has, lacks, exactly, primary)
    ids = set(exactly if exactly is not None else has) | ({primary} if primary else set())
    assert condition.holds(links(*ids, primary=primary))


@pytest.mark.parametrize(
    ("condition", "right", "wrong", "said"),
    [
        (CountCondition(), (1, 9), (0,), "at least 1"),
        (CountCondition(at_least=0), (0, 9), (), "any"),
        (CountCondition(3), (3, 9), (2,), "at least 3"),
        (CountCondition(at_most=0), (0,), (1,), "at most 0"),
        (CountCondition(3, 4), (3, 4), (2, 5), "at least 3, at most 4"),
    ],
)
def test_counts(condition: CountCondition, right: tuple[int, ...], wrong: tuple[int, ...], said: str) -> None:
    assert all(map(condition.holds, right))
    assert not any(map(condition.holds, wrong))
    assert str(condition) == said


def test_no_number_is_both() -> None:
    with pytest.raises(
        InvalidInput, match=r"^at_most: 2 is not accepted; accepted: at_least, which is 3, or more"
    ):
        CountCondition(3, 2)
