"""Hooks for Bitrix24: a connection of type ``bitrix24`` becomes a client that keeps to the limits."""

from __future__ import annotations

import os
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import requests
from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import conf
from airflow.providers.http.hooks.http import HttpAsyncHook, HttpHook, SessionConfig
from airflow.sdk.log import mask_secret

from airflow_bitrix.client.allowance import Allowance, shared_allowance
from airflow_bitrix.client.apply import Journal, apply_changes
from airflow_bitrix.client.contacts import scan_contacts
from airflow_bitrix.client.flow import Clock, Manners, Meter, OperatingTime
from airflow_bitrix.client.pacing import Patience, Retries
from airflow_bitrix.client.portal import AsyncPortal, Outcomes, Portal
from airflow_bitrix.client.redaction import guard_http_logs
from airflow_bitrix.client.scan import Detail, check_filter, scan
from airflow_bitrix.client.transport import (
    JSON_HEADERS,
    WebhookAuth,
    aiohttp_transport,
    client_timeout,
    lost_by_requests,
    requests_transport,
)
from airflow_bitrix.client.wire import Call, Fault, Lost, Reply, error_of, read
from airflow_bitrix.core.contacts import Contact
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.links import ENTITY_TYPE_IDS, Owner, OwnerKind, owner_kind, positive_id
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.states import OwnerState
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.hooks.settings import Settings, read_settings

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

DEFAULT_CONN_ID = "bitrix24_default"


def pacing_folder() -> Path:
    """Give the folder of the files through which the processes of this host share a portal's allowance."""
    fallback = str(Path(tempfile.gettempdir()) / f"airflow-bitrix-{os.geteuid()}")
    return Path(conf.get("bitrix24", "pacing_path", fallback=fallback) or fallback)


def _patience() -> Patience:
    """Give how far the portal's operating time is used, and how long its return is waited for."""
    usual = Patience()
    limit = conf.getfloat("bitrix24", "operating_limit", fallback=usual.operating_limit)
    return Patience(limit, conf.getfloat("bitrix24", "max_wait", fallback=usual.max_wait))


def _settings(connection: Connection, extra: Mapping[str, Any]) -> Settings:
    with final_failures():
        return read_settings(
            host=connection.host,
            login=connection.login,
            password=connection.password,
            port=connection.port,
            extra=extra,
        )


def _allowance(settings: Settings) -> Allowance:
    return shared_allowance(settings.bucket, settings.webhook.portal, pacing_folder())


class Bitrix24Hook(HttpHook):
    """Call REST methods of a Bitrix24 portal, at the pace that the portal admits.

    The stock operators of the HTTP provider work with a ``bitrix24`` connection too, except deferred.

    :param bitrix24_conn_id: Id of a connection of type ``bitrix24``.
    :param method: HTTP method of :meth:`run`, for the stock operators; calls of ours always post.
    :param http: Further arguments of ``HttpHook``. ``auth_type`` has no meaning here.
    """

    conn_name_attr = "bitrix24_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "bitrix24"
    hook_name = "Bitrix24"

    def __init__(self, bitrix24_conn_id: str = DEFAULT_CONN_ID, method: str = "POST", **http: Any) -> None:
        super().__init__(method=method, http_conn_id=bitrix24_conn_id, **http)
        self.bitrix24_conn_id = bitrix24_conn_id
        self.retries = Retries()
        self.patience = _patience()
        self.clock = Clock()
        guard_http_logs()

    # -- what the HTTP provider's hook asks of a subclass --------------------------------------------------

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """Give a session that adds the webhook's secret to each request at the last moment."""
        # Options that are not empty make the parent call _configure_session_from_extra in every case.
        return super().get_conn(headers, {"allow_redirects": False, **(extra_options or {})})

    @cached_property
    def settings(self) -> Settings:
        """What the connection says; read once, its secrets masked in all logs from then on.

        :raises InvalidInput: A field that cannot be right. Airflow does not retry it.
        """
        connection = self.get_connection(self.bitrix24_conn_id)
        settings = _settings(connection, connection.extra_dejson)
        mask_secret(settings.webhook.code)
        return settings

    @cached_property
    def _allowance(self) -> Allowance:
        return _allowance(self.settings)

    def _set_base_url(self, connection: Any) -> None:  # noqa: ARG002 (the parent's signature)
        # The portal's plain address, without the secret: the parent prints what it finds here.
        self.base_url = self.settings.webhook.portal
        self._base_url_initialized = True

    def _extract_auth(self, connection: Any) -> Any:  # noqa: ARG002 (the parent's signature)
        return WebhookAuth(self.settings.webhook)

    def _configure_session_from_extra(
        self, session: requests.Session, connection: Any, extra_options: dict[str, Any]
    ) -> requests.Session:
        # The parent would send extras that it does not know as headers: ours stay out of its sight.
        del connection
        settings = self.settings
        self.merged_extra = {"timeout": settings.timeout, **extra_options}
        session.verify = settings.verify
        if settings.proxy:
            session.proxies = {"http": settings.proxy, "https": settings.proxy}
        return session

    def run_and_check(
        self,
        session: requests.Session,
        prepped_request: requests.PreparedRequest,
        extra_options: dict[Any, Any],
    ) -> requests.Response:
        """Send a request of the stock operators: paced, and without the address in any log or error."""
        while seconds := self._allowance.ask():
            time.sleep(seconds)
        timeout = extra_options.get("timeout") or self.settings.timeout
        options = session.merge_environment_settings(
            prepped_request.url, session.proxies, session.stream, session.verify, session.cert
        )
        lost: Lost | None = None
        try:
            response = session.send(
                prepped_request,
                timeout=timeout,
                allow_redirects=extra_options.get("allow_redirects", False),
                **options,
            )
        except requests.RequestException as error:
            lost = lost_by_requests(error, timeout)
        if lost:
            self._raise_for(prepped_request, read(lost))
        if extra_options.get("check_response", True):
            self.check_response(response)
        return response

    def check_response(self, response: requests.Response) -> None:
        """Raise what the portal says, also where it says so with HTTP status 200.

        :raises Bitrix24Error: The portal refused or failed.
        """
        reply = Reply(response.status_code, response.content, response.headers.get("Location", ""))
        self._raise_for(response.request, read(reply))

    @staticmethod
    def _raise_for(request: requests.PreparedRequest, found: object) -> None:
        if isinstance(found, Fault):
            method = (request.path_url.split("?")[0].rstrip("/").rsplit("/", 1)[-1]).removesuffix(".json")
            with final_failures():
                raise error_of(Call(method), found)

    # -- what DAG authors call -----------------------------------------------------------------------------

    @cached_property
    def portal(self) -> Portal:
        """The client of the connection's portal, with one session for all its calls."""
        settings = self.settings
        session = self.get_conn()
        send = requests_transport(session, settings.webhook.portal, settings.timeout)
        manners = Manners(self._allowance, self.retries, patience=self.patience, clock=self.clock)
        return Portal(send, manners)

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Call a REST method and give its ``result``.

        :param method: For example ``crm.lead.contact.items.get``.
        :param params: Its parameters, JSON-serialisable.
        :raises Rejected: The portal refused; Airflow does not retry it. Likewise ``AuthFailed``.
        :raises RetryLater: The portal is busy or unreachable, and repeats did not help; or it lets the
            method rest for longer than is waited for, and then ``until`` tells until when.
        :raises OutcomeUnknown: A creating call was sent and no answer came.
        """
        with final_failures():
            return self.portal.call(method, params)

    def batch(self, calls: Iterable[Call | tuple[str, Mapping[str, Any]]]) -> Outcomes:
        """Run any number of calls, 50 a request, and give one outcome for each, in the same order.

        :param calls: ``(method, params)`` pairs.
        :return: Outcomes with ``ok``, ``result`` and ``error``; a failed command does not hide the others.
        :raises InvalidInput: Parameters that a batch cannot express, before anything is sent.
        """
        with final_failures():
            return self.portal.batch(calls)

    def list(self, method: str, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """Give every row of a list method, in order of id, 50 a request, without offsets.

        :param method: For example ``crm.lead.list``.
        :param params: ``filter``, ``select`` and the like; ``order`` and ``start`` are not accepted.
        :raises InvalidInput: A filter field that the portal would silently ignore.
        """
        with final_failures():
            yield from self.portal.list(method, params)

    def owners_of_contact(self, contact_id: int | str, kind: OwnerKind) -> Iterator[Owner]:
        """Give the leads or deals that a contact is linked to, primary or not, in order of id.

        The legacy filter by ``CONTACT_ID`` finds only those where it is primary; this reads
        ``crm.item.list`` filtered by ``contactIds``.

        :param contact_id: Id of the contact.
        :param kind: ``lead`` or ``deal``.
        :raises InvalidInput: No id, or another kind.
        """
        with final_failures():
            wanted = {"contactIds": positive_id("contact_id", contact_id)}
            entity = ENTITY_TYPE_IDS[owner_kind(kind)]
            params = {"entityTypeId": entity, "filter": wanted, "select": ["id"]}
            for row in self.portal.list("crm.item.list", params):
                yield Owner(kind, int(row["id"]))

    def test_connection(self) -> tuple[bool, str]:
        """Call ``profile`` and ``scope``, and say who is connected or what is wrong, without the address."""
        self.retries = Retries(times=0)
        try:
            profile, scope = self.call("profile"), self.call("scope")
        except Bitrix24Error as error:
            return False, str(error)
        if "crm" not in (scope or ()):
            return False, f"The webhook lacks the scope crm; it has: {', '.join(scope or ()) or 'none'}"
        name = " ".join(str(profile.get(part) or "") for part in ("NAME", "LAST_NAME")).strip()
        role = "administrator" if profile.get("ADMIN") else "no administrator"
        return True, f"Connected to {self.settings.webhook.portal} as {name or 'a user'} ({role})"


class Bitrix24AsyncHook(HttpAsyncHook):
    """Call REST methods of a Bitrix24 portal from an event loop, several requests in flight.

    :param bitrix24_conn_id: Id of a connection of type ``bitrix24``.
    :param settings: What the connection says, where it has been read already.
    """

    conn_name_attr = "bitrix24_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "bitrix24"
    hook_name = "Bitrix24"

    def __init__(
        self, bitrix24_conn_id: str = DEFAULT_CONN_ID, *, settings: Settings | None = None, **http: Any
    ) -> None:
        # Repeats are ours: the parent's would print the address, and know nothing of the portal's errors.
        super().__init__(http_conn_id=bitrix24_conn_id, **{**http, "retry_limit": 1})
        self.bitrix24_conn_id = bitrix24_conn_id
        self.retries = Retries()
        self.patience = _patience()
        self.clock = Clock()
        self._operating = OperatingTime()
        self._settings = settings
        guard_http_logs()

    async def settings(self) -> Settings:
        """Give what the connection says; read once, its secrets masked in all logs from then on."""
        if self._settings is None:
            connection = await get_async_connection(conn_id=self.bitrix24_conn_id, hook=self)
            self._settings = _settings(connection, await get_async_extra_dejson(connection))
            await _mask(self._settings.webhook.code)
        return self._settings

    async def config(self) -> SessionConfig:
        """Give what the parent needs for a session."""
        if self._config is None:
            settings = await self.settings()
            options: dict[str, Any] = {
                "check_response": False,
                "allow_redirects": False,
                "timeout": client_timeout(settings.timeout),
                "ssl": True
                if settings.verify is True
                else ssl.create_default_context(cafile=str(settings.verify)),
            }
            if settings.proxy:
                options["proxy"] = settings.proxy
            base_url = settings.webhook.url("")
            self._config = SessionConfig(base_url=base_url, headers={}, auth=None, extra_options=options)
        return self._config

    @asynccontextmanager
    async def portal(self, meter: Meter | None = None) -> AsyncIterator[AsyncPortal]:
        """Open a session and give the client of the connection's portal.

        :param meter: Counts the client's requests and waits.
        :raises InvalidInput: A field of the connection that cannot be right.
        """
        settings = await self.settings()
        async with self.session(method="POST") as http:

            async def post(method: str, body: bytes) -> aiohttp.ClientResponse:
                return await http.run(endpoint=method, data=body, headers=JSON_HEADERS)  # type: ignore[arg-type]

            send = aiohttp_transport(post, settings.timeout)
            manners = Manners(
                _allowance(settings),
                self.retries,
                meter or Meter(),
                patience=self.patience,
                operating=self._operating,
                clock=self.clock,
            )
            yield AsyncPortal(send, manners, settings.in_flight)

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

    async def list(self, method: str, params: Mapping[str, Any] | None = None) -> AsyncIterator[Any]:
        """Give every row of a list method; see :meth:`Bitrix24Hook.list`."""
        with final_failures():
            async with self.portal() as portal:
                async for row in portal.list(method, params):
                    yield row

    async def scan(
        self,
        kind: OwnerKind,
        wanted: Mapping[str, Any] | None = None,
        *,
        detail: Detail = "ids",
        ordered: bool = False,
    ) -> AsyncIterator[OwnerState]:
        """Give the link set of every lead or deal that a ``crm.item.list`` filter matches, each once.

        :param kind: ``lead`` or ``deal``.
        :param wanted: The filter, camelCase names; ``None`` for all.
        :param detail: ``ids``, or ``full`` for sort and role too.
        :param ordered: Whether owners come in order of id.
        :raises InvalidInput: The filter names a field that there is not.
        """
        with final_failures():
            async with self.portal() as portal:
                if wanted:
                    await check_filter(portal, kind, wanted)
                async for state in scan(portal, kind, wanted, detail=detail, ordered=ordered):
                    yield state

    async def scan_contacts(
        self, wanted: Mapping[str, Any] | None = None, *, detail: Detail = "ids", ordered: bool = False
    ) -> AsyncIterator[Contact]:
        """Give every contact that a ``crm.item.list`` filter matches, each once.

        :param wanted: The filter, camelCase names; ``None`` for all.
        :param detail: ``ids`` for company and origin; ``full`` for name, phones and e-mails too.
        :param ordered: Whether contacts come in order of id.
        :raises InvalidInput: The filter names a field that there is not.
        """
        with final_failures():
            async with self.portal() as portal:
                if wanted:
                    await check_filter(portal, "contact", wanted)
                async for contact in scan_contacts(portal, wanted, detail=detail, ordered=ordered):
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


async def _mask(secret: str) -> None:
    try:
        from airflow.sdk.log import amask_secret  # noqa: PLC0415 (not in every Airflow that is supported)
    except ImportError:
        mask_secret(secret)
    else:
        await amask_secret(secret)
