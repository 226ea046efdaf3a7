"""``make demo``: clean up the leads of a sandbox portal with a real Airflow, and check the result.

First a dry run, then the real one, both triggered by REST as the Airflow UI does it.
Everything runs on this machine, and nothing keeps running afterwards.
"""

from __future__ import annotations

import shutil
import sys
import time
from importlib.metadata import version
from pathlib import Path

from scripts.airflow_api import AirflowError
from scripts.local_airflow import LocalAirflow
from scripts.local_sandbox import ROOT, LocalSandbox, SandboxError, difference
from scripts.processes import Processes, clean_environment, interrupt_on_signals
from scripts.run_view import RunView
from scripts.screen import Screen

DAG_ID = "bitrix24_lead_link_cleanup"
LEADS, DEALS, CONTACTS = 2000, 2000, 3000


class DemoError(RuntimeError):
    """Something is not as it should be; the text tells what."""


def run_dag(screen: Screen, airflow: LocalAirflow, sandbox: LocalSandbox, *, dry_run: bool) -> Path:
    """Run the DAG once, show it, and return where its report was copied to."""
    requests_before, begun = sandbox.stats()["admitted"], time.monotonic()
    run_id = airflow.trigger(DAG_ID, {"dry_run": dry_run})
    if not dry_run:
        screen.line(f"approved, as a person does: {approve(airflow, run_id)}")
    state = RunView(screen, airflow, DAG_ID, run_id, ROOT).follow()
    if state != "success":
        raise DemoError(f"the run ended as {state}; its logs are under {airflow.home / 'logs'}")
    result = airflow.xcom(DAG_ID, run_id, "check")
    requests = sandbox.stats()["admitted"] - requests_before
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in result["counts"].items() if count)
    screen.result(f"{counts or 'no changes'}; {requests:,} requests, {time.monotonic() - begun:.1f} s")
    if result["counts"]["failed"] or result["counts"]["drift"]:
        raise DemoError("some changes failed or drifted, though nobody else works in the sandbox")
    report = ROOT / ".demo" / ("report-dry-run.html" if dry_run else "report-real-run.html")
    shutil.copyfile(result["report"], report)
    return report


def approve(airflow: LocalAirflow, run_id: str) -> str:
    """Wait until the run asks whether its plan may be applied, say yes, and return the question."""
    question: str = airflow.wait_for_question(DAG_ID, run_id)["subject"]
    airflow.answer(DAG_ID, run_id, "approve", "Approve")
    return question


def demonstrate(screen: Screen, processes: Processes) -> None:
    """Do what the module says, step by step."""
    screen.title("airflow-bitrix: leads of a Bitrix24 sandbox, cleaned up by Apache Airflow on this machine")

    screen.step(f"Sandbox portal with {LEADS:,} leads, {DEALS:,} deals, {CONTACTS:,} contacts")
    sandbox = LocalSandbox(processes, leads=LEADS, deals=DEALS, contacts=CONTACTS).start()
    released, leads, deals = sandbox.released_leads(), sandbox.owners("lead"), sandbox.owners("deal")
    screen.done(sandbox.url)

    screen.step(f"Apache Airflow {version('apache-airflow')} with its scheduler, workers and UI")
    airflow = LocalAirflow(
        processes,
        home=ROOT / ".demo" / "airflow",
        dags=ROOT / "dags",
        fresh=True,
        schedules=False,
        on_wait=screen.tick,
    ).start()
    airflow.create_connection("bitrix24_default", **sandbox.connection())
    airflow.wait_for_dag(DAG_ID)
    airflow.unpause(DAG_ID)
    screen.done(airflow.url)

    screen.step(f"Dry run of {DAG_ID}: what would be changed?")
    screen.done()
    dry_report = run_dag(screen, airflow, sandbox, dry_run=True)
    if sandbox.owners("lead") != leads or sandbox.owners("deal") != deals:
        raise DemoError("the dry run changed the portal")

    screen.step(f"Real run of {DAG_ID}: change it, and read it back")
    screen.done()
    report = run_dag(screen, airflow, sandbox, dry_run=False)

    screen.step("Check against what the sandbox knows about its own data")
    problems = difference(leads, sandbox.owners("lead"), released)
    if sandbox.owners("deal") != deals:
        problems.append("deals have changed, too")
    if problems:
        raise DemoError("\n".join([f"{len(problems)} differences:", *problems[:10]]))
    screen.done()
    others = len(leads) - len(released)
    screen.result(
        f"{len(released):,} repeat leads, all that may be released, have no contacts and no repeat flag"
    )
    screen.result(f"the other {others:,} leads and all {len(deals):,} deals are as they were")

    screen.title("Reports")
    for file in (dry_report, report):
        screen.result(str(file.relative_to(ROOT)))


def main() -> int:
    """Run the demonstration; return the exit code."""
    interrupt_on_signals()
    screen, begun = Screen(), time.monotonic()
    try:
        with Processes(clean_environment()) as processes:
            demonstrate(screen, processes)
            screen.step("Stopping")
        screen.done()
    except (AirflowError, SandboxError, DemoError) as error:
        screen.failed(str(error))
        return 1
    except KeyboardInterrupt:
        screen.interrupted()
        return 130
    screen.title(f"Done in {time.monotonic() - begun:.0f} s. To look around in the Airflow UI: make ui")
    return 0


if __name__ == "__main__":
    sys.exit(main())
