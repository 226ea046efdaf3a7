"""The watcher of an asset: what was saved is told once, and after a restart it goes on where it was."""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
from airflow.sdk import BaseHook

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook
from airflow_bitrix.sandbox.clock import Clock
from airflow_bitrix.triggers.records import Bitrix24RecordsSavedTrigger


class Store:
    """The state of an asset as Airflow 3.3 keeps it: JSON."""

    def __init__(self, *, works: bool = True) -> None:
        self.kept: dict[str, str] = {}
        self.works = works

    async def aget(self, key: str) -> Any:
        if not self.works:
            raise ValueError("two assets")
        return json.loads(self.kept.get(key, "null"))

    async def aset(self, key: str, value: Any) -> None:
        if not self.works:
            raise ValueError("two assets")
        self.kept[key] = json.dumps(value)


def save(*leads: int) -> None:
    for lead in leads:
        Bitrix24Hook().call("crm.lead.update", {"id": lead, "fields": {"TITLE": "saved"}})


def trigger(store: Store | None = None, **given: Any) -> Bitrix24RecordsSavedTrigger:
    made = Bitrix24RecordsSavedTrigger(poke_interval=1, **given)
    _, kwargs = json.loads(json.dumps(made.serialize()))
    again = Bitrix24RecordsSavedTrigger(**kwargs)
    assert again.serialize() == made.serialize()
    again.asset_state_store = store  # type: ignore[assignment]
    return again


class Watch:
    """A trigger that runs."""

    def __init__(self, made: Bitrix24RecordsSavedTrigger) -> None:
        self.payloads: list[Any] = []
        self._task = asyncio.ensure_future(self._run(made))

    async def _run(self, made: Bitrix24RecordsSavedTrigger) -> None:
        async for event in made.run():
            self.payloads.append(json.loads(json.dumps(event.payload)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def ids(self) -> list[int]:
        return [one for payload in self.payloads for one in payload["ids"]]


async def until(holds: Any) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 (the portal tells no event)
            await asyncio.sleep(0.02)


def looks(sandbox: Any) -> int:
    return int(sandbox.stats()["methods"].get("crm.item.list", 0))


def test_what_is_saved_is_told_once_and_goes_on_behind_a_restart(sandbox: Any) -> None:
    store = Store()
    save(4)

    async def run() -> None:
        async with Watch(trigger(store)) as watch:
            await until(lambda: store.kept)
            await asyncio.to_thread(save, 7, 5)
            await until(lambda: len(watch.ids) == 2)
            seen = looks(sandbox)
            await until(lambda: looks(sandbox) == seen + 2)
        assert sorted(watch.ids) == [5, 7]
        assert all(one["kind"] == "lead" and one["first"] <= one["last"] for one in watch.payloads)
        await asyncio.to_thread(save, 9)
        async with Watch(trigger(store)) as watch:
            await until(lambda: watch.ids)
        assert watch.ids == [9]
        async with Watch(trigger(store, kind="deal")) as other:
            before = looks(sandbox)
            await until(lambda: looks(sandbox) > before)
        assert other.ids == []

    asyncio.run(run())


def test_a_watcher_whose_clock_is_ahead_of_the_portal_s_misses_nothing(
    make_sandbox: Any, connect: Any
) -> None:
    behind = make_sandbox(leads=20, deals=2, contacts=5, clock=Clock(time=lambda: time.time() - 3600))
    connect(behind.webhook_url)

    async def run() -> None:
        async with Watch(trigger(store := Store())) as watch:
            await until(lambda: store.kept)
            await asyncio.to_thread(save, 7)
            seen = looks(behind)
            await until(lambda: looks(behind) >= seen + 2)
        assert watch.ids == [7]

    asyncio.run(run())


def test_two_watchers_of_one_asset_each_go_on_where_they_were(sandbox: Any) -> None:
    store = Store()

    async def run() -> None:
        for kinds, kind in enumerate(("lead", "deal"), start=1):
            known = dict(store.kept)
            async with Watch(trigger(store, kind=kind)):
                await until(lambda known=known: store.kept != known)
            assert len(store.kept) == kinds
        await asyncio.to_thread(save, 9)
        async with Watch(trigger(store)) as watch:
            await until(lambda: watch.ids)
        assert watch.ids == [9]

    asyncio.run(run())
    assert looks(sandbox)


def test_it_begins_at_a_moment_that_is_given(sandbox: Any) -> None:
    since = datetime.now(UTC).replace(microsecond=0)
    save(*range(1, 61))

    async def run() -> None:
        async with Watch(trigger(Store(works=False), since=since)) as watch:
            await until(lambda: watch.ids)
            assert watch.ids == list(range(1, 61))
            assert looks(sandbox) == 2

    asyncio.run(run())


def test_what_the_portal_refuses_ends_no_watcher(sandbox: Any, connect: Any) -> None:
    connect(f"{sandbox.base_url}/rest/1/wrong0000000/")

    async def run() -> None:
        async with Watch(trigger()) as watch:
            await until(lambda: looks(sandbox) == 1)
            connect(sandbox.webhook_url)
            await until(lambda: looks(sandbox) == 2)
            await asyncio.to_thread(save, 3)
            await until(lambda: watch.ids == [3])

    asyncio.run(run())


def test_what_goes_wrong_in_airflow_ends_no_watcher_either(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Airflow 3.3 a watcher that ended would miss what is saved until it has begun anew."""
    look_up, failed = BaseHook.get_connection, 0

    def sometimes(conn_id: str) -> Any:
        nonlocal failed
        failed += 1
        if failed == 1:
            raise ConnectionError("Airflow's database is away")
        return look_up(conn_id)

    async def run() -> None:
        async with Watch(trigger()) as watch:
            await until(lambda: looks(sandbox) == 1)
            await asyncio.to_thread(save, 3)
            monkeypatch.setattr(BaseHook, "get_connection", staticmethod(sometimes))
            await until(lambda: watch.ids == [3])
        assert failed > 1

    asyncio.run(run())


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "contact"},
        {"since": "2026-11-01"},
        *({"poke_interval": one} for one in ("soon", None, math.nan, math.inf, 0, -5, True, [60])),
    ],
)
def test_what_cannot_be_right_is_refused_when_the_dag_is_parsed(given: dict[str, Any]) -> None:
    [(argument, value)] = given.items()
    with pytest.raises(InvalidInput, match=re.escape(f"{argument}: {value!r} is not accepted")):
        Bitrix24RecordsSavedTrigger(**given)


@pytest.mark.parametrize("given", [90, "90", 90.0, timedelta(minutes=1.5)])
def test_the_interval_is_told_in_seconds(given: Any) -> None:
    assert Bitrix24RecordsSavedTrigger(poke_interval=given).serialize()[1]["poke_interval"] == 90
