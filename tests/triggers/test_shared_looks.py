"""All triggers of an event loop ask together, and nothing is left when they are gone."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from airflow.sdk import BaseHook

from airflow_bitrix.core.errors import Bitrix24Error, Rejected
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.crm.questions import Question, RowCount
from airflow_bitrix.triggers import shared_looks
from airflow_bitrix.triggers.shared_looks import shown
from airflow_bitrix.triggers.waiting import Bitrix24ContactLinksTrigger, Bitrix24RecordsTrigger

LEADS = [Owner("lead", one) for one in range(1, 61)]
DEALS = [Owner("deal", one) for one in range(1, 41)]
COUNTS = [RowCount.of("lead", {">id": one}) for one in range(10)]


def never(_: object) -> bool:
    return False


def waiting(questions: Sequence[Question], conn_id: str = "bitrix24_default") -> list[asyncio.Task[Any]]:
    return [asyncio.ensure_future(shown(conn_id, one, 1, never)) for one in questions]


async def gone(tasks: Sequence[asyncio.Task[Any]]) -> list[Any]:
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def until(holds: Any) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 (the portal tells no event)
            await asyncio.sleep(0.02)


def work(run: Coroutine[Any, Any, None]) -> None:
    """Run on a loop of which nothing is left behind but what its executor's thread needs."""

    async def watched() -> None:
        await run
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
        assert not shared_looks._LOOKS.get(asyncio.get_running_loop())

    asyncio.run(watched())


def test_the_questions_of_all_go_in_one_request_each_time(sandbox: Any) -> None:
    async def run() -> None:
        tasks = waiting([*LEADS, *LEADS, *DEALS, *COUNTS, *COUNTS])
        await until(lambda: sandbox.stats()["methods"].get("batch", 0) == 2)
        await gone(tasks)
        stats = sandbox.stats()
        assert stats["methods"] == {"batch": 2}
        assert stats["commands_in_batches"] == {"crm.item.list": 2 * (2 + 1 + 10)}

    work(run())


def test_who_comes_later_is_asked_with_the_others(sandbox: Any) -> None:
    async def run() -> None:
        tasks = waiting(LEADS[:1])
        await asyncio.sleep(0.3)
        tasks += waiting(LEADS[1:2])
        await until(lambda: sandbox.stats()["methods"].get("batch", 0) == 2)
        await gone(tasks)
        assert sandbox.stats()["commands_in_batches"]["crm.item.list"] == 2

    work(run())


def test_what_fails_for_one_fails_for_no_other(sandbox: Any) -> None:
    async def run() -> None:
        others = waiting([*LEADS, *COUNTS])
        lost, wrong = waiting([Owner("lead", 99999), RowCount.of("deal", {"nothing": 1})])
        found = await asyncio.gather(lost, wrong, return_exceptions=True)
        assert all(isinstance(error, Rejected) for error in found)
        assert str(found[0]).startswith("lead 99999 is not there")
        assert not any(task.done() for task in others)
        assert set(map(type, await gone(others))) == {asyncio.CancelledError}

    work(run())
    del sandbox


def test_an_answer_comes_to_all_who_ask_for_it(sandbox: Any) -> None:
    del sandbox

    async def run() -> None:
        links = [
            shown("bitrix24_default", LEADS[0], 1, lambda told: isinstance(told, LinkSet)) for _ in "abc"
        ]
        counts = [shown("bitrix24_default", COUNTS[5], 1, lambda told: told == 115) for _ in "ab"]
        found = await asyncio.gather(*links, *counts)
        assert [one.owner for one in found[:3] if isinstance(one, LinkSet)] == LEADS[:1] * 3
        assert found[3:] == [115, 115]

    work(run())


def test_an_outage_is_waited_out_and_told_once(sandbox: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        sandbox.set_faults(html=1.0)
        found = asyncio.ensure_future(shown("bitrix24_default", LEADS[0], 1, lambda _: True))
        await until(lambda: caplog.messages)
        sandbox.clear_faults()
        assert isinstance(await found, LinkSet)

    with caplog.at_level(logging.WARNING, "airflow_bitrix.triggers"):
        work(run())
    [said] = caplog.messages
    assert said.startswith("Nothing is known now, and waiting goes on: ")


def test_whoever_waits_hears_of_a_connection_that_cannot_be_right(connect: Any) -> None:
    connect("https://acme.bitrix24.com/rest/1/abcdef123456/", "elsewhere", in_flight=0)

    async def run() -> None:
        tasks = [*waiting(LEADS[:2], "elsewhere"), *waiting(LEADS[:1], "missing")]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(error, Bitrix24Error) for error in found)
        assert str(found[0]).startswith("connection 'elsewhere': ")
        assert str(found[2]).startswith("bitrix24_conn_id: 'missing' is not accepted")

    work(run())


def test_two_connections_are_asked_apart(make_sandbox: Any, connect: Any) -> None:
    sandboxes = {name: make_sandbox(leads=20, plan="self_hosted") for name in ("one", "other")}
    for name, sandbox in sandboxes.items():
        connect(sandbox.webhook_url, name)

    async def run() -> None:
        tasks = [task for name in sandboxes for task in waiting(LEADS[:3], name)]
        await until(lambda: all(one.stats()["methods"].get("batch") for one in sandboxes.values()))
        await gone(tasks)

    work(run())


def test_the_loop_goes_on_while_airflow_looks_up_the_connection(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its triggerer warns of a loop that is held up for 0.2 seconds."""
    slow, look_up = 0.5, BaseHook.get_connection

    def slowly(conn_id: str) -> Any:
        time.sleep(slow)
        return look_up(conn_id)

    async def run() -> None:
        found = asyncio.ensure_future(shown("bitrix24_default", LEADS[0], 1, lambda _: True))
        clock = asyncio.get_running_loop().time
        longest, before = 0.0, clock()
        while not found.done():
            await asyncio.sleep(0.01)
            longest, before = max(longest, clock() - before), clock()
        assert longest < slow

    monkeypatch.setattr(BaseHook, "get_connection", staticmethod(slowly))
    work(run())
    del sandbox


COMMON: dict[str, Any] = {"bitrix24_conn_id": "bitrix24_default", "poke_interval": 1}


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        (Bitrix24ContactLinksTrigger(kind="contact", owner_id=5, has=[7], **COMMON), "kind: 'contact' is"),
        (Bitrix24ContactLinksTrigger(kind="lead", owner_id=0, has=[7], **COMMON), "owner_id: 0 is"),
        (Bitrix24ContactLinksTrigger(kind="lead", owner_id=5, **COMMON), "has: None is"),
        (
            Bitrix24RecordsTrigger(kind="lead", filter={"title": None}, **COMMON),
            "filter: nothing is given for",
        ),
        (Bitrix24RecordsTrigger(kind="order", filter={}, **COMMON), "kind: 'order' is"),
    ],
)
def test_a_question_that_cannot_be_asked_fails_its_own_task_alone(
    sandbox: Any, trigger: Any, said: str
) -> None:
    async def run() -> None:
        others = waiting(LEADS[:3])
        event = await anext(trigger.run())
        assert event.payload["said"].startswith(said)
        assert not any(task.done() for task in others)
        await gone(others)

    work(run())
    del sandbox


@pytest.mark.parametrize(
    "trigger",
    [
        Bitrix24ContactLinksTrigger(
            bitrix24_conn_id="bitrix24_default", kind="lead", owner_id=5, poke_interval=60, exactly=[]
        ),
        Bitrix24RecordsTrigger(
            bitrix24_conn_id="bitrix24_default",
            kind="deal",
            filter={"@id": [1, 2]},
            poke_interval=60,
            at_least=1,
        ),
    ],
)
def test_a_trigger_is_made_again_of_what_it_tells(trigger: Any) -> None:
    path, kwargs = json.loads(json.dumps(trigger.serialize()))
    again = type(trigger)(**kwargs)
    assert again.serialize() == trigger.serialize()
    assert again._question()[0] == trigger._question()[0]
    assert path == f"airflow_bitrix.triggers.waiting.{type(trigger).__name__}"
