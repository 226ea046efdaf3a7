"""A portal whose bucket somebody else has filled: how much time that costs, and that no call ends of it."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from itertools import count
from statistics import median
from typing import Literal

import pytest

from airflow_bitrix.client.pacing import PLANS, Level, Retries

CALLS = 100
SEEDS = 40


@dataclass
class Found:
    """What came of some calls.

    :param ratio: Seconds that they took, to those that a client needs who knows all of the bucket.
    :param refusals: Of the call that was refused most often.
    """

    ratio: float
    refusals: int


@dataclass(order=True)
class Event:
    at: float
    number: int
    what: Literal["ask", "arrive", "hear"] = field(compare=False)
    refusals: int = field(compare=False, default=0)


def work(*, counts: bool, jitter: float, filled: float, in_flight: int = 5, seed: int = 0) -> Found:
    """Make calls at a portal of the standard plan, in a time that is only reckoned.

    :param counts: Whether the portal's bucket counts what it refuses.
    :param jitter: Seconds by which a request arrives late, on average.
    :param filled: Requests that are in the bucket before.
    """
    bucket, retries, luck = PLANS["standard"], Retries(), random.Random(seed)
    assert bucket is not None
    drain, ceiling, portal_level, portal_at = 2.0, 50.0, filled, 0.0
    level, numbers, waiting, worst, last = Level(), count(), CALLS - in_flight, 0, 0.0
    events = [Event(0.0, next(numbers), "ask") for _ in range(in_flight)]
    while events:
        event = heapq.heappop(events)
        now, refusals = event.at, event.refusals
        if event.what == "ask":
            level, wait = bucket.admit(level, now)
            late = luck.expovariate(1 / jitter) if jitter else 0.0
            following = Event(now + wait, next(numbers), "ask", refusals)
            if not wait:
                following = Event(now + 0.001 + late, next(numbers), "arrive", refusals)
            heapq.heappush(events, following)
        elif event.what == "arrive":
            portal_level = max(portal_level - (now - portal_at) * drain, 0.0)
            portal_at, taken = now, portal_level + 1 <= ceiling
            portal_level += taken or counts
            if not taken:
                heapq.heappush(events, Event(now + 0.002, next(numbers), "hear", refusals + 1))
                continue
            last = max(last, now)
            if waiting:
                waiting -= 1
                heapq.heappush(events, Event(now + 0.004, next(numbers), "ask"))
        else:
            level, worst = bucket.full(level, now), max(worst, refusals)
            again = now + retries.delay(refusals, luck.random())
            heapq.heappush(events, Event(again, next(numbers), "ask", refusals))
    return Found(last / ((CALLS - ceiling + filled) / drain), worst)


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
    ],
)
def test_a_filled_bucket_costs_little_more_than_it_must(
    filled: float,
    counts: bool,  # noqa: FBT001
    jitter: float,
    usual: float,
    worst: float,
) -> None:
    found = [work(counts=counts, jitter=jitter, filled=filled, seed=seed) for seed in range(SEEDS)]
    assert median(one.ratio for one in found) <= usual
    assert max(one.ratio for one in found) <= worst
    assert max(one.refusals for one in found) <= 3 < Retries().times


def test_twenty_at_once_do_no_worse() -> None:
    found = [work(counts=True, jitter=0.1, filled=50, in_flight=20, seed=seed) for seed in range(SEEDS)]
    assert median(one.ratio for one in found) <= 1.06
    assert max(one.refusals for one in found) <= 3
