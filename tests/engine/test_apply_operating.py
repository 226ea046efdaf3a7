"""Scanning and applying where a method's operating time runs out, on a portal whose clock is the client's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_bitrix.client import flow
from airflow_bitrix.client.allowance import Unlimited
from airflow_bitrix.client.flow import Manners
from airflow_bitrix.client.pacing import Patience, Retries
from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.link_writes import write_commands
from airflow_bitrix.core.links import LinkSet
from airflow_bitrix.core.plan import Change, ChangeOutcome
from airflow_bitrix.core.rules import judge, rules_for
from airflow_bitrix.crm.scan import scan
from airflow_bitrix.engine.apply import apply_changes
from airflow_bitrix.sandbox.clock import Clock
from airflow_bitrix.sandbox.server import Sandbox
from tests.engine.notes import Notes

NOON = 1_772_366_400
SAVE, LOOK, CLEAR = "crm.lead.update", "crm.item.list", "crm.lead.contact.items.delete"


@dataclass
class Hands:
    """A clock for portal and client, moved by the client's waits alone."""

    now: float = NOON

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.now += seconds

    def portal(self) -> Clock:
        return Clock(monotonic=lambda: self.now, time=lambda: self.now)

    def manners(self, *, limit: float = 420, max_wait: float = 30) -> Manners:
        clock = flow.Clock(lambda: self.now, self.sleep, self.sleep_async)
        patience = Patience(operating_limit=limit, max_wait=max_wait)
        return Manners(Unlimited(), Retries(times=3, first=0.01), patience=patience, clock=clock)


@dataclass
class Scene:
    """A sandbox with repeat leads, and runs of their release."""

    sandbox: Sandbox
    hands: Hands
    connect: Callable[..., Any]

    def planned(self) -> list[Change]:
        async def collect() -> list[Change]:
            rules = rules_for("lead", ["release_repeat_leads"])
            async with self.connect(self.sandbox.webhook_url, self.hands.manners()) as portal:
                judged = [judge(state, rules)[0] async for state in scan(portal, "lead")]
            return [change for change in judged if change]

        return asyncio.run(collect())

    def apply(
        self, changes: Sequence[Change], manners: Manners, *, in_flight: int = 2, **options: Any
    ) -> tuple[Notes, RetryLater | None]:
        notes = Notes()

        async def go() -> None:
            async with self.connect(self.sandbox.webhook_url, manners, in_flight=in_flight) as portal:
                await apply_changes(portal, "lead", changes, notes, **options)

        try:
            asyncio.run(go())
        except RetryLater as error:
            return notes, error
        return notes, None

    def resume(self, changes: Sequence[Change], **patience: float) -> tuple[Counter[str], list[float]]:
        """Apply until it is done, each time with a client that knows nothing, waiting as it is told."""
        done: dict[int, ChangeOutcome] = {}
        begun: dict[int, LinkSet] = {}
        waits: list[float] = []
        for _ in range(100):
            applied = {key: one for key, one in done.items() if one.outcome == "applied"}
            notes, later = self.apply(
                changes,
                self.hands.manners(**patience),
                settled_before=applied,
                written_before={one: links for one, links in begun.items() if one not in applied},
            )
            assert notes.names().keys() <= {"applied"}
            done |= notes.outcomes
            begun |= {links.owner.id: links for links in notes.begun}
            if later is None:
                return Counter(one.outcome for one in done.values()), waits
            assert later.until
            assert later.until > self.hands.now
            waits.append(later.until - self.hands.now)
            self.hands.now = later.until
        raise AssertionError("it never ends")

    def released(self) -> bool:
        leads = self.sandbox.links("lead")
        truth = self.sandbox.truth()["expected"]["release_repeat_leads"]["released"]
        return all(
            (leads[str(lead)]["links"], leads[str(lead)]["is_return_customer"]) == ([], "N") for lead in truth
        )

    def writes(self) -> int:
        """Writes that the portal carried out; what it refuses is not among them."""
        return int(self.sandbox.stats()["writes"])


@pytest.fixture
def scene(make_sandbox: Any, connect_async: Any) -> Scene:
    hands = Hands()
    sandbox = make_sandbox(leads=400, contacts=300, plan="enterprise", clock=hands.portal())
    return Scene(sandbox, hands, connect_async)


def halves(sandbox: Sandbox, changes: Sequence[Change], notes: Notes) -> list[int]:
    """Owners without an outcome that were changed all the same."""
    leads = sandbox.links("lead")
    return [
        change.owner.id
        for change in changes
        if change.owner.id not in notes.outcomes
        and len(leads[str(change.owner.id)]["links"]) != len(change.before.links)
    ]


@pytest.mark.parametrize("method", [SAVE, CLEAR, LOOK, "crm.lead.contact.items.get"])
def test_a_method_at_our_limit_leaves_changes_open_none_half_done_and_none_failed(
    method: str, scene: Scene
) -> None:
    changes = scene.planned()
    assert len(changes) > 100
    scene.sandbox.set_switches(operating_seconds={method: 2}, operating_limit=480)
    notes, later = scene.apply(changes, scene.hands.manners(limit=60 if method != LOOK else 16))
    assert later
    assert (later.until, later.retry_after) == (NOON + 601, 601)
    assert set(notes.names()) == {"applied"}
    assert 0 < len(notes.outcomes) < len(changes)
    assert halves(scene.sandbox, changes, notes) == []
    assert scene.sandbox.stats()["refused_429"] == 0


@pytest.mark.parametrize("billing", ["inner", "envelope"])
@pytest.mark.parametrize("method", [SAVE, CLEAR, LOOK, "crm.lead.contact.items.get"])
def test_runs_that_come_back_when_they_are_told_finish_the_plan_and_save_each_lead_once(
    method: str, billing: str, scene: Scene
) -> None:
    changes = scene.planned()
    # Nothing is written before its links were read: that of one request has to fit into the limit.
    seconds = 2 if method.endswith("items.get") else 20
    scene.sandbox.set_switches(
        operating_seconds={method: seconds}, operating_limit=120, batch_billing=billing
    )  # far below the limit that the client believes in: every stop is the portal's refusal
    names, waits = scene.resume(changes, limit=420)
    assert names == {"applied": len(changes)}
    assert waits
    assert all(30 < wait <= 601 for wait in waits)
    assert scene.released()
    # Fewer where the unlinking was refused and the save beside it was not: that one unlinks, too.
    assert scene.writes() <= sum(len(write_commands(change)) + change.save for change in changes)


@pytest.mark.parametrize("billing", ["inner", "envelope"])
def test_below_its_own_limit_the_portal_refuses_nothing(billing: str, scene: Scene) -> None:
    changes = scene.planned()
    # Two requests of 16 saves may be under way when the limit is reached, and no more.
    scene.sandbox.set_switches(operating_seconds={SAVE: 4}, operating_limit=330, batch_billing=billing)
    names, waits = scene.resume(changes, limit=200)
    assert names == {"applied": len(changes)}
    assert waits
    assert scene.sandbox.stats()["refused_429"] == 0
    assert scene.writes() == sum(len(write_commands(change)) + change.save for change in changes)


@pytest.mark.parametrize("billing", ["inner", "envelope"])
def test_a_short_rest_is_waited_for(billing: str, scene: Scene) -> None:
    changes = scene.planned()
    scene.sandbox.set_switches(operating_seconds={SAVE: 4}, operating_limit=480, batch_billing=billing)
    manners = scene.hands.manners(limit=200, max_wait=700)
    notes, later = scene.apply(changes, manners)
    assert later is None
    assert notes.names() == {"applied": len(changes)}
    assert scene.released()
    assert scene.writes() == sum(len(write_commands(change)) + change.save for change in changes)
    assert manners.meter.waited >= 500
    assert scene.sandbox.stats()["refused_429"] == 0


def test_a_change_may_be_put_off_as_often_as_it_takes(scene: Scene) -> None:
    """The portal takes one save in ten minutes and refuses all others, for hours."""
    changes = scene.planned()[:30]
    scene.sandbox.set_switches(operating_seconds={SAVE: 20}, operating_limit=0)
    notes, later = scene.apply(changes, scene.hands.manners(max_wait=700))
    assert later is None
    assert notes.names() == {"applied": len(changes)}
    assert scene.hands.now >= NOON + 600 * (len(changes) - 1)


def test_short_rests_in_which_nothing_is_done_are_waited_for_no_longer_than_a_long_one(scene: Scene) -> None:
    """The portal refuses all saves but one, and promises each time to take the next in a few seconds."""
    changes = scene.planned()[:60]
    scene.sandbox.set_switches(
        operating_seconds={SAVE: 20}, operating_limit=0, refusal_tells_reset=True, rest_seconds=4
    )
    scene.sandbox.reset_stats()
    notes, later = scene.apply(changes, scene.hands.manners(max_wait=30))
    assert later
    assert (later.method, later.until) == (SAVE, scene.hands.now + 5)
    assert notes.names() == {"applied": 1}
    assert scene.hands.now == NOON + 30
    assert scene.sandbox.stats()["methods"]["batch"] < 40
    scene.sandbox.reset_switches()
    left = [change for change in changes if change.owner.id not in notes.outcomes]
    assert scene.resume(left) == ({"applied": len(left)}, [])


def test_changes_that_need_no_resting_method_go_on(scene: Scene) -> None:
    """Of a plan of which some changes are saved and some are not, the others are done."""
    changes = scene.planned()
    saved, others = (
        changes[:60],
        [Change(one.before, one.after, one.reasons) for one in changes[60:] if one.before.links],
    )
    assert others
    scene.sandbox.set_switches(operating_seconds={SAVE: 10}, operating_limit=480)
    notes, later = scene.apply([*saved, *others], scene.hands.manners(limit=100), in_flight=1)
    assert later
    assert later.method == SAVE
    assert {one.owner.id for one in others} <= notes.outcomes.keys()
    assert set(notes.names()) == {"applied"}
    assert len(notes.outcomes) < len(saved) + len(others)


def test_what_the_portal_refuses_without_telling_until_when_is_open_for_a_minute_never_failed(
    scene: Scene,
) -> None:
    changes = scene.planned()
    blocked = {"error": "OPERATION_TIME_LIMIT", "error_description": "Method is blocked."}
    scene.sandbox.set_faults(seed=3, command=1.0, only_methods=[SAVE], command_error=blocked)
    notes, later = scene.apply(changes, scene.hands.manners())
    assert later
    assert later.until == NOON + 61
    assert "failed" not in notes.names()
    refused = scene.sandbox.stats()["methods"]["batch"]
    assert refused < 10, "it is not asked again and again"
    scene.sandbox.clear_faults()
    scene.hands.now = later.until
    names, waits = scene.resume(changes)
    assert (set(names), waits) == ({"applied"}, [])
    assert scene.released()


def test_a_portal_without_limits_is_asked_as_before(make_sandbox: Any, connect_async: Any) -> None:
    hands = Hands()
    sandbox = make_sandbox(leads=300, contacts=200, plan="self_hosted", clock=hands.portal())
    sandbox.set_switches(operating_seconds={SAVE: 100, LOOK: 100})
    scene = Scene(sandbox, hands, connect_async)
    changes = scene.planned()
    manners = hands.manners()
    notes, later = scene.apply(changes, manners)
    assert later is None
    assert notes.names() == {"applied": len(changes)}
    assert manners.meter.waited == 0


@pytest.mark.parametrize("billing", ["inner", "envelope"])
def test_a_scan_waits_for_a_short_rest_and_misses_nobody(billing: str, scene: Scene) -> None:
    scene.sandbox.set_switches(operating_seconds={LOOK: 30}, operating_limit=100, batch_billing=billing)

    async def read(manners: Manners) -> set[int]:
        async with scene.connect(scene.sandbox.webhook_url, manners) as portal:
            seen = [[state.owner.id async for state in scan(portal, "lead")] for _ in range(2)]
            assert seen[0] == seen[1]
            return set(seen[0])

    leads = {int(lead) for lead in scene.sandbox.links("lead")}
    assert asyncio.run(read(scene.hands.manners(max_wait=700))) == leads
    assert scene.hands.now >= NOON + 600
    with pytest.raises(RetryLater) as raised:
        asyncio.run(read(scene.hands.manners()))
    assert raised.value.until
