"""The report's routes behind Airflow's own access checks, on a database of the tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.api_fastapi.app import init_auth_manager, purge_cached_app
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airflow_bitrix.operators.shared.artifacts import artifacts_root, folder_names
from airflow_bitrix.plugins.report_tab import PREFIX, LazyReportApp
from tests.plugins.applied_run import RUN, applied_plan
from tests.plugins.picky import MINE

MakeRun = Callable[..., Path]


@pytest.fixture(scope="session")
def clients(_airflow_database: None) -> Iterator[Callable[[str], TestClient]]:
    """Give clients of a user; of nobody for an empty name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "tests.plugins.picky.PickyAuthManager")
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "reader:viewer,admin:admin")
        purge_cached_app()
        app = FastAPI()
        manager = init_auth_manager(app)
        app.mount(PREFIX, LazyReportApp())

        def client(name: str) -> TestClient:
            made = TestClient(app, follow_redirects=False)
            if name:
                user = SimpleAuthManagerUser(username=name, role="admin" if name == "admin" else "viewer")
                made.cookies.set("_token", manager.generate_jwt(user))
            return made

        yield client
        purge_cached_app()


@pytest.fixture
def reader(clients: Callable[[str], TestClient]) -> TestClient:
    """A user who may read the DAG ``mine``."""
    return clients("reader")


@pytest.fixture
def make_run(_airflow_database: None) -> Iterator[MakeRun]:
    """Make a DAG run and give the folder that its tasks' folders lie in."""
    made: list[DagRun] = []

    def make(dag_id: str, run_id: str, state: str = "success", *, cleared: datetime | None = None) -> Path:
        run = DagRun(
            dag_id=dag_id,
            run_id=run_id,
            run_type="manual",
            state=DagRunState(state),
            run_after=datetime.now(UTC),
        )
        if cleared:  # as Airflow does it: tests/ui sees that
            run.clear_number, run.queued_at = 1, cleared
        with create_session() as session:
            session.add(run)
        made.append(run)
        folder = artifacts_root().joinpath(*folder_names(dag_id, run_id))
        folder.mkdir(parents=True)
        return folder

    yield make
    with create_session() as session:
        for run in made:
            session.delete(session.merge(run))
    shutil.rmtree(os.environ["AIRFLOW__BITRIX24__ARTIFACTS_PATH"], ignore_errors=True)


@pytest.fixture
def run(make_run: MakeRun) -> Path:
    folder = make_run(MINE, RUN)
    applied_plan(folder / "plan")
    return folder
