"""A database in which somebody else writes: SQLite lets one at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.airflow.live.conftest import wait_for

if TYPE_CHECKING:
    from scripts.forked_airflow import ForkedAirflow
    from tests.airflow.live.conftest import Live

DAG_ID = "bitrix24_lead_link_cleanup"


@contextmanager
def busy(airflow: ForkedAirflow) -> Iterator[sqlite3.Connection]:
    """Write in Airflow's database, while its API server alone asks for it.

    A scheduler of Airflow 3.1 would end with an error.
    """
    path = airflow.home / "airflow.db"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0.2)) as database, ExitStack() as rest:

        def begun() -> bool:
            rest.enter_context(airflow.alone("api-server"))
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:  # who rests was just writing
                rest.close()
                return False
            return True

        wait_for(begun)
        yield database


def test_a_request_that_found_sqlite_busy_is_made_again(live: Live) -> None:
    """Airflow answers it with 500 after five seconds."""
    live.airflow.wait_for_dag(DAG_ID)
    with busy(live.airflow) as database, ThreadPoolExecutor(1) as others:
        asked = others.submit(live.airflow.unpause, DAG_ID)
        with pytest.raises(TimeoutError):
            asked.result(timeout=6)
        database.execute("ROLLBACK")
        asked.result(timeout=30)
