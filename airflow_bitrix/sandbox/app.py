"""The HTTP face of the sandbox: REST calls, record pages and the controls."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from airflow_bitrix.sandbox import control, oauth_pages, pages, php
from airflow_bitrix.sandbox.errors import FatalError, RestError
from airflow_bitrix.sandbox.portal import Caller
from airflow_bitrix.sandbox.request import bounded_body, read_params
from airflow_bitrix.sandbox.unending import unending
from airflow_bitrix.sandbox.visitors import ForItsDeveloper
from airflow_bitrix.sandbox.wrong_answers import TWICE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from airflow_bitrix.sandbox.portal import Portal

_VERBS = ["GET", "POST", "PUT", "PATCH"]
_ERROR_PAGE = """<html>
<head><title>{status}</title></head>
<body><center><h1>{status}</h1></center><hr><center>nginx</center></body>
</html>
"""


class PhpJson(Response):
    """JSON as the portal writes it."""

    def __init__(self, body: Any, status: int = 200) -> None:
        super().__init__(
            php.dumps(body),
            status,
            {"Content-Type": "application/json; charset=utf-8", "Access-Control-Allow-Origin": "*"},
        )


def _error_page(status: int) -> Response:
    return HTMLResponse(_ERROR_PAGE.format(status=int(status)), status)


class CutConnection(Response):
    """No answer at all: the connection is torn down."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Abort the transport under the server, then wait until it has noticed."""
        cycle: Any = getattr(receive, "__self__", None)
        cycle.transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def _refused(portal: Portal, address: str) -> Response | None:
    """What happens to a request before any work: a limit or a fault."""
    faults = portal.faults
    if not portal.admit(address) or portal.strikes("throttle"):
        return PhpJson(RestError("QUERY_LIMIT_EXCEEDED", "Too many requests").body(), 503)
    if faults.redirect is not None:
        return Response(status_code=302, headers={"Location": faults.redirect})
    if portal.strikes("html"):
        return _error_page(faults.html_status)
    return CutConnection() if portal.strikes("drop_before") else None


async def _pause(request: Request, seconds: float) -> None:
    """Wait, but not longer than the server lives."""
    if seconds:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(request.app.state.stopping.wait(), seconds)


async def _rest(request: Request) -> Response:
    portal: Portal = request.app.state.portal
    body = await bounded_body(request)
    await _pause(request, portal.lateness())
    if (refused := _refused(portal, request.client.host if request.client else "")) is not None:
        return refused
    await _pause(request, request.app.state.latency)
    params = read_params(
        request.method,
        request.scope["query_string"].decode("latin-1").partition("#")[0],
        request.headers.get("content-type", ""),
        body,
        portal.switches.max_input_vars,
    )
    method = request.path_params["method"].strip("/").removesuffix(".json").lower()
    caller = _caller(request, params)
    wrong = portal.wrong_answers()
    try:
        reply = portal.answer(caller, method, params)
        if TWICE in wrong:
            reply = portal.answer(caller, method, params)
    except FatalError:
        return _error_page(HTTPStatus.INTERNAL_SERVER_ERROR)
    except RecursionError:
        return PhpJson(RestError("", "The parameters are nested too deeply.").body(), 400)
    if portal.strikes("drop_after"):
        return CutConnection()
    answer: Response = PhpJson(reply.body, reply.status)
    if wrong:
        status, told = portal.said(reply, method, params, wrong)
        answer = Response(told, status, media_type="application/json")
    if (endless := unending(portal, answer, request.url.path, request.app.state.stopping)) is not None:
        return endless
    if portal.strikes("slow"):
        await _pause(request, portal.faults.slow_seconds)
    return answer


def _caller(request: Request, params: dict[str, Any]) -> Caller:
    """Who asks, as the portal finds out: by the address, by a header, or by a parameter."""
    path = request.path_params
    if "user" in path:
        return Caller(path["user"], path["code"])
    kind, _, told = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return Caller(token=told.strip())
    named = [params.pop(name) for name in ("auth", "access_token") if isinstance(params.get(name), str)]
    return Caller(token=named[0] if named else None)


def routes() -> list[Route]:
    """All that a sandbox answers."""
    return [
        Route("/rest/{user}/{code}/{method:path}", _rest, methods=_VERBS),
        Route("/rest/{method:path}", _rest, methods=_VERBS),
        *control.routes(),
        *oauth_pages.routes(),
        *pages.routes(),
    ]


def build(portal: Portal, *, latency: float, stopping: asyncio.Event, names: Iterable[str]) -> ASGIApp:
    """The application around a portal.

    :param latency: Seconds that a REST call takes before it is worked on.
    :param stopping: Ends whatever waits.
    :param names: What clients may call it: hosts with their ports, in small letters.
    """
    app = Starlette(routes=routes())
    app.state.portal, app.state.latency, app.state.stopping = portal, latency, stopping
    return ForItsDeveloper(app, names)
