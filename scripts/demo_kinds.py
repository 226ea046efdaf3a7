"""``make demo-kinds``: replace 500 contacts wherever they hang, check every kind, and take it back.

A real Airflow runs the sample DAGs on a sandbox portal with all kinds of owners, a smart process among them.
Everything runs on this machine, and nothing keeps running afterwards.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_bitrix.core.families import family_of
from scripts.airflow_api import AirflowError
from scripts.local_airflow import LocalAirflow
from scripts.local_sandbox import ROOT, LocalSandbox, Owners, SandboxError
from scripts.processes import Processes, clean_environment, interrupt_on_signals
from scripts.run_view import RunView
from scripts.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping

REMAP, RESTORE = "bitrix24_contact_remap", "bitrix24_link_restore"
KINDS = ("lead", "deal", "quote", "company", "smart_invoice", "dynamic_1036")
CONTACTS, MERGED = 3000, 500
MORE = {"quotes": 1000, "companies": 1000, "invoices": 500, "items": 500}

Portal = dict[str, Owners]
"""The owners of each kind."""


class DemoError(RuntimeError):
    """Something is not as it should be; the text tells what."""


def look(sandbox: LocalSandbox) -> Portal:
    """Tell all links of a portal."""
    return {kind: sandbox.owners(kind) for kind in KINDS}


def held(kind: str, owner: Mapping[str, Any]) -> Any:
    """Tell what counts of an owner: its contacts in order and the primary one; of a company who they are."""
    rows = sorted((link[1], link[0]) for link in owner["links"])
    ids = [one for _, one in rows]
    return set(ids) if family_of(kind).is_shared else (ids, shown(owner))


def shown(owner: Mapping[str, Any]) -> int | None:
    """Tell the contact that a card shows first, by its field or else by the flags."""
    ids = [link[0] for link in owner["links"]]
    flagged = min((link[0] for link in owner["links"] if link[2] == "Y"), default=None)
    return owner["contact_id"] if owner["contact_id"] in ids else flagged


def replaced(kind: str, owner: Mapping[str, Any], merged: Mapping[int, int]) -> Any:
    """Work out what an owner should come to, from what it held."""
    was = held(kind, owner)
    if family_of(kind).is_shared:
        return {merged.get(one, one) for one in was}
    ids, first = was
    if not any(one in merged for one in ids):
        return was
    first = first or next(iter(ids))
    primary = merged.get(first, first)
    found = list(dict.fromkeys(merged.get(one, one) for one in ids))
    if family_of(kind).is_saved:  # a save makes the first one primary
        found = [primary, *(one for one in found if one != primary)]
    return found, primary


def compare(screen: Screen, wanted: Mapping[str, Mapping[str, Any]], sandbox: LocalSandbox) -> None:
    """Hold every owner of every kind against what it should be."""
    for kind, owners in look(sandbox).items():
        wrong = [one for one, owner in owners.items() if held(kind, owner) != wanted[kind][one]]
        if wrong:
            one = wrong[0]
            raise DemoError(
                f"{len(wrong)} of {kind} are not as they should be; {kind} {one} is "
                f"{held(kind, owners[one])}, not {wanted[kind][one]}"
            )
        screen.result(f"{kind}: all {len(owners):,} as they should be")


def run(screen: Screen, airflow: LocalAirflow, dag_id: str, form: Mapping[str, Any]) -> str:
    """Run a DAG, say yes to its one question, and show it; give the run."""
    begun = time.monotonic()
    run_id = airflow.trigger(dag_id, {"dry_run": False, "max_changes": 20_000, "allow_saving": True, **form})
    question = airflow.wait_for_question(dag_id, run_id)["subject"]
    airflow.answer(dag_id, run_id, "approve", "Approve")
    screen.line(f"approved, as a person does: {question}")
    state = RunView(screen, airflow, dag_id, run_id, ROOT).follow()
    if state != "success":
        raise DemoError(f"the run ended as {state}; its logs are under {airflow.home / 'logs'}")
    screen.result(f"{time.monotonic() - begun:.1f} s")
    return run_id


def with_smart_process(folder: Path) -> Path:
    """Copy the sample DAGs, and name the smart process, as whoever has one does."""
    for name in (REMAP, RESTORE):
        code = (ROOT / "dags" / f"{name}.py").read_text(encoding="utf-8")
        named = code.replace("SMART_PROCESSES: tuple[int, ...] = ()", "SMART_PROCESSES = (1036,)")
        (folder / f"{name}.py").write_text(named, encoding="utf-8")
    return folder


def demonstrate(screen: Screen, processes: Processes, folder: Path) -> None:
    """Do what the module says, step by step."""
    screen.title("airflow-bitrix: contacts of a Bitrix24 sandbox, replaced wherever they hang")
    screen.step(f"Sandbox portal with owners of {len(KINDS)} kinds")
    sandbox = LocalSandbox(processes, leads=1000, deals=1000, contacts=CONTACTS, more=MORE).start()
    before = look(sandbox)
    screen.done(sandbox.url)

    screen.step("Apache Airflow with its scheduler, workers and UI")
    airflow = LocalAirflow(
        processes,
        home=ROOT / ".demo" / "airflow",
        dags=with_smart_process(folder),
        fresh=True,
        schedules=False,
        on_wait=screen.tick,
    ).start()
    airflow.create_connection("bitrix24_default", **sandbox.connection())
    for dag_id in (REMAP, RESTORE):
        airflow.wait_for_dag(dag_id)
        airflow.unpause(dag_id)
    screen.done(airflow.url)

    merged = {2 * one: 2 * one - 1 for one in range(1, MERGED + 1)}
    screen.step(f"{MERGED} contacts were merged into others: replace them on every kind")
    screen.done()
    contacts = {str(old): new for old, new in merged.items()}
    run_id = run(screen, airflow, REMAP, {"kinds": list(KINDS), "contacts": contacts})
    made = airflow.xcom(REMAP, run_id, "plans.leads")

    screen.step("Check every kind against what it should have come to")
    screen.done()
    wanted = {
        kind: {one: replaced(kind, owner, merged) for one, owner in owners.items()}
        for kind, owners in before.items()
    }
    compare(screen, wanted, sandbox)

    screen.step("Take all of it back, in one run")
    screen.done()
    # The folder of the run, which holds one for each plan.
    run(screen, airflow, RESTORE, {"journal": str(Path(made["plan"]).parent.parent)})
    screen.step("Check every kind against what it was")
    screen.done()
    # Where no contact was primary, or another one than the card shows, the portal has made one primary.
    compare(
        screen,
        {
            kind: {one: was(kind, owner, merged) for one, owner in owners.items()}
            for kind, owners in before.items()
        },
        sandbox,
    )


def was(kind: str, owner: Mapping[str, Any], merged: Mapping[int, int]) -> Any:
    """Work out what an owner should have come back to."""
    found = held(kind, owner)
    touched = any(link[0] in merged for link in owner["links"])
    if family_of(kind).is_shared or not touched:
        return found
    ids, first = found
    first = first or next(iter(ids))
    order = [first, *(one for one in ids if one != first)] if family_of(kind).is_saved else ids
    return order, first


def main() -> int:
    """Run the demonstration; return the exit code."""
    interrupt_on_signals()
    screen, begun = Screen(), time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder, Processes(clean_environment()) as processes:
            demonstrate(screen, processes, Path(folder))
            screen.step("Stopping")
        screen.done()
    except (AirflowError, SandboxError, DemoError) as error:
        screen.failed(str(error))
        return 1
    except KeyboardInterrupt:
        screen.interrupted()
        return 130
    screen.title(f"Done in {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
