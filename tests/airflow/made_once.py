"""What Airflow makes anew for each task that `DAG.test` runs, made once: most of the time of these tests."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2
import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time import supervisor, task_runner
from fastapi.dependencies import utils as dependencies
from jsonschema import Draft202012Validator
from packaging.version import Version
from pydantic import TypeAdapter

from tests.moved import AIRFLOW

if TYPE_CHECKING:
    from pathlib import Path


@contextmanager
def made_once() -> Iterator[None]:
    """Keep what comes out the same for each task and each run; what is asked, and of what, stays.

    Of each task these are: whether the schema of each param is right, what its templates are compiled to, how
    values of its fields are checked, and what the answer to each of its requests depends on, which FastAPI
    finds out anew wherever parts of it are replaced. Its DAG is read from the database into a bag of its own;
    here into that of the application that it speaks to, which Airflow before 3.3 also makes for each task.

    Since 3.3 each run also reads all DAG files of its folder and writes them into the database, where they
    stand since the run before; here only those that were never read as they are now.

    It also sleeps for a second in each round in which no task runs, as where one is skipped or was told that
    those before it failed.
    """
    tasks = supervisor.InProcessTestSupervisor
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft202012Validator, "check_schema", _checked_once(Draft202012Validator.check_schema))
        patch.setattr(jinja2.Environment, "compile", _compiled_once(jinja2.Environment.compile))
        patch.setattr(task_runner, "TypeAdapter", cache(TypeAdapter))
        patch.setattr(dependencies, "get_dependant", _found_out_once(dependencies.get_dependant))
        patch.setattr(supervisor, "in_process_api_server", cache(supervisor.in_process_api_server))
        patch.setattr(tasks, "_api_client", _of_no_dag(tasks._api_client))
        patch.setattr(time, "sleep", _hardly(time.sleep))
        if Version("3.3") <= AIRFLOW:
            from airflow.dag_processing import dagbag  # noqa: PLC0415 (it has these since 3.2)

            patch.setattr(dagbag, "BundleDagBag", _read_once(dagbag.BundleDagBag))
            patch.setattr(dagbag, "sync_bag_to_db", cache(dagbag.sync_bag_to_db))
        yield


def _checked_once(check: Callable[..., None]) -> Callable[..., None]:
    known = set[str]()

    def checked(schema: Any, **how: Any) -> None:
        about = repr((schema, how))
        if about not in known:
            check(schema, **how)
            known.add(about)

    return checked


def _found_out_once(find_out: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[Any, Any] = {}

    def found_out(*, call: Any, **how: Any) -> Any:
        about = (call, repr(how))
        if about not in known:
            known[about] = find_out(call=call, **how)
        return known[about]

    return found_out


def _compiled_once(compile_: Callable[..., Any]) -> Callable[..., Any]:
    """Compile each template of a task once; those of others have options of their own."""
    known: dict[Any, Any] = {}

    def compiled(self: Any, source: Any, *how: Any, **further: Any) -> Any:
        about = (type(self), source, how, *further.items())
        if not type(self).__module__.startswith("airflow."):
            return compile_(self, source, *how, **further)
        if about not in known:
            known[about] = compile_(self, source, *how, **further)
        return known[about]

    return compiled


def _of_no_dag(client: Callable[[], Any]) -> Any:
    """Ask the application without telling it to read the DAG anew."""
    return staticmethod(lambda *_: client())


def _hardly(sleep: Callable[[float], None]) -> Callable[[float], None]:
    of_dag_test = sys.modules[DAG.__module__].__dict__

    def hardly(seconds: float) -> None:
        sleep(0.01 if sys._getframe(1).f_globals is of_dag_test else seconds)

    return hardly


def _read_once(read: Callable[..., Any]) -> Callable[..., Any]:
    """Give the same bag for the same files, as long as none of them has changed."""
    known: dict[Any, Any] = {}

    def bag(*, dag_folder: Path, **bundle: Any) -> Any:
        found = sorted((str(file), file.stat().st_mtime_ns) for file in dag_folder.rglob("*.py"))
        about = (dag_folder, *bundle.items(), *found)
        if about not in known:
            known[about] = read(dag_folder=dag_folder, **bundle)
        return known[about]

    return bag
