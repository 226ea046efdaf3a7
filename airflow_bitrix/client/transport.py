"""Posting a request with ``requests`` or ``aiohttp``, and saying in plain words why no reply came.

Nothing is raised for a fault of the network: exceptions of the HTTP libraries hold the address, and with it
the secret, so none of them leaves this module.
"""

from __future__ import annotations

import asyncio
import functools
import http.client
import io
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import requests
import urllib3
from aiohttp.client_proto import ResponseHandler
from requests.auth import AuthBase

from airflow_bitrix.client.bodies import ENCODINGS, MOST_BYTES, Body, UnreadableError
from airflow_bitrix.client.deadlines import HEAD, Deadline, deadline_in
from airflow_bitrix.client.flow import AsyncTransport, Transport
from airflow_bitrix.client.hidden_requests import hidden_requests
from airflow_bitrix.client.known_secrets import keep_secrets
from airflow_bitrix.client.logins import Login
from airflow_bitrix.client.wire import Lost, Reply, Request
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.redaction import redact

JSON_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": ENCODINGS,
}
_PROXY = gettext_noop("the proxy cannot be reached or refuses")
_CUT = gettext_noop("the connection was closed before an answer came")
_ODD = gettext_noop("what came is no answer by the rules of HTTP")

DEADLINE = 180.0
"""Seconds in which a request has to be over. The cloud works on one for 60 at most, and it has a long way."""

_PIECE = 2**16


class LoginAuth(AuthBase):
    """Puts the secret of a login into a request where its connections are not ours.

    Ours do it later, so that no library sees it: :func:`~airflow_bitrix.client.deadlines.own_connections`.
    """

    def __init__(self, login: Login) -> None:
        self._login = login
        keep_secrets(login)

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        """Rewrite ``https://portal/method`` to ``https://portal/rest/user/code/method``, or add a header."""
        prepared.headers.update(self._login.headers_for(str(prepared.url)))
        prepared.url = self._login.with_secret(str(prepared.url))
        return prepared

    def __repr__(self) -> str:
        """Keep the secret out of reprs."""
        return f"LoginAuth({self._login.portal!r})"


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
        asked = requests.Request(
            "POST", f"{portal}/{request.method}", data=request.body, headers=JSON_HEADERS
        )
        return send_once(session, session.prepare_request(asked), timeout, deadline, most_bytes)[0]

    return send


def send_once(
    session: requests.Session,
    prepared: requests.PreparedRequest,
    timeout: float,
    deadline: float,
    most_bytes: int,
) -> tuple[Reply | Lost, requests.Response]:
    """Send a request, and read its answer whole.

    It goes past the session's own way of sending, which looks at where a redirect leads, reads what comes
    with it without bounds, keeps the portal's cookies, and asks the environment for proxies and authorities.

    :return: The reply, or why there is none; and the response as far as it came, its body in it.
    """
    response = requests.Response()
    with deadline_in(deadline, most_bytes) as until:
        try:
            response = session.get_adapter(prepared.url or "").send(
                prepared,
                stream=True,
                timeout=timeout,
                verify=session.verify is None or session.verify,
                cert=session.cert,
                proxies=session.proxies,
            )
            with response:
                body = Body(response.headers.get("Content-Encoding", ""), most_bytes)
                for piece in response.raw.stream(_PIECE, decode_content=False):
                    body.add(piece)
                    if until.left <= 0:
                        return _late(deadline), response
                whole = body.whole()
        except UnreadableError as error:
            return Lost(sent=True, reason=str(error)), response
        except (requests.RequestException, urllib3.exceptions.HTTPError, *_BARE) as error:
            return _lost_by_requests(error, timeout, until), response
    response.raw, response.encoding = io.BytesIO(whole), "utf-8"  # as JSON is, whatever the headers say
    return Reply(response.status_code, whole, response.headers.get("Location", "")), response


_BARE = (http.client.HTTPException, OSError, ValueError)
"""What the libraries let through as it is, where they meet what they did not think of."""


def _lost_by_requests(error: Exception, timeout: float, until: Deadline) -> Lost:
    """Say what an exception of ``requests`` or below means, without its text where that names the address."""
    reason = error
    if isinstance(error, requests.RequestException) and error.args and isinstance(error.args[0], Exception):
        reason = error.args[0]
    if isinstance(reason, urllib3.exceptions.MaxRetryError) and reason.reason:
        reason = reason.reason
    if isinstance(error, requests.exceptions.SSLError):
        return Lost(sent=False, reason=_tls(reason), final=True)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Lost(
            sent=False,
            reason=gettext("no connection within {timeout} s", timeout=f"{min(timeout, until.seconds):g}"),
        )
    if isinstance(error, requests.exceptions.ReadTimeout) or isinstance(
        reason, urllib3.exceptions.ReadTimeoutError
    ):
        late = until.left <= 0
        return (
            _late(until.seconds)
            if late
            else Lost(sent=True, reason=gettext("no answer within {timeout} s", timeout=f"{timeout:g}"))
        )
    if isinstance(reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.NameResolutionError)):
        return Lost(sent=False, reason=_no_connection(reason))
    if isinstance(error, requests.exceptions.ProxyError):
        return Lost(sent=False, reason=gettext(_PROXY))
    return Lost(sent=True, reason=gettext(_ODD if _is_odd(reason) else _CUT))


def _is_odd(reason: Exception) -> bool:
    """Whether something came that is no answer, rather than nothing or half of one."""
    inner = next((one for one in reason.args if isinstance(one, Exception)), reason)
    cut = isinstance(inner, (ConnectionError, http.client.IncompleteRead))
    odd = isinstance(inner, (http.client.HTTPException, ValueError))
    return odd and (not cut or isinstance(inner, urllib3.exceptions.InvalidChunkLength))


def _late(deadline: float) -> Lost:
    return Lost(sent=True, reason=gettext("no whole answer within {deadline} s", deadline=f"{deadline:g}"))


Post = Callable[[str, bytes], Awaitable[aiohttp.ClientResponse]]


def aiohttp_transport(
    post: Post, timeout: float, deadline: float = DEADLINE, most_bytes: int = MOST_BYTES
) -> AsyncTransport:
    """Post through ``aiohttp``.

    :param post: Posts a body to a method, in a session that :func:`open_session` made, and gives the
        response.
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
                    body = Body(", ".join(response.headers.getall("Content-Encoding", ())), most_bytes)
                    async for piece in response.content.iter_any():
                        body.add(piece)
                    whole = body.whole()
                finally:
                    response.close()  # where all of it has come, the connection is kept all the same
        except UnreadableError as error:
            return Lost(sent=True, reason=str(error))
        except (TimeoutError, aiohttp.ClientError, *_BARE) as error:
            return _late(deadline) if until.expired() else _lost_by_aiohttp(error, timeout)
        return Reply(response.status, whole, response.headers.get("Location", ""))

    return send


class _Bounded(ResponseHandler):
    """Receives an answer; beside its body, headers and the like may have a million bytes.

    Before 3.14, aiohttp takes headers and trailers without an end.
    """

    _received = 0

    def set_response_params(self, **how: Any) -> None:
        self._received = 0
        super().set_response_params(**how)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        body = self._payload.total_bytes if self._payload is not None else 0
        if self._received - body > HEAD + body // 8:  # chunks have sizes before them
            self.set_exception(
                UnreadableError(gettext("the headers of the answer are larger than {head} bytes", head=HEAD))
            )
            if self.transport is not None:
                self.transport.abort()
        else:
            super().data_received(data)


def open_session(login: Login, seconds: float) -> aiohttp.ClientSession:
    """Give a session that unpacks no answer, keeps no cookie, and takes nothing from the environment.

    :param login: Its secret goes into each request to its portal's plain address.
    :param seconds: For a connection, and again for each piece of the answer, as ``requests`` has it.
    """
    connector = aiohttp.TCPConnector()
    # There is no public way to say what receives.
    made = functools.partial(_Bounded, loop=asyncio.get_running_loop())
    connector._factory = made  # type: ignore[assignment]  # noqa: SLF001
    return aiohttp.ClientSession(
        connector=connector,
        headers=JSON_HEADERS,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        request_class=hidden_requests(login),
    )


def _lost_by_aiohttp(error: Exception, timeout: float) -> Lost:
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)):
        return Lost(sent=False, reason=_tls(error), final=True)
    if isinstance(error, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)):
        return Lost(sent=False, reason=gettext(_PROXY))
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Lost(sent=False, reason=gettext("no connection within {timeout} s", timeout=f"{timeout:g}"))
    if isinstance(error, asyncio.TimeoutError):
        return Lost(sent=True, reason=gettext("no answer within {timeout} s", timeout=f"{timeout:g}"))
    if isinstance(error, aiohttp.ClientConnectorError):
        return Lost(sent=False, reason=_no_connection(error.os_error))
    odd = isinstance(error, (aiohttp.ClientResponseError, ValueError))
    return Lost(sent=True, reason=gettext(_ODD if odd else _CUT))


def _no_connection(error: BaseException) -> str:
    """Say in plain words why no connection came about; the system's own words follow where they tell more."""
    cause: BaseException | None = error
    while cause and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, socket.gaierror):
        return gettext("its name is not found ({strerror})", strerror=cause.strerror)
    if isinstance(cause, ConnectionRefusedError):
        return gettext("nothing answers at this address and port (connection refused)")
    if isinstance(cause, OSError) and cause.errno:
        return gettext("no connection ({strerror})", strerror=os.strerror(cause.errno))
    return _last_words(error)


def _last_words(error: object) -> str:
    # These texts go from the general to the particular, with ": " between; the last part tells the cause.
    return redact(str(error)).rsplit(": ", 1)[-1]


def _tls(error: object) -> str:
    inside = [getattr(error, "certificate_error", None), *getattr(error, "args", ()), error]
    for inner in inside:
        if isinstance(inner, ssl.SSLCertVerificationError):
            return gettext(
                "the portal's certificate cannot be verified: {verify_message}",
                verify_message=inner.verify_message,
            )
    reason = next((str(inner.reason) for inner in inside if isinstance(inner, ssl.SSLError)), "")
    text = reason.replace("_", " ").lower() or _last_words(error)
    return gettext(
        "no TLS connection ({text}); a portal on this machine without TLS needs http:// before its address",
        text=text,
    )
