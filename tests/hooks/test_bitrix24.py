"""The hooks: a connection becomes a client, and Airflow knows what it may retry."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.http.operators.http import HttpOperator

from airflow_bitrix.client.flow import Meter
from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.core.errors import (
    AuthFailed,
    InvalidInput,
    OutcomeUnknown,
    PlanRefused,
    Rejected,
    RetryLater,
)
from airflow_bitrix.core.plan import ChangeOutcome
from airflow_bitrix.core.rules import judge, rules_for
from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook, Bitrix24Hook, pacing_folder
from airflow_bitrix.hooks.failures import final_failures


@pytest.fixture
def sandbox(make_sandbox: Any, connection: Any) -> Any:
    sandbox = make_sandbox(leads=120, deals=60, contacts=80, code="abcdef123456", plan="self_hosted")
    connection(sandbox.webhook_url, extra={"plan": "self_hosted"})
    return sandbox


def test_call_gives_the_result_and_keeps_types(sandbox: Any) -> None:
    hook = Bitrix24Hook()
    assert hook.call("profile")["ID"]
    assert hook.call("crm.lead.contact.items.get", {"id": 1}) == [
        {"CONTACT_ID": contact, "SORT": sort, "ROLE_ID": role, "IS_PRIMARY": primary}
        for contact, sort, primary, role in sandbox.links("lead")["1"]["links"]
    ]


def test_a_connection_that_airflow_does_not_have_fails_at_once_by_its_id() -> None:
    """Airflow's own error says nothing of what is wanted, and is retried."""
    said = r"^bitrix24_conn_id: 'nope' is not accepted; accepted: the id of a connection that Airflow has"
    with pytest.raises(InvalidInput, match=said) as refused:
        Bitrix24Hook("nope").call("profile")
    assert isinstance(refused.value, AirflowFailException)
    with pytest.raises(InvalidInput, match=said) as refused:
        asyncio.run(Bitrix24AsyncHook("nope").call("profile"))
    assert isinstance(refused.value, AirflowFailException)


def test_one_session_serves_all_calls_of_a_hook(sandbox: Any) -> None:
    hook = Bitrix24Hook()
    for _ in range(3):
        hook.call("profile")
    assert hook.portal is hook.portal
    assert sandbox.stats()["methods"] == {"profile": 3}


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
        ({"kind": "contact"}, "kind: 'contact' is not accepted; accepted: .*scan_contacts"),
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

        def writing(self, changes: Any) -> None:
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


@pytest.mark.usefixtures("sandbox")
def test_the_stock_http_operator_works_with_the_connection() -> None:
    for endpoint in ("profile", "/profile", "profile.json"):
        answer = HttpOperator(task_id="stock", http_conn_id="bitrix24_default", endpoint=endpoint).execute({})
        assert json.loads(answer)["result"]["ID"]
    get = HttpOperator(
        task_id="get",
        http_conn_id="bitrix24_default",
        endpoint="crm.lead.get",
        method="GET",
        data={"id": 5},
        response_filter=lambda response: response.json()["result"]["ID"],
    )
    assert get.execute({}) == "5"
    with pytest.raises(Rejected, match=r"crm\.lead\.get: the portal refused: Not found"):
        HttpOperator(
            task_id="missing",
            http_conn_id="bitrix24_default",
            endpoint="crm.lead.get",
            data={"id": 10**6},
        ).execute({})


def test_the_stock_operator_counts_against_the_same_allowance(make_sandbox: Any, connection: Any) -> None:
    sandbox = make_sandbox(code="abcdef123456")
    connection(sandbox.webhook_url, extra={"requests_per_second": 1000, "burst": 2})
    stock = HttpOperator(task_id="stock", http_conn_id="bitrix24_default", endpoint="profile")
    for _ in range(4):
        stock.execute({})
    assert sandbox.stats()["refused_503"] == 0
    assert any(pacing_folder().glob(f"127.0.0.1_{sandbox.port}-*.bucket"))


def test_connection_test_says_who_is_connected(sandbox: Any) -> None:
    works, said = Bitrix24Hook().test_connection()
    assert works
    assert said.startswith(f"Connected to http://127.0.0.1:{sandbox.port} as ")
    assert "administrator" in said
    assert sandbox.code not in said


@pytest.mark.parametrize(
    ("switches", "faults", "reason"),
    [
        ({"scope": ["user"]}, {}, "lacks the scope crm; it has: user"),
        ({}, {"html": 1.0}, "HTTP status 502"),
        ({}, {"drop_before": 1.0}, "closed before an answer came"),
        (
            {},
            {"redirect": "https://new.bitrix24.com/rest/1/abcdef123456/profile"},
            "redirects to new.bitrix24.com",
        ),
    ],
)
def test_connection_test_says_what_is_wrong(
    sandbox: Any, switches: dict[str, Any], faults: dict[str, Any], reason: str
) -> None:
    sandbox.set_switches(**switches)
    sandbox.set_faults(**faults)
    works, said = Bitrix24Hook().test_connection()
    assert not works
    assert reason in said
    assert sandbox.code not in said


@pytest.mark.parametrize(
    ("address", "proxy", "said"),
    [
        ("http://127.0.0.1:1", "", "nothing answers at this address and port (connection refused)"),
        ("http://127.0.0.1:1", "http://127.0.0.1:2", "the proxy cannot be reached or refuses"),
        ("https://nowhere.invalid", "", "its name is not found ("),
    ],
)
def test_what_cannot_be_reached_is_told_in_plain_words(
    connection: Any, address: str, proxy: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By both hooks; the system's own words stand behind ours, without its numbers."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    connection(f"{address}/rest/1/abcdef123456/", extra={"proxy": proxy})

    async def call() -> None:
        hook = Bitrix24AsyncHook()
        hook.retries = Retries(times=0)
        async with hook.portal() as portal:
            await portal.call("profile")

    with pytest.raises(RetryLater) as caught:
        asyncio.run(call())
    for text in (Bitrix24Hook().test_connection()[1], str(caught.value).removeprefix("profile: ")):
        assert text.lower().startswith(f"the portal cannot be reached: {said}")
        assert "Errno" not in text


def test_connection_test_says_it_without_the_method_that_was_tried(sandbox: Any, connection: Any) -> None:
    connection(sandbox.webhook_url.replace("abcdef", "wrong1"))
    works, said = Bitrix24Hook().test_connection()
    assert not works
    assert said.startswith("The portal does not accept the webhook: INVALID_CREDENTIALS")


def test_connection_test_tells_of_fields_that_cannot_be_right(connection: Any) -> None:
    connection("abc123", host="acme.bitrix24.com", login="1", extra={"plan": "gold"})
    accepted = "'standard' or 'enterprise' or 'self_hosted'"
    assert Bitrix24Hook().test_connection() == (
        False,
        f"Bitrix24 plan (extra.plan): 'gold' is not accepted; accepted: {accepted}",
    )


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"host": "acme corp"}, "Portal address (host): 'acme corp' is not accepted"),
        ({"login": "anna"}, "Webhook user id (login): '***' is not accepted"),
        ({"password": ""}, "Webhook code (password): '' is not accepted"),
        ({"extra": {"timeout": 0}}, "Timeout in seconds (extra.timeout): 0 is not accepted"),
        ({"extra": {"rps": 2}}, "extra: 'rps' is not accepted"),
    ],
)
def test_connection_test_calls_fields_by_their_names_in_the_form(
    connection: Any, fields: dict[str, Any], label: str
) -> None:
    given: dict[str, Any] = {"host": "acme.bitrix24.com", "login": "1", "password": "abc123", **fields}
    connection(given.pop("password"), **given)
    works, said = Bitrix24Hook().test_connection()
    assert not works
    assert said.startswith(label)


@pytest.mark.parametrize("status", ["docs", "source"])
def test_a_wrong_webhook_is_not_retried(sandbox: Any, connection: Any, status: str) -> None:
    sandbox.set_switches(auth_status=status)
    connection(sandbox.webhook_url.replace("abcdef", "wrong1"))
    with pytest.raises(AuthFailed, match="INVALID_CREDENTIALS") as refused:
        Bitrix24Hook().call("profile")
    assert isinstance(refused.value, AirflowFailException)


def test_tls_is_verified_and_a_stranger_s_certificate_is_refused_at_once(
    make_sandbox: Any, connection: Any
) -> None:
    sandbox = make_sandbox(tls=True, plan="self_hosted")
    connection(sandbox.webhook_url)
    with pytest.raises(Rejected, match="certificate cannot be verified"):
        Bitrix24Hook().call("profile")
    with pytest.raises(Rejected, match="certificate cannot be verified"):
        asyncio.run(Bitrix24AsyncHook().call("profile"))
    connection(sandbox.webhook_url, extra={"verify": str(sandbox.authority)})
    assert Bitrix24Hook().call("profile")["ID"]
    assert asyncio.run(Bitrix24AsyncHook().call("profile"))["ID"]


def test_https_to_a_portal_without_tls_says_what_to_do(sandbox: Any, connection: Any) -> None:
    connection(sandbox.webhook_url.replace("http://", "https://"))
    for call in (Bitrix24Hook().call, lambda method: asyncio.run(Bitrix24AsyncHook().call(method))):
        with pytest.raises(Rejected, match=r"no TLS connection \(.*\); .* needs http:// before its address"):
            call("profile")


def test_two_processes_worth_of_hooks_share_one_allowance(make_sandbox: Any, connection: Any) -> None:
    sandbox = make_sandbox(code="abcdef123456")
    connection(sandbox.webhook_url)
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


@pytest.mark.parametrize(
    "error",
    [Rejected("no"), InvalidInput("a", 1, "b"), AuthFailed("no"), OutcomeUnknown("?"), PlanRefused("no")],
)
def test_errors_that_would_come_again_fail_the_task_at_once_and_keep_their_type(error: Exception) -> None:
    with pytest.raises(type(error), match=re.escape(str(error))) as raised, final_failures():
        raise error
    assert isinstance(raised.value, AirflowFailException)
    assert vars(raised.value) == vars(error)
    assert raised.value.__suppress_context__


def test_a_busy_portal_lets_airflow_retry(sandbox: Any) -> None:
    sandbox.set_faults(throttle=1.0)
    hook = Bitrix24Hook()
    hook.retries = Retries(times=2, first=0.01)
    with pytest.raises(RetryLater, match="QUERY_LIMIT_EXCEEDED: Too many requests") as raised:
        hook.call("profile")
    assert not isinstance(raised.value, AirflowFailException)
    assert hook.portal.manners.meter.requests == 3
