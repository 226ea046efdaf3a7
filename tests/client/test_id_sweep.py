"""A sweep comes to its end whatever comes back last, and asks no more than it must."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import random
import re
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote_plus

import pytest

from airflow_bitrix.client.flow import Manners
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import PAGE, OddAnswer
from airflow_bitrix.client.table_sweep import Table, sweep
from airflow_bitrix.client.wire import Call, Reply, Request
from airflow_bitrix.core.errors import Rejected

TABLE: Table[int] = Table(
    lambda wanted, order: Call(
        "ids.list", {"order": order, "filter": wanted} if wanted else {"order": order}
    ),
    "id",
    lambda row: int(row["id"]),
    lambda number: number,
)


class Ids:
    """A portal of nothing but ids, which hold one request back until the others have been answered."""

    def __init__(self, ids: Sequence[int], *, held: int = 0, until: int = 0) -> None:
        self.ids = ids
        self.held = held
        self.until = until
        self.requests = 0
        self.answered = 0
        self.enough = asyncio.Event()
        self.refused: set[int] = set()

    async def __call__(self, request: Request) -> Reply:
        self.requests += 1
        if self.requests == self.held:
            await self.enough.wait()
        self.answered += 1
        if self.answered >= self.until:
            self.enough.set()
        results: dict[str, Any] = {}
        totals: dict[str, int] = {}
        errors: dict[str, Any] = {}
        for key, command in json.loads(request.body)["cmd"].items():
            text = unquote_plus(command)
            if any(f"[>=id]={first}&" in text for first in self.refused):
                errors[key] = {"error": "", "error_description": "no"}
            else:
                results[key], totals[key] = self._page(text)
        maps = {"result": results, "result_total": totals, "result_error": errors}
        return Reply(200, json.dumps({"result": maps}).encode())

    def _page(self, command: str) -> tuple[list[dict[str, int]], int]:
        found = re.search(r"\[>=id\]=(\d+)&filter\[<=id\]=(\d+)", command)
        first, last = map(int, found.groups()) if found else (1, 10**9)
        rows = self.ids[bisect_left(self.ids, first) : bisect_right(self.ids, last)]
        page = rows[-PAGE:][::-1] if "order=DESC" in command else rows[:PAGE]
        return [{"id": number} for number in page], len(rows)


def swept(portal: Ids, manners: Manners, *, ordered: bool, in_flight: int = 5) -> list[int]:
    async def run() -> list[int]:
        client = AsyncPortal(portal, manners, in_flight)
        return [row async for row in sweep(client, [(TABLE, {})], ordered=ordered)]

    return asyncio.run(run())


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """Give what some work gives; a loop that never waits could not be ended by another task."""
    given: list[Any] = []
    thread = threading.Thread(target=lambda: given.append(work()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert given, f"it did not come to its end in {seconds} s"
    return given[0]


@pytest.fixture
def sparse() -> list[int]:
    """60,000 ids of 600,000."""
    return sorted(random.Random(5).sample(range(1, 600_000), 60_000))


@pytest.mark.parametrize("held", [2, 3, 4])
def test_the_lowest_ids_may_come_last_and_leave_more_to_read(
    held: int, sparse: list[int], manners: Manners
) -> None:
    """Pages that wait for a slow one fill the room there is; what that one leaves must get through."""
    portal = Ids(sparse, held=held, until=18)
    assert within(60, lambda: swept(portal, manners, ordered=True, in_flight=20)) == sparse


def test_order_and_rows_are_right_however_answers_overtake_each_other(
    sparse: list[int], manners: Manners
) -> None:
    for held, until in ((2, 3), (4, 9), (7, 8)):
        portal = Ids(sparse[:20_000], held=held, until=until)
        assert within(30, partial(swept, portal, manners, ordered=True)) == sparse[:20_000]


@pytest.mark.parametrize("ids", [range(1, 20_001), range(7, 60_000, 13), [3, 9], []], ids=len)
def test_the_total_is_told_with_the_first_answer(ids: Sequence[int], manners: Manners) -> None:
    told: list[int] = []
    portal = Ids(ids)

    async def run() -> int:
        rows = sweep(AsyncPortal(portal, manners), [(TABLE, {})], ordered=False, expect=told.append)
        return len([row async for row in rows if told])

    assert asyncio.run(run()) == len(ids)
    assert told == [len(ids)]


def test_a_range_that_the_portal_refuses_ends_the_sweep_with_its_words(
    sparse: list[int], manners: Manners, caplog: pytest.LogCaptureFixture
) -> None:
    class Refusing(Ids):
        async def __call__(self, request: Request) -> Reply:
            if self.requests >= 4:
                self.refused |= {
                    int(first) for first in re.findall(r"%3E%3Did]=(\d+)&", request.body.decode())
                }
            return await super().__call__(request)

    def run() -> BaseException | None:
        try:
            swept(Refusing(sparse), manners, ordered=False)
        except Rejected as error:
            return error
        return None

    with caplog.at_level(logging.ERROR):
        assert str(within(30, lambda: [run()])[0]) == "ids.list: the portal refused: no"
        gc.collect()
    assert caplog.text == ""


class Elsewhere(Ids):
    """A portal whose first or last page is full of rows that lie further in."""

    def __init__(self, ids: Sequence[int], order: str) -> None:
        super().__init__(ids)
        self.order = order

    def _page(self, command: str) -> tuple[list[dict[str, int]], int]:
        if ">=id" in command or f"order={self.order}" not in command:
            return super()._page(command)
        rows = self.ids[-2 * PAGE : -PAGE][::-1] if self.order == "DESC" else self.ids[PAGE : 2 * PAGE]
        return [{"id": number} for number in rows], len(self.ids)


@pytest.mark.parametrize("count", [150, 3000, 9000])
@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_a_full_page_that_is_not_the_first_or_the_last_is_found_out_by_the_number_of_rows(
    order: str, count: int, sparse: list[int], manners: Manners
) -> None:
    portal = Elsewhere(sparse[:count], order)
    assert sorted(swept(portal, manners, ordered=False)) == sparse[:count]
    requests, whole = portal.requests, Ids(sparse[:count])
    swept(whole, manners, ordered=False)
    assert requests <= whole.requests + 8
    if order == "DESC" or count <= 3 * PAGE:  # nothing was given yet when it was found out
        assert swept(portal, manners, ordered=True) == sparse[:count]
    else:
        said = rf"^ids\.list: of {count:,} rows that the portal counts, some came behind others that .* them$"
        with pytest.raises(OddAnswer, match=said):
            swept(portal, manners, ordered=True)


def test_a_page_that_lacks_rows_is_asked_for_again_and_no_other(sparse: list[int], manners: Manners) -> None:
    class Short(Ids):
        def _page(self, command: str) -> tuple[list[dict[str, int]], int]:
            rows, total = super()._page(command)
            pages.append(command)
            return rows[: -1 if luck.random() < 0.05 else None], total

    luck, pages = random.Random(3), list[str]()
    assert swept(Short(sparse[:20_000]), manners, ordered=True) == sparse[:20_000]
    again = [page for page in set(pages) if pages.count(page) > 1]
    assert 0 < len(pages) - len(set(pages)) < 0.1 * len(set(pages)) + len(again)
