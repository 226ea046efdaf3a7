"""The report while a disk does not answer: what it then says, and that Airflow's own routes go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from threading import Event

import anyio
import anyio.to_thread
import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airflow_bitrix.plugins.read_slots import ReadSlots
from airflow_bitrix.plugins.report_api import ReportApp
from airflow_bitrix.plugins.report_tab import PREFIX
from tests.plugins.conftest import MakeRun
from tests.plugins.picky import MINE, THEIRS
from tests.plugins.runs import change, make_plan, note, outcome

HUNG, OTHER = "hung", "other"
ROUTES = (
    "",
    "rows?task=plan",
    "outcomes.csv?task=plan",
    "outcomes.jsonl?task=plan",
    "files/failed.csv?task=plan",
)

Get = Callable[[str], Awaitable[httpx.Response]]
Ask = Callable[[Callable[[Get], Awaitable[None]], ReadSlots], None]


class Disk:
    """One that does not answer for a while."""

    def __init__(self) -> None:
        self.begun, self.answers = Event(), Event()

    def read(self) -> None:
        self.begun.set()
        assert self.answers.wait(60)


def at(route: str, run_id: str, dag_id: str = MINE) -> str:
    return f"{PREFIX}/report/{dag_id}/{run_id}/{route}"


@pytest.fixture
def ask(clients: Callable[[str], TestClient], make_run: MakeRun) -> Ask:
    """Carry out a test that asks as one who may read the DAG ``mine``, of a report that takes these turns."""
    for run_id in (HUNG, OTHER):
        folder = make_run(MINE, run_id) / "plan"
        note(folder, make_plan(folder, [change(1)]), {0: [outcome(1)]})
        (folder / "failed.csv").write_text("owner,owner_id,outcome,reason,address\n")
    cookies = clients("reader").cookies

    def carry_out(test: Callable[[Get], Awaitable[None]], turns: ReadSlots) -> None:
        app = FastAPI()
        app.mount(PREFIX, ReportApp(turns))

        async def within() -> None:
            way = httpx.ASGITransport(app)
            with anyio.fail_after(60):
                async with httpx.AsyncClient(
                    transport=way, base_url="http://airflow", cookies=cookies
                ) as client:
                    await test(client.get)

        anyio.run(within)

    return carry_out


def test_a_run_whose_files_do_not_answer_is_busy_and_no_other(ask: Ask) -> None:
    turns, disk = ReadSlots(at_once=2, patience=0.05), Disk()

    async def test(get: Get) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(turns.take, (MINE, HUNG), disk.read)
            await anyio.to_thread.run_sync(disk.begun.wait)
            for route in ROUTES:
                answer = await get(at(route, HUNG))
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
                assert answer.headers["cache-control"] == "no-store"
                assert (await get(at(route, OTHER))).status_code == 200
            page = await get(at("", HUNG))
            assert "Not now." in page.text
            assert 'data-live="yes"' in page.text, "it looks again by itself"
            disk.answers.set()
        assert (await get(at("", HUNG))).status_code == 200

    ask(test, turns)


def test_who_may_not_see_a_report_is_told_so_also_while_no_disk_answers(ask: Ask) -> None:
    turns, disk = ReadSlots(at_once=1, patience=0.05), Disk()

    async def test(get: Get) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(turns.take, "any", disk.read)
            await anyio.to_thread.run_sync(disk.begun.wait)
            for route in ROUTES:
                assert (await get(at(route, OTHER))).status_code == 503
                assert (await get(at(route, OTHER, THEIRS))).status_code == 403
                assert (await get(at(route, "never"))).status_code == 404
            disk.answers.set()

    ask(test, turns)


def test_no_request_takes_a_thread_that_airflow_s_routes_share(ask: Ask) -> None:
    """Also where none of these is free, every report is given."""

    async def test(get: Get) -> None:
        shared = anyio.to_thread.current_default_thread_limiter()
        for _ in range(int(shared.total_tokens)):
            shared.acquire_on_behalf_of_nowait(object())
        for route in ROUTES:
            assert (await get(at(route, OTHER))).status_code == 200

    ask(test, ReadSlots())


def test_many_who_look_at_many_runs_all_get_their_report(ask: Ask, make_run: MakeRun) -> None:
    names = [f"run_{number}" for number in range(6)]
    for name in names:
        make_plan(make_run(MINE, name) / "plan", [change(1)])

    async def test(get: Get) -> None:
        found: list[int] = []

        async def one(name: str) -> None:
            found.append((await get(at("", name))).status_code)

        async with anyio.create_task_group() as tasks:
            for name in names * 10:
                tasks.start_soon(one, name)
        assert found == [200] * 60

    ask(test, ReadSlots(patience=60))
