"""Operating time: what answers tell of it, and for how long a method is let rest."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.pacing import (
    LONGEST_REST,
    OPERATING_LIMIT,
    UNTOLD_REST,
    Account,
    Budget,
    Budgets,
    Patience,
    Rest,
)

NOW = 1_772_366_400.0
SAVE = Account("crm.lead.update")
SAVE_IN_BATCH = Account("crm.lead.update", batched=True)
GET = Account("crm.lead.contact.items.get")


def time(used: object, reset_at: object) -> dict[str, Any]:
    return {"operating": used, "operating_reset_at": reset_at}


def told(used: object, reset_at: object, account: Account = SAVE, now: float = NOW) -> Budgets:
    return Budgets().told([(account, time(used, reset_at))], now)


def test_the_defaults_stay_below_both_limits_that_are_known() -> None:
    assert Patience() == Patience(operating_limit=OPERATING_LIMIT, max_wait=30)
    assert OPERATING_LIMIT <= 420


def test_what_nothing_is_known_of_may_be_called() -> None:
    assert Budgets().rest([SAVE, GET], NOW, 420) is None
    assert Budgets().rest([], NOW, 420) is None


@given(st.floats(0, 1000), st.integers(0, 599))
def test_a_method_at_its_limit_rests_until_a_second_after_its_reset(used: float, ahead: int) -> None:
    budgets = told(used, NOW + ahead)
    rest = budgets.rest([SAVE], NOW, 420)
    if used < 420:
        assert rest is None
    else:
        assert rest == Rest(NOW + ahead + 1, ahead + 1)
        assert budgets.rest([SAVE], NOW + ahead + 1, 420) is None
    assert budgets.rest([GET], NOW, 420) is None


def test_a_clock_that_is_set_back_makes_no_rest_longer_than_the_portal_keeps_count() -> None:
    back = NOW - 7200
    for budgets in (told(450, NOW + 600), told(450, NOW + 600).refused(SAVE, NOW)):
        assert budgets.rest([SAVE], back, 420) == Rest(back + LONGEST_REST + 1, LONGEST_REST + 1)


def test_several_accounts_rest_until_the_last_of_them_is_free() -> None:
    budgets = told(500, NOW + 100).told([(GET, time(500, NOW + 40))], NOW)
    assert budgets.rest([GET, SAVE], NOW, 420) == Rest(NOW + 101, 101)
    assert budgets.rest([GET], NOW, 420) == Rest(NOW + 41, 41)


def test_calls_in_batches_and_calls_of_their_own_are_on_different_accounts() -> None:
    assert told(500, NOW + 100).rest([SAVE_IN_BATCH], NOW, 420) is None


NO_NUMBERS: list[object] = [None, "500", True, float("nan"), float("inf"), -1, {}]
NONSENSE: list[dict[str, Any]] = [
    {},
    {"operating": 500},
    {"operating_reset_at": NOW + 100},
    *[time(one, NOW + 100) for one in NO_NUMBERS],
    *[time(500, one) for one in NO_NUMBERS],
]


@pytest.mark.parametrize("said", NONSENSE, ids=repr)
def test_fields_that_are_missing_or_make_no_sense_tell_nothing(said: dict[str, Any]) -> None:
    before = told(500, NOW + 60)
    assert before.told([(SAVE, said)], NOW) == before
    assert Budgets().told([(SAVE, said)], NOW) == Budgets()


def test_no_rest_is_longer_than_the_portal_keeps_count() -> None:
    rest = told(500, 1e15).rest([SAVE], NOW, 420)
    assert rest
    assert rest.seconds == LONGEST_REST + 1


@given(st.permutations([(400.0, 60), (450.0, 60), (430.0, 60), (30.0, 0)]))
def test_answers_that_overtake_each_other_do_not_free_a_method(order: list[tuple[float, int]]) -> None:
    budgets = Budgets()
    for used, ahead in order:
        budgets = budgets.told([(SAVE, time(used, NOW + ahead))], NOW)
    assert budgets.rest([SAVE], NOW, 420) == Rest(NOW + 61, 61)
    assert Budgets().told([(SAVE, time(u, NOW + a)) for u, a in order], NOW) == budgets


def test_when_the_oldest_minute_is_forgotten_the_next_answer_tells_anew() -> None:
    budgets = told(500, NOW + 60).told([(SAVE, time(100, NOW + 120))], NOW + 62)
    assert budgets.rest([SAVE], NOW + 62, 420) is None


def test_a_refused_method_rests_until_the_reset_that_is_known_whatever_its_limit() -> None:
    budgets = told(100, NOW + 50).refused(SAVE, NOW)
    assert budgets.rest([SAVE], NOW, 420) == Rest(NOW + 51, 51)
    assert budgets.rest([SAVE], NOW + 51, 420) is None
    late = budgets.told([(SAVE, time(100, NOW + 50))], NOW)
    assert late.rest([SAVE], NOW, 420) == Rest(NOW + 51, 51)


@pytest.mark.parametrize("known", [None, 50, 500])
def test_the_reset_that_a_refusal_itself_tells_is_believed(known: int | None) -> None:
    budgets = (told(100, NOW + known) if known else Budgets()).refused(SAVE, NOW, told=NOW + 90)
    rest = budgets.rest([SAVE], NOW, 420)
    assert rest is not None
    assert rest.until == NOW + 91


@pytest.mark.parametrize("nonsense", [None, "soon", True, -1, [], {}, nan, inf, NOW - 5, 0])
def test_a_reset_that_cannot_be_one_tells_nothing(nonsense: Any) -> None:
    rest = told(100, NOW + 50).refused(SAVE, NOW, told=nonsense).rest([SAVE], NOW, 420)
    assert rest is not None
    assert rest.until == NOW + 51
    assert Budgets().refused(SAVE, NOW, told=nonsense).rest([SAVE], NOW, 420) is None


def test_a_reset_that_lies_further_ahead_than_the_portal_counts_is_cut() -> None:
    rest = Budgets().refused(SAVE, NOW, told=NOW + 10**6).rest([SAVE], NOW, 420)
    assert rest is not None
    assert rest.seconds == 601


@pytest.mark.parametrize("known", [Budgets(), told(500, NOW - 10)], ids=["nothing", "a reset that is over"])
def test_a_refused_method_of_which_no_reset_is_known_rests_only_where_a_guess_is_wanted(
    known: Budgets,
) -> None:
    assert known.refused(SAVE, NOW).rest([SAVE], NOW, 420) is None
    rest = known.refused(SAVE, NOW, guess=True).rest([SAVE], NOW, 420)
    assert rest == Rest(NOW + UNTOLD_REST + 1, UNTOLD_REST + 1)


@given(
    st.lists(st.tuples(st.floats(0, 900), st.floats(0, 700), st.booleans(), st.floats(0, 90)), max_size=30)
)
def test_every_rest_ends(story: list[tuple[float, float, bool, float]]) -> None:
    budgets, now = Budgets(), NOW
    for used, ahead, refused, pause in story:
        now += pause
        budgets = budgets.told([(SAVE, time(used, now + ahead))], now)
        if refused:
            budgets = budgets.refused(SAVE, now, guess=True)
        rest = budgets.rest([SAVE], now, 420)
        if rest:
            assert 0 < rest.seconds <= LONGEST_REST + 1
            assert rest.until == pytest.approx(now + rest.seconds)
            assert budgets.rest([SAVE], rest.until, 420) is None


def test_what_others_know_is_joined_with_what_was_told_here() -> None:
    here = Budgets({SAVE: Budget(100.0, NOW + 60, NOW + 20), GET: Budget(10.0, NOW + 30)})
    there = Budgets({SAVE: Budget(430.0, NOW + 120, NOW + 10)})
    joined = Budgets({SAVE: Budget(430.0, NOW + 120, NOW + 20), GET: Budget(10.0, NOW + 30)})
    assert here.joined(there, NOW) == there.joined(here, NOW) == joined
    assert joined.joined(here, NOW) == joined


@pytest.mark.parametrize("wrong", [nan, inf, -1.0, NOW + 90_000])
def test_nobody_rests_for_longer_because_the_clock_of_another_host_is_wrong(wrong: float) -> None:
    joined = Budgets().joined(Budgets({SAVE: Budget(430.0, wrong, wrong)}), NOW)
    rest = joined.rest([SAVE], NOW, 420)
    assert rest is None or rest.seconds <= LONGEST_REST + 1
    assert joined.rest([SAVE], NOW + LONGEST_REST + 1, 420) is None
