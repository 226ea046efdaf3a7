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

from scripts.airflow_api import HEARTBEAT, USER, AirflowApi, AirflowError
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
