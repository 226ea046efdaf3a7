"""The client of this project: batches of 50, five in flight, one allowance for all processes of the host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import aiohttp

from airflow_bitrix.client.allowance import Allowance, shared_allowance
from airflow_bitrix.client.flow import Manners
from airflow_bitrix.client.logins import Login
from airflow_bitrix.client.pacing import OperatingTime
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.redis_allowance import RedisAllowance, WithFallback
from airflow_bitrix.client.redis_scripts import scripts_of
from airflow_bitrix.client.transport import aiohttp_transport, open_session
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core import methods
from airflow_bitrix.crm.scan import scan
from airflow_bitrix.hooks.settings import read_settings
from benchmarks.clients.runner import Job, Seen, Told, serve


class Ours:
    """The client as the async hook builds it, without Airflow around it."""

    def __init__(self, job: Job) -> None:
        settings = read_settings(host="", login="", password=job.url, port=None, extra={"plan": job.plan})
        self._kinds = job.of
        self._loop = asyncio.Runner()
        self._session: aiohttp.ClientSession = self._loop.run(_session(settings.login, settings.timeout))

        async def post(method: str, body: bytes) -> aiohttp.ClientResponse:
            return await self._session.post(f"{settings.portal}/{method}", data=body, allow_redirects=False)

        allowance: Allowance = shared_allowance(settings.bucket, settings.portal, Path(job.folder))
        operating = OperatingTime()
        if job.redis and settings.bucket:
            run = scripts_of(host="127.0.0.1", port=job.redis, user=None, password=None, number=0, tls=())
            remote = RedisAllowance(settings.bucket, run, settings.portal, "bench", operating)
            allowance = WithFallback(remote, allowance)
        send = aiohttp_transport(post, settings.timeout)
        self._portal = AsyncPortal(send, Manners(allowance, operating=operating), settings.in_flight)

    def use_up(self, requests: int) -> None:
        """Make cheap requests, one each."""

        async def all_of_them() -> None:
            await asyncio.gather(*(self._portal.call("profile") for _ in range(requests)))

        self._loop.run(all_of_them())

    def read(self, ids: Sequence[int]) -> Told:
        """Read the exact links of leads."""
        return self._run("items.get", ids, methods.items_get)

    def write(self, wanted: Mapping[int, list[dict[str, Any]]]) -> Told:
        """Set the links of leads."""
        return self._run("items.set", list(wanted), lambda one: methods.items_set(one, wanted[one]))

    def clear(self, ids: Sequence[int]) -> Told:
        """Remove all links of leads."""
        return self._run("items.delete", ids, methods.items_delete)

    def _run(self, verb: methods.Verb, ids: Sequence[int], params: Callable[[int], dict[str, Any]]) -> Told:
        method = methods.name("lead", verb)

        async def through() -> Told:
            # Outcomes come in the order of the calls, while later calls are still being made.
            owners, told = iter(ids), Told()
            async for outcome in self._portal.stream(Call(method, params(one)) for one in ids):
                told[next(owners)] = outcome.result if outcome.ok else str(outcome.error)
            return told

        return self._loop.run(through())

    def scan(self, wanted: Mapping[str, Any], seen: Seen) -> None:
        """Go through the leads that a filter matches."""

        async def through() -> None:
            async for state in scan(self._portal, self._kinds, wanted):
                links = state.links.links
                primary = next((link.contact_id for link in links if link.is_primary), None)
                seen.add(state.owner.id, [link.contact_id for link in links], primary)

        self._loop.run(through())

    def list(self, params: Mapping[str, Any], seen: Seen) -> None:
        """List all leads by the older method."""

        async def through() -> None:
            async for row in self._portal.list("crm.lead.list", params):
                seen.add_row(row)

        self._loop.run(through())

    def share(self, ids: Sequence[int], seconds: float) -> tuple[int, int]:
        """Read links until the time is over."""
        method, done, failed = methods.name("lead", "items.get"), 0, 0

        async def through() -> None:
            nonlocal done, failed
            calls = (Call(method, methods.items_get(one)) for one in cycle(ids))
            async with aclosing(self._portal.stream(calls)) as outcomes:
                async for outcome in outcomes:
                    done, failed = done + outcome.ok, failed + (not outcome.ok)

        async def for_a_while() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await through()

        self._loop.run(for_a_while())
        return done, failed

    def close(self) -> None:
        """Let go of connections."""
        self._loop.run(self._session.close())
        self._loop.close()


async def _session(webhook: Login, seconds: float) -> aiohttp.ClientSession:
    return open_session(webhook, seconds)


if __name__ == "__main__":
    serve(Ours)
