"""A line in the log every few seconds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_bitrix.client.flow import Meter
from airflow_bitrix.client.progress import Progress

CHANGES = ("change", "changes")
READ = ("lead read", "leads read")


class Lines:
    """A logger that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, event: str, *args: Any) -> None:
        self.lines.append(event % args)


class Clock:
    """Time that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> Lines:
    return Lines()


def test_lines_come_when_time_has_passed_and_not_with_each_step(log: Lines, clock: Clock) -> None:
    progress = Progress(log, CHANGES, Meter(), total=100, every=5, clock=clock)
    for second in range(1, 13):
        clock.now = 50.0 + second
        progress.add(1)
    assert [line.split(" changes")[0] for line in log.lines] == ["5 of 100", "10 of 100"]


def test_a_long_pause_makes_one_line_and_the_next_comes_a_while_later(log: Lines, clock: Clock) -> None:
    progress = Progress(log, CHANGES, Meter(), every=5, clock=clock)
    clock.now = 110.0
    progress.add(1)
    clock.now = 112.0
    progress.add(1)
    assert len(log.lines) == 1


LINES: list[tuple[str, dict[str, Any], str]] = [
    ("nothing yet", {"done": 0, "seconds": 0.0}, "0 leads read"),
    ("no total", {"done": 3000, "seconds": 2.0}, "3,000 leads read, 1,500 a second"),
    (
        "a total",
        {"done": 500, "seconds": 10.0, "total": 2000},
        "500 of 2,000 leads read, 50 a second, less than a minute left",
    ),
    (
        "one of a lump",
        {"done": 1, "seconds": 35.0, "total": 2000},
        "1 of 2,000 leads read, 0 a second",
    ),
    (
        "a total of hours",
        {"done": 500, "seconds": 10.0, "total": 500_000},
        "500 of 500,000 leads read, 50 a second, 3 hours left",
    ),
    (
        "a total in the first seconds",
        {"done": 1, "seconds": 1.0, "total": 9},
        "1 of 9 leads read, 1 a second",
    ),
    (
        "all",
        {"done": 2000, "seconds": 10.0, "total": 2000},
        "2,000 of 2,000 leads read, 200 a second",
    ),
    ("none to do", {"done": 0, "seconds": 1.0, "total": 0}, "0 of 0 leads read"),
    (
        "nothing done of a total",
        {"done": 0, "seconds": 9.0, "total": 10},
        "0 of 10 leads read",
    ),
    ("one of one", {"done": 1, "seconds": 1.0, "total": 1}, "1 of 1 lead read, 1 a second"),
    ("one", {"done": 1, "seconds": 1.0, "meter": Meter(requests=1)}, "1 lead read, 1 a second, 1 request"),
    (
        "more than thought",
        {"done": 12, "seconds": 2.0, "total": 10},
        "12 of 10 leads read, 6 a second",
    ),
    (
        "requests and waits",
        {"done": 10, "seconds": 2.0, "meter": Meter(requests=1234, waited=61.4)},
        "10 leads read, 5 a second, 1,234 requests, 61 s waited for the portal",
    ),
    (
        "a wait not worth telling",
        {"done": 10, "seconds": 2.0, "meter": Meter(waited=0.9)},
        "10 leads read, 5 a second",
    ),
]


@pytest.mark.parametrize(("facts", "line"), [row[1:] for row in LINES], ids=[row[0] for row in LINES])
def test_a_line_tells_done_total_rate_requests_waits_and_time_left(
    facts: dict[str, Any], line: str, log: Lines, clock: Clock
) -> None:
    meter = facts.get("meter", Meter())
    progress = Progress(log, READ, meter, total=facts.get("total"), every=1e9, clock=clock)
    progress.add(facts["done"])
    clock.now += facts["seconds"]
    assert progress.line() == line
    assert progress.seconds == facts["seconds"]
    assert log.lines == []


def test_the_numbers_are_told_as_often_as_lines_are_logged(log: Lines, clock: Clock) -> None:
    told: list[dict[str, Any]] = []
    meter = Meter(requests=7, refused=1, waited=2.5)
    progress = Progress(log, CHANGES, meter, total=100, every=5, tell=told.append, clock=clock)
    clock.now = 60.0
    progress.add(50)
    progress.say()
    assert len(log.lines) == len(told) == 2
    assert json.loads(json.dumps(told[0])) == {
        "what": "changes",
        "done": 50,
        "total": 100,
        "per_second": 5.0,
        "requests": 7,
        "refused": 1,
        "seconds_waited": 2.5,
        "seconds_left": 10,
    }


def test_nothing_done_and_nothing_asked_is_no_line_but_numbers_all_the_same(log: Lines, clock: Clock) -> None:
    told: list[dict[str, Any]] = []
    meter = Meter()
    progress = Progress(log, CHANGES, meter, total=10, tell=told.append, clock=clock)
    progress.say()
    assert (log.lines, len(told)) == ([], 1)
    meter.requests = 1
    progress.say()
    assert log.lines == ["0 of 10 changes, 1 request"]


def test_lines_go_on_while_nothing_gets_done_and_come_less_often_the_longer_that_lasts(
    log: Lines, clock: Clock
) -> None:
    progress = Progress(log, READ, Meter(), every=5, clock=clock)
    progress.add(10)
    said = []
    for second in range(1, 301):
        clock.now = 50.0 + second
        before = len(log.lines)
        progress.beat()
        said += [second] * (len(log.lines) - before)
    assert said == [5, 15, 35, 75, 135, 195, 255]
    clock.now += 1
    progress.add(1)
    clock.now += 5
    progress.beat()
    assert log.lines[-1].startswith("11 leads read")


def test_the_meter_s_watcher_is_the_progress(log: Lines, clock: Clock) -> None:
    meter = Meter(requests=1)
    progress = Progress(log, READ, meter, every=5, clock=clock)
    clock.now += 6
    assert meter.watch is not None
    meter.watch()
    assert log.lines == [progress.line()]


def test_an_estimate_of_the_total_is_called_one(log: Lines, clock: Clock) -> None:
    progress = Progress(log, READ, Meter(), every=1e9, clock=clock)
    progress.add(500)
    clock.now += 10
    progress.expect(2000)
    assert progress.line() == "500 of about 2,000 leads read, 50 a second, less than a minute left"
    assert (progress.numbers()["total"], progress.numbers()["seconds_left"]) == (2000, 30)
    progress.expect(500)
    assert progress.line() == "500 of 500 leads read, 50 a second"


def test_a_wait_that_is_under_way_is_told_apart(log: Lines, clock: Clock) -> None:
    now = 1000.0
    meter = Meter()
    progress = Progress(log, READ, meter, every=1e9, clock=clock, now=lambda: now)
    meter.wait(now, 561)
    assert progress.line() == "0 leads read, 561 s of waiting to come"
    now += 61
    assert progress.line().endswith("61 s waited for the portal, 500 s of waiting to come")
    assert progress.numbers()["seconds_waited"] == 61
    now += 600
    assert progress.line().endswith("561 s waited for the portal")


def test_waits_of_several_requests_at_the_same_time_count_once() -> None:
    meter = Meter()
    for now, seconds in ((100.0, 2.0), (100.0, 2.0), (101.0, 2.0), (110.0, 1.0)):
        meter.wait(now, seconds)
    assert meter.waited == 4
