"""A list of whatever has ids, of a portal in this process: how it is cut, what it holds, how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_bitrix.client.allowance import Unlimited
from airflow_bitrix.client.flow import Clock, Manners
from airflow_bitrix.client.list_sweep import ListSweep
from airflow_bitrix.client.listing import Listing
from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.client.portal import AsyncPortal, Portal
from airflow_bitrix.client.row_pages import PAGE
from airflow_bitrix.client.wire import Answer, Call, Reply, Request, read, request_of
from airflow_bitrix.core.errors import AuthFailed, Bitrix24Error
from tests.growth import traced


class Users:
    """A portal of users, who are filtered by id and come with some text."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = ids
        self.started = self.running = 0
        self.quick = 10**6
        self.requests = 0

    def __call__(self, request: Request) -> Reply:
        self.requests += 1
        body = json.loads(request.body)
        if request.method != "batch":
            page, total = self._page(body["filter"], body["order"])
            return self._reply({"result": page, "total": total})
        pages: dict[str, Any] = {}
        totals: dict[str, int] = {}
        for key, command in body["cmd"].items():
            text = unquote_plus(command)
            wanted = {sign: int(bound) for sign, bound in re.findall(r"filter\[([<>=]+ID)\]=(\d+)", text)}
            pages[key], totals[key] = self._page(wanted, "DESC" if "order=DESC" in text else "ASC")
        return self._reply({"result": {"result": pages, "result_total": totals, "result_error": []}})

    async def later(self, request: Request) -> Reply:
        self.started += 1
        self.running += 1
        try:
            await asyncio.sleep(0.001 if self.started <= self.quick else 60)
            return self(request)
        finally:
            self.running -= 1

    def _page(self, wanted: dict[str, int], order: str) -> tuple[list[Any], int]:
        low = max(wanted.get(">ID", 0) + 1, wanted.get(">=ID", 0))
        high = min(wanted.get("<ID", 2**60) - 1, wanted.get("<=ID", 2**60))
        found = self.ids[bisect_left(self.ids, low) : bisect_right(self.ids, high)]
        page = found[:PAGE] if order == "ASC" else found[-PAGE:][::-1]
        return [{"ID": str(one), "NAME": f"user {one} " * 20} for one in page], len(found)

    @staticmethod
    def _reply(body: Any) -> Reply:
        return Reply(200, json.dumps(body).encode())


def ids(rows: Sequence[Any]) -> list[int]:
    return [int(row["ID"]) for row in rows]


@given(
    st.lists(st.tuples(st.integers(1, 100_000), st.integers(1, 400), st.integers(1, 300)), max_size=6),
    st.sampled_from(["ASC", "DESC"]),
    st.sampled_from([{}, {">ID": 400}, {"<=ID": 50_000}, {">=ID": 20, "<ID": 90_000}]),
)
@settings(max_examples=60)
def test_whatever_clusters_ids_come_in_each_comes_once_and_in_order(
    clusters: list[tuple[int, int, int]], order: str, wanted: dict[str, int]
) -> None:
    there = sorted({first + step * n for first, count, step in clusters for n in range(count)})
    users = Users(there)
    rows = ids(list(Portal(users, Manners(Unlimited())).list("user.get", {"order": order, "filter": wanted})))
    low = max(wanted.get(">ID", 0) + 1, wanted.get(">=ID", 0))
    high = min(wanted.get("<ID", 10**9) - 1, wanted.get("<=ID", 10**9))
    assert rows == sorted((n for n in there if low <= n <= high), reverse=order == "DESC")
    assert users.requests <= max(8, len(rows) // PAGE + 1)  # no more than page by page, however odd the ids


@given(st.sets(st.integers(1, 3000), min_size=50, max_size=700), st.randoms(use_true_random=False))
def test_however_many_commands_a_batch_holds_and_however_answers_overtake_each_other(
    there: set[int], luck: random.Random
) -> None:
    users = Users(sorted(there))
    listing = Listing("user.get", {})
    page = listing.take(read_answer(users, listing.call()))
    sweep = ListSweep(listing, page)
    given_rows = list(page)
    out: list[Any] = []
    while not sweep.done:
        while len(out) < 4 and (ask := sweep.next(luck.choice([1, 2, 3, 50]))):
            out.append(ask)
        ask = out.pop(luck.randrange(len(out)))
        sweep.take(ask, [read_answer(users, call) for call in ask.calls])
        for some in sweep.pages():
            given_rows += some
    assert ids(given_rows) == sorted(there)


def read_answer(users: Users, call: Call) -> Answer:
    answer = read(users(request_of(call)))
    assert isinstance(answer, Answer)
    return answer


def test_users_are_listed_by_ranges_too(manners: Manners) -> None:
    users = Users(range(1, 5001))
    assert len(list(Portal(users, manners).list("user.get"))) == 5000
    assert users.requests == 3


@pytest.mark.slow
def test_100_000_rows_take_at_most_a_fifth_more_than_the_fewest_requests(manners: Manners) -> None:
    users = Users(range(1, 100_001))
    assert sum(1 for _ in Portal(users, manners).list("user.get", {"select": ["ID"]})) == 100_000
    assert users.requests <= 1.2 * 40

    async def count() -> int:
        return len([row async for row in AsyncPortal(users.later, manners).list("user.get")])

    users.requests = 0
    assert asyncio.run(count()) == 100_000
    assert users.requests <= 1.2 * 40


def test_a_portal_that_reads_no_bounds_is_found_out(manners: Manners) -> None:
    class Deaf(Users):
        def _page(self, _wanted: dict[str, int], order: str) -> tuple[list[Any], int]:
            return super()._page({}, order)

    with pytest.raises(
        Bitrix24Error, match=r"^user\.get: the portal counts 150 rows, more than there are ids from 1 to 100"
    ):
        list(Portal(Deaf(range(1, 101)), manners).list("user.get"))


def peak(work: Callable[[], object]) -> int:
    with traced() as memory:
        work()
        return memory()[1]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_list(manners: Manners) -> None:
    def sync(rows: int) -> int:
        users = Users(range(1, rows + 1))
        return peak(lambda: sum(1 for _ in Portal(users, manners, 2).list("user.get")))

    def in_flight(rows: int) -> int:
        users = Users(range(1, rows + 1))

        async def count() -> int:
            found = 0
            async for _ in AsyncPortal(users.later, manners, 2).list("user.get"):
                found += 1
            return found

        return peak(lambda: asyncio.run(count()))

    sync(200)  # what is imported and kept once and for all
    # The shorter one keeps both lanes busy, too.
    assert sync(36_000) < 1.5 * sync(12_000)
    assert in_flight(36_000) < 1.5 * in_flight(12_000)


def test_the_sync_client_has_several_batches_under_way(manners: Manners) -> None:
    """All of them are at the portal before it answers one of them."""
    users, all_there = Users(range(1, 30_001)), threading.Barrier(3)

    def send(request: Request) -> Reply:
        if users.requests > 2:
            all_there.wait(timeout=60)
        return users(request)

    rows = Portal(send, manners, in_flight=3).list("user.get")
    assert ids(list(islice(rows, 9000))) == list(range(1, 9001))
    all_there.abort()
    with pytest.raises(threading.BrokenBarrierError):
        list(rows)


READ = 15_050


def is_early(request: Request) -> bool:
    """Whether a request is one of those that give the first rows, whichever thread sends it when."""
    begins = map(int, re.findall(r"filter\[>=?ID\]=(\d+)", unquote_plus(request.body.decode())))
    return min(begins, default=0) <= READ


def further(threads: Collection[threading.Thread]) -> set[threading.Thread]:
    """Threads that have begun since: those of an earlier test may end meanwhile."""
    return set(threading.enumerate()).difference(threads)


def no_more_than(threads: Collection[threading.Thread]) -> None:
    """Threads that are done with their last request end by themselves."""
    ends = time.monotonic() + 20
    while further(threads) and time.monotonic() < ends:
        time.sleep(0.01)
    assert not further(threads)


def test_who_leaves_a_list_waits_for_no_thread_that_waits(manners: Manners) -> None:
    """Whether by a break, an error or the end of a task's time."""
    users, stuck = Users(range(1, 60_001)), threading.Event()

    def send(request: Request) -> Reply:
        if not is_early(request):
            stuck.wait(60)
        return users(request)

    threads = threading.enumerate()
    rows = Portal(send, manners).list("user.get")
    assert ids(list(islice(rows, READ))) == list(range(1, READ + 1))
    sent = users.requests
    rows.close()  # type: ignore[attr-defined]
    assert further(threads)
    assert users.requests == sent
    stuck.set()
    no_more_than(threads)
    assert users.requests <= sent + 5


def test_a_thread_that_sleeps_learns_that_nobody_wants_its_rows() -> None:
    users, threads = Users(range(1, 60_001)), threading.enumerate()
    naps: list[float] = []

    asleep = threading.Event()

    def send(request: Request) -> Reply:
        if is_early(request):
            return users(request)
        return Reply(502, b"<title>Bad gateway</title>")

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        asleep.set()
        time.sleep(0.01)

    manners = Manners(Unlimited(), Retries(times=1000, first=3600, longest=3600), clock=Clock(sleep=sleep))
    rows = Portal(send, manners).list("user.get")
    assert len(list(islice(rows, READ))) == READ
    assert asleep.wait(20)
    rows.close()  # type: ignore[attr-defined]
    no_more_than(threads)
    assert max(naps) <= 0.5


def test_a_list_may_be_closed_in_a_thread_of_its_own(manners: Manners) -> None:
    """The garbage collector closes a list that was forgotten, in whichever thread makes something."""
    users, threads = Users(range(1, 60_001)), threading.enumerate()
    begun, forgotten, first, closed = (
        threading.Event(), threading.Event(), threading.Lock(), threading.Event(),
    )  # fmt: skip

    def send(request: Request) -> Reply:
        if not is_early(request):
            begun.set()
            forgotten.wait(60)
            if first.acquire(blocking=False):
                rows.close()  # type: ignore[attr-defined]
                closed.set()
        return users(request)

    rows = Portal(send, manners).list("user.get")
    assert len(list(islice(rows, READ))) == READ
    while not begun.wait(1):  # a busy machine may have sent none of these yet
        next(iter(rows))
    forgotten.set()
    assert closed.wait(20)
    no_more_than(threads)
    assert users.requests <= 8 + 5


def test_a_list_is_not_read_on_in_a_forked_child(manners: Manners) -> None:
    rows = Portal(Users(range(1, 30_001)), manners).list("user.get")
    assert len(list(islice(rows, 3000))) == 3000
    child = os.fork()
    if not child:
        try:
            list(rows)
        except RuntimeError as error:
            os._exit(7 if "another process" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert len(list(rows)) == 27_000


def test_calls_go_on_beside_a_list_of_the_same_client(manners: Manners) -> None:
    portal = Portal(Users(range(1, 20_001)), manners)
    seen = 0
    for _ in portal.list("user.get"):
        seen += 1
        if seen % 500 == 0:
            assert portal.call("user.get", {"filter": {">ID": seen - 1}, "order": "ASC"})
    assert seen == 20_000


def test_an_error_of_one_thread_ends_the_list_and_the_others(manners: Manners) -> None:
    users = Users(range(1, 30_001))
    threads = threading.enumerate()

    def send(request: Request) -> Reply:
        if users.requests == 5:
            users.requests += 1
            return Reply(403, b'{"error": "INVALID_CREDENTIALS", "error_description": "not you"}')
        return users(request)

    with pytest.raises(AuthFailed, match="not you"):
        list(Portal(send, manners).list("user.get"))
    assert users.requests <= 5 + 5
    no_more_than(threads)


def test_a_list_that_is_read_by_half_leaves_nothing_running(manners: Manners) -> None:
    users = Users(range(1, 50_001))
    threads = threading.enumerate()
    rows = Portal(users, manners).list("user.get")
    assert ids(list(islice(rows, 3000))) == list(range(1, 3001))
    del rows
    no_more_than(threads)
    requests = users.requests
    assert requests <= 2 + 5 + 5

    users.quick = 3

    async def half() -> None:
        async with aclosing(AsyncPortal(users.later, manners).list("user.get")) as found:
            seen = 0
            async for _ in found:
                seen += 1
                if seen == 3000:
                    break
            assert users.running == 4
            requests = users.requests
        assert len(asyncio.all_tasks()) == 1
        assert users.running == 0
        assert users.requests == requests

    asyncio.run(half())
