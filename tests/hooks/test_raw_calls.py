"""Whichever way a raw call comes in, one that the portal would misread is refused before anything is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook, Bitrix24Hook
from airflow_bitrix.operators.contact_links import Bitrix24MethodOperator
from airflow_bitrix.sandbox.server import Sandbox
from tests.core.raw_calls import ALONE, BAD, GOOD

STEP = 41
"""One call of so many is made each way, every way others: a hook reads its connection for each."""


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(leads=10, deals=10, contacts=10, plan="self_hosted") as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def portal(shared: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    shared.reset()
    found = {"conn_type": "bitrix24", "password": shared.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return shared


def call(method: str, params: dict[str, Any]) -> Any:
    return Bitrix24Hook().call(method, params)


def client(method: str, params: dict[str, Any]) -> Any:
    return Bitrix24Hook().portal.call(method, params)


def batch(method: str, params: dict[str, Any]) -> Any:
    return Bitrix24Hook().batch([("profile", {}), (method, params)])[1].result


def batch_of_calls(method: str, params: dict[str, Any]) -> Any:
    return Bitrix24Hook().batch([Call("profile"), Call(method, params)])[1].result


def rows(method: str, params: dict[str, Any]) -> Any:
    return list(Bitrix24Hook().list(method, params))


def operator(method: str, params: dict[str, Any]) -> Any:
    return Bitrix24MethodOperator(task_id="it", api_method=method, api_params=params).execute({})


def call_async(method: str, params: dict[str, Any]) -> Any:
    return asyncio.run(Bitrix24AsyncHook().call(method, params))


def batch_async(method: str, params: dict[str, Any]) -> Any:
    return asyncio.run(Bitrix24AsyncHook().batch([("profile", {}), (method, params)]))[1].result


def stream(method: str, params: dict[str, Any]) -> Any:
    return asyncio.run(_streamed([(method, params)]))


def stream_of_later(method: str, params: dict[str, Any]) -> Any:
    async def later() -> AsyncIterator[tuple[str, dict[str, Any]]]:
        yield method, params

    return asyncio.run(_streamed(later()))


async def _streamed(calls: Any) -> Any:
    return [outcome.result async for outcome in Bitrix24AsyncHook().stream(calls)]


def rows_async(method: str, params: dict[str, Any]) -> Any:
    async def run() -> list[Any]:
        return [row async for row in Bitrix24AsyncHook().list(method, params)]

    return asyncio.run(run())


WAYS: list[Callable[[str, dict[str, Any]], Any]] = [
    *(call, client, batch, batch_of_calls, rows, operator),
    *(call_async, batch_async, stream, stream_of_later, rows_async),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_call_that_the_portal_would_misread_is_refused_before_anything_is_sent(
    way: Callable[[str, dict[str, Any]], Any], portal: Sandbox
) -> None:
    for method, params in BAD[WAYS.index(way) :: STEP]:
        with pytest.raises(InvalidInput) as refused:
            way(method, params)
        assert isinstance(refused.value, AirflowFailException) or way is client
    assert portal.stats()["admitted"] == 0


@pytest.mark.parametrize(
    "way", [call, batch, operator, call_async, batch_async, stream], ids=lambda way: way.__name__
)
def test_a_call_that_says_what_the_portal_reads_is_sent(
    way: Callable[[str, dict[str, Any]], Any], portal: Sandbox
) -> None:
    row = {"CONTACT_ID": 3, "SORT": 20, "IS_PRIMARY": "Y"}
    way("CRM.Lead.Contact.Items.Set", {"id": "5", "items": [row]})
    way("crm.deal.contact.items.delete", {"ID": 5})
    way("crm.item.update", {"id": 6, "entityTypeId": 1, "fields": {"contactIds": [4, 2]}})
    assert portal.links("lead")["5"]["links"] == [[3, 20, "Y", 0]]
    assert portal.links("deal")["5"]["links"] == []
    assert [contact for contact, *_ in portal.links("lead")["6"]["links"]] == [4, 2]


def test_an_empty_list_of_contacts_clears_where_it_is_written_on_purpose(portal: Sandbox) -> None:
    for method, params in ALONE:
        call("crm.lead.contact.items.set", {"id": 5, "items": [{"CONTACT_ID": 3}]})
        call(method, params)
        assert portal.links("lead")["5"]["links"] == []
        with pytest.raises(InvalidInput):
            batch(method, params)


def test_the_portal_itself_would_have_cleared_the_links_of_another_lead(portal: Sandbox) -> None:
    """What all this is for: the same call past the hooks."""
    call("crm.lead.contact.items.set", {"id": 1, "items": [{"CONTACT_ID": 3}]})
    wrong = {"id": True}
    answer = requests.post(f"{portal.webhook_url}crm.lead.contact.items.delete", json=wrong, timeout=10)
    assert answer.json()["result"] is True
    assert portal.links("lead")["1"]["links"] == []
    with pytest.raises(InvalidInput, match=r"^id of crm\.lead\.contact\.items\.delete: True is not accepted"):
        call("crm.lead.contact.items.delete", wrong)


def test_good_calls_of_all_families_are_not_refused_by_the_hook(portal: Sandbox) -> None:
    hook = Bitrix24Hook()
    for outcome in hook.batch(GOOD):
        assert not isinstance(outcome.error, InvalidInput)
    assert portal.stats()["admitted"] > 0
