"""Hosts that share nothing but a portal's bucket, in a time that is only reckoned."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from airflow_bitrix.client.pacing import PLANS, Bucket, Level, Retries

DRAIN, CEILING = 2.0, 50.0
BUCKET = PLANS["standard"] or Bucket(0, 0)


@dataclass
class Host:
    """What one host did.

    :param calls: Calls that it has not begun yet.
    :param worst: How often the call was refused that was refused most often.
    :param last: When the last of its requests was taken.
    """

    calls: float
    level: Level = field(default_factory=Level)
    done: int = 0
    refused: int = 0
    worst: int = 0
    last: float = 0.0


@dataclass
class Portal:
    """A bucket of the standard plan.

    :param level: Requests that are in it before.
    :param counts: Whether it counts what it refuses.
    """

    level: float
    counts: bool
    at: float = 0.0

    def takes(self, now: float) -> bool:
        self.level = max(self.level - (now - self.at) * DRAIN, 0.0)
        self.at = now
        taken = self.level + 1 <= CEILING
        self.level += taken or self.counts
        return taken


@dataclass(order=True)
class Event:
    at: float
    number: int
    what: Literal["ask", "arrive", "hear"] = field(compare=False)
    host: Host = field(compare=False)
    refusals: int = field(compare=False, default=0)


def work(
    hosts: int,
    *,
    counts: bool,
    jitter: float = 0.0,
    filled: float = 0.0,
    calls: float = float("inf"),
    seconds: float = float("inf"),
    apart: float = 0.0,
    takes: float = 0.02,
    in_flight: int = 5,
    seed: int = 0,
) -> list[Host]:
    """Let hosts make calls at a portal, and tell what they did.

    :param counts: Whether the portal's bucket counts what it refuses.
    :param jitter: Seconds by which a request arrives late, on average.
    :param filled: Requests that are in the bucket before.
    :param calls: Calls that each host makes.
    :param seconds: When it ends at the latest.
    :param apart: Seconds within which they begin, one by one.
    :param takes: Seconds that a call takes, on average.
    """
    luck, retries, numbers = random.Random(seed), Retries(), count()
    portal, everybody = Portal(filled, counts), [Host(calls - in_flight) for _ in range(hosts)]
    events: list[Event] = []

    def then(at: float, what: Literal["ask", "arrive", "hear"], host: Host, refusals: int = 0) -> None:
        heapq.heappush(events, Event(at, next(numbers), what, host, refusals))

    for host in everybody:
        begins = luck.random() * apart
        for _ in range(in_flight):
            then(begins, "ask", host)
    while events and events[0].at <= seconds:
        event = heapq.heappop(events)
        now, host, refusals = event.at, event.host, event.refusals
        if event.what == "ask":
            host.level, wait = BUCKET.admit(host.level, now)
            late = luck.expovariate(1 / jitter) if jitter else 0.0
            if wait:
                then(now + wait, "ask", host, refusals)
            else:
                then(now + 0.001 + 0.001 * luck.random() + late, "arrive", host, refusals)
        elif event.what == "arrive":
            if not portal.takes(now):
                then(now + 0.002, "hear", host, refusals + 1)
                continue
            host.done, host.last = host.done + 1, now
            if host.calls > 0:
                host.calls -= 1
                then(now + takes * (0.5 + luck.random()), "ask", host)
        else:
            host.level = BUCKET.full(host.level, now)
            host.refused, host.worst = host.refused + 1, max(host.worst, refusals)
            then(now + retries.delay(refusals, luck.random()), "ask", host, refusals)
    return everybody
