"""The routes of the report tab. Each is open to who may read the XComs of the run's DAG."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, StreamingResponse

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.files.outcome_index import SORTS, OutcomeIndex
from airflow_bitrix.operators.artifacts import artifacts_root
from airflow_bitrix.plugins.downloads import as_csv, as_json_lines
from airflow_bitrix.plugins.indexes import Indexes
from airflow_bitrix.plugins.run_files import shown_files, task_folders
from airflow_bitrix.plugins.run_pages import run_page
from airflow_bitrix.plugins.run_states import run_state
from airflow_bitrix.report.indexed import shown_rows
from airflow_bitrix.report.page import content_policy, row_json

MOST_ROWS = 500
"""Rows that one request may ask for."""

_indexes = Indexes()

router = APIRouter(
    prefix="/report/{dag_id}/{run_id}",
    dependencies=[Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.XCOM))],
)


class Run:
    """The DAG run that a request is about.

    :raises HTTPException: 404: there is no such run.
    """

    def __init__(self, dag_id: str, run_id: str) -> None:
        state = run_state(dag_id, run_id)
        if state is None:
            raise HTTPException(404)
        self.state = state
        root = artifacts_root()
        self.root = str(root)
        self.folders = task_folders(root, dag_id, run_id) if isinstance(root, Path) else None

    def folder(self, task: str) -> Path:
        """Give the folder of a task.

        :raises HTTPException: 404: it has none.
        """
        found = (self.folders or {}).get(task)
        if found is None:
            raise HTTPException(404)
        return found

    def index(self, task: str) -> OutcomeIndex:
        """Give the index of a plan task.

        :raises HTTPException: 404: it has no plan that could be read.
        """
        try:
            return _indexes.of(self.folder(task))
        except PlanRefused:
            raise HTTPException(404) from None


OfRun = Annotated[Run, Depends()]


@router.get("/")
def page(run: OfRun, task: str = "") -> HTMLResponse:
    """Show the report of a run."""
    if task:
        run.folder(task)
    return HTMLResponse(run_page(run.state, run.folders, task, _indexes.of, run.root))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which changes a request asks for, as the page's form says it."""

    search: Annotated[str, Query(max_length=200)] = ""
    outcome: str = ""
    sort: str = "plan"
    at: Annotated[int, Query(ge=0)] = 0
    size: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 50


@router.get("/rows")
def rows(run: OfRun, task: str, wanted: Annotated[Wanted, Depends()]) -> JSONResponse:
    """Give some of the changes, as the page's script takes them."""
    index = run.index(task)
    sort = wanted.sort if wanted.sort in SORTS else "plan"
    try:
        found = _indexes.rows(index, state=wanted.outcome, search=wanted.search, sort=sort)
        shown = shown_rows(index, found[wanted.at : wanted.at + wanted.size])
    except PlanRefused:
        raise HTTPException(404) from None
    return JSONResponse({"total": len(found), "rows": [row_json(row) for row in shown]})


@router.get("/outcomes.csv")
def outcomes_csv(run: OfRun, task: str) -> StreamingResponse:
    """Give all changes with their outcomes as a table."""
    return _streamed(as_csv(run.index(task)), "text/csv", f"{task}.outcomes.csv")


@router.get("/outcomes.jsonl")
def outcomes_jsonl(run: OfRun, task: str) -> StreamingResponse:
    """Give all changes with their outcomes, one a line."""
    return _streamed(as_json_lines(run.index(task)), "application/jsonl", f"{task}.outcomes.jsonl")


@router.get("/files/{name}")
def file(run: OfRun, name: str, task: str) -> FileResponse:
    """Give a file of a task as it lies there, to be saved and not to be shown by the browser."""
    found = shown_files(run.folder(task)).get(name)
    if found is None:
        raise HTTPException(404)
    media_type = "text/html" if name.endswith(".html") else "text/csv"
    return FileResponse(found, media_type=media_type, filename=f"{task}.{name}")


def _streamed(chunks: Any, media_type: str, name: str) -> StreamingResponse:
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    disposition = {"Content-Disposition": f'attachment; filename="{plain}"'}
    return StreamingResponse(chunks, media_type=media_type, headers=disposition)


_api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
_api.include_router(router)

_HEADERS = [
    (
        b"content-security-policy",
        f"{content_policy(connect=chr(39) + 'self' + chr(39))}; frame-ancestors 'self'".encode(),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer a request; each answer says that its page may load nothing from anywhere else."""

    async def guarded(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS]
        await send(message)

    await _api(scope, receive, guarded)
