"""How fast a portal is asked: never faster than it allows, and no slower than it allows."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from airflow_bitrix.client.pacing import CALM, LONGEST, PLANS, SPARES, Bucket, Level, Retries
from airflow_bitrix.client.sharing import Share

SLACK = 1e-6
"""Requests by which two floating point clocks may differ."""


class LeakyBucket:
    """The portal's own bucket: a level that drains steadily and must not rise above the ceiling."""

    def __init__(self, drain: float, ceiling: float) -> None:
        self.drain, self.ceiling = drain, ceiling
        self.level, self.at = 0.0, -math.inf

    def takes(self, now: float) -> bool:
        self.level = max(self.level - (now - self.at) * self.drain, 0.0)
        self.at = now
        if self.level + 1 > self.ceiling + SLACK:
            return False
        self.level += 1
        return True


def sent_at(bucket: Bucket, *, start: float, pauses: list[float]) -> list[float]:
    """Times at which a client sends that waits exactly as long as it is told, then does other things."""
    now, level, times = start, Level(), []
    for pause in pauses:
        now += pause
        for _ in range(3):
            level, wait = bucket.admit(level, now)
            if not wait:
                break
            now += wait
        assert wait == 0, "whoever waited as long as told is admitted"
        times.append(now)
    return times


pauses = st.lists(st.just(0.0) | st.floats(0, 30) | st.floats(0, 0.01), min_size=1, max_size=120)
rates = st.floats(0.05, 50)
bursts = st.integers(1, 60)
clocks = st.floats(0, 1e6)


@given(rates, bursts, clocks, pauses)
@example(2, 49, 0.0, [0.0] * 120)
def test_a_client_never_overflows_the_portals_bucket(
    rate: float, burst: int, start: float, pauses: list[float]
) -> None:
    portal = LeakyBucket(rate, burst)
    assert all(portal.takes(now) for now in sent_at(Bucket(rate, burst), start=start, pauses=pauses))


def test_a_gap_never_slows_a_client_that_keeps_asking() -> None:
    for rate in (0.5, 2.0, 5.0, 10.0, 20.0, 50.0):
        times = sent_at(Bucket(rate, burst=50, gap=0.1), start=1.0, pauses=[0.0] * 1000)
        assert times[-1] - 1.0 <= max((1000 - 50) / rate, 0.0) + 0.5 + 5 / rate


@given(rates, bursts, clocks, st.integers(1, 200))
@example(35.0, 2, 524288.0, 2)  # a host that is up for a week: a clock is no finer than 1e-10 s then
def test_a_client_that_never_pauses_gets_all_that_the_portal_admits(
    rate: float, burst: int, start: float, requests: int
) -> None:
    """A burst at once, then one request each time one drains: not a moment later."""
    times = sent_at(Bucket(rate, burst), start=start, pauses=[0.0] * requests)
    for number, now in enumerate(times, start=1):
        earliest = start + max(number - burst, 0) / rate
        assert now == pytest.approx(earliest, abs=1e-3 / rate)


@given(rates, bursts, clocks, st.floats(0, 1e7))
def test_a_full_bucket_makes_everybody_wait_for_one_request_to_drain(
    rate: float, burst: int, now: float, empty_at: float
) -> None:
    bucket = Bucket(rate, burst)
    full = bucket.full(Level(empty_at), now)
    after, wait = bucket.admit(full, now)
    assert after == full
    assert wait >= (1 - 2 * SLACK) / rate
    assert full.empty_at >= empty_at


@given(rates, bursts, clocks, st.floats(0, 1e7))
def test_asking_too_early_costs_nothing(rate: float, burst: int, now: float, empty_at: float) -> None:
    level = Level(empty_at)
    after, wait = Bucket(rate, burst).admit(level, now)
    assume(wait > 0)
    assert after == level


@pytest.mark.parametrize("times", range(1, 6))
def test_being_told_by_several_requests_at_once_does_not_add_up(times: int) -> None:
    bucket, level = Bucket(rate=2, burst=50), Level()
    for _ in range(times):
        level = bucket.full(level, 100.0)
    assert level.empty_at == 125.0


def test_each_further_refusal_at_the_brim_makes_the_bucket_fuller_until_there_was_a_calm() -> None:
    """Who is alone and hardly finds room may be at a portal that counts what it refuses."""
    bucket, now = Bucket(rate=2, burst=50), 100.0
    level = replace(bucket.full(Level(), now), share=Share(pace=2.0, since=now, horizon=33.0))
    now += 0.5
    waits = []
    for _ in range(len(SPARES)):
        level = bucket.full(level, now)
        _, wait = bucket.admit(level, now)
        waits.append(wait)
        now += wait
    assert waits == pytest.approx([1.5, 2.5, 4.5, 8.5, 8.5])
    level = replace(level, empty_at=now + CALM + 25)
    now += CALM + 0.01
    assert bucket.admit(bucket.full(level, now), now)[1] == pytest.approx(0.5)


def test_the_first_requests_into_an_empty_bucket_leave_one_after_the_other() -> None:
    """Who fills it too may be unknown: only what is under way by the first refusal is refused with it."""
    bucket = Bucket(rate=2, burst=49, gap=0.05)
    times = sent_at(bucket, start=7.0, pauses=[0.0] * 45)
    assert times == pytest.approx([7 + 0.05 * number for number in range(35)] + [8.7] * 10)
    assert sent_at(bucket, start=7.0, pauses=[0.0] * 3 + [60.0] + [0.0] * 2)[3:] == pytest.approx(
        [67.1, 67.15, 67.2]
    )


shares = st.builds(Share, st.floats(), st.floats(), st.floats(), st.integers(), st.floats())


@given(st.builds(Level, *[st.floats()] * 3, st.integers(), shares), st.floats(0, 1e7))
def test_whatever_level_was_kept_nobody_waits_longer_than_the_fullest_bucket_needs(
    level: Level, now: float
) -> None:
    bucket = Bucket(rate=2, burst=49, gap=0.1)
    longest = LONGEST + SLACK
    kept = bucket.credible(level, now)
    for one in (kept, bucket.full(kept, now)):
        assert 0 <= bucket.admit(one, now)[1] <= longest
        bucket.full(one, now + 1e6)


@pytest.mark.parametrize("filler", ["standard", "enterprise"])
@pytest.mark.parametrize("reader", ["standard", "enterprise"])
def test_callers_with_different_plans_believe_each_other(filler: str, reader: str) -> None:
    """The plan stands in the connection, and two connections may lead to one portal."""
    fills, reads = PLANS[filler], PLANS[reader]
    assert fills is not None
    assert reads is not None
    level, now = Level(), 100.0
    for _ in range(len(SPARES)):
        level = fills.full(level, now)
        now = level.quiet_until
    now = level.share.since
    assert reads.credible(level, now) == level


@pytest.mark.parametrize(("plan", "drain", "ceiling"), [("standard", 2, 50), ("enterprise", 5, 250)])
def test_a_plan_keeps_within_what_the_portal_grants_and_wastes_at_most_one_request(
    plan: str, drain: float, ceiling: float
) -> None:
    bucket = PLANS[plan]
    assert bucket is not None
    assert bucket.rate == drain
    assert ceiling - 1 <= bucket.burst <= ceiling
    portal = LeakyBucket(drain, ceiling)
    times = sent_at(bucket, start=0.0, pauses=[0.0] * 1000)
    assert all(portal.takes(now) for now in times)
    assert times[-1] == pytest.approx((1000 - bucket.burst) / drain)


def test_a_self_hosted_portal_has_no_bucket() -> None:
    assert PLANS["self_hosted"] is None


@given(st.integers(1, 1000), st.floats(0, 1), st.floats(0.001, 5), st.floats(5, 600))
def test_a_repeat_waits_between_half_and_all_of_its_share_and_never_longer_than_the_longest(
    repeat: int, luck: float, first: float, longest: float
) -> None:
    delay = Retries(first=first, longest=longest).delay(repeat, luck)
    share = min(longest, first * 2.0 ** (repeat - 1))
    assert share / 2 - SLACK <= delay <= share + SLACK


def test_repeats_grow_more_patient() -> None:
    retries = Retries(first=0.5, longest=30)
    assert [retries.delay(repeat, luck=1) for repeat in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [retries.delay(repeat, luck=0) for repeat in range(1, 4)] == [0.25, 0.5, 1]


@given(rates, bursts, clocks, st.floats(0, 60), st.integers(0, 30))
def test_who_stands_in_a_queue_reckons_when_he_is_let_through(
    rate: float, burst: int, now: float, used: float, others: int
) -> None:
    bucket = Bucket(rate, burst, gap=0.05)
    level = Level(empty_at=now + used)
    reckoned, at = bucket.after(level, now, others), now
    for _ in range(others + 1):
        while True:
            level, wait = bucket.admit(level, at)
            if not wait:
                break
            at += wait
    assert at - now == pytest.approx(reckoned, abs=1e-3 / rate)
