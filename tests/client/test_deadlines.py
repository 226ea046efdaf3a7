"""How the two transports read an answer: to its end, in time, and no more than there may be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import requests
from requests.adapters import HTTPAdapter

from airflow_bitrix.client.auth import webhook
from airflow_bitrix.client.deadlines import own_connections
from airflow_bitrix.client.transport import aiohttp_transport, open_session, requests_transport
from airflow_bitrix.client.wire import Lost, Reply, Request
from airflow_bitrix.sandbox.server import Sandbox

PROFILE = Request("profile", b"{}")


def sync(sandbox: Sandbox, **bounds: Any) -> tuple[requests.Session, Callable[[Request], Reply | Lost]]:
    session = requests.Session()
    hook = webhook(host="", password=sandbox.webhook_url)
    for adapter in session.adapters.values():
        assert isinstance(adapter, HTTPAdapter)
        own_connections(adapter, hook, 5, "")
    return session, requests_transport(session, hook.portal, 20, **bounds)


def later(session: aiohttp.ClientSession, sandbox: Sandbox, **bounds: Any) -> Callable[..., Awaitable[Any]]:
    async def post(method: str, body: bytes) -> aiohttp.ClientResponse:
        return await session.post(f"{sandbox.base_url}/{method}", data=body)

    return aiohttp_transport(post, 20, **bounds)


@pytest.fixture
def sandbox(make_sandbox: Any) -> Sandbox:
    made: Sandbox = make_sandbox(plan="self_hosted")
    return made


def test_an_answer_that_is_larger_than_any_is_given_up(sandbox: Sandbox) -> None:
    _, send = sync(sandbox, most_bytes=3000)
    assert isinstance(send(PROFILE), Reply)
    sandbox.set_faults(endless=1.0)
    assert send(PROFILE) == Lost(sent=True, reason="the answer is larger than 3,000 bytes")


async def in_two_requests(sandbox: Sandbox) -> tuple[Any, Any, int]:
    async with open_session(webhook(host="", password=sandbox.webhook_url), 20) as session:
        send = later(session, sandbox, most_bytes=3000)
        first = await send(PROFILE)
        assert session.connector
        kept: Any = [one for idle in session.connector._conns.values() for one in idle]
        sandbox.set_faults(endless=1.0)
        return first, await send(PROFILE), len(kept)


def test_the_async_one_likewise_and_a_connection_is_kept_for_the_next(sandbox: Sandbox) -> None:
    first, second, kept = asyncio.run(in_two_requests(sandbox))
    assert isinstance(first, Reply)
    assert second == Lost(sent=True, reason="the answer is larger than 3,000 bytes")
    assert kept == 1


def test_a_short_deadline_shortens_no_wait_of_the_next_request(sandbox: Sandbox) -> None:
    """The socket is the same, and was told how long to wait."""
    session, send = sync(sandbox)
    quick = requests_transport(session, sandbox.base_url, 20, 2)
    assert isinstance(quick(PROFILE), Reply)
    pools = session.get_adapter(sandbox.base_url).poolmanager.pools  # type: ignore[attr-defined]
    (connection,) = [one for key in pools.keys() for one in pools[key].pool.queue if one]  # noqa: SIM118
    assert connection.sock.gettimeout() <= 2
    assert isinstance(send(PROFILE), Reply)
    assert 2 < connection.sock.gettimeout() <= 20
