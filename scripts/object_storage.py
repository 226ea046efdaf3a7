"""An S3 server of this machine, and the Airflow connection that leads to it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moto.server import ThreadedMotoServer

from airflow_bitrix.operators.shared.artifacts import given_folder


class Requests(logging.Handler):
    """What the server was asked, in order: ``PUT /artifacts/run/plan/manifest.json``."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note a request."""
        asked = record.getMessage().partition('"')[2]
        self.seen.append(asked.partition("HTTP/")[0].rpartition("m")[2] if "\x1b" in asked else asked)


class ObjectStorage:
    """A server with one bucket.

    :ivar requests: What it was asked.
    """

    def __init__(self, server: ThreadedMotoServer) -> None:
        self._server = server
        self.requests = Requests()

    @property
    def connection(self) -> dict[str, str]:
        """The fields of an Airflow connection that leads to it, but for its id."""
        host, port = self._server.get_host_and_port()
        extra = {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"}
        return {"conn_type": "aws", "login": "key", "password": "secret", "extra": json.dumps(extra)}

    def folder(self, name: str) -> Path:
        """Give a folder in the bucket, by the connection ``aws_default``."""
        return given_folder("name", f"s3://aws_default@artifacts/{name}")


@contextmanager
def object_storage() -> Iterator[ObjectStorage]:
    """Start a server with an empty bucket; the connection that leads to it stands in the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    storage = ObjectStorage(server)
    log = logging.getLogger("werkzeug")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(storage.requests)
    server.start()
    os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps(storage.connection)
    try:
        storage.folder("").mkdir(parents=True, exist_ok=True)
        yield storage
    finally:
        del os.environ["AIRFLOW_CONN_AWS_DEFAULT"]
        log.removeHandler(storage.requests)
        server.stop()
