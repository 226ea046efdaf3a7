"""Processes of a row: the sandbox portal, and the runners of a client."""

from __future__ import annotations

import json
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.parse import urlsplit

import requests

from benchmarks.works import FAST, OURS, OURS_SYNC, PLAIN, SDK, Work
from scripts.processes import Processes, free_port

ROOT = Path(__file__).resolve().parent.parent
OTHERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"

MODULES = {OURS: "ours", OURS_SYNC: "ours_sync", FAST: "fast", SDK: "sdk", PLAIN: "plain"}

START_SECONDS = 60
TICK_SECONDS = 0.01


class Stopped(Exception):  # noqa: N818 - nothing went wrong: somebody wants the benchmarks to end
    """The benchmarks are to end."""


class RowError(RuntimeError):
    """A process of a row did not start or did not answer."""


@dataclass(frozen=True)
class Address:
    """Where a portal is.

    :param webhook: The webhook's address.
    :param authority: The file of the authority to trust, empty without TLS.
    """

    webhook: str
    authority: str


@dataclass(frozen=True)
class Runner:
    """A client's process, and the folder through which it is spoken to."""

    process: Popen[bytes]
    folder: Path


class Places:
    """Starts portals and runners, and waits for them.

    :param processes: Where processes are started; they end with it at the latest.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.stop = threading.Event()
        """Ends all waiting."""

    @contextmanager
    def portal(self, work: Work, folder: Path, *, tls: bool) -> Iterator[Address]:
        """Run a portal as a work wants it."""
        options = {
            "leads": work.leads or work.n, "share": work.share, "plan": work.plan,
            "latency": work.latency, "tls": tls, "of": work.of,
            "faults": dict(work.faults), "switches": dict(work.switches),
        }  # fmt: skip
        output = folder / "portal"
        process = self._start([sys.executable, "-m", "benchmarks.portal", json.dumps(options)], output)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not (said := re.search(r"webhook: (\S+)\nauthority: (\S+)\n", output.read_text())):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RowError(f"the sandbox did not start: {output.read_text()[-300:]}")
                self._tick()
            yield Address(said[1], said[2] if tls else "")
        finally:
            _end(process)

    @contextmanager
    def redis(self, folder: Path) -> Iterator[int]:
        """Run a Redis, and give its port.

        :raises RowError: Its server is not installed.
        """
        if not shutil.which("redis-server"):
            raise RowError("not installed: make redis does that")
        port = free_port()
        settings = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
        process = self._start(["redis-server", *settings], folder / "redis")
        try:
            deadline = time.monotonic() + START_SECONDS
            while "eady to accept connections" not in (folder / "redis").read_text():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RowError("redis-server did not start")
                self._tick()
            yield port
        finally:
            _end(process)

    @contextmanager
    def storage(self, folder: Path) -> Iterator[tuple[int, Path]]:
        """Run an S3 server, and give its port, and the log of what it is asked."""
        port, output = free_port(), folder / "storage"
        process = self._start([sys.executable, "-m", "moto.server", "-p", str(port)], output)
        try:
            deadline = time.monotonic() + START_SECONDS
            while "Running on" not in output.read_text():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RowError("the S3 server did not start")
                self._tick()
            yield port, output
        finally:
            _end(process)

    @contextmanager
    def runner(
        self,
        work: Work,
        client: str,
        folder: Path,
        portal: Address,
        ids: list[int],
        *,
        redis_port: int = 0,
        storage: int = 0,
    ) -> Iterator[Runner]:
        """Run a process of a client, up to the point where it waits for the word to go."""
        if client in {FAST, SDK} and not OTHERS_PYTHON.exists():
            raise RowError("not installed: make bench does that")
        folder.mkdir()
        job = {
            "url": portal.webhook, "work": work.kind, "ids": ids, "filter": dict(work.filter),
            "plan": work.plan, "used": work.used == "own", "seconds": work.seconds,
            "redis": redis_port, "storage": storage, "of": work.of,
            "folder": str((folder if work.hosts else folder.parent) / "shared"),
        }  # fmt: skip
        (folder / "job.json").write_text(json.dumps(job))
        python = str(OTHERS_PYTHON) if client in {FAST, SDK} else sys.executable
        module = "applies" if work.applies else MODULES[client]
        command = [python, "-m", f"benchmarks.clients.{module}", str(folder)]
        environment = _environment(client, folder, portal) | (_airflow(folder) if work.applies else {})
        process = self._start(command, folder / "output", **environment)
        try:
            yield Runner(process, folder)
        finally:
            _end(process)

    def wait(self, runner: Runner, name: str, seconds: float) -> None:
        """Wait until a runner has written a file.

        :raises RowError: It ended without, or took too long.
        """
        deadline = time.monotonic() + seconds
        while not (runner.folder / name).exists():
            if runner.process.poll() is not None:
                said = (runner.folder / "output").read_text(errors="replace").strip().splitlines()
                raise RowError(said[-1] if said else f"the client ended with {runner.process.returncode}")
            if time.monotonic() > deadline:
                raise RowError(f"stopped after {seconds:.0f} s")
            self._tick()

    def _tick(self) -> None:
        if self.stop.wait(TICK_SECONDS):
            raise Stopped

    def _start(self, command: list[str], output: Path, **environment: str) -> Popen[bytes]:
        if self.stop.is_set():
            raise Stopped
        with output.open("wb") as file:
            return self._processes.start(command, output=file, cwd=ROOT, **environment)


def _environment(client: str, folder: Path, portal: Address) -> dict[str, str]:
    environment = {}
    if portal.authority:
        environment = {"SSL_CERT_FILE": portal.authority, "REQUESTS_CA_BUNDLE": portal.authority}
    if client == PLAIN:
        connection = {"conn_type": "http", "host": portal.webhook.rstrip("/")}
        environment |= _airflow(folder) | {"AIRFLOW_CONN_PORTAL": json.dumps(connection)}
    return environment


def _airflow(folder: Path) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__BITRIX24__PACING_PATH": str(folder / "pacing"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }


def _end(process: Popen[bytes]) -> None:
    process.terminate()
    process.wait()


class Control:
    """The portal's own word: what it holds and what it counted."""

    def __init__(self, portal: Address) -> None:
        address = urlsplit(portal.webhook)
        self._webhook = portal.webhook
        self._base = f"{address.scheme}://{address.netloc}/__sandbox"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = portal.authority or True

    def call(self, method: str) -> None:
        """Make a call as anybody on this host may."""
        self._session.post(f"{self._webhook}{method}", json={}, timeout=60)

    def stats(self) -> dict[str, Any]:
        """Tell what the portal counted."""
        return dict(self._session.get(f"{self._base}/stats", timeout=60).json())

    def forget(self) -> None:
        """Let it count from nought."""
        self._session.delete(f"{self._base}/stats", timeout=60)

    def links(self, kind: str) -> Mapping[str, Any]:
        """Tell all owners of a kind with their links."""
        return dict(self._session.get(f"{self._base}/links", params={"kind": kind}, timeout=120).json())
