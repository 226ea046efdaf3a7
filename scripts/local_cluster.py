"""A real Airflow on several hosts of one machine: PostgreSQL, Redis, S3, and workers of Celery.

Each component is on a host of its own, and so is each worker; see ``scripts/cluster_hosts.py``.
"""

from __future__ import annotations

import base64
import secrets
import sys
import time
from typing import TYPE_CHECKING, Any

from scripts.airflow_api import AirflowError
from scripts.cluster_hosts import Hosts, cut_the_power
from scripts.local_airflow import LocalAirflow, settings
from scripts.local_sandbox import ROOT

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from scripts.cluster_services import Services
    from scripts.processes import Processes

SILENCE = 50
"""Seconds without a heartbeat after which the scheduler takes a task for dead; Airflow's default is 300.

With the pause before a retry it is not to be shorter than a lease (``airflow_bitrix/files/leases.py``): until
that has ended, a retry on another host is refused, and that costs one of the task's tries.
"""


class LocalCluster(LocalAirflow):
    """Airflow with the CeleryExecutor; what its hosts share are the services, and the folder of the DAGs.

    :param processes: Where to start it.
    :param services: They have started.
    :param home: Folder for the disks of the hosts, and what they say. It is emptied.
    :param options: As ``LocalAirflow`` has them.
    """

    def __init__(self, processes: Processes, services: Services, *, home: Path, **options: Any) -> None:
        super().__init__(processes, home=home, **options)
        self._services, self._hosts = services, Hosts(self.home)
        self._secrets = {
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }

    def start_worker(self, name: str, *, fresh_disks: bool = False, timeout: float = 90) -> None:
        """Start a worker that runs one task at a time, and wait until it takes tasks.

        :param name: Of its host; such a host, and so its disk, may have been before.
        :param fresh_disks: Give each task an empty disk and another host name, as a pod has them.
        """
        also = {"AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS": "scripts.fresh_disks.CELERY_CONFIG"}
        options = ("worker", "--concurrency", "1", "--celery-hostname", name, "--skip-serve-logs")
        also = also if fresh_disks else {}
        worker = self._component("celery", *options, log=name, **also)
        self._running[name] = worker
        begun = time.monotonic()
        while "ready." not in (self.home / f"{name}.log").read_text(errors="replace"):
            self.check_running()
            if time.monotonic() - begun > timeout:
                raise AirflowError(f"worker {name} takes no tasks; {self._tail(name)}")
            time.sleep(0.25)

    def kill_worker(self, name: str) -> None:
        """Kill all processes of a worker's host."""
        cut_the_power(self._running.pop(name))

    def disk_of(self, name: str) -> Path:
        """Tell where a host's disk lies."""
        return self._hosts.disk_of(name)

    def _component(self, name: str, *options: str, log: str = "", **also: str) -> subprocess.Popen[bytes]:
        host = log or name
        environment = settings(home=self._hosts.disk / "airflow", dags=self.dags, port=self._port)
        environment |= self._hosts.environment() | self._services.settings() | self._secrets
        with (self.home / f"{host}.log").open("wb") as output:
            return self._processes.start(
                self._hosts.command(host, [sys.executable, "-m", "airflow", name, *options]),
                output=output,
                cwd=self.home,
                **environment,
                **_of_clusters(self.home, schedules=self._schedules),
                **also,
            )


def _of_clusters(home: Path, *, schedules: bool) -> dict[str, str]:
    return {
        "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(
            home / "simple_auth_manager_passwords.json.generated"
        ),
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(SILENCE),
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": str(schedules),
        "PYTHONPATH": str(ROOT),
    }
