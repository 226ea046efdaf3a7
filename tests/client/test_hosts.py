"""Hosts that do not know of each other share a portal's bucket fairly, and are hardly ever refused."""

from __future__ import annotations

from statistics import mean

import pytest

from airflow_bitrix.client.sharing import LATER, Share
from tests.client.hosts import CEILING, DRAIN, Host, work

SEEDS = 12


def refused(hosts: list[Host]) -> float:
    """The part of all requests that was refused."""
    requests = sum(host.done + host.refused for host in hosts)
    return sum(host.refused for host in hosts) / requests


def done(hosts: list[Host], seconds: float) -> float:
    """What was done of what the portal allows."""
    return sum(host.done for host in hosts) / (CEILING + DRAIN * seconds)


def smallest(hosts: list[Host]) -> float:
    """The smallest share, to the fair one."""
    return min(host.done for host in hosts) / mean(host.done for host in hosts)


counting = pytest.mark.parametrize("counts", [False, True], ids=["", "refusals count"])


@counting
@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_that_begin_together_share_fairly_from_the_first_minute_on(hosts: int, *, counts: bool) -> None:
    found = [
        work(hosts, counts=counts, jitter=0.004, apart=0.3, seconds=90, seed=one) for one in range(SEEDS)
    ]
    assert mean(map(refused, found)) <= 0.04
    assert min(done(one, 90) for one in found) >= 0.93
    assert min(map(smallest, found)) >= 0.5
    assert max(host.worst for one in found for host in one) <= 3


@counting
@pytest.mark.parametrize(("hosts", "most", "least"), [(2, 0.02, 0.5), (4, 0.035, 0.5), (8, 0.07, 0.2)])
def test_in_the_long_run_they_are_refused_less(
    hosts: int, most: float, least: float, *, counts: bool
) -> None:
    found = [work(hosts, counts=counts, jitter=0.02, apart=5, seconds=1800, seed=one) for one in range(3)]
    assert mean(map(refused, found)) <= most
    assert min(done(one, 1800) for one in found) >= 0.92
    assert min(map(smallest, found)) >= least


def test_who_is_left_alone_has_all_of_it_again_after_a_while() -> None:
    share = Share(pace=0.5, since=100.0, horizon=LATER.horizon, due_at=100.0)
    now, sent = 100.0, 0
    while now < 100 + 1.1 * LATER.horizon:
        now = max(share.due_at, now + 0.05)
        share, sent = share.taken(now, rate=DRAIN), sent + 1
    assert sent >= DRAIN * LATER.horizon


def test_who_had_nothing_to_send_is_left_no_less() -> None:
    """Its share is what it sent of what all of them did: not while it slept."""
    share = Share(pace=0.5, since=100.0, horizon=LATER.horizon, sent=10, due_at=120.0).taken(
        170.0, rate=DRAIN
    )
    after = share.refused(170.0, rate=DRAIN, burst=49, opened_at=170.0)
    assert after.pace == pytest.approx(0.5, abs=0.05)
