"""A cluster on this machine, and the sandbox portal that its hosts ask."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # it carries no types, and its stubs would be one more package
import pytest

from scripts.cluster_services import Services
from scripts.local_cluster import LocalCluster
from scripts.local_sandbox import ROOT, LocalSandbox
from scripts.processes import MARK, Processes, clean_environment
from tests.cluster.runs import Portal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAGS = ("bitrix24_lead_link_cleanup.py", "bitrix24_link_restore.py")
PATIENT, HASTY = '"retry_delay": timedelta(minutes=2)', '"retry_delay": timedelta(seconds=12)'


@pytest.fixture(scope="session")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample DAGs, but that a retry comes after seconds: behind ``SILENCE`` no dead lease is left."""
    folder = tmp_path_factory.mktemp("dags")
    for name in DAGS:
        text = (ROOT / "dags" / name).read_text()
        assert PATIENT in text
        (folder / name).write_text(text.replace(PATIENT, HASTY))
    return folder


@pytest.fixture
def portal(cluster: tuple[LocalCluster, Services, Processes]) -> Portal:
    """A portal at the standard plan that nobody has cleaned up; its plans come to two parts."""
    airflow, services, processes = cluster
    sandbox = LocalSandbox(processes, leads=4000, deals=20, contacts=4000).start()
    airflow.create_connection("bitrix24_default", **sandbox.connection())
    return Portal(airflow, services, sandbox)


@pytest.fixture(scope="session")
def cluster(
    dags: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LocalCluster, Services, Processes]]:
    """Services, and Airflow without a worker; and the processes among which it runs."""
    home = tmp_path_factory.mktemp("cluster")
    with Processes(clean_environment()) as processes:
        services = Services(processes, home)
        try:
            services.start()
            airflow = LocalCluster(
                processes, services, home=home / "airflow", dags=dags, schedules=False
            ).start()
            for conn_id, fields in services.connections().items():
                airflow.create_connection(conn_id, **fields)
            yield airflow, services, processes
        finally:
            processes.stop()
            services.remove()
    mark = processes.environment[MARK]
    assert [one for one in psutil.process_iter() if _mark_of(one) == mark] == []
    assert [port for port in services.ports.values() if _is_open(port)] == []
    assert not services.folder.exists()


def _mark_of(process: psutil.Process) -> str:
    try:
        told: str = process.environ().get(MARK, "")
    except psutil.Error:
        return ""
    return told


def _is_open(port: int) -> bool:
    with socket.socket() as door:
        return not door.connect_ex(("127.0.0.1", port))
