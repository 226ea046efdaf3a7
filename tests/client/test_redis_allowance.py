"""One allowance for all hosts, in a real Redis: ``make redis`` installs its server."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from airflow_bitrix.client.allowance import Allowance, MemoryAllowance, Turn
from airflow_bitrix.client.pacing import Account, Bucket, Budget, Budgets, OperatingTime
from airflow_bitrix.client.redis_allowance import RedisAllowance, Scripts, WithFallback
from airflow_bitrix.client.redis_scripts import scripts_of
from scripts.processes import free_port
from tests.client.allowances import BUCKET, admitted


@contextmanager
def redis_server(port: int, folder: Path) -> Iterator[None]:
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            client = redis.Redis(port=port)
            ends = time.monotonic() + 10
            while time.monotonic() < ends:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.01)
            yield
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripts]:
    port = free_port()
    with redis_server(port, tmp_path_factory.mktemp("redis")):
        yield scripts_at(port)


def scripts_at(port: int) -> Scripts:
    return scripts_of(host="127.0.0.1", port=port, user=None, password=None, number=0, tls=())


def host(
    scripts: Scripts, portal: str, bucket: Bucket = BUCKET, operating: OperatingTime | None = None
) -> RedisAllowance:
    return RedisAllowance(bucket, scripts, portal, "user", operating or OperatingTime())


def waited_for(allowance: Allowance) -> float:
    """Wait for one request as the drivers do, and tell when it left."""
    turn = Turn()
    while seconds := allowance.ask(turn):
        time.sleep(seconds)
    return time.monotonic()


def test_hosts_share_one_allowance(scripts: Scripts) -> None:
    one, other = host(scripts, "share"), host(scripts, "share")
    turn = Turn()
    assert [one.ask(), other.ask(), one.ask(), other.ask(), one.ask()] == [0] * 5
    assert other.ask(turn) == pytest.approx(0.5, abs=0.05)
    assert host(scripts, "another portal").ask() == 0


def test_hosts_that_ask_at_the_same_time_together_get_exactly_the_burst(scripts: Scripts) -> None:
    bucket = Bucket(rate=0.01, burst=60)
    several = [host(scripts, "burst", bucket) for _ in range(4)]

    def asks(allowance: RedisAllowance) -> int:
        turns = [Turn() for _ in range(30)]
        ends, got = time.monotonic() + 1, 0
        while turns and time.monotonic() < ends:
            wait = allowance.ask(turns[0])
            if not wait:
                turns.pop(0)
                got += 1
            elif wait > 0.5:
                break
        return got

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(asks, several)) == 60


def test_who_waits_is_let_through_in_the_order_of_asking(scripts: Scripts) -> None:
    bucket = Bucket(rate=20, burst=1)
    one, other = host(scripts, "order", bucket), host(scripts, "order", bucket)
    turns = [Turn() for _ in range(6)]
    waits = [(one, other)[number % 2].ask(turn) for number, turn in enumerate(turns)]
    assert waits == pytest.approx([0, 0.05, 0.1, 0.15, 0.2, 0.25], abs=0.04)
    left: list[int] = []
    while len(left) < 5:
        for number in (5, 4, 3, 2, 1):
            if number not in left and not one.ask(turns[number]):
                left.append(number)
        time.sleep(0.005)
    assert left == [1, 2, 3, 4, 5]


def test_who_died_waiting_is_passed_over(scripts: Scripts) -> None:
    bucket = Bucket(rate=5, burst=1)
    allowance = RedisAllowance(bucket, scripts, "died", "user", OperatingTime(), gone=0.5)
    assert allowance.ask() == 0
    assert allowance.ask(Turn()) > 0  # and never again
    began = time.monotonic()
    assert 0.4 < waited_for(allowance) - began < 1


def test_redis_is_asked_a_few_times_while_somebody_who_died_is_waited_for(scripts: Scripts) -> None:
    asked: list[str] = []

    def counted(script: str, *how: Any) -> Any:
        asked.append(script)
        return scripts(script, *how)

    allowance = RedisAllowance(Bucket(rate=20, burst=2), counted, "seldom", "user", OperatingTime(), gone=1)
    assert [allowance.ask(), allowance.ask()] == [0, 0]
    assert allowance.ask(Turn()) > 0  # and never again
    began = time.monotonic()
    del asked[:]
    assert waited_for(allowance) - began < 1.5
    assert len(asked) < 15


def test_a_refusal_is_heard_by_all(scripts: Scripts) -> None:
    one, other = host(scripts, "full"), host(scripts, "full")
    one.tell_full()
    assert other.ask() > 0.3


def test_operating_time_is_heard_of_with_the_next_request(scripts: Scripts) -> None:
    account, until = Account("crm.lead.list"), time.time() + 60
    knows = OperatingTime(Budgets({account: Budget(430.0, until, until)}))
    hears = OperatingTime()
    assert host(scripts, "operating", operating=knows).ask() == 0
    assert host(scripts, "operating", operating=hears).ask() == 0
    assert hears.budgets == knows.budgets


@pytest.mark.parametrize("kept", ["", "[]", "{}", "null", "[1, 2]", '["a", 0, 0, 0, 0, 0, 0, 0, 0]', "[NaN]"])
def test_whatever_redis_holds_the_allowance_works(kept: str, scripts: Scripts) -> None:
    portal = f"odd {kept}"
    for key in ("level", "operating:user"):
        scripts("return redis.call('SET', KEYS[1], ARGV[1])", [f"airflow-bitrix:{{{portal}}}:{key}"], [kept])
    assert admitted(host(scripts, portal)) == 5


def test_where_redis_is_away_the_host_goes_on_alone_says_so_once_a_minute_and_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port, now = free_port(), [100.0]
    remote = host(scripts_at(port), "away")
    allowance = WithFallback(remote, MemoryAllowance(BUCKET, lambda: now[0]), lambda: now[0])
    with caplog.at_level(logging.INFO):
        for _ in range(4):
            assert allowance.ask() == 0
            now[0] += 10
        allowance.tell_full()
        assert len(caplog.records) == 1
        assert "Redis does not answer" in caplog.text
        now[0] += 60
        allowance.ask()
        assert len(caplog.records) == 2
        with redis_server(port, tmp_path):
            now[0] += 10
            assert admitted(allowance) == 5
            assert admitted(remote) == 0
    assert "Redis answers again" in caplog.text
