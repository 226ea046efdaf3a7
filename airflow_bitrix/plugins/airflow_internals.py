"""What the report tab uses of Airflow that providers are promised nothing about: all of it, and why.

========================  ========================================================================
``GetUserDep``            who asks: by the cookie or token of Airflow's own login
``requires_access_dag``   whether that person may read a DAG; no public interface tells that
``DagAccessEntity``       names what of the DAG: its XComs, since the report shows the like
``DagModel``              whether there is the DAG that brings links back
``DagRun``                that there is such a run, whether it goes on, whether it was cleared
``TaskInstance``          which of its tasks have failed, and whether Airflow is to try them again
``XComModel``             the sentence with which a task has failed
``create_session``        the database, of which the API server is a part
``TaskInstanceState``     the words for such tasks
========================  ========================================================================

Where an Airflow has one of them no more, or has it otherwise, the tab says so and points to the report's
file. Nothing else goes by them, and nothing else in this package imports internals of Airflow: a test holds
that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState

__all__ = [
    "DagAccessEntity",
    "DagModel",
    "DagRun",
    "GetUserDep",
    "TaskInstance",
    "TaskInstanceState",
    "XComModel",
    "create_session",
    "requires_access_dag",
]


class AirflowChangedError(Exception):
    """Something of Airflow is otherwise than the report tab knows it; the text says what."""


@contextmanager
def as_known() -> Iterator[None]:
    """Tell what goes wrong because an internal is no more what it was from all else.

    :raises AirflowChangedError: An attribute is not there, or a function takes other arguments.
    """
    try:
        yield
    except (AttributeError, ImportError, TypeError) as error:
        raise AirflowChangedError(str(error)) from error
