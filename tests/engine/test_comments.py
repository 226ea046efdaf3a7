"""Comments on cards, one request at a time: what they wait for, and what is left to the next try."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.stopping import ToldToStopError
from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.plan import Change, ChangeOutcome
from airflow_bitrix.engine.apply import apply_changes
from airflow_bitrix.engine.apply_run import STRETCH
from airflow_bitrix.engine.comments import MOST_DUE, Comments

LEADS = 60


class Notes:
    """A journal in memory of comments."""

    def __init__(self, announced: dict[int, float] | None = None) -> None:
        self.announced = announced or {}
        self.made: list[int] = []

    def is_commented(self, owner_id: int) -> bool:
        return owner_id in self.made

    def commenting(self, owner_ids: Sequence[int]) -> None:
        self.announced |= dict.fromkeys(owner_ids, time.time())

    def writing(self, befores: Sequence[LinkSet]) -> None:
        raise AssertionError(befores)

    def owing(self, owner_ids: Sequence[int]) -> None:
        raise AssertionError(owner_ids)

    def note(self, outcome: ChangeOutcome) -> None:
        assert outcome.outcome == "applied"

    def commented(self, made: Sequence[int], refused: Sequence[int], why: str) -> None:
        assert not refused
        assert not why
        self.made += made


@pytest.fixture
def sandbox(make_sandbox: Any) -> Any:
    sandbox = make_sandbox(plan="self_hosted")
    for _ in range(LEADS):
        sandbox.state.add("lead", {})
    return sandbox


class Ways:
    """Makes comments on so many leads, as an apply does.

    :param closed: What the gate gives, after so many times that it gave nothing.
    """

    def __init__(self, connect: Any, sandbox: Any) -> None:
        self.connect, self.sandbox = connect, sandbox

    def make(self, leads: int, notes: Notes, closed: Exception | None = None, after: int = 0) -> None:
        asked = iter([None] * after)

        async def run(portal: AsyncPortal) -> None:
            text = "It was changed (mark)"
            comments = Comments(portal, notes, lambda *_: text, "mark", lambda: next(asked, closed))
            for lead in range(1, leads + 1):
                links = LinkSet(Owner("lead", lead))
                change = Change(links, links, ("why",))
                comments.take(change, ChangeOutcome(links.owner, "applied"))
                await comments.send()
            await comments.finish()

        async def work() -> None:
            async with self.connect(self.sandbox.webhook_url) as portal:
                await run(portal)

        asyncio.run(work())


@pytest.fixture
def ways(connect_async: Any, sandbox: Any) -> Ways:
    return Ways(connect_async, sandbox)


def test_they_leave_fifty_at_a_time(ways: Ways, sandbox: Any) -> None:
    notes = Notes()
    ways.make(LEADS, notes)
    assert sorted(notes.made) == list(range(1, LEADS + 1))
    assert sandbox.stats()["methods"] == {"batch": 2}
    ways.make(LEADS, notes)
    assert len(sandbox.state.comments) == LEADS


@pytest.mark.parametrize("closed", [RetryLater("quiet hours", until=time.time() + 3600), ToldToStopError()])
def test_nothing_is_said_while_nothing_may_be_written_and_the_next_try_makes_up_for_it(
    ways: Ways, sandbox: Any, closed: Exception
) -> None:
    notes = Notes()
    with pytest.raises(type(closed)):
        ways.make(LEADS, notes, closed, after=1)
    assert len(notes.made) == 50
    ways.make(LEADS, notes)
    ways.make(LEADS, notes, closed)  # when all has been said nobody waits for the gate
    assert len(sandbox.state.comments) == len(notes.made) == LEADS


def test_all_of_them_are_made_where_nothing_is_left_to_write(connect_async: Any, sandbox: Any) -> None:
    leads = range(1, 2 * STRETCH + 101)
    for _ in leads[LEADS:]:
        sandbox.state.add("lead", {})
    links = [LinkSet(Owner("lead", lead)) for lead in leads]
    settled = {one.owner.id: ChangeOutcome(one.owner, "applied", before=one) for one in links}
    notes = Notes()

    async def run() -> None:
        async with connect_async(sandbox.webhook_url) as portal:
            comments = Comments(portal, notes, lambda *_: "It was changed (mark)", "mark", lambda: None)
            changes = [Change(one, one, ("why",)) for one in links]
            await apply_changes(portal, "lead", changes, notes, settled_before=settled, comments=comments)
            await comments.finish()

    asyncio.run(run())
    assert sorted(notes.made) == list(leads)


def test_those_that_are_held_are_bounded(ways: Ways, sandbox: Any) -> None:
    notes = Notes()
    quiet = RetryLater("quiet hours", until=time.time() + 3600)
    with pytest.raises(RetryLater):
        ways.make(MOST_DUE + 100, notes, quiet)
    assert (notes.made, len(sandbox.state.comments)) == ([], 0)


def test_what_an_earlier_try_announced_is_looked_for_and_made_where_it_is_not(
    ways: Ways, sandbox: Any
) -> None:
    for lead in range(1, 31):
        sandbox.state.comment("lead", lead, "Somebody's own", 5)
        sandbox.state.comment("lead", lead, "It was changed (mark)" if lead <= 20 else "another (mask)", 1)
    notes = Notes(dict.fromkeys(range(1, 31), time.time() - 3600))
    ways.make(40, notes)
    assert sorted(notes.made) == list(range(1, 41))
    told = [one.owner_id for one in sandbox.state.comments.values() if "(mark)" in one.text]
    assert sorted(told) == list(range(1, 41))
    assert sandbox.stats()["commands_in_batches"]["crm.timeline.comment.list"] == 30


def test_a_portal_that_is_away_leaves_a_line_in_the_log(
    ways: Ways, sandbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.set_switches(refusal="revoked")
    ways.make(3, Notes())
    [line] = [one for one in caplog.messages if "not made" in one]
    assert line.startswith(
        "3 comments not made, or not seen: batch: the portal does not accept the webhook: "
    )
    assert line.endswith(". A next try of this task makes up for it.")
