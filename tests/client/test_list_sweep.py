"""A list of everything: each row once and in order, with hardly more requests than its rows need."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from airflow_bitrix.client.portal import Portal
from airflow_bitrix.client.row_pages import PAGE
from airflow_bitrix.core.errors import InvalidInput, Rejected
from airflow_bitrix.sandbox.server import Sandbox

LEADS = "crm.lead.list"
ITEMS = "crm.item.list"

List = Callable[..., list[Any]]
"""List a method of a sandbox; ``on_row`` is called with each row as it comes."""


@pytest.fixture(params=["sync", "async"])
def listed(
    request: pytest.FixtureRequest, connect: Callable[..., Portal], connect_async: Callable[..., Any]
) -> List:
    """Both clients do the same."""

    def sync(
        sandbox: Sandbox, method: str, params: Any = None, on_row: Callable[[Any], object] = id
    ) -> list[Any]:
        rows = []
        for row in connect(sandbox.webhook_url).list(method, params):
            rows.append(row)
            on_row(row)
        return rows

    def in_flight(
        sandbox: Sandbox, method: str, params: Any = None, on_row: Callable[[Any], object] = id
    ) -> list[Any]:
        async def collect() -> list[Any]:
            rows = []
            async with connect_async(sandbox.webhook_url) as portal:
                async for row in portal.list(method, params):
                    rows.append(row)
                    on_row(row)
            return rows

        return asyncio.run(collect())

    return sync if request.param == "sync" else in_flight


def with_leads(make_sandbox: Any, ids: Sequence[int], fields: Callable[[int], Any] = lambda _: {}) -> Sandbox:
    """A sandbox with leads of these ids and no others."""
    sandbox: Sandbox = make_sandbox(plan="self_hosted")
    staying = set(ids)
    for lead in range(1, max(ids) + 1):
        sandbox.state.add("lead", fields(lead))
        if lead not in staying:
            sandbox.state.delete("lead", lead)
    return sandbox


def asked(sandbox: Sandbox) -> int:
    """Requests since the last time."""
    requests: int = sandbox.stats()["admitted"]
    sandbox.reset_stats()
    return requests


def ids(rows: Sequence[Any]) -> list[int]:
    return [int(row.get("ID", row.get("id"))) for row in rows]


BOTH: list[tuple[str, dict[str, Any]]] = [
    (LEADS, {"select": ["ID"]}),
    (ITEMS, {"entityTypeId": 1, "select": ["id"]}),
]


@pytest.mark.parametrize("leads", [0, 1, 49, 50, 51, 99, 100, 101, 2000, 2499, 2500, 2501, 5000])
def test_every_row_comes_once_and_in_order(leads: int, make_sandbox: Any, listed: List) -> None:
    sandbox = make_sandbox(leads=leads, contacts=10, plan="self_hosted")
    for method, params in BOTH:
        assert ids(listed(sandbox, method, params)) == list(range(1, leads + 1))
        assert asked(sandbox) <= (1 if leads < PAGE else 2 if leads <= 2550 else 3)
        down: dict[str, Any] = {**params, "order": {"id" if method == ITEMS else "ID": "DESC"}}
        assert ids(listed(sandbox, method, down)) == list(range(leads, 0, -1))
        assert asked(sandbox) <= (1 if leads < PAGE else 2 if leads <= 2550 else 3)


def test_a_filter_costs_the_request_for_the_fields_and_no_other(make_sandbox: Any, listed: List) -> None:
    sandbox = with_leads(make_sandbox, range(1, 5001), lambda _: {"TITLE": "x"})
    assert len(listed(sandbox, LEADS, {"filter": {"=TITLE": "x"}, "select": ["TITLE"]})) == 5000
    assert asked(sandbox) <= 4


def test_20_000_dense_rows_take_hardly_more_than_the_fewest_requests(make_sandbox: Any, listed: List) -> None:
    sandbox = with_leads(make_sandbox, range(1, 20_001))
    assert ids(listed(sandbox, *BOTH[0])) == list(range(1, 20_001))
    assert asked(sandbox) <= 1.2 * math.ceil(20_000 / 2500)


def test_ids_with_90_percent_gaps_take_at_most_two_and_a_half_times_the_fewest_requests(
    make_sandbox: Any, listed: List
) -> None:
    kept = sorted(random.Random(5).sample(range(1, 50_001), 5000))
    sandbox = with_leads(make_sandbox, kept)
    assert ids(listed(sandbox, *BOTH[1])) == kept
    assert asked(sandbox) <= 5


def test_clusters_between_wide_gaps_lose_nothing(make_sandbox: Any, listed: List) -> None:
    kept = [*range(1, 400, 9), *range(30_000, 33_000), 39_000, *range(49_990, 50_001)]
    sandbox = with_leads(make_sandbox, kept)
    for order in ("ASC", "DESC"):
        rows = ids(listed(sandbox, LEADS, {"order": {"ID": order}, "select": ["ID"]}))
        assert sorted(rows) == kept
        assert rows == sorted(rows, reverse=order == "DESC")
        assert asked(sandbox) <= 8


def test_a_filter_that_matches_1_percent_takes_few_requests(make_sandbox: Any, listed: List) -> None:
    rare = set(random.Random(6).sample(range(1, 30_001), 300))
    sandbox = with_leads(
        make_sandbox, range(1, 30_001), lambda lead: {"SOURCE_ID": "RARE" if lead in rare else "WEB"}
    )
    assert ids(listed(sandbox, LEADS, {"filter": {"SOURCE_ID": "RARE"}})) == sorted(rare)
    assert asked(sandbox) <= 4
    assert ids(listed(sandbox, ITEMS, {"entityTypeId": 1, "filter": {"sourceId": "RARE"}})) == sorted(rare)
    assert asked(sandbox) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_what_a_filter_says_of_ids_stays_in_force(order: str, make_sandbox: Any, listed: List) -> None:
    sandbox = make_sandbox(leads=3000, contacts=10, plan="self_hosted")
    cases: list[tuple[str, Any, list[int]]] = [
        (LEADS, {">ID": 100, "<=ID": 1200}, list(range(101, 1201))),
        (LEADS, {">=ID": "100", "!@ID": [200], "<ID": 900}, [*range(100, 200), *range(201, 900)]),
        (LEADS, {"@ID": list(range(3, 3000, 7))}, list(range(3, 3000, 7))),
        (LEADS, {"ID": 7}, [7]),
        (LEADS, {">ID": 2999, "<ID": 3000}, []),
        (LEADS, {">ID": 5000}, []),
        (ITEMS, {">=ID": 100, "<id": 1200}, list(range(100, 1200))),
        (ITEMS, {"0": {"logic": "OR", "<=id": 90, ">id": 2000}}, [*range(1, 91), *range(2001, 3001)]),
        (ITEMS, {"logic": "OR", "<=id": 90, ">id": 2000}, [*range(1, 91), *range(2001, 3001)]),
    ]  # fmt: skip
    for method, wanted, expected in cases:
        item = {"entityTypeId": 1, "order": {"id": order}}
        params = {"filter": wanted, **(item if method == ITEMS else {"order": {"ID": order}})}
        found = ids(listed(sandbox, method, params))
        assert found == (expected if order == "ASC" else expected[::-1]), wanted
    assert asked(sandbox) <= 25


def test_a_filter_with_a_truth_value_means_the_same_on_every_page(make_sandbox: Any, listed: List) -> None:
    """A batch would say 1 for True, which is another text."""
    sandbox = with_leads(make_sandbox, range(1, 301), lambda lead: {"OPENED": "Y" if lead % 2 else "N"})
    rows = ids(listed(sandbox, ITEMS, {"entityTypeId": 1, "filter": {"opened": True}}))
    assert rows == list(range(1, 301, 2))


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_rows_that_stay_come_once_while_others_come_and_go(
    order: str, make_sandbox: Any, listed: List
) -> None:
    sandbox = make_sandbox(leads=9000, contacts=10, plan="self_hosted")
    gone = iter(random.Random(1).sample(range(2, 9000, 3), 1500))
    seen = 0

    def write(_row: Any) -> None:
        nonlocal seen
        seen += 1
        if seen % 5 == 0 and (lead := next(gone, None)):
            with sandbox.portal.lock:
                sandbox.state.delete("lead", lead)
                sandbox.state.add("lead", {"TITLE": "new"})

    rows = ids(listed(sandbox, LEADS, {"select": ["ID"], "order": {"ID": order}}, write))
    assert rows == sorted(set(rows), reverse=order == "DESC")
    assert set(range(1, 9001)) - set(range(2, 9000, 3)) <= set(rows)


def test_faults_on_the_way_neither_lose_nor_repeat_a_row(make_sandbox: Any, listed: List) -> None:
    sandbox = make_sandbox(leads=6000, contacts=10, plan="self_hosted")
    sandbox.set_faults(seed=3, throttle=0.1, html=0.1, drop_before=0.1, drop_after=0.1, command=0.05)
    assert ids(listed(sandbox, *BOTH[0])) == list(range(1, 6001))
    assert sum(sandbox.stats()["faults"].values()) > 0


def test_a_command_that_the_portal_refuses_ends_the_list_with_its_words(
    make_sandbox: Any, listed: List
) -> None:
    sandbox = make_sandbox(leads=200, contacts=10, plan="self_hosted")
    sandbox.set_faults(command=1.0, command_error={"error": "", "error_description": "not you"})
    seen: list[Any] = []
    with pytest.raises(Rejected, match=r"crm\.lead\.list.*not you"):
        listed(sandbox, LEADS, {}, seen.append)
    assert ids(seen) == list(range(1, 51))


def test_another_order_than_that_of_ids_is_read_page_by_page(make_sandbox: Any, listed: List) -> None:
    titles = random.Random(2).sample(range(1000, 2000), 420)
    sandbox = with_leads(make_sandbox, range(1, 421), lambda lead: {"TITLE": str(titles[lead - 1])})
    for method, order, name in ((LEADS, {"TITLE": "DESC"}, "TITLE"), (ITEMS, {"title": "DESC"}, "title")):
        item = {"entityTypeId": 1} if method == ITEMS else {}
        rows = listed(sandbox, method, {"order": order, "select": [name], **item})
        assert [int(row[name]) for row in rows] == sorted(titles, reverse=True)
        assert asked(sandbox) == 9 + (method == LEADS)  # the fields, then a page a request
    with pytest.raises(InvalidInput, match=r"^order: 'TITEL' is not accepted"):
        listed(sandbox, LEADS, {"order": {"TITEL": "ASC"}})


def test_rows_that_are_deleted_do_not_make_a_list_by_offset_begin_again(
    make_sandbox: Any, listed: List
) -> None:
    """Behind its last row an older list gives the first page once more, and tells where to go on from it."""
    sandbox = with_leads(make_sandbox, range(1, 103), lambda lead: {"TITLE": f"{lead:03}"})
    seen = 0

    def delete(_row: Any) -> None:
        nonlocal seen
        seen += 1
        if seen in (98, 99, 100):
            sandbox.state.delete("lead", seen)

    rows = ids(listed(sandbox, LEADS, {"order": {"TITLE": "ASC"}, "select": ["ID"]}, delete))
    assert rows == list(range(1, 101))
