"""The routes of the report tab. Each is open to who may read the XComs of the run's DAG.

They answer 200, 401, 403 or 404, 503 where there is too much to read at a time, and 501 where Airflow is not
as it was: nothing else, whatever an address or a file holds. None of their work is done on the threads that
Airflow's own routes share.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from airflow_bitrix.core.errors import PlanRefused, RetryLater
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext, gettext_noop, speaking
from airflow_bitrix.files.damage import reading
from airflow_bitrix.files.outcome_index import SORTS, Sort
from airflow_bitrix.plugins.airflow_internals import AirflowChangedError
from airflow_bitrix.plugins.downloads import as_csv, as_it_is, as_json_lines
from airflow_bitrix.plugins.indexes import Indexes
from airflow_bitrix.plugins.read_slots import ReadSlots
from airflow_bitrix.plugins.run_files import ArtifactsElsewhere, open_file, shown_files
from airflow_bitrix.plugins.run_pages import run_page
from airflow_bitrix.plugins.run_requests import BUSY, LATER, OfRun, Pieces, Run, check_access
from airflow_bitrix.plugins.unavailable import NOT_HERE, headers, unavailable
from airflow_bitrix.report.indexed import MOST_LETTERS, MOST_WORDS, search_for, shown_rows
from airflow_bitrix.report.notices import UNDER_WAY, Notice, failed
from airflow_bitrix.report.page import Tab, as_tab, row_json

MOST_ROWS = 500
"""Rows that one request may ask for."""

CUT = gettext_noop("only the first {words} words, of the first {letters} letters, are searched for")

log = logging.getLogger(__name__)

router = APIRouter(prefix="/report/{dag_id}/{run_id}", dependencies=[Depends(check_access)])


@router.get("/")
async def page(run: OfRun, task: str = "") -> Response:
    """Show the report of a run."""
    try:
        return await run.turn(partial(_page, run, task))
    except HTTPException as error:
        if error.status_code != BUSY:
            raise
        with speaking(run.language):
            return HTMLResponse(_busy(), BUSY, LATER)


def _busy() -> str:
    text = gettext(
        "Other reports are being read, or a disk does not answer. This page looks again by itself."
    )
    return _without_summary(Notice("odd", gettext("Not now."), text), live=True)


def _page(run: Run, task: str) -> HTMLResponse:
    live = run.stands.state in UNDER_WAY
    try:
        folders = run.folders
        with reading(Path(*run.name)):
            if task:
                run.folder(task)
            return HTMLResponse(run_page(run.stands, folders, task, run.indexes.of))
    except RetryLater as error:
        text = gettext("{error}. This page looks again by itself.", error=error)
        away = Notice("odd", gettext("The store of the artifacts is away:"), text)
        return HTMLResponse(_without_summary(away, *failed(run.stands.why), live=True), BUSY, LATER)
    except ArtifactsElsewhere as error:
        if task:
            raise HTTPException(404) from None
        elsewhere = Notice("odd", gettext("No report here."), str(error))
        return HTMLResponse(_without_summary(*failed(run.stands.why), elsewhere, live=False))
    except PlanRefused as error:
        return HTMLResponse(
            _without_summary(Notice("bad", gettext("The report cannot be shown:"), f"{error}."), live=live)
        )


def _without_summary(*told: Notice, live: bool) -> str:
    return as_tab(None, Tab(gettext("Bitrix24 report"), told, live=live))


@router.get("/rows")
async def rows(run: OfRun, request: Request) -> Response:
    """Give some of the changes, as the page's script takes them; where it asks for nonsense, the nearest."""
    return await run.turn(partial(_rows, run, request.query_params))


def _rows(run: Run, asked: Mapping[str, str]) -> JSONResponse:
    index = run.index(asked.get("task", ""))
    sort: Sort = next((one for one in SORTS if one == asked.get("sort")), "plan")
    search = search_for(asked.get("search", ""))
    found = run.indexes.rows(index, state=asked.get("outcome", ""), search=search, sort=sort)
    at = max(_number(asked.get("at"), 0), 0)
    size = min(max(_number(asked.get("size"), 50), 1), MOST_ROWS)
    shown = shown_rows(index, found[at : at + size])
    told = {"total": len(found), "rows": [row_json(row) for row in shown]}
    return JSONResponse(
        {**told, "note": gettext(CUT, words=MOST_WORDS, letters=MOST_LETTERS)} if search.is_cut else told
    )


def _number(text: str | None, otherwise: int) -> int:
    try:
        return int(text or "")
    except ValueError:
        return otherwise


@router.get("/outcomes.csv")
async def outcomes_csv(run: OfRun, task: str = "") -> Response:
    """Give all changes with their outcomes as a table."""
    name = run.file_name(task, "outcomes.csv")
    return await run.stream(lambda: (as_csv(run.index(task)), None), "text/csv", name)


@router.get("/outcomes.jsonl")
async def outcomes_jsonl(run: OfRun, task: str = "") -> Response:
    """Give all changes with their outcomes, one a line."""
    name = run.file_name(task, "outcomes.jsonl")
    return await run.stream(lambda: (as_json_lines(run.index(task)), None), "application/jsonl", name)


@router.get("/files/{name}")
async def file(run: OfRun, name: str, task: str = "") -> Response:
    """Give a file of a task as it lies there, to be saved and not to be shown by the browser."""
    media_type = "text/html" if name.endswith(".html") else "text/csv"
    return await run.stream(partial(_file, run, name, task), media_type, run.file_name(task, name))


def _file(run: Run, name: str, task: str) -> tuple[Pieces, int]:
    found = shown_files(run.folder(task)).get(name)
    if found is None:
        raise HTTPException(404)
    opened, size = open_file(found)
    return as_it_is(opened, size), size


_HEADERS = [(name.encode(), value.encode()) for name, value in headers().items()]

Message = MutableMapping[str, Any]


class ReportApp:
    """The ASGI app of the routes; each answer says that its page may load nothing from anywhere else.

    :param turns: Gives each request its turn.
    """

    def __init__(self, turns: ReadSlots | None = None) -> None:
        self._api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
        self._api.state.turns = turns or ReadSlots()
        self._api.state.indexes = Indexes()
        self._api.include_router(router)
        self._api.add_exception_handler(AirflowChangedError, _changed)

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer a request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        answer = _nowhere if scope["type"] == "http" and _is_nowhere(scope) else self._api
        await answer(scope, receive, guarded)


async def _changed(request: Request, error: Exception) -> Response:
    where, why = as_plain_text(request.url.path), as_plain_text(error)
    told = gettext("The report of {address} cannot be shown: {why}", address=where, why=why)
    log.error("%s", told, exc_info=error)
    return HTMLResponse(unavailable(str(error)).body, NOT_HERE)  # the headers come with every answer


_nowhere = JSONResponse({"detail": "Not Found"}, 404)


def _is_nowhere(scope: Message) -> bool:
    """Whether a request is about nothing that there may be: no database takes a text with a NUL in it."""
    return scope["method"] != "GET" or "\0" in scope["path"]


app = ReportApp()
