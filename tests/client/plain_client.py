"""A program without Airflow that calls a portal both ways, and shows all that libraries say of it."""

from __future__ import annotations

import asyncio
import http.client
import logging
import sys

import aiohttp
import requests
from requests.adapters import HTTPAdapter

from airflow_bitrix.client.auth import webhook
from airflow_bitrix.client.deadlines import own_connections
from airflow_bitrix.client.logins import Login
from airflow_bitrix.client.oauth import Application, Pair
from airflow_bitrix.client.transport import LoginAuth, aiohttp_transport, open_session, requests_transport
from airflow_bitrix.client.wire import Request

REQUEST, LOG = Request("batch", b"{}"), logging.getLogger("mine")


def of_an_application(url: str) -> Login:
    """Log in with tokens: ``http://127.0.0.1:8900#secret`` stands for an application."""
    portal, _, secret = url.partition("#")
    return Application(portal, "local.1", secret, pair=Pair(secret[::-1], secret))


def main(url: str, proxy: str) -> None:
    """Ask once with connections of ours, once with those of requests, once with aiohttp."""
    logging.basicConfig(level=logging.DEBUG)
    hook = webhook(host="", password=url) if "/rest/" in url else of_an_application(url)
    for own in (True, False):
        session = requests.Session()
        http.client.HTTPConnection.debuglevel = int(own)
        if own:
            for adapter in session.adapters.values():
                assert isinstance(adapter, HTTPAdapter)
                own_connections(adapter, hook, 5, proxy)
        else:
            session.auth = LoginAuth(hook)
        session.proxies = {"http": proxy, "https": proxy} if proxy else {}
        sys.stdout.write(f"{requests_transport(session, hook.portal, 5)(REQUEST)}\n")
        try:
            session.post(f"{hook.portal}/batch", timeout=5).raise_for_status()
        except requests.RequestException:
            LOG.exception("as an author might")

    async def ask() -> None:
        async with open_session(hook, 5) as session:

            async def post(method: str, body: bytes) -> aiohttp.ClientResponse:
                return await session.post(f"{hook.portal}/{method}", data=body, proxy=proxy or None)

            sys.stdout.write(f"{await aiohttp_transport(post, 5)(REQUEST)}\n")
            try:
                unclosed = await post("batch", b"")
                unclosed.raise_for_status()
                del unclosed  # aiohttp warns, and says of which address
            except aiohttp.ClientError:
                LOG.exception("as an author might")

    asyncio.run(ask(), debug=True)
    assert "airflow" not in sys.modules


if __name__ == "__main__":
    main(*sys.argv[1:])
