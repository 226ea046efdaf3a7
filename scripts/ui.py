"""``make ui``: Airflow with the sample DAGs and two sandbox portals, to look around in, until Ctrl-C.

``make ui SPEAKS=ru`` has forms and messages in Russian; pages of Airflow speak the language of the browser.
"""

from __future__ import annotations

import os
import sys
import time

from scripts.airflow_api import USER, AirflowError
from scripts.local_airflow import LocalAirflow
from scripts.local_sandbox import ROOT, LocalSandbox, SandboxError
from scripts.processes import Processes, clean_environment, free_port, interrupt_on_signals
from scripts.screen import Screen

OLD = "old-portal"
"""The originator of the sandbox's records."""


def show(screen: Screen, processes: Processes) -> None:
    """Start all, tell where they are, and wait."""
    screen.step("Sandbox portals with made-up leads, deals, contacts and more")
    more = {"quotes": 500, "companies": 300, "invoices": 200, "items": 200}
    sandbox = LocalSandbox(processes, port=free_port(8900), more=more, originator=OLD).start()
    # Its records are those that the other portal's look imported from, with other links.
    source = LocalSandbox(processes, port=free_port(8901), leads=300, deals=300, seed=8).start()
    screen.done()
    screen.step("Apache Airflow")
    airflow = LocalAirflow(
        processes,
        home=ROOT / ".airflow",
        dags=ROOT / "dags",
        port=free_port(8080),
        language=os.environ.get("SPEAKS", "en"),
        on_wait=screen.tick,
    ).start()
    airflow.create_connection("bitrix24_default", **sandbox.connection())
    airflow.create_connection("bitrix24_source", **source.connection())
    screen.done()
    screen.title("Ready. Unpause or trigger a DAG in the Airflow UI; Ctrl-C here stops everything.")
    screen.result(f"Airflow UI      {airflow.url}")
    screen.result(f"user, password  {USER}, {airflow.password}")
    screen.result(f"sandbox portal  {sandbox.url}/")
    screen.result("connection      bitrix24_default, under Admin > Connections; it leads to the sandbox")
    screen.result(f"                its webhook address: {sandbox.webhook()}")
    screen.result(f"second portal   {source.url}/")
    screen.result("connection      bitrix24_source; to try links from portal to portal,")
    screen.result(f"                give {OLD} as Originator")
    screen.result(f"                its webhook address: {source.webhook()}")
    while True:
        airflow.check_running()
        time.sleep(1)


def main() -> int:
    """Run until interrupted; return the exit code."""
    interrupt_on_signals()
    screen = Screen()
    try:
        with Processes(clean_environment()) as processes:
            try:
                show(screen, processes)
            except KeyboardInterrupt:
                screen.title("Stopping; the runs stay in .airflow for the next time.")
    except (AirflowError, SandboxError) as error:
        screen.failed(str(error))
        return 1
    screen.result("everything is stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
