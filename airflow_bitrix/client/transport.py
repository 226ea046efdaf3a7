"""Posting a request with ``requests`` or ``aiohttp``, and saying in plain words why no reply came.

Nothing is raised for a fault of the network: exceptions of the HTTP libraries hold the address, and with it
the secret, so none of them leaves this module.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable

import aiohttp
import requests
import urllib3
from requests.auth import AuthBase

from airflow_bitrix.client.auth import Webhook
from airflow_bitrix.client.deadlines import Deadline, deadline_in
from airflow_bitrix.client.flow import AsyncTransport, Transport
from airflow_bitrix.client.known_secrets import keep_secrets
from airflow_bitrix.client.wire import Lost, Reply, Request
from airflow_bitrix.core.redaction import redact

JSON_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
_PROXY = "the proxy cannot be reached or refuses"
_CUT = "the connection was closed before an answer came"

DEADLINE = 180.0
"""Seconds in which a request has to be over. The cloud works on one for 60 at most, and it has a long way."""

MOST_BYTES = 256 * 2**20
"""The largest answer. The 2,500 rows of a full batch are a few million bytes; a row may hold long texts."""

_PIECE = 2**16


class WebhookAuth(AuthBase):
    """Puts the webhook's secret path into a request where its connections are not ours.

    Ours do it later, so that no library sees it: :func:`~airflow_bitrix.client.deadlines.own_connections`.
    """

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook
        keep_secrets(webhook)

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        """Rewrite ``https://portal/method`` to ``https://portal/rest/user/code/method``."""
        prepared.url = self._webhook.with_secret(str(prepared.url))
        return prepared

    def __repr__(self) -> str:
        """Keep the secret out of reprs."""
        return f"WebhookAuth({self._webhook.portal!r})"


def no_login(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request as it is; where a session has no ``auth``, it would take a login of ``~/.netrc``."""
    return prepared


def requests_transport(
    session: requests.Session,
    portal: str,
    timeout: float,
    deadline: float = DEADLINE,
    most_bytes: int = MOST_BYTES,
) -> Transport:
    """Post through a ``requests`` session that puts the secret into its requests.

    :param timeout: Seconds to wait for a connection, and again for each piece of the answer.
    :param deadline: Seconds in which a request has to be over; they hold to the letter where the session's
        connections are ours, see :func:`~airflow_bitrix.client.deadlines.own_connections`.
    :param most_bytes: The largest answer that is read.
    """

    def send(request: Request) -> Reply | Lost:
        with deadline_in(deadline) as until:
            try:
                response = session.post(
                    f"{portal}/{request.method}",
                    data=request.body,
                    headers=JSON_HEADERS,
                    timeout=timeout,
                    stream=True,
                    allow_redirects=False,
                    # Said here again: for a session alone, the environment's CA bundle and proxies would win.
                    verify=session.verify,
                    proxies=dict(session.proxies),
                )
                with response:
                    body = bytearray()
                    for piece in response.iter_content(_PIECE):
                        body += piece
                        if len(body) > most_bytes:
                            return _too_large(most_bytes)
                        if until.left <= 0:
                            return _late(deadline)
            except requests.RequestException as error:
                return lost_by_requests(error, timeout, until)
        return Reply(response.status_code, bytes(body), response.headers.get("Location", ""))

    return send


def lost_by_requests(error: requests.RequestException, timeout: float, until: Deadline) -> Lost:
    """Say what a ``requests`` exception means, without its text where that names the address."""
    reason = error.args[0] if error.args else None
    if isinstance(reason, urllib3.exceptions.MaxRetryError):
        reason = reason.reason
    if isinstance(error, requests.exceptions.SSLError):
        return Lost(sent=False, reason=_tls(reason), final=True)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Lost(sent=False, reason=f"no connection within {min(timeout, until.seconds):g} s")
    if isinstance(error, requests.exceptions.ReadTimeout) or isinstance(
        reason, urllib3.exceptions.ReadTimeoutError
    ):
        late = until.left <= 0
        return _late(until.seconds) if late else Lost(sent=True, reason=f"no answer within {timeout:g} s")
    if isinstance(reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.NameResolutionError)):
        return Lost(sent=False, reason=_no_connection(reason))
    if isinstance(error, requests.exceptions.ProxyError):
        return Lost(sent=False, reason=_PROXY)
    return Lost(sent=True, reason=_CUT)


def _late(deadline: float) -> Lost:
    return Lost(sent=True, reason=f"no whole answer within {deadline:g} s")


def _too_large(most_bytes: int) -> Lost:
    return Lost(sent=True, reason=f"the answer is larger than {most_bytes:,} bytes")


Post = Callable[[str, bytes], Awaitable[aiohttp.ClientResponse]]


def aiohttp_transport(
    post: Post, timeout: float, deadline: float = DEADLINE, most_bytes: int = MOST_BYTES
) -> AsyncTransport:
    """Post through ``aiohttp``.

    :param post: Posts a body to a method and gives the response.
    :param timeout: Seconds that ``post`` grants a request, for the text of the error.
    :param deadline: Seconds in which a request has to be over.
    :param most_bytes: The largest answer that is read.
    """

    async def send(request: Request) -> Reply | Lost:
        until = asyncio.timeout(deadline)
        try:
            # Its own timeouts begin anew with each piece, and none ends the wait for a chunk without a size.
            async with until:
                response = await post(request.method, request.body)
                try:
                    body = bytearray()
                    async for piece in response.content.iter_any():
                        body += piece
                        if len(body) > most_bytes:
                            return _too_large(most_bytes)
                finally:
                    response.close()  # where all of it has come, the connection is kept all the same
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return _late(deadline) if until.expired() else _lost_by_aiohttp(error, timeout)
        return Reply(response.status, bytes(body), response.headers.get("Location", ""))

    return send


def client_timeout(seconds: float) -> aiohttp.ClientTimeout:
    """Grant ``seconds`` for the connection, and again for each piece of the answer, as ``requests`` does."""
    return aiohttp.ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds)


def _lost_by_aiohttp(error: Exception, timeout: float) -> Lost:
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)):
        return Lost(sent=False, reason=_tls(error), final=True)
    if isinstance(error, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)):
        return Lost(sent=False, reason=_PROXY)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Lost(sent=False, reason=f"no connection within {timeout:g} s")
    if isinstance(error, asyncio.TimeoutError):
        return Lost(sent=True, reason=f"no answer within {timeout:g} s")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Lost(sent=False, reason=_no_connection(error.os_error))
    return Lost(sent=True, reason=_CUT)


def _no_connection(error: BaseException) -> str:
    """Say in plain words why no connection came about; the system's own words follow where they tell more."""
    cause: BaseException | None = error
    while cause and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, socket.gaierror):
        return f"its name is not found ({cause.strerror})"
    if isinstance(cause, ConnectionRefusedError):
        return "nothing answers at this address and port (connection refused)"
    if isinstance(cause, OSError) and cause.errno:
        return f"no connection ({os.strerror(cause.errno)})"
    return _last_words(error)


def _last_words(error: object) -> str:
    # These texts go from the general to the particular, with ": " between; the last part tells the cause.
    return redact(str(error)).rsplit(": ", 1)[-1]


def _tls(error: object) -> str:
    inside = [getattr(error, "certificate_error", None), *getattr(error, "args", ()), error]
    for inner in inside:
        if isinstance(inner, ssl.SSLCertVerificationError):
            return f"the portal's certificate cannot be verified: {inner.verify_message}"
    reason = next((str(inner.reason) for inner in inside if isinstance(inner, ssl.SSLError)), "")
    text = reason.replace("_", " ").lower() or _last_words(error)
    return (
        f"no TLS connection ({text}); a portal on this machine without TLS needs http:// before its address"
    )
