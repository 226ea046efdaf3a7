"""A request about a DAG run: who may make it, which run it is, and its turn to read that run's files."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread
from fastapi import Depends, HTTPException, Request
from fastapi.responses import StreamingResponse

from airflow_bitrix.core.errors import PlanRefused, RetryLater
from airflow_bitrix.core.languages import language, nearest, speaking
from airflow_bitrix.files.damage import reading
from airflow_bitrix.files.outcome_index import OutcomeIndex
from airflow_bitrix.operators.shared.artifacts import open_anew
from airflow_bitrix.plugins.airflow_internals import (
    DagAccessEntity,
    GetUserDep,
    as_known,
    requires_access_dag,
)
from airflow_bitrix.plugins.indexes import Indexes
from airflow_bitrix.plugins.read_slots import Busy, Download, ReadSlots
from airflow_bitrix.plugins.run_files import opened_root, task_folders
from airflow_bitrix.plugins.run_states import RunState, run_state

BUSY = 503
LATER = {"Retry-After": "10"}

LONGEST_NAME = 60
"""Signs of each name in that of a file that is saved; a disk takes 255 bytes together."""

Pieces = Iterator[str] | Iterator[bytes]

_Found = TypeVar("_Found")

_may_read = requires_access_dag(method="GET", access_entity=DagAccessEntity.XCOM)
_database = anyio.CapacityLimiter(4)
"""Counts the threads that ask Airflow's database: others than those that read files, so that who may not see
a report is told so also while a disk does not answer."""


async def check_access(request: Request, user: GetUserDep) -> None:
    """Refuse who may not read the XComs of the DAG."""
    with as_known():
        told: object = await anyio.to_thread.run_sync(_may_read, request, user, limiter=_database)
        if told is not None:  # it raises, or says nothing; what else it gives may be a check yet to be made
            raise TypeError(f"requires_access_dag gives {type(told).__name__}")


class Run:
    """The DAG run that a request is about.

    :param stands: How it stands.
    :param user: Id of the user who asks.
    :param language: The language that the user reads.
    """

    def __init__(
        self,
        dag_id: str,
        run_id: str,
        stands: RunState,
        *,
        user: str,
        turns: ReadSlots,
        indexes: Indexes,
        language: str,
    ) -> None:
        self.name = dag_id, run_id
        self._user = user
        self._turns = turns
        self.language = language
        self.indexes = indexes
        self.stands = stands

    @cached_property
    def folders(self) -> dict[str, Path | PlanRefused]:
        """Folders of its tasks by name, or why one cannot be read.

        :raises ArtifactsElsewhere: The API server lacks what opens the artifacts root.
        :raises RetryLater: The object storage of the artifacts is away.
        """
        root = opened_root()
        try:
            return task_folders(root, *self.name)
        except RetryLater:
            open_anew(root)  # the next request goes by the connection as it is then
            raise

    def folder(self, task: str) -> Path:
        """Give the folder of a task.

        :raises HTTPException: 404: it has none.
        :raises PlanRefused: It cannot be read.
        """
        found = self.folders.get(task)
        if found is None:
            raise HTTPException(404)
        if isinstance(found, PlanRefused):
            raise found
        return found

    def index(self, task: str) -> OutcomeIndex:
        """Give the index of a plan task.

        :raises HTTPException: 404: there is no such task.
        :raises PlanRefused: It has no plan that could be read.
        """
        return self.indexes.of(self.folder(task))

    def file_name(self, task: str, name: str) -> str:
        """Call a file that is saved by DAG, run, task and what it is: those of two runs lie side by side."""
        dag_id, run_id = self.name
        return ".".join((dag_id[:LONGEST_NAME], run_id[-LONGEST_NAME:], task[:LONGEST_NAME], name))

    async def turn(self, work: Callable[[], _Found]) -> _Found:
        """Do what has to do with the run's files, in a thread, once it is this request's turn.

        :raises HTTPException: 404: there is nothing that could be read. 503: it was not its turn in time, or
            the object storage of the artifacts is away.
        """
        try:
            return await self._turns.take(self.name, partial(self._read, work))
        except RetryLater as error:
            raise HTTPException(BUSY, str(error), LATER) from None
        except PlanRefused:
            raise HTTPException(404) from None
        except Busy:
            raise HTTPException(BUSY, headers=LATER) from None

    def _read(self, work: Callable[[], _Found]) -> _Found:
        with reading(Path(*self.name)), speaking(self.language):
            return work()

    def _next(self, pieces: Pieces) -> str | bytes | None:
        with speaking(self.language):
            return next(pieces, None)

    async def stream(
        self, begin: Callable[[], tuple[Pieces, int | None]], media_type: str, name: str
    ) -> StreamingResponse:
        """Send pieces as a file that is to be saved, each made in a turn of its own.

        :param begin: Gives the pieces, and how many bytes they are where that is known.
        :raises HTTPException: 404: the first of them cannot be made. 503: it was not its turn in time, or its
            user has too many downloads under way.
        """

        def first_of() -> tuple[str | bytes | None, Pieces, int | None]:
            pieces, size = begin()
            return next(pieces, None), pieces, size

        first, pieces, size = await self.turn(first_of)
        try:
            download = self._turns.begin_download(self._user)
        except Busy:
            raise HTTPException(BUSY, headers=LATER) from None

        async def every(_: Download = download) -> AsyncIterator[str | bytes]:
            piece = first
            while piece is not None:
                yield piece
                # Who has half of a file waits for the rest; where that cannot be read, the answer breaks off.
                piece = await self._turns.take(self.name, partial(self._next, pieces), is_patient=True)

        headers = {"Content-Disposition": _to_be_saved(name)}
        if size is not None:
            headers["Content-Length"] = str(size)
        return StreamingResponse(every(), media_type=media_type, headers=headers)


def _to_be_saved(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    real = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{real}'


async def find_run(request: Request, dag_id: str, run_id: str, user: GetUserDep) -> Run:
    """Find the run that an address names.

    :raises HTTPException: 404: there is no such run.
    """
    with as_known():
        user_id: str = user.get_id()
        stands = await anyio.to_thread.run_sync(run_state, dag_id, run_id, limiter=_database)
    if stands is None:
        raise HTTPException(404)
    kept = request.app.state
    known: dict[str, Any] = {"turns": kept.turns, "indexes": kept.indexes}
    return Run(dag_id, run_id, stands, user=user_id, language=language_of(request), **known)


def language_of(request: Request) -> str:
    """Give the language of who asks: that of Airflow, as the page's script tells it, or the browser's."""
    wanted = request.query_params.get("lang") or request.headers.get("accept-language", "").partition(",")[0]
    return nearest(wanted) if wanted else language()


OfRun = Annotated[Run, Depends(find_run)]
