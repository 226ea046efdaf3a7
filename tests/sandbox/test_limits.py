"""The request bucket and operating time, on a clock that only moves when a test moves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_bitrix.sandbox.clock import Clock
from airflow_bitrix.sandbox.limits import PLANS, Bucket, Budget, OperatingTime, Plan
from airflow_bitrix.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = 1_772_366_400
TOO_MANY = {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}
BLOCKED = {
    "error": "OPERATION_TIME_LIMIT",
    "error_description": "Method is blocked due to operation time limit.",
}


@dataclass
class Hands:
    """The hands of the clock."""

    now: float = NOON

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, time=lambda: self.now)


@dataclass
class Limited:
    """A sandbox with limits, its clock and a caller."""

    hands: Hands
    sandbox: Sandbox
    session: requests.Session

    def post(self, method: str, **params: Any) -> requests.Response:
        return self.session.post(self.sandbox.webhook_url + method, json=params, timeout=10)


@pytest.fixture(scope="module")
def _limited() -> Iterator[Limited]:
    hands = Hands()
    with Sandbox(leads=3, contacts=5, clock=hands.clock()) as sandbox, requests.Session() as session:
        yield Limited(hands, sandbox, session)


@pytest.fixture
def limited(_limited: Limited) -> Limited:
    _limited.sandbox.reset()
    _limited.hands.now = NOON
    return _limited


# Requests


def test_the_plans_are_those_of_the_documentation() -> None:
    expected = {"standard": Plan(2, 50), "enterprise": Plan(5, 250), "self_hosted": None}
    assert expected == PLANS


@pytest.mark.parametrize("name", ["standard", "enterprise"])
def test_a_bucket_admits_its_ceiling_at_once_and_then_its_rate(name: str) -> None:
    plan = PLANS[name]
    assert plan
    bucket = Bucket(plan)
    assert sum(bucket.admit("a", 0.0) for _ in range(1000)) == plan.ceiling
    assert sum(bucket.admit("a", 10.0) for _ in range(1000)) == 10 * plan.rate
    assert sum(bucket.admit("b", 10.0) for _ in range(1000)) == plan.ceiling


def test_a_portal_of_ones_own_admits_everything() -> None:
    bucket = Bucket(None)
    assert all(bucket.admit("a", 0.0) for _ in range(10_000))


def test_over_the_ceiling_requests_are_refused_until_the_bucket_has_drained(limited: Limited) -> None:
    answers = [limited.post("profile") for _ in range(52)]
    assert [answer.status_code for answer in answers] == [200] * 50 + [503] * 2
    assert answers[-1].json() == TOO_MANY
    assert "Retry-After" not in answers[-1].headers
    limited.hands.now += 0.5
    assert [limited.post("profile").status_code for _ in range(2)] == [200, 503]
    stats = limited.sandbox.stats()
    assert (stats["admitted"], stats["refused_503"], stats["max_level"]) == (51, 3, 50)


def test_refused_requests_fill_the_bucket_where_the_switch_says_so(limited: Limited) -> None:
    limited.sandbox.set_switches(count_refused=True)
    for _ in range(60):
        limited.post("profile")
    limited.hands.now += 5
    assert limited.post("profile").status_code == 503
    limited.hands.now += 1
    assert limited.post("profile").status_code == 200


def test_a_batch_is_one_request(limited: Limited) -> None:
    for _ in range(49):
        assert limited.post("profile").status_code == 200
    cmd = {f"c{number}": "profile" for number in range(50)}
    assert len(limited.post("batch", cmd=cmd).json()["result"]["result"]) == 50
    assert limited.post("batch", cmd=cmd).json() == TOO_MANY


def test_unauthorised_requests_count(limited: Limited) -> None:
    for _ in range(50):
        requests.post(f"{limited.sandbox.base_url}/rest/1/wrong/profile", timeout=10)
    assert limited.post("profile").status_code == 503


def test_controls_and_pages_do_not_count(limited: Limited) -> None:
    for _ in range(60):
        limited.session.get(limited.sandbox.base_url + "/__sandbox/stats", timeout=10)
    assert limited.sandbox.stats()["admitted"] == 0


# Operating time


def test_a_method_over_its_operating_time_is_blocked_until_minutes_drop_out(limited: Limited) -> None:
    limited.sandbox.set_switches(operating_limit=300, operating_seconds={"crm.lead.get": 100})
    times = []
    for _ in range(4):
        times.append(limited.post("crm.lead.get", id=1).json()["time"])
        limited.hands.now += 60
    assert [time["operating"] for time in times] == [100, 200, 300, 400]
    assert {time["operating_reset_at"] for time in times} == {NOON + 600}
    answer = limited.post("crm.lead.get", id=1)
    assert (answer.status_code, answer.json()) == (429, BLOCKED)
    assert limited.post("crm.lead.fields").status_code == 200
    assert limited.sandbox.stats()["refused_429"] == 1
    limited.hands.now = NOON + 600
    answer = limited.post("crm.lead.get", id=1)
    assert (answer.status_code, answer.json()["time"]["operating"]) == (200, 400), answer.text
    assert answer.json()["time"]["operating_reset_at"] == NOON + 660


def test_a_refusal_may_tell_the_reset_itself(limited: Limited) -> None:
    limited.sandbox.set_switches(
        operating_limit=0.5, operating_seconds={"crm.lead.get": 1}, refusal_tells_reset=True
    )
    limited.post("crm.lead.get", id=1)
    answer = limited.post("crm.lead.get", id=1)
    assert (answer.status_code, answer.json()) == (
        429,
        BLOCKED | {"time": {"operating_reset_at": NOON + 600}},
    )


def test_short_calls_are_not_counted(limited: Limited) -> None:
    limited.sandbox.set_switches(operating_seconds={"crm.lead.get": 0.1})
    for _ in range(5):
        time = limited.post("crm.lead.get", id=1).json()["time"]
    assert (time["operating"], time["operating_reset_at"]) == (0, NOON + 600)


def test_in_a_batch_single_commands_are_blocked(limited: Limited) -> None:
    limited.sandbox.set_switches(operating_limit=150, operating_seconds={"crm.lead.get": 100})
    cmd = {f"c{number}": "crm.lead.get?id=1" for number in range(3)} | {"p": "profile"}
    answer = limited.post("batch", cmd=cmd)
    assert answer.status_code == 200
    result = answer.json()["result"]
    assert result["result_error"] == {"c2": BLOCKED}
    assert list(result["result"]) == ["c0", "c1", "p"]
    assert [result["result_time"][key]["operating"] for key in ("c0", "c1", "p")] == [100, 200, 0]
    assert answer.json()["time"]["operating"] == 0
    # Webhooks share one account for what they do in batches, and single calls are on another.
    assert limited.post("crm.lead.get", id=1).json()["time"]["operating"] == 100


def test_the_batch_itself_is_billed_where_the_switch_says_so(limited: Limited) -> None:
    limited.sandbox.set_switches(
        batch_billing="envelope", operating_limit=150, operating_seconds={"crm.lead.get": 100}
    )
    cmd = {f"c{number}": "crm.lead.get?id=1" for number in range(4)}
    body = limited.post("batch", cmd=cmd).json()
    assert {time["operating"] for time in body["result"]["result_time"].values()} == {0}
    assert body["time"]["operating"] == 200
    answer = limited.post("batch", cmd=cmd)
    assert (answer.status_code, answer.json()) == (429, BLOCKED)


def test_a_portal_of_ones_own_tells_no_operating_time() -> None:
    with Sandbox(plan="self_hosted") as sandbox:
        sandbox.set_switches(operating_limit=0, operating_seconds={"profile": 10})
        for _ in range(3):
            answer = requests.post(sandbox.webhook_url + "profile", timeout=10)
            assert {"operating", "operating_reset_at"}.isdisjoint(answer.json()["time"])


def test_operating_time_is_kept_for_ten_minutes() -> None:
    account, budget = OperatingTime(), Budget("code", "profile")
    account.bill(budget, 5, NOON)
    account.bill(budget, 7, NOON + 59)
    account.bill(budget, 11, NOON + 60)
    assert account.used(budget, NOON + 599) == 23
    assert account.used(budget, NOON + 600) == 11
    assert account.used(budget, NOON + 660) == 0
