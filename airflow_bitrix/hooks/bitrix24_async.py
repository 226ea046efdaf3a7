"""The async hook: many requests at a time, scans, streams, and changes applied."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, overload

import aiohttp
from asgiref.sync import sync_to_async

from airflow_bitrix.client.flow import Clock, Manners, Meter
from airflow_bitrix.client.outcomes import CommandOutcome
from airflow_bitrix.client.pacing import OperatingTime, Retries
from airflow_bitrix.client.portal import AsyncPortal, Calls, Outcomes
from airflow_bitrix.client.proxies import trusted_by
from airflow_bitrix.client.stopping import Stop
from airflow_bitrix.client.transport import aiohttp_transport, open_session
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.contacts import Contact
from airflow_bitrix.core.links import Owner, OwnerKind, is_entity_kind
from airflow_bitrix.core.method_results import (
    CompanyItemsGet,
    CompanyLinkItem,
    Fields,
    ItemsGet,
    LinkField,
    LinkItem,
    Writing,
)
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.raw_calls import check_raw_call
from airflow_bitrix.crm.contacts import owners_params, scan_contacts
from airflow_bitrix.crm.filter_checks import checked_filter
from airflow_bitrix.crm.scan import Detail, scan
from airflow_bitrix.engine.apply import Journal, apply_changes
from airflow_bitrix.hooks.connection import (
    CONN_TYPE,
    ReadsConnections,
    allowance_of,
    connection_settings,
    patience,
)
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.hooks.opening import DEFAULT_CONN_ID
from airflow_bitrix.hooks.settings import Settings


class Bitrix24AsyncHook(ReadsConnections):
    """Call REST methods of a Bitrix24 portal from an event loop, several requests in flight.

    :param bitrix24_conn_id: Id of a connection of type ``bitrix24``.
    :param settings: What the connection says, where it has been read already.
    """

    conn_name_attr = "bitrix24_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = CONN_TYPE
    hook_name = "Bitrix24"

    def __init__(self, bitrix24_conn_id: str = DEFAULT_CONN_ID, *, settings: Settings | None = None) -> None:
        super().__init__()
        self.bitrix24_conn_id = bitrix24_conn_id
        self.retries = Retries()
        self.patience = patience()
        self.clock = Clock()
        self.stop = Stop()
        self._operating = OperatingTime()
        self._settings = settings
        self._tls: ssl.SSLContext | bool | None = None

    async def settings(self) -> Settings:
        """Give what the connection says; read once, its secrets masked in all logs from then on."""
        if self._settings is None:
            self._settings = await sync_to_async(connection_settings)(self, self.bitrix24_conn_id)
        return self._settings

    @asynccontextmanager
    async def portal(self, meter: Meter | None = None) -> AsyncIterator[AsyncPortal]:
        """Open a session and give the client of the connection's portal.

        :param meter: Counts the client's requests and waits.
        :raises InvalidInput: A field of the connection that cannot be right.
        """
        settings = await self.settings()
        tls = self._tls = self._tls or _tls(settings.verify)
        async with open_session(settings.login, settings.timeout) as session:

            async def post(method: str, body: bytes) -> aiohttp.ClientResponse:
                return await session.post(
                    f"{settings.portal}/{method}",
                    data=body,
                    allow_redirects=False,
                    ssl=tls,
                    proxy=settings.proxy or None,
                )

            send = aiohttp_transport(post, settings.timeout, settings.deadline, settings.largest_answer)
            meter = meter or Meter()
            allowance = await sync_to_async(allowance_of)(settings, self._operating)
            manners = Manners(
                allowance,
                self.retries,
                meter,
                patience=self.patience,
                operating=self._operating,
                clock=self.clock,
                stop=self.stop,
                renewal=settings.login.renewal,
            )
            heart = asyncio.ensure_future(_beat(meter))
            try:
                yield AsyncPortal(send, manners, settings.in_flight, check=check_raw_call)
            finally:
                heart.cancel()
                await asyncio.gather(heart, return_exceptions=True)

    @overload
    async def call(self, method: ItemsGet, params: Mapping[str, Any] | None = None) -> Sequence[LinkItem]: ...

    @overload
    async def call(
        self, method: CompanyItemsGet, params: Mapping[str, Any] | None = None
    ) -> Sequence[CompanyLinkItem]: ...

    @overload
    async def call(self, method: Fields, params: Mapping[str, Any] | None = None) -> dict[str, LinkField]: ...

    @overload
    async def call(self, method: Writing, params: Mapping[str, Any] | None = None) -> bool: ...

    @overload
    async def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any: ...

    async def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Call a REST method and give its ``result``; see :meth:`Bitrix24Hook.call`."""
        with final_failures():
            async with self.portal() as portal:
                return await portal.call(method, params)

    async def batch(self, calls: Iterable[Call | tuple[str, Mapping[str, Any]]]) -> Outcomes:
        """Run any number of calls, several batches in flight; see :meth:`Bitrix24Hook.batch`."""
        with final_failures():
            async with self.portal() as portal:
                return await portal.batch(calls)

    async def list(self, method: str, params: Mapping[str, Any] | None = None) -> AsyncGenerator[Any, None]:
        """Give every row of a list method, several batches in flight; see :meth:`Bitrix24Hook.list`."""
        with final_failures():
            async with self.portal() as portal, aclosing(portal.list(method, params)) as rows:
                async for row in rows:
                    yield row

    async def stream(self, calls: Calls) -> AsyncGenerator[CommandOutcome, None]:
        """Run calls while they are still being made, several batches in flight, and give their outcomes.

        Outcomes come in the order of the calls, as soon as they are known. However many calls there are, no
        more than twice the batches that may be in flight are held at a time.

        :param calls: ``(method, params)`` pairs, in a list or made by a generator, async or not. It may make
            calls from outcomes that it was given before.
        :raises InvalidInput: Parameters that a batch cannot express, or a call about contact links that the
            portal would read as another one. Like any error of the generator it comes
            after the outcomes of the calls before it.
        """
        with final_failures():
            async with self.portal() as portal, aclosing(portal.stream(calls)) as outcomes:
                async for outcome in outcomes:
                    yield outcome

    def owners_of_contact(self, contact_id: int | str, kind: OwnerKind | None = None) -> AsyncIterator[Owner]:
        """Give the owners that a contact is linked to; see :meth:`Bitrix24Hook.owners_of_contact`."""
        with final_failures():
            asked = owners_params(contact_id, kind)
        return (
            Owner(one, int(row["id"]))
            for one, params in asked
            async for row in self.list("crm.item.list", params)
        )

    async def scan(
        self,
        kind: OwnerKind | Sequence[OwnerKind],
        wanted: Mapping[str, Any] | None = None,
        *,
        detail: Detail = "ids",
        ordered: bool = False,
        also: Sequence[str] = (),
    ) -> AsyncGenerator[OwnerState, None]:
        """Give the link set of every owner that a ``crm.item.list`` filter matches, each once.

        :param kind: A kind of owners, such as ``lead``, ``quote`` or ``dynamic_1036``; ``contact`` for the
            companies of contacts; or several, which share their requests.
        :param wanted: The filter, camelCase names; ``None`` for all.
        :param detail: ``ids``, or ``full`` for sort and role too.
        :param ordered: Whether owners come in order of id.
        :param also: Further fields, camelCase names; they come in ``state.fields``.
        :raises InvalidInput: The filter names a field that there is not, or a value that it cannot have; or
            another kind. Contacts themselves are given by :meth:`scan_contacts`.
        :raises Rejected: The portal refuses to tell the links of some; all others have been given then.
        """
        options: dict[str, Any] = {"detail": detail, "ordered": ordered, "also": also}
        with final_failures():
            async with self.portal() as portal:
                kinds: list[Any] = list(kind) if isinstance(kind, (list, tuple)) else [kind]
                for one in kinds:
                    if wanted and is_entity_kind(one):
                        wanted = await checked_filter(portal, one, wanted)
                async with aclosing(scan(portal, kind, wanted, **options)) as states:
                    async for state in states:
                        yield state

    async def scan_contacts(
        self, wanted: Mapping[str, Any] | None = None, *, detail: Detail = "ids", ordered: bool = False
    ) -> AsyncGenerator[Contact, None]:
        """Give every contact that a ``crm.item.list`` filter matches, each once.

        :param wanted: The filter, camelCase names; ``None`` for all.
        :param detail: ``ids`` for company and origin; ``full`` for name, phones and e-mails too.
        :param ordered: Whether contacts come in order of id.
        :raises InvalidInput: The filter names a field that there is not, or a value that it cannot have.
        """
        options: dict[str, Any] = {"detail": detail, "ordered": ordered}
        with final_failures():
            async with self.portal() as portal:
                if wanted:
                    wanted = await checked_filter(portal, "contact", wanted)
                async with aclosing(scan_contacts(portal, wanted, **options)) as contacts:
                    async for contact in contacts:
                        yield contact

    async def apply(
        self, kind: OwnerKind, changes: Iterable[Change], journal: Journal, *, dry_run: bool = False
    ) -> None:
        """Carry out changes: look, write, look again, and note one outcome for each.

        The plan operators do this with files, guards and a report around it.

        :param kind: ``lead`` or ``deal``.
        :param changes: Each owner at most once.
        :param journal: Takes the outcomes as they happen.
        :param dry_run: Look only.
        :raises RetryLater: The portal takes no more requests; outcomes noted so far stand.
        """
        with final_failures():
            async with self.portal() as portal:
                await apply_changes(portal, kind, changes, journal, dry_run=dry_run)


def _tls(verify: bool | str) -> ssl.SSLContext | bool:  # noqa: FBT001 (as the connection has it)
    """Give what aiohttp verifies a certificate by. Reading a bundle takes a while, so it is kept."""
    return True if verify is True else trusted_by(str(verify))


async def _beat(meter: Meter) -> None:
    """Call who watches the meter every second, whatever the client waits for."""
    while True:
        await asyncio.sleep(1)
        if meter.watch:
            meter.watch()
