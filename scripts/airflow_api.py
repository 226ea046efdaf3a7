"""What people do in Airflow's UI, by its REST API."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

FINISHED = frozenset({"success", "failed"})
WAITING = frozenset({"awaiting_input", "deferred"})
"""States of a task that has asked a person: in Airflow 3.3, and in those before it."""

USER = "admin"
TRIES, FAULT, LOCKED, UNTOLD = 3, 500, "database is locked", "Internal Server Error"
"""What two writes at once may get from an API server over SQLite: it logs the one in its event loop, which
the other needs to end, until SQLite gives up after five seconds. Nothing was done then. No setting helps: a
longer patience of SQLite only makes that wait longer. Before 3.2 Airflow does not say what its fault is."""
TAKEN = 409
"""What Airflow answers where there is a connection or a run of that id."""
HEARTBEAT, READING = 2, 4.0
"""Seconds between two heartbeats of a task, and before a question is answered; no person is faster.

That a task's process has ended is seen a heartbeat later at worst, by default after five seconds. Until then
the scheduler takes the end of the task that has asked for the end of the one that the answer queued: it fails
that one, and its retry asks once more.
"""


class AirflowError(RuntimeError):
    """Airflow did not start, or it refused a request; the text says what it said.

    :ivar status: The HTTP status of what it refused, 0 for none.
    """

    status = 0


class AirflowApi:
    """The few calls of Airflow's REST API that a person makes in its UI.

    :param url: The address of the API server.
    :param password: The password of the user ``admin``.
    """

    def __init__(self, url: str, password: str) -> None:
        self.url, self.password = url, password
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment must not see loopback traffic
        # A connection that is kept may be closed by the server just as the next request goes into it.
        self._session.headers["Connection"] = "close"

    def login(self) -> None:
        """Get a token for all further calls."""
        self._session.headers.pop("Authorization", None)
        answer = self.call("POST", "/auth/token", json={"username": USER, "password": self.password})
        self._session.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def call(self, method: str, path: str, *, again: bool = False, **options: Any) -> Any:
        """Make one request and return the decoded answer; raise ``AirflowError`` unless it is a success.

        :param again: Whether a POST may be made twice, too.
        """
        may_repeat = again or method != "POST"
        for _ in range(TRIES):
            try:
                response = self._session.request(method, self.url + path, timeout=30, **options)
            except requests.RequestException as error:
                raise AirflowError(f"{method} {path}: no answer from {self.url}: {error}") from error
            told = response.text
            if response.status_code != FAULT or not (LOCKED in told or (told == UNTOLD and may_repeat)):
                break
        if not response.ok:
            refused = AirflowError(f"{method} {path} -> {response.status_code}: {_detail(response)}")
            refused.status = response.status_code
            raise refused
        return response.json() if response.content else None

    def create_connection(self, conn_id: str, **fields: Any) -> None:
        """Save a connection, in place of one with the same id.

        Each by itself, as the form does: of what is saved in bulk, Airflow before 3.3.1 keeps the secrets of
        ``extra`` readable in its audit log.
        """
        path, body = "/api/v2/connections", {"connection_id": conn_id, **fields}
        try:
            self.call("POST", path, again=True, json=body)
        except AirflowError as error:
            if error.status != TAKEN:
                raise
            self.call("DELETE", f"{path}/{conn_id}")  # a PATCH leaves what is not named
            self.call("POST", path, again=True, json=body)

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run a DAG."""
        self.call("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run with parameters and return its id."""
        run_id = f"manual__{datetime.now(UTC).isoformat()}"  # as Airflow names it
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf or {})}
        try:
            self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", again=True, json=body)
        except AirflowError as error:
            if error.status != TAKEN:  # by the first of two
                raise
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Tell the state of a run: ``queued``, ``running``, ``success`` or ``failed``."""
        state: str = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"]
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """List the task instances of a run, with state, try number, map index and rendered fields."""
        answer = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        found: list[dict[str, Any]] = answer["task_instances"]
        return found

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, *, map_index: int = -1
    ) -> list[str]:
        """Read the lines of one try of a task."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        answer = self.call("GET", path, params={"full_content": "true", "map_index": map_index})
        return [line if isinstance(line, str) else str(line.get("event", "")) for line in answer["content"]]

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", *, map_index: int = -1
    ) -> Any:
        """Read one XCom value of a task."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.call("GET", path, params={"map_index": map_index})["value"]

    def wait_for_question(self, dag_id: str, run_id: str, *, timeout: float = 120) -> dict[str, Any]:
        """Wait until a run asks a person something, and return what it asks."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/hitlDetails"
        deadline = time.monotonic() + timeout
        while True:
            asked = self.call("GET", path, params={"response_received": "false"})["hitl_details"]
            # A question is there a moment before its task waits, and an answer in between wakes nobody.
            waiting = [one for one in asked if one["task_instance"]["state"] in WAITING]
            if waiting:
                question: dict[str, Any] = waiting[0]
                return question
            if (state := self.run_state(dag_id, run_id)) in FINISHED or time.monotonic() > deadline:
                raise AirflowError(f"run {run_id} of {dag_id} asks nobody; it is {state}")
            time.sleep(0.3)

    def wait_for_task(
        self, dag_id: str, run_id: str, task_id: str, state: str, *, first_try: int = 1, timeout: float = 60
    ) -> None:
        """Wait until a task is in a state, in that try or a later one."""
        deadline = time.monotonic() + timeout
        while True:
            tasks = [task for task in self.task_instances(dag_id, run_id) if task["task_id"] == task_id]
            if any(task["state"] == state and task["try_number"] >= first_try for task in tasks):
                return
            if time.monotonic() > deadline:
                raise AirflowError(f"task {task_id} of run {run_id} is not {state}: {tasks}")
            time.sleep(0.3)

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """Answer what a task of a run asks, as a click on one of its buttons does."""
        self._read(dag_id, run_id, task_id)
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
        self.call("PATCH", path, json={"chosen_options": [option], "params_input": {}})

    def _read(self, dag_id: str, run_id: str, task_id: str) -> None:  # noqa: ARG002 (others go by these)
        """Take the time in which Airflow comes to hear that the task has asked."""
        time.sleep(READING)

    def wait_for_run(self, dag_id: str, run_id: str, *, timeout: float = 120, pause: float = 0.5) -> str:
        """Wait until a run is over and return its state."""
        deadline = time.monotonic() + timeout
        while (state := self.run_state(dag_id, run_id)) not in FINISHED:
            if time.monotonic() > deadline:
                raise AirflowError(f"run {run_id} of {dag_id} is still {state} after {timeout:.0f} s")
            time.sleep(pause)
        return state

    def wait_for_dag(self, dag_id: str, *, timeout: float = 60) -> None:
        """Wait until the DAG processor has read a DAG; raise with its import error otherwise."""
        deadline = time.monotonic() + timeout
        while True:
            listed = self.call("GET", "/api/v2/dags", params={"dag_id_pattern": dag_id})["dags"]
            if any(dag["dag_id"] == dag_id for dag in listed):
                return
            if errors := self.call("GET", "/api/v2/importErrors")["import_errors"]:
                raise AirflowError("\n".join(f"{e['filename']}: {e['stack_trace']}" for e in errors))
            if time.monotonic() > deadline:
                raise AirflowError(f"no DAG {dag_id} after {timeout:.0f} s")
            time.sleep(0.3)


def _detail(response: requests.Response) -> str:
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return response.text[:500]
    return detail if isinstance(detail, str) else json.dumps(detail)
