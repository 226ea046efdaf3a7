"""Connections of ``requests`` that are ours: each request has an end, and only the socket sees its secret.

By itself ``requests`` bounds each wait, and never the whole: its timeout begins anew with each byte that
comes. Here the connection, the handshake, and each piece of the answer, headers and body, are waited for only
as long as is left of the whole.

The secret enters where a connection writes a request's first line: a path, or a header behind it. So
sessions, pools, answers, exceptions and lines of a log have the portal's plain address, and no token.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any

from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter
from requests.utils import prepend_scheme_if_needed
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HeaderParsingError
from urllib3.util.response import assert_header_parsing

from airflow_bitrix.client.auth import origin
from airflow_bitrix.client.bodies import UnreadableError
from airflow_bitrix.client.known_secrets import keep_secrets
from airflow_bitrix.client.logins import Login
from airflow_bitrix.core.languages import gettext


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a request has to be over.

    :param seconds: How long it may take altogether.
    :param at: When that is, by the monotonic clock.
    :param most: Bytes of its answer that are received, with headers and all.
    """

    seconds: float
    at: float
    most: float = inf

    @property
    def left(self) -> float:
        """Seconds until then, 0 or less when it is past."""
        return self.at - time.monotonic()


HEAD = 1_000_000
"""Bytes that an answer may have beside its body."""

_NONE = Deadline(inf, inf)
_now: ContextVar[Deadline] = ContextVar("deadline", default=_NONE)


@contextmanager
def deadline_in(seconds: float, most_bytes: float = inf) -> Iterator[Deadline]:
    """Let what is received in this block, through sessions that keep deadlines, end within ``seconds``.

    :param most_bytes: The largest body of an answer. With its headers it may have a million more.
    """
    deadline = Deadline(seconds, time.monotonic() + seconds, most_bytes + HEAD)
    token = _now.set(deadline)
    try:
        yield deadline
    finally:
        _now.reset(token)


def own_connections(adapter: HTTPAdapter, login: Login, in_flight: int, proxy: str) -> None:
    """Make the connections of a session's adapter keep to :func:`deadline_in`, and a secret to themselves.

    :param login: Its secret, a path or a header, goes into each request to its portal's plain address, and
        into no other.
    :param in_flight: Connections that the adapter keeps open.
    :param proxy: The proxy that it will be told of, empty for none.
    """
    keep_secrets(login, proxy)
    adapter.init_poolmanager(DEFAULT_POOLSIZE, in_flight)
    managers = [adapter.poolmanager]
    if proxy:
        named = prepend_scheme_if_needed(proxy, "http")  # type: ignore[no-untyped-call]
        managers.append(adapter.proxy_manager_for(named))  # it is made once, and kept by this name
    for manager in managers:
        pools: Any = {scheme: partial(_pool, kind, login) for scheme, kind in _POOLS.items()}
        manager.pool_classes_by_scheme = pools


def _within(timeout: Any) -> Any:
    """Give a timeout that does not reach beyond the deadline."""
    left = _now.get().left
    if left == inf:
        return timeout
    return max(min(left, timeout) if isinstance(timeout, (int, float)) else left, _SHORTEST)


_EARLY = frozenset(range(102, 200))
"""Statuses of answers that another one follows, beside ``Continue``."""

_SHORTEST = 0.001
"""Seconds; a timeout of 0 would be none, but another way of reading."""


class _Pieces(io.RawIOBase):
    """What a socket receives, each piece within the time that is left."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._timeout, self._received = sock, sock.gettimeout(), 0
        self._raw: Any = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if _now.get().left <= 0:
            raise TimeoutError
        self._sock.settimeout(_within(self._timeout))
        received: int | None = self._raw.readinto(buffer)
        self._received += received or 0
        # Lines of headers, trailers and sizes of chunks come to no end of their own.
        if self._received > _now.get().most:
            raise UnreadableError(
                gettext("the answer, with its headers, is larger than {most} bytes", most=_now.get().most)
            )
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_Pieces(sock))

    def _read_status(self) -> tuple[str, int, str]:
        """Take whatever is no final answer for one that says ``Continue``, which is passed over."""
        version, status, reason = super()._read_status()  # type: ignore[misc]
        early = status in _EARLY
        return version, http.client.CONTINUE if early else status, reason

    def begin(self) -> None:
        """Read the headers, and forget the portal's cookies: none is ever sent back.

        :raises HTTPException: Some are none. urllib3 would take the others, and write all into the log.
        """
        super().begin()
        try:
            assert_header_parsing(self.headers)
        except HeaderParsingError:
            raise http.client.HTTPException from None
        del self.headers["Set-Cookie"]


class _Connection(HTTPConnection):
    response_class = _Response
    debuglevel = 0  # whatever is set for all others: it would print what is written

    def __init__(self, *args: Any, login: Login, at: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._login, self._at = login, at

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        address = self._at + url
        super().putrequest(method, self._login.with_secret(address)[len(self._at) :], *args, **kwargs)
        for name, value in self._login.headers_for(address).items():
            self.putheader(name, value)

    def _new_conn(self) -> socket.socket:
        self.timeout = _within(self.timeout)
        sock = super()._new_conn()
        sock.settimeout(_within(sock.gettimeout()))  # a handshake may follow
        return sock


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _TlsPool}


def _pool(
    kind: type[HTTPConnectionPool], login: Login, host: str, port: int, **options: Any
) -> HTTPConnectionPool:
    """Give the connections to a host, be it behind a proxy or not."""
    at = origin(str(kind.scheme), host.strip("[]"), port)
    return kind(host, port, login=login, at=at, **options)
