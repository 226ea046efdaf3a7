"""The hooks: what they call, list, stream and apply through a connection, within one allowance."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from requests.adapters import HTTPAdapter

from airflow_bitrix.client.flow import Meter
from airflow_bitrix.core.errors import InvalidInput, Rejected, RetryLater
from airflow_bitrix.core.links import OWNER_KINDS, Owner
from airflow_bitrix.core.plan import ChangeOutcome
from airflow_bitrix.core.rules import judge, rules_for
from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook, Bitrix24Hook


def test_call_gives_the_result_and_keeps_types(sandbox: Any) -> None:
    hook = Bitrix24Hook()
    assert hook.call("profile")["ID"]
    assert hook.call("crm.lead.contact.items.get", {"id": 1}) == [
        {"CONTACT_ID": contact, "SORT": sort, "ROLE_ID": role, "IS_PRIMARY": primary}
        for contact, sort, primary, role in sandbox.links("lead")["1"]["links"]
    ]


def test_one_session_serves_all_calls_of_a_hook(sandbox: Any) -> None:
    hook = Bitrix24Hook()
    for _ in range(3):
        hook.call("profile")
    assert hook.portal is hook.portal
    assert sandbox.stats()["methods"] == {"profile": 3}


def test_as_many_requests_as_may_be_under_way_keep_their_connections(
    make_sandbox: Any, connection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox = make_sandbox(leads=1, deals=1, contacts=1, plan="self_hosted")
    sandbox.set_faults(slow=1, slow_seconds=0.2)
    connection(sandbox.webhook_url, extra={"in_flight": 20})
    hook = Bitrix24Hook()
    with ThreadPoolExecutor(20) as pool:
        users = list(pool.map(hook.call, ["profile"] * 20))
    assert len(users) == 20
    assert "pool is full" not in caplog.text
    own = HTTPAdapter()
    assert Bitrix24Hook(adapter=own).get_conn().get_adapter(sandbox.webhook_url) is own


def test_batch_gives_one_outcome_a_call_in_order_and_hides_nothing(sandbox: Any) -> None:
    calls: list[Any] = [("crm.lead.get", {"id": lead}) for lead in range(1, 61)]
    calls[7] = ("crm.lead.get", {"id": 999999})
    outcomes = Bitrix24Hook().batch(calls)
    assert [outcome.ok for outcome in outcomes] == [index != 7 for index in range(60)]
    assert [int(outcome.result["ID"]) for outcome in outcomes if outcome.ok][-1] == 60
    assert "Not found" in str(outcomes[7].error)
    with pytest.raises(Rejected, match="Not found"):
        _ = outcomes[7].result
    assert sandbox.stats()["methods"] == {"batch": 2}


@pytest.mark.usefixtures("sandbox")
def test_list_gives_every_row_once_by_id() -> None:
    hook = Bitrix24Hook()
    legacy = [int(row["ID"]) for row in hook.list("crm.lead.list", {"select": ["TITLE"]})]
    items = [row["id"] for row in hook.list("crm.item.list", {"entityTypeId": 2, "select": ["title"]})]
    assert legacy == list(range(1, 121))
    assert items == list(range(1, 61))


def test_a_list_of_5_000_leads_takes_at_most_4_requests_and_of_one_page_1(
    make_sandbox: Any, connection: Any
) -> None:
    sandbox = make_sandbox(leads=5000, deals=40, contacts=10, plan="self_hosted")
    connection(sandbox.webhook_url)
    lists: list[Any] = [
        Bitrix24Hook().list,
        lambda method, params: asyncio.run(gathered(Bitrix24AsyncHook().list(method, params))),
    ]
    for listed in lists:
        for most, method, rows in ((4, "crm.lead.list", 5000), (1, "crm.deal.list", 40)):
            sandbox.reset_stats()
            found = [int(row["ID"]) for row in listed(method, {"select": ["TITLE"]})]
            assert found == list(range(1, rows + 1))
            assert sandbox.stats()["admitted"] <= most


@pytest.mark.usefixtures("sandbox")
def test_list_takes_an_order() -> None:
    def sync(order: Any) -> list[Any]:
        return list(Bitrix24Hook().list("crm.lead.list", {"select": ["TITLE"], "order": order}))

    def in_flight(order: Any) -> list[Any]:
        rows = Bitrix24AsyncHook().list("crm.lead.list", {"select": ["TITLE"], "order": order})
        return asyncio.run(gathered(rows))

    for listed in (sync, in_flight):
        assert [int(row["ID"]) for row in listed({"ID": "DESC"})] == list(range(120, 0, -1))
        titles = [row["TITLE"].lower() for row in listed({"TITLE": "ASC"})]
        assert len(titles) == 120
        assert titles == sorted(titles)
        with pytest.raises(InvalidInput, match=r"^order: 'TITEL' is not accepted") as refused:
            listed({"TITEL": "ASC"})
        assert isinstance(refused.value, AirflowFailException)


@pytest.mark.usefixtures("sandbox")
def test_list_ends_where_a_filter_has_an_or_at_its_top() -> None:
    wanted = {"logic": "OR", "=id": 3, ">=id": 100}
    rows = Bitrix24Hook().list("crm.item.list", {"entityTypeId": 1, "filter": wanted, "select": ["id"]})
    assert [row["id"] for row in islice(rows, 200)] == [3, *range(100, 121)]


async def gathered(found: Any) -> list[Any]:
    return [one async for one in found]


def test_owners_of_a_contact_are_found_primary_or_not(sandbox: Any) -> None:
    hook = Bitrix24Hook()
    for kind in ("lead", "deal"):
        links = {int(owner): data["links"] for owner, data in sandbox.links(kind).items()}
        contact = next(row[-1][0] for row in links.values() if len(row) > 1)
        expected = sorted(owner for owner, rows in links.items() if contact in [row[0] for row in rows])
        found = list(hook.owners_of_contact(contact, kind))
        assert [owner.id for owner in found] == expected
        assert {owner.kind for owner in found} == {kind}
        assert asyncio.run(gathered(Bitrix24AsyncHook().owners_of_contact(contact, kind))) == found
    of_all = [Owner(kind, sandbox.state.add(kind, {"CONTACT_IDS": [contact]})) for kind in OWNER_KINDS]
    found = list(hook.owners_of_contact(contact))
    assert set(of_all) <= set(found)
    assert list(dict.fromkeys(owner.kind for owner in found)) == list(OWNER_KINDS)
    assert asyncio.run(gathered(Bitrix24AsyncHook().owners_of_contact(contact))) == found
    sandbox.reset_stats()
    hooks: list[Any] = [hook, Bitrix24AsyncHook()]
    for some in hooks:
        with pytest.raises(InvalidInput, match=r"^contact_id: 'abc' is not accepted"):
            some.owners_of_contact("abc", "lead")
        with pytest.raises(InvalidInput, match=r"^kind: ") as refused:
            some.owners_of_contact(1, "contact")
        assert isinstance(refused.value, AirflowFailException)
    assert sandbox.stats()["admitted"] == 0


def test_list_refuses_a_filter_that_the_portal_would_ignore(sandbox: Any) -> None:
    hook = Bitrix24Hook()
    assert list(hook.list("crm.lead.list", {"filter": {">=ID": 10, "<ID": 13}, "select": ["ID"]}))
    sandbox.reset_stats()
    with pytest.raises(
        InvalidInput, match=r"filter: 'STAGE' is not accepted; accepted: .*STATUS_ID"
    ) as refused:
        list(hook.list("crm.lead.list", {"filter": {"STAGE": "NEW"}}))
    assert isinstance(refused.value, AirflowFailException)
    assert sandbox.stats()["methods"] == {"crm.lead.fields": 1}


def test_the_async_hook_does_the_same(sandbox: Any) -> None:
    async def use() -> tuple[Any, ...]:
        hook = Bitrix24AsyncHook()
        states = [state async for state in hook.scan("lead", {"isReturnCustomer": "Y"})]
        rows = [row async for row in hook.list("crm.deal.list", {"select": ["ID"]})]
        outcomes = await hook.batch([("crm.lead.get", {"id": lead}) for lead in range(1, 121)])
        contacts = [contact async for contact in hook.scan_contacts({"<=id": 9}, detail="full", ordered=True)]
        with pytest.raises(InvalidInput, match="'companyID'"):
            _ = [contact async for contact in hook.scan_contacts({"companyID": 1})]
        return states, rows, outcomes, contacts, await hook.call("profile")

    states, rows, outcomes, contacts, profile = asyncio.run(use())
    assert [(contact.id, len(contact.emails)) for contact in contacts] == [(n, 1) for n in range(1, 10)]
    flags = {lead for lead, owner in sandbox.links("lead").items() if owner["is_return_customer"] == "Y"}
    assert {str(state.owner.id) for state in states} == flags
    assert len(rows) == 60
    assert [int(outcome.result["ID"]) for outcome in outcomes] == list(range(1, 121))
    assert profile["ID"]


def test_the_async_hook_streams_outcomes_of_calls_that_are_made_from_others(sandbox: Any) -> None:
    async def use() -> list[Any]:
        hook = Bitrix24AsyncHook()

        async def calls() -> AsyncIterator[Any]:
            async for state in hook.scan("lead", {"<=id": 80}, ordered=True):
                yield "crm.lead.contact.items.get", {"id": state.owner.id}

        return [outcome async for outcome in hook.stream(calls())]

    outcomes = asyncio.run(use())
    truth = sandbox.links("lead")
    assert [[row["CONTACT_ID"] for row in outcome.result] for outcome in outcomes] == [
        [row[0] for row in truth[str(lead)]["links"]] for lead in range(1, 81)
    ]


@pytest.mark.usefixtures("sandbox")
def test_a_stream_refuses_what_is_no_call_and_airflow_does_not_retry_it() -> None:
    with pytest.raises(InvalidInput, match=r"^calls: 'profile'") as refused:
        asyncio.run(gathered(Bitrix24AsyncHook().stream("profile")))  # type: ignore[arg-type]
    assert isinstance(refused.value, AirflowFailException)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"kind": "contacts"}, "kind: 'contacts' is not accepted; accepted: .*'contact'"),
        ({"kind": None}, "kind: None is not accepted"),
        ({"kind": "leads", "wanted": {"stageId": "NEW"}}, "kind: 'leads' is not accepted"),
        ({"kind": "lead", "wanted": ""}, "filter: '' is not accepted"),
        ({"kind": "lead", "wanted": []}, "filter: .* is not accepted"),
        ({"kind": "lead", "detail": "exact"}, "detail: 'exact' is not accepted"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_scan_refuses_what_cannot_be_right_before_anything_is_sent(
    arguments: dict[str, Any], said: str, sandbox: Any
) -> None:
    with pytest.raises(InvalidInput, match=said):
        asyncio.run(gathered(Bitrix24AsyncHook().scan(**arguments)))
    assert sandbox.stats()["admitted"] == 0


def test_a_scan_tells_further_fields(sandbox: Any) -> None:
    states = asyncio.run(gathered(Bitrix24AsyncHook().scan("lead", {"<=id": 3}, also=["title"])))
    titles = {number: row["TITLE"] for number, row in sandbox.state.tables["lead"].rows.items()}
    assert {state.owner.id: state.fields["title"] for state in states} == {n: titles[n] for n in (1, 2, 3)}


def test_a_scan_that_is_closed_early_leaves_nothing_behind(make_sandbox: Any, connection: Any) -> None:
    sandbox = make_sandbox(leads=9000, contacts=10, plan="self_hosted")
    connection(sandbox.webhook_url, extra={"plan": "self_hosted"})
    sandbox.set_faults(slow=1, slow_seconds=0.05)

    async def use() -> int:
        seen = 0
        async with aclosing(Bitrix24AsyncHook().scan("lead")) as states:
            async for _ in states:
                seen += 1
                if seen == 3000:
                    break
        return len(asyncio.all_tasks())

    assert asyncio.run(use()) == 1


def test_all_calls_of_an_async_hook_share_what_is_known_of_operating_time(
    make_sandbox: Any, connection: Any
) -> None:
    """Each call opens a client of its own; a method that rests is called by none of them."""
    sandbox = make_sandbox(leads=10, contacts=10)
    connection(sandbox.webhook_url, extra={})
    sandbox.set_switches(operating_seconds={"crm.lead.get": 500})

    async def use() -> None:
        hook = Bitrix24AsyncHook()
        await hook.call("crm.lead.get", {"id": 1})
        with pytest.raises(RetryLater, match="rest until"):
            await hook.call("crm.lead.get", {"id": 2})

    asyncio.run(use())
    assert sandbox.stats()["methods"] == {"crm.lead.get": 1}


@pytest.mark.usefixtures("sandbox")
def test_an_open_client_calls_who_watches_it_every_second() -> None:
    beats: list[float] = []

    async def use() -> int:
        async with Bitrix24AsyncHook().portal(Meter(watch=lambda: beats.append(time.monotonic()))):
            await asyncio.sleep(2.5)
        return len(asyncio.all_tasks())

    assert asyncio.run(use()) == 1
    assert len(beats) == 2


def test_where_no_file_can_be_made_all_calls_of_a_process_share_one_allowance(
    make_sandbox: Any, connection: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sandbox = make_sandbox(leads=10, contacts=10)
    (tmp_path / "file").touch()
    monkeypatch.setenv("AIRFLOW__BITRIX24__PACING_PATH", str(tmp_path / "file" / "pacing"))
    connection(sandbox.webhook_url, extra={"burst": 5, "requests_per_second": 20})

    async def use() -> None:
        hook = Bitrix24AsyncHook()
        for _ in range(10):
            await hook.call("profile")
            Bitrix24Hook().call("profile")

    began = time.monotonic()
    asyncio.run(use())
    assert time.monotonic() - began >= 0.7
    assert sandbox.stats()["refused_503"] == 0


def test_the_async_hook_applies_changes(sandbox: Any) -> None:
    class Notes:
        def __init__(self) -> None:
            self.outcomes: list[ChangeOutcome] = []

        def writing(self, befores: Any) -> None:
            """Nothing to keep."""

        def owing(self, owner_ids: Any) -> None:
            """Nothing to keep."""

        def note(self, outcome: ChangeOutcome) -> None:
            self.outcomes.append(outcome)

    async def use(notes: Notes) -> None:
        hook = Bitrix24AsyncHook()
        rules = rules_for("lead", ["release_repeat_leads"])
        judged = [judge(state, rules)[0] async for state in hook.scan("lead")]
        await hook.apply("lead", [change for change in judged if change], notes)

    notes = Notes()
    asyncio.run(use(notes))
    released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    assert sorted(outcome.owner.id for outcome in notes.outcomes) == released
    assert {outcome.outcome for outcome in notes.outcomes} == {"applied"}
    assert all(sandbox.links("lead")[str(lead)]["links"] == [] for lead in released)


def test_two_processes_worth_of_hooks_share_one_allowance(make_sandbox: Any, connection: Any) -> None:
    sandbox = make_sandbox(code="abcdef123456")
    # so slow a drain that however long it takes, not one of 50 has run out again
    connection(sandbox.webhook_url, extra={"requests_per_second": 0.01})
    hooks = [Bitrix24Hook() for _ in range(2)]
    threads = [
        threading.Thread(target=lambda hook=hook: [hook.call("profile") for _ in range(24)]) for hook in hooks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sandbox.stats()["admitted"] == 48
    assert sandbox.stats()["refused_503"] == 0
    assert hooks[0]._allowance.ask() == 0
    assert hooks[1]._allowance.ask() > 0
