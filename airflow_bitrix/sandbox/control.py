"""The control routes under ``/__sandbox/``: truth, links, what people see, applications, faults, switches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_bitrix.sandbox import php
from airflow_bitrix.sandbox.errors import RestError
from airflow_bitrix.sandbox.fields import format_datetime
from airflow_bitrix.sandbox.request import bounded_body
from airflow_bitrix.sandbox.schema import RECORDS, semantic_of
from airflow_bitrix.sandbox.settings import SettingError, as_json

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_bitrix.sandbox.portal import Portal
    from airflow_bitrix.sandbox.schema import Kind

_MOST_BYTES = 2**20


def links(portal: Portal, kind: Kind) -> dict[str, dict[str, Any]]:
    """The links of all records of a kind as they are now, by the owner's id."""
    state, record = portal.state, RECORDS[kind]
    with portal.lock:
        return {
            str(owner_id): {
                "links": [
                    [link.contact_id, link.sort, "Y" if link.primary else "N", link.role_id]
                    for link in state.links(kind, owner_id)
                ],
                "company_id": row.get("COMPANY_ID") or 0,
                f"{record.family.linked}_id": row.get(record.scalar),
                "is_return_customer": row.get("IS_RETURN_CUSTOMER", "N"),
                "stage_semantic": semantic_of(row.get(record.stage) or ""),
                "date_modify": format_datetime(row["DATE_MODIFY"]),
            }
            for owner_id, row in state.tables[kind].rows.items()
        }


def _portal(request: Request) -> Portal:
    portal: Portal = request.app.state.portal
    return portal


async def _truth(request: Request) -> Response:
    return JSONResponse(_portal(request).truth)


async def _links(request: Request) -> Response:
    kind = request.query_params.get("kind", "lead")
    if kind not in RECORDS:
        return JSONResponse({"error": f"kind takes {', '.join(RECORDS)}, not {kind[:100]!r}."}, 400)
    return JSONResponse(links(_portal(request), kind))


async def _stats(request: Request) -> Response:
    portal = _portal(request)
    with portal.lock:
        shown = portal.stats.as_json()
        if request.method == "DELETE":
            portal.reset_stats()
    return JSONResponse(shown)


async def _writes(request: Request) -> Response:
    portal = _portal(request)
    with portal.lock:
        return JSONResponse([write._asdict() for write in portal.writes])


async def _comments(request: Request) -> Response:
    portal = _portal(request)
    with portal.lock:
        return JSONResponse([one._asdict() for one in portal.state.comments.values()])


async def _messages(request: Request) -> Response:
    portal = _portal(request)
    with portal.lock:
        return JSONResponse([one._asdict() for one in portal.state.messages])


async def _application(request: Request) -> Response:
    try:
        told = _portal(request).application(f"{request.url.scheme}://{request.url.netloc}")
    except RestError as error:
        return JSONResponse(error.body(), error.status)
    return JSONResponse(told, headers={"Cache-Control": "no-store"})


async def _given(request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A page of any site may post a form, or plain text, without asking first.
        raise HTTPException(415, f"Settings come with Content-Type: application/json, not {kind[:100]!r}.")
    given = php.loads(await bounded_body(request, _MOST_BYTES))
    if not isinstance(given, dict):
        raise SettingError("The body must be a JSON object.")
    return given


async def _faults(request: Request) -> Response:
    portal = _portal(request)
    try:
        if request.method == "POST":
            portal.set_faults(**await _given(request))
    except SettingError as error:
        return JSONResponse({"error": str(error)}, 400)
    if request.method == "DELETE":
        portal.set_faults()
    return JSONResponse(as_json(portal.faults))


async def _switches(request: Request) -> Response:
    portal = _portal(request)
    try:
        if request.method == "POST":
            portal.set_switches(**await _given(request))
    except SettingError as error:
        return JSONResponse({"error": str(error)}, 400)
    if request.method == "DELETE":
        portal.reset_switches()
    return JSONResponse(as_json(portal.switches))


def routes() -> list[Route]:
    """The control routes. They need no authorisation: the server listens on loopback only."""
    return [
        Route("/__sandbox/truth", _truth),
        Route("/__sandbox/links", _links),
        Route("/__sandbox/writes", _writes),
        Route("/__sandbox/comments", _comments),
        Route("/__sandbox/messages", _messages),
        Route("/__sandbox/application", _application),
        Route("/__sandbox/stats", _stats, methods=["GET", "DELETE"]),
        Route("/__sandbox/faults", _faults, methods=["GET", "POST", "DELETE"]),
        Route("/__sandbox/switches", _switches, methods=["GET", "POST", "DELETE"]),
    ]
