"""Read slots: few requests read files at a time, and a file that hangs holds up its own run alone."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from threading import Event, Lock, Semaphore
from typing import Any

import anyio
import anyio.to_thread
import pytest

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.plugins.read_slots import MOST_DOWNLOADS, PATIENCE, Busy, ReadSlots
from airflow_bitrix.plugins.run_requests import Run

SOON, LONG = 0.05, 30.0


class Work:
    """Work that hangs until it is let go, and tells how much of it was done at a time."""

    def __init__(self) -> None:
        self.may_go, self.at_once, self.most, self.done = Event(), 0, 0, 0
        self._lock, self._begun = Lock(), Semaphore(0)

    def __call__(self) -> None:
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self._begun.release()
        self.may_go.wait(LONG)
        with self._lock:
            self.at_once -= 1
            self.done += 1

    async def begun(self, number: int) -> None:
        """Wait until so many are at work."""
        for _ in range(number):
            assert await anyio.to_thread.run_sync(self._begun.acquire, True, LONG)  # noqa: FBT003


def run(test: Callable[[], Any]) -> None:
    async def within() -> None:
        with anyio.fail_after(LONG):
            await test()

    anyio.run(within)


def test_the_page_waits_longer_than_the_server_before_it_gives_up() -> None:
    """Or it never hears that the server is busy."""
    script = files("airflow_bitrix.report").joinpath("report.js").read_text()
    (milliseconds,) = re.findall(r"PATIENCE = (\d+)", script)
    assert int(milliseconds) > 1000 * PATIENCE


def test_a_run_that_hangs_takes_one_place_however_many_ask_for_it() -> None:
    async def test() -> None:
        turns, hangs, refused = ReadSlots(at_once=2, patience=SOON), Work(), anyio.Semaphore(0)

        async def ask() -> None:
            try:
                await turns.take("hangs", hangs)
            except Busy:
                refused.release()

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
            await hangs.begun(1)
            for number in range(5):
                assert await turns.take("another", partial(abs, number)) == number
            for _ in range(19):
                await refused.acquire()
            hangs.may_go.set()
        assert (hangs.most, hangs.done) == (1, 1)
        assert await turns.take("hangs", lambda: "again") == "again"

    run(test)


def test_so_many_work_at_a_time_and_the_others_wait_without_a_thread() -> None:
    async def test() -> None:
        turns, work = ReadSlots(at_once=3, patience=LONG), Work()
        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(partial(turns.take, number, work))
            await work.begun(3)
            await anyio.sleep(SOON)
            work.may_go.set()
        assert (work.most, work.done) == (3, 12)

    run(test)


def test_who_waits_too_long_for_a_place_is_told() -> None:
    async def test() -> None:
        turns, work = ReadSlots(at_once=1, patience=SOON), Work()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(turns.take, "one", work))
            await work.begun(1)
            with pytest.raises(Busy):
                await turns.take("two", work)
            work.may_go.set()
        assert work.done == 1

    run(test)


def test_who_has_begun_a_download_waits_as_long_as_it_takes() -> None:
    async def test() -> None:
        turns, work, got = ReadSlots(at_once=1, patience=0.0), Work(), []

        async def ask() -> None:
            got.append(await turns.take("one", lambda: "rest", is_patient=True))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(turns.take, "one", work, is_patient=True))
            await work.begun(1)
            tasks.start_soon(ask)
            await anyio.sleep(SOON)
            work.may_go.set()
        assert got == ["rest"]

    run(test)


def test_none_of_the_threads_that_airflow_s_routes_share_is_used() -> None:
    async def test() -> None:
        shared = anyio.to_thread.current_default_thread_limiter()
        for _ in range(int(shared.total_tokens)):
            shared.acquire_on_behalf_of_nowait(object())
        assert await ReadSlots().take("one", lambda: shared.borrowed_tokens) == shared.total_tokens

    run(test)


def test_runs_that_nobody_asks_for_any_more_are_forgotten_and_what_failed_holds_nothing() -> None:
    async def test() -> None:
        turns = ReadSlots(at_once=1)
        for number in range(100):
            with pytest.raises(ZeroDivisionError):
                await turns.take(number % 50, lambda: 1 / 0)
        gc.collect()
        assert len(turns._runs) <= 1, "the last"

    run(test)


@pytest.mark.attack
def test_a_user_has_few_downloads_under_way_and_hinders_no_other() -> None:
    turns = ReadSlots()
    begun = [turns.begin_download("viewer") for _ in range(MOST_DOWNLOADS)]
    for _ in range(3):
        with pytest.raises(Busy):
            turns.begin_download("viewer")
    assert turns.begin_download("another")
    begun.pop()
    assert turns.begin_download("viewer"), "one has ended, or its user went away"


def test_a_download_speaks_one_language_to_its_end() -> None:
    stands: Any = None
    indexes: Any = None
    asked = Run("dag", "run", stands, user="1", turns=ReadSlots(), indexes=indexes, language="ru")

    async def read() -> None:
        pieces = (gettext("none") for _ in range(3))
        answer = await asked.stream(lambda: (pieces, None), "text/csv", "outcomes.csv")
        assert [piece async for piece in answer.body_iterator] == ["нет"] * 3

    run(read)
