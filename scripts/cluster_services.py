"""What the hosts of a cluster share: PostgreSQL, Redis and a store that speaks S3. Nothing else."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from html import unescape
from pathlib import Path
from typing import Any, Self

import requests

from scripts.cluster_hosts import give_to_services, owner_of_services
from scripts.processes import Processes, free_port

USER, BUCKET = "airflow", "bitrix24"
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
"""Where Debian puts the programs of each version."""


class ServiceError(RuntimeError):
    """A service did not start; the text says what it said."""


class Services:
    """Services that run as long as the processes they were started among.

    :param processes: Where to start them.
    :param logs: Folder for what they say.
    """

    def __init__(self, processes: Processes, logs: Path) -> None:
        self._processes, self._logs = processes, logs
        self._password = secrets.token_hex(12)
        self.ports = {name: free_port() for name in ("postgres", "redis", "s3")}
        self.folder = Path(tempfile.mkdtemp(prefix="airflow-bitrix-cluster-"))
        """Where they keep what they keep."""

    def start(self, timeout: float = 60) -> Self:
        """Start all, and wait until each of them answers."""
        if not POSTGRES or not shutil.which("redis-server"):
            raise ServiceError("PostgreSQL and Redis are needed; on Debian, as root: make servers")
        self._start_postgres(timeout)
        self._start_redis(timeout)
        self._start_s3(timeout)
        return self

    def remove(self) -> None:
        """Delete what they kept; they have ended."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def database(self) -> str:
        """The address of the database, without what tells the driver."""
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self.ports['postgres']}/postgres"

    def redis(self, number: int) -> str:
        """Give the address of a database of Redis: 0 is Celery's queue, 1 the allowance of portals."""
        return f"redis://:{self._password}@127.0.0.1:{self.ports['redis']}/{number}"

    @property
    def store(self) -> str:
        """The address of the store."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    def stored(self, prefix: str) -> list[str]:
        """Give the keys in the store, a thousand at most, that begin so."""
        query = {"list-type": "2", "prefix": prefix}
        told = _session().get(f"{self.store}/{BUCKET}", params=query, timeout=10)
        told.raise_for_status()
        return [unescape(key) for key in re.findall("<Key>(.*?)</Key>", told.text)]

    def connections(self) -> dict[str, dict[str, Any]]:
        """Tell the fields of the Airflow connections that lead to them."""
        endpoint = f'{{"endpoint_url": "{self.store}", "region_name": "us-east-1"}}'
        redis = {"host": "127.0.0.1", "port": self.ports["redis"], "password": self._password}
        return {
            "aws_default": {"conn_type": "aws", "login": USER, "password": self._password, "extra": endpoint},
            "redis_default": {"conn_type": "redis", **redis, "extra": '{"db": 1}'},
        }

    def settings(self) -> dict[str, str]:
        """Tell the settings of an Airflow that uses them, as environment variables."""
        driver = self.database.replace("postgresql", "postgresql+psycopg2", 1)
        return {
            "AIRFLOW__BITRIX24__ALLOWANCE": "redis",
            "AIRFLOW__BITRIX24__ARTIFACTS_PATH": f"s3://aws_default@{BUCKET}/artifacts",
            "AIRFLOW__CELERY__BROKER_URL": self.redis(0),
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{driver}",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": driver,
            "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": f"s3://{BUCKET}/logs",
            "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
            "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "aws_default",
        }

    def _start_postgres(self, timeout: float) -> None:
        data, secret = self.folder / "postgres", self.folder / "secret"
        secret.touch(mode=0o600)
        secret.write_text(self._password)
        for one in (self.folder, secret):
            give_to_services(one)
        initdb = [str(POSTGRES[-1] / "initdb"), "--pgdata", str(data), "--username", USER]
        words = ["--auth", "scram-sha-256", "--pwfile", str(secret), "--no-sync"]
        if self._run("initdb", [*owner_of_services(), *initdb, *words]).wait():
            raise ServiceError(self._said("initdb"))
        place = ["-D", str(data), "-p", str(self.ports["postgres"]), "-k", str(data), "-h", "127.0.0.1"]
        # What it keeps lives no longer than it does.
        hasty = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "max_connections=200"]
        self._run("postgres", [*owner_of_services(), str(POSTGRES[-1] / "postgres"), *place, *hasty])
        asks = [str(POSTGRES[-1] / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.ports["postgres"])]
        self._wait("postgres", timeout, lambda: not subprocess.run(asks, check=False).returncode)

    def _start_redis(self, timeout: float) -> None:
        settings = self.folder / "redis.conf"
        settings.touch(mode=0o600)
        port = self.ports["redis"]
        # With a title of its own it would write over the mark in its environment; see scripts/processes.py.
        settings.write_text(
            f'set-proc-title no\nbind 127.0.0.1\nport {port}\nrequirepass {self._password}\nsave ""\n'
        )
        self._run("redis", ["redis-server", str(settings)])
        self._wait("redis", timeout, lambda: _listens(port))

    def _start_s3(self, timeout: float) -> None:
        port = str(self.ports["s3"])
        self._run("s3", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port])
        self._wait("s3", timeout, self._makes_bucket)

    def _makes_bucket(self) -> bool:
        try:
            return _session().put(f"{self.store}/{BUCKET}", timeout=10).ok
        except requests.RequestException:
            return False

    def _run(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self._logs / f"{name}.log").open("wb") as output:
            return self._processes.start(command, output=output, cwd=Path("/"))

    def _wait(self, name: str, timeout: float, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + timeout
        while not is_ready():
            if time.monotonic() > deadline:
                raise ServiceError(self._said(name))
            time.sleep(0.1)

    def _said(self, name: str) -> str:
        said = (self._logs / f"{name}.log").read_text(errors="replace").splitlines()[-15:]
        return "\n".join([f"{name} did not start; it said:", *said]).replace(self._password, "***")


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a proxy of the environment must not see loopback traffic
    return session


def _listens(port: int) -> bool:
    with socket.socket() as door:
        door.settimeout(1)
        return door.connect_ex(("127.0.0.1", port)) == os.EX_OK
