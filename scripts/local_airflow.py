"""A real Airflow on this machine: its four components over SQLite, on the loopback interface only.

The components are those of ``airflow standalone``. They are started one by one because ``standalone`` opens
two log servers on all interfaces, on fixed ports, which one machine with one log folder does not need.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any, Self

import requests

from scripts.processes import Processes, free_port

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping
    from pathlib import Path

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": (),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
FINISHED = frozenset({"success", "failed"})
WAITING = frozenset({"awaiting_input", "deferred"})
"""States of a task that has asked a person: in Airflow 3.3, and in those before it."""

USER = "admin"
TRIES, FAULT, LOCKED, UNTOLD = 3, 500, "database is locked", "Internal Server Error"
"""What two writes at once may get from an API server over SQLite: it logs the one in its event loop, which
the other needs to end, until SQLite gives up after five seconds. Nothing was done then. No setting helps: a
longer patience of SQLite only makes that wait longer. Before 3.2 Airflow does not say what its fault is."""
HEARTBEAT, READING = 2, 4.0
"""Seconds between two heartbeats of a task, and before a question is answered; no person is faster.

That a task's process has ended is seen a heartbeat later at worst, by default after five seconds. Until then
the scheduler takes the end of the task that has asked for the end of the one that the answer queued: it fails
that one, and its retry asks once more.
"""


class AirflowError(RuntimeError):
    """Airflow did not start, or it refused a request; the text says what it said."""


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

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Make one request and return the decoded answer; raise ``AirflowError`` unless it is a success."""
        for _ in range(TRIES):
            try:
                response = self._session.request(method, self.url + path, timeout=30, **options)
            except requests.RequestException as error:
                raise AirflowError(f"{method} {path}: no answer from {self.url}: {error}") from error
            told = response.text
            if response.status_code != FAULT or not (LOCKED in told or (told == UNTOLD and method != "POST")):
                break
        if not response.ok:
            raise AirflowError(f"{method} {path} -> {response.status_code}: {_detail(response)}")
        return response.json() if response.content else None

    def create_connection(self, conn_id: str, **fields: Any) -> None:
        """Save a connection, in place of one with the same id."""
        body = {"connection_id": conn_id, **fields}
        action = {"action": "create", "action_on_existence": "overwrite", "entities": [body]}
        answer = self.call("PATCH", "/api/v2/connections", json={"actions": [action]})
        if errors := answer["create"]["errors"]:
            raise AirflowError(f"connection {conn_id}: {errors}")

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run a DAG."""
        self.call("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run with parameters and return its id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        run_id: str = self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
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


class LocalAirflow(AirflowApi):
    """Airflow that runs as long as the processes it was started among.

    :param processes: Where to start its components.
    :param home: Folder for its database, its logs and its settings. It may lie from an earlier time.
    :param dags: Folder of the DAG files.
    :param port: Port of UI and API; 0 for a free one.
    :param python: The Python whose Airflow it is.
    :param artifacts: The artifacts root; ``artifacts`` in ``home`` by default.
    :param fresh: Empty ``home`` first.
    :param schedules: Whether schedules of DAGs count; without them only what is triggered runs.
    :param language: What its workers and forms speak.
    :param timeout: Seconds within which everything must be healthy.
    :param on_wait: Called with the seconds since the start while waiting.
    """

    def __init__(
        self,
        processes: Processes,
        *,
        home: Path,
        dags: Path,
        port: int = 0,
        python: str = sys.executable,
        artifacts: str = "",
        fresh: bool = False,
        schedules: bool = True,
        language: str = "en",
        timeout: float = 120,
        on_wait: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.home, self.dags, self._fresh = home.resolve(), dags.resolve(), fresh
        self._schedules, self._language = schedules, language
        self._timeout, self._on_wait = timeout, on_wait
        self._processes, self._port, self._python = processes, port or free_port(), python
        self._artifacts = artifacts or str(self.home / "artifacts")
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lock: int | None = None
        super().__init__(f"http://127.0.0.1:{self._port}", "")

    def start(self) -> Self:
        """Start all components, wait until they are healthy, and log in."""
        self._lock = _lock(self.home)
        if self._fresh:
            _empty(self.home)
        self.password = _password(self.home)
        self._start_components()
        self.login()
        return self

    def task_log_file(self, dag_id: str, run_id: str, task: Mapping[str, Any]) -> Path:
        """Tell where one try of a task logs, as JSON Lines; ``task`` is one of ``task_instances``."""
        parts = [f"dag_id={dag_id}", f"run_id={run_id}", f"task_id={task['task_id']}"]
        if task["map_index"] >= 0:
            parts.append(f"map_index={task['map_index']}")
        return self.home.joinpath("logs", *parts, f"attempt={task['try_number']}.log")

    def behind(self, prefix: str, **also: str) -> str:
        """Start a second API server, whose addresses begin with a prefix as behind a proxy; give its URL.

        :param prefix: Such as ``/airflow``.
        :param also: What its environment has that those of the others have not.
        """
        port = free_port()
        url = f"http://127.0.0.1:{port}{prefix}"
        self._running[f"api-server{prefix}"] = self._component(
            "api-server",
            log=f"api-server-{port}",
            **{"AIRFLOW__API__BASE_URL": url, "AIRFLOW__API__PORT": str(port), **also},
        )
        door, begun = AirflowApi(url, self.password), time.monotonic()
        while True:
            try:
                door.call("GET", "/api/v2/monitor/health")
            except AirflowError:
                self.check_running()
                self._wait(begun, f"{url} does not answer", log=f"api-server-{port}")
            else:
                return url

    def environment(self) -> dict[str, str]:
        """Tell the settings of its components, and of commands beside them, as environment variables."""
        return {
            **settings(home=self.home, dags=self.dags, port=self._port),
            "AIRFLOW__BITRIX24__ARTIFACTS_PATH": self._artifacts,
            "AIRFLOW__BITRIX24__LANGUAGE": self._language,
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": str(self._schedules),
        }

    def process(self, component: str) -> subprocess.Popen[bytes]:
        """Give the process of a component, such as ``api-server``."""
        return self._running[component]

    def check_running(self) -> None:
        """Raise if one of the components has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise AirflowError(f"`airflow {name}` ended; {self._tail(name)}")

    def _start_components(self) -> None:
        begun = time.monotonic()
        self._running = self._begin(begun)
        while unhealthy := self._unhealthy():
            self.check_running()
            self._wait(begun, f"not healthy: {', '.join(unhealthy)}", log=unhealthy[0].replace("_", "-"))

    def _begin(self, begun: float) -> dict[str, subprocess.Popen[bytes]]:
        database = self._component("db", "migrate")
        while database.poll() is None:
            self._wait(begun, "the database is not ready")
        if database.returncode:
            raise AirflowError(f"`airflow db migrate` failed; {self._tail('db')}")
        return {name: self._component(name, *options) for name, options in COMPONENTS.items()}

    def _wait(self, begun: float, problem: str, log: str = "db") -> None:
        waited = time.monotonic() - begun
        if waited > self._timeout:
            raise AirflowError(f"after {waited:.0f} s {problem}; {self._tail(log)}")
        self._on_wait(waited)
        time.sleep(0.25)

    def _unhealthy(self) -> list[str]:
        try:
            health = self.call("GET", "/api/v2/monitor/health")
        except AirflowError:
            return ["api-server"]
        return [name for name, part in health.items() if part["status"] != "healthy"]

    def _component(self, name: str, *options: str, log: str = "", **also: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{log or name}.log").open("wb") as output:
            return self._processes.start(
                [self._python, "-m", "airflow", name, *options],
                output=output,
                cwd=self.home,
                **{**self.environment(), **also},
            )

    def _tail(self, name: str, lines: int = 25) -> str:
        log = self.home / f"{name}.log"
        text = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join([f"the last lines of {log}:", *text[-lines:]])


def settings(*, home: Path, dags: Path, port: int) -> dict[str, str]:
    """Tell the settings of a small local Airflow, as environment variables."""
    url = f"http://127.0.0.1:{port}"
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__EXPOSE_STACKTRACE": "True",  # a fault of the server says what it is
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__BITRIX24__ARTIFACTS_PATH": str(home / "artifacts"),
        "AIRFLOW__BITRIX24__PACING_PATH": str(home / "pacing"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": "1",  # nobody listens there: logs are read from the disk
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": "1",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # Longer than SQLite's patience: what a worker gives up and asks again may have been done meanwhile.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "20",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": str(HEARTBEAT),
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def _lock(home: Path) -> int:
    """Hold a folder for as long as this process lives."""
    home.mkdir(parents=True, exist_ok=True)
    folder = os.open(home, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(folder)
        raise AirflowError(f"another Airflow runs in {home}; stop that one first") from None
    return folder


def _empty(home: Path) -> None:
    for entry in home.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _password(home: Path) -> str:
    """Keep the password of an earlier start, or make one; Airflow reads it from this file."""
    file = home / "simple_auth_manager_passwords.json.generated"
    if file.exists():
        kept: str = json.loads(file.read_text())[USER]
        return kept
    password = secrets.token_urlsafe(9)
    file.touch(mode=0o600)
    file.write_text(json.dumps({USER: password}) + "\n")
    return password


def _detail(response: requests.Response) -> str:
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return response.text[:500]
    return detail if isinstance(detail, str) else json.dumps(detail)
