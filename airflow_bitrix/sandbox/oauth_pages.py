"""The OAuth server's HTTP face: the page that lets an application in, and the one that gives tokens."""

from __future__ import annotations

import asyncio
import contextlib
import html
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from airflow_bitrix.sandbox.errors import RestError

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_bitrix.sandbox.portal import Portal

_DONE = "/oauth/done/"
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def _page(text: str, status: int = 200) -> Response:
    body = f"<html><head><title>Sandbox</title></head><body><p>{html.escape(text)}</p></body></html>"
    return HTMLResponse(body, status, _HEADERS)


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


async def _authorize(request: Request) -> Response:
    """Whoever opens this page is logged in at the portal, and lets the application in."""
    portal: Portal = request.app.state.portal
    query = request.query_params
    try:
        code = portal.oauth_code(query.get("client_id", ""))
    except RestError as error:
        return _page(f"{error.code}: {error.description}", 400)
    to = portal.switches.handler or f"{_origin(request)}{_DONE}"
    back = {
        "code": code,
        "state": query.get("state", ""),
        "domain": request.url.netloc,
        "member_id": "a223c6b3710f85df22e9377d6c4f7553",
        "scope": ",".join(portal.switches.scope),
        "server_domain": _origin(request),
    }
    return RedirectResponse(f"{to}{'&' if '?' in to else '?'}{urlencode(back)}", 302, _HEADERS)


async def _done(request: Request) -> Response:  # noqa: ARG001 (every route has it)
    return _page("The portal let the application in. Copy the address of this page.")


async def _pause(request: Request, seconds: float) -> None:
    """Wait, but not longer than the server lives."""
    if seconds:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(request.app.state.stopping.wait(), seconds)


async def _token(request: Request) -> Response:
    portal: Portal = request.app.state.portal
    faults = portal.faults
    if portal.strikes("oauth_down"):
        return HTMLResponse("<html><head><title>503</title></head></html>", 503)
    await _pause(request, faults.oauth_late)
    if faults.oauth_late and await request.is_disconnected():
        return Response()
    try:
        tokens = portal.oauth_tokens(dict(request.query_params))
    except RestError as error:
        return JSONResponse(error.body(), error.status)
    await _pause(request, faults.oauth_slow)
    origin = _origin(request)
    where = {
        "domain": request.url.netloc,
        "server_endpoint": f"{origin}/rest/",
        "client_endpoint": f"{origin}/rest/",
    }
    return JSONResponse({**tokens, **where}, headers=_HEADERS)


def routes() -> list[Route]:
    """What the OAuth server answers; here it has the portal's address."""
    return [
        Route("/oauth/authorize/", _authorize),
        Route(_DONE, _done),
        Route("/oauth/token/", _token),
    ]
