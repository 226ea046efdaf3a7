"""The sandbox portal as a context manager: a real HTTP server in a thread of this process.

with Sandbox(leads=20, contacts=30) as sandbox:
    requests.post(sandbox.webhook_url + "crm.lead.contact.items.get", json={"id": 5})
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import socket
import ssl
import string
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from airflow_bitrix.sandbox import app, control
from airflow_bitrix.sandbox import seed as seeding
from airflow_bitrix.sandbox import tls as certificates
from airflow_bitrix.sandbox.clock import Clock
from airflow_bitrix.sandbox.portal import Portal
from airflow_bitrix.sandbox.settings import as_json
from airflow_bitrix.sandbox.truth import truth_of
from airflow_bitrix.sandbox.visitors import check_names, known_as

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from airflow_bitrix.sandbox.schema import Kind
    from airflow_bitrix.sandbox.state import State

_CODE_LENGTH = 16
_BACKLOG = 2048
_STOP_SECONDS = 1
_KEEP_ALIVE_SECONDS = 75


class _Server(uvicorn.Server):
    """A server that tells another thread when it is up, and that keeps nobody waiting when it stops."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self.up, self.stopping = threading.Event(), stopping
        self._loop: asyncio.AbstractEventLoop | None = None

    def work(self, listener: socket.socket) -> None:
        """Serve until told to exit: what the thread does."""
        try:
            asyncio.run(self.serve(sockets=[listener]))
        finally:
            self.up.set()

    def stop(self) -> None:
        """Tell it to exit, from another thread."""
        self.should_exit = True
        with contextlib.suppress(RuntimeError):  # it did not start, or has ended
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self.stopping.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_overlook_lost_clients)
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        # uvicorn looks ten times a second whether it is to exit; a tick at 0 dates the headers anew.
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), timeout=1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.stopping.set()
        # What has just been accepted becomes a connection some rounds of the loop later. If its listener were
        # closed in between, nobody would answer it.
        await asyncio.sleep(0.001)
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        left = asyncio.get_running_loop().time() + _STOP_SECONDS
        while True:
            self._end_connections()
            if not (self.server_state.connections or self.server_state.tasks):
                break
            if asyncio.get_running_loop().time() > left:
                for task in self.server_state.tasks:
                    task.cancel()
                break
            await asyncio.sleep(0.001)

    def _end_connections(self) -> None:
        for connection in list(self.server_state.connections):
            # A TLS connection is else closed only when the client has agreed, which an idle one never does.
            protocol: Any = connection
            idle = protocol.cycle is None or protocol.cycle.response_complete
            if self.config.is_ssl and idle and not protocol.transport.get_write_buffer_size():
                protocol.transport.abort()
            else:
                protocol.shutdown()


def _overlook_lost_clients(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say nothing of clients that refuse the certificate or go away in a handshake."""
    if not isinstance(context.get("exception"), (ssl.SSLError, ConnectionError)):
        loop.default_exception_handler(context)


def check_host(host: str) -> str:
    """The host, if it is this machine: the sandbox is open to all who reach it, so nobody else may."""
    if host == "localhost":
        return host
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise ValueError(f"host takes a loopback address such as 127.0.0.1, ::1 or localhost, not {host!r}")


def random_code() -> str:
    """A webhook code like those that portals make."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(_CODE_LENGTH))


class Sandbox:
    """A sandbox portal that serves while the context is open.

    :param leads, deals, contacts, quotes, companies, invoices, items: How many records to seed; 0 for none.
        Contacts belong to companies, a tenth as many as they are themselves, whether these are made or not.
        Items are those of the one smart process, whose ``entityTypeId`` is 1036.
    :param seed: The same seed gives the same records.
    :param originator: Makes the records look imported from those with the same ids in a portal of that name.
    :param code: The webhook's code; random if empty.
    :param client_secret: The secret of the local application; random if empty.
    :param user: The webhook's user id.
    :param plan: ``standard``, ``enterprise`` or ``self_hosted``.
    :param latency: Seconds that every REST call takes before it is worked on.
    :param tls: Serve https with a certificate of an own authority, see :attr:`authority`.
    :param host, port: Where to listen; port 0 takes a free one.
    :param names: Hosts, or hosts with ports, that it answers to beside this machine's own names, and whose
        pages may call it.
    :param clock: Another clock for limits and dates.
    """

    def __init__(
        self,
        *,
        leads: int = 0,
        deals: int = 0,
        contacts: int = 0,
        quotes: int = 0,
        companies: int = 0,
        invoices: int = 0,
        items: int = 0,
        seed: int = 7,
        originator: str = "",
        code: str = "",
        client_secret: str = "",
        user: int = 1,
        plan: str = "standard",
        latency: float = 0.0,
        tls: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        names: Iterable[str] = (),
        clock: Clock | None = None,
    ) -> None:
        clock = clock or Clock()
        self._seeded = partial(
            seeding.seeded,
            leads=leads,
            deals=deals,
            contacts=contacts,
            quotes=quotes,
            companies=companies,
            invoices=invoices,
            items=items,
            seed=seed,
            clock=clock,
            originator=originator,
        )
        self.portal = Portal(
            self._seeded(),
            code=code or random_code(),
            user=user,
            client_id=f"local.{random_code()}.1",
            client_secret=client_secret or random_code() * 3,
            plan=plan,
            # Of the data as it was seeded, whatever has become of it since.
            truth=lambda: truth_of(self._seeded()),
            clock=clock,
        )
        self.host, self.port, self._names = check_host(host), port, check_names(names)
        self.authority: Path | None = None
        """The file of the authority's certificate while a TLS sandbox runs."""
        self._latency, self._tls = latency, tls
        self._stack = contextlib.ExitStack()

    # Where it is

    @property
    def code(self) -> str:
        """The webhook's code."""
        return self.portal.code

    @property
    def base_url(self) -> str:
        """The portal's address, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    @property
    def webhook_url(self) -> str:
        """The webhook's address, with a slash at the end."""
        return f"{self.base_url}/rest/{self.portal.user}/{self.code}/"

    @property
    def client_id(self) -> str:
        """The id of the portal's local application."""
        return self.portal.oauth.client_id

    def application(self) -> dict[str, str]:
        """What a connection holds of the local application, with a first pair of tokens."""
        return self.portal.application(self.base_url)

    # Start and stop

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        self.authority = None

    def _start(self, stack: contextlib.ExitStack) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        # With the protocol spelt out asyncio switches Nagle's algorithm off; else each answer takes 40 ms.
        listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        self.port = listener.getsockname()[1]
        files: dict[str, Any] = {}
        if self._tls:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bitrix24-sandbox-")))
            made = certificates.make(folder)
            self.authority = made.authority
            files = {"ssl_certfile": str(made.certificate), "ssl_keyfile": str(made.key)}
        stopping = asyncio.Event()
        server = _Server(
            uvicorn.Config(
                app.build(
                    self.portal,
                    latency=self._latency,
                    stopping=stopping,
                    names=known_as(self.host, self.port, self._names),
                ),
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                **files,
            ),
            stopping,
        )
        thread = threading.Thread(target=server.work, args=(listener,), name="bitrix24-sandbox", daemon=True)
        thread.start()
        stack.callback(self._stop, server, thread)
        server.up.wait()
        if not server.started:
            raise RuntimeError("The sandbox did not start; its thread has told why.")

    @staticmethod
    def _stop(server: _Server, thread: threading.Thread) -> None:
        server.stop()
        thread.join()

    # Controls

    def reset(self) -> None:
        """Be as after the start: records as seeded, limits empty, no faults, switches or counts."""
        self.portal.reset(self._seeded())

    @property
    def state(self) -> State:
        """The portal's data, to look at or to change directly.

        Whoever changes it beside a client at work holds ``portal.lock``, as every request does: else an
        answer is made of rows that move while it reads them.
        """
        return self.portal.state

    def truth(self) -> dict[str, Any]:
        """What the seed planted, and what the clean-up rules should make of it."""
        return dict(self.portal.truth)

    def links(self, kind: Kind) -> dict[str, dict[str, Any]]:
        """The links of all records of a kind as they are now, by the owner's id."""
        return control.links(self.portal, kind)

    def stats(self) -> dict[str, Any]:
        """Counts since the last reset."""
        with self.portal.lock:
            return self.portal.stats.as_json()

    def reset_stats(self) -> None:
        """Count from nought."""
        self.portal.reset_stats()

    def set_faults(self, **faults: Any) -> dict[str, Any]:
        """Commit the named faults from now on, and no others."""
        return as_json(self.portal.set_faults(**faults))

    def clear_faults(self) -> None:
        """Commit no faults any more."""
        self.portal.set_faults()

    def set_switches(self, **switches: Any) -> dict[str, Any]:
        """Turn the named switches and leave the others."""
        return as_json(self.portal.set_switches(**switches))

    def reset_switches(self) -> None:
        """Turn every switch back."""
        self.portal.reset_switches()
