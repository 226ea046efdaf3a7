"""A portal whose bucket somebody else has filled: how much time that costs, and that no call ends of it."""

from __future__ import annotations

from statistics import median

import pytest

from airflow_bitrix.client.pacing import Retries
from tests.client.hosts import CEILING, DRAIN, Host, work

CALLS = 100
SEEDS = 40


def ratio(host: Host, filled: float) -> float:
    """Seconds that the calls took, to those that a client needs who knows all of the bucket."""
    return host.last / ((CALLS - CEILING + filled) / DRAIN)


@pytest.mark.parametrize(
    ("filled", "counts", "jitter", "usual", "worst"),
    [
        (50, False, 0, 1.01, 1.01),
        (50, True, 0, 1.06, 1.06),
        (50, False, 0.1, 1.01, 1.03),
        (50, True, 0.1, 1.06, 1.1),
        (0, False, 0, 1.021, 1.021),
        (0, False, 0.1, 1.03, 1.05),
        (0, True, 0.1, 1.03, 1.05),
        (30, False, 0.1, 1.04, 1.05),
        (38, False, 0.1, 1.04, 1.05),
    ],
)
def test_a_filled_bucket_costs_little_more_than_it_must(
    filled: float,
    counts: bool,  # noqa: FBT001
    jitter: float,
    usual: float,
    worst: float,
) -> None:
    found = [
        work(1, counts=counts, jitter=jitter, filled=filled, calls=CALLS, takes=0.004, seed=seed)[0]
        for seed in range(SEEDS)
    ]
    assert median(ratio(one, filled) for one in found) <= usual
    assert max(ratio(one, filled) for one in found) <= worst
    assert max(one.worst for one in found) <= 3 < Retries().times


def test_twenty_at_once_do_no_worse() -> None:
    found = [
        work(1, counts=True, jitter=0.1, filled=50, calls=CALLS, in_flight=20, takes=0.004, seed=seed)[0]
        for seed in range(SEEDS)
    ]
    assert median(ratio(one, 50) for one in found) <= 1.06
    assert max(one.worst for one in found) <= 3
