"""``make cluster``: Airflow on several hosts, and a sandbox portal at the standard plan, until Ctrl-C."""

from __future__ import annotations

import shutil
import sys
import time

from scripts.airflow_api import USER, AirflowError
from scripts.cluster_hosts import HostsError
from scripts.cluster_services import BUCKET, ServiceError, Services
from scripts.local_cluster import LocalCluster
from scripts.local_sandbox import ROOT, LocalSandbox, SandboxError
from scripts.processes import Processes, clean_environment, free_port, interrupt_on_signals
from scripts.screen import Screen

HOME = ROOT / ".cluster"
WORKERS = ("worker-1", "worker-2")


def show(screen: Screen, processes: Processes, services: Services) -> None:
    """Start all, tell where they are, and wait."""
    screen.step("PostgreSQL, Redis, and a store that speaks S3")
    services.start()
    screen.done()
    screen.step("Sandbox portal with made-up leads, deals and contacts")
    sandbox = LocalSandbox(processes, port=free_port(8900), leads=6000, contacts=6000).start()
    screen.done()
    screen.step("Apache Airflow, each of its components on a host of its own")
    airflow = LocalCluster(
        processes,
        services,
        home=HOME / "airflow",
        dags=ROOT / "dags",
        port=free_port(8080),
        fresh=True,
        on_wait=screen.tick,
    ).start()
    for conn_id, fields in services.connections().items():
        airflow.create_connection(conn_id, **fields)
    airflow.create_connection("bitrix24_default", **sandbox.connection())
    screen.done()
    screen.step(f"Workers of Celery: {', '.join(WORKERS)}")
    for worker in WORKERS:
        airflow.start_worker(worker)
    screen.done()
    screen.title("Ready. Unpause or trigger a DAG in the Airflow UI; Ctrl-C here stops everything.")
    screen.result(f"Airflow UI      {airflow.url}")
    screen.result(f"user, password  {USER}, {airflow.password}")
    screen.result(f"sandbox portal  {sandbox.url}/crm/lead/details/1/")
    screen.result(f"store           {services.store}/{BUCKET}: artifacts and logs")
    screen.result(f"disks           {HOME / 'airflow' / 'hosts'}: a host sees its own alone")
    while True:
        airflow.check_running()
        time.sleep(1)


def main() -> int:
    """Run until interrupted; return the exit code."""
    interrupt_on_signals()
    screen = Screen()
    HOME.mkdir(exist_ok=True)
    try:
        with Processes(clean_environment()) as processes:
            services = Services(processes, HOME)
            try:
                show(screen, processes, services)
            except KeyboardInterrupt:
                screen.title("Stopping")
    except (AirflowError, SandboxError, ServiceError, HostsError) as error:
        screen.failed(str(error))
        return 1
    finally:
        services.remove()
        shutil.rmtree(HOME, ignore_errors=True)
    screen.result("everything is stopped, and nothing of it is kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())
