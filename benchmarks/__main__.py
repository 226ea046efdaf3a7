"""Run the benchmarks: ``python -m benchmarks [--quick] [--client NAME] [--work TEXT]``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from benchmarks.places import Places, Stopped
from benchmarks.row import Row, make
from benchmarks.table import table
from benchmarks.works import ALL, OURS_SYNC, OWN, Work, works
from scripts.processes import Processes, clean_environment, interrupt_on_signals

LATEST = Path(__file__).parent / "latest.json"
EVERY = (*ALL, OURS_SYNC)
AT_ONCE = 8
"""Rows that only wait for the portal's pace, side by side; each has a portal of its own."""

Task = tuple[Work, str]


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tasks_of(options: argparse.Namespace) -> list[Task]:
    """Give the rows that are to be made."""
    return [
        (fitting, client)
        for work in works(quick=options.quick)
        for client in options.client or EVERY
        if options.work.lower() in work.name.lower() and (fitting := work.for_client(client))
    ]


def run(places: Places, tasks: Sequence[Task]) -> list[Row]:
    """Make the rows: those that need the machine one by one, then the others side by side."""
    found: dict[int, Row] = {}
    begun = time.monotonic()

    def one(number: int) -> None:
        work, client = tasks[number]
        row = found[number] = make(places, work, client)
        took = row["note"] if row["seconds"] is None else f"{row['seconds']:.1f} s"
        progress = f"{time.monotonic() - begun:5.0f} s  {len(found):3} of {len(tasks)}"
        say(f"{progress}  {work.name}: {client}: {took}")

    for number, (work, _) in enumerate(tasks):
        if work.alone:
            one(number)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rest: list[Future[None]] = []
        try:
            side_by_side = [number for number, (work, _) in enumerate(tasks) if not work.alone]
            # The long ones first, so that none of them is left over at the end.
            side_by_side.sort(key=lambda number: (-tasks[number][0].latency, not tasks[number][0].used))
            rest = [pool.submit(one, number) for number in side_by_side]
            for done in as_completed(rest):
                done.result()
        except BaseException:
            places.stop.set()
            for waiting in rest:
                waiting.cancel()
            raise
    return [found[number] for number in range(len(tasks))]


def main() -> int:
    """Run what the command line asks for, print the table and keep it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller works")
    parser.add_argument("--client", action="append", choices=EVERY, help="only this client")
    parser.add_argument("--work", default="", help="only works whose name has this text")
    options = parser.parse_args()
    interrupt_on_signals()
    tasks = tasks_of(options)
    length = "a minute and a half at most" if options.quick else "about 10 minutes"
    say(f"{len(tasks)} rows on sandbox portals of this machine, {length}. Ctrl-C stops everything.")
    begun = time.monotonic()
    try:
        environment = {"NO_PROXY": "127.0.0.1,localhost", "PYTHONUNBUFFERED": "1"}
        with Processes(clean_environment() | environment) as processes:
            rows = run(Places(processes), tasks)
    except (KeyboardInterrupt, Stopped):
        say("Interrupted; nothing is left running, and the last results are as they were.")
        return 130
    say("\n" + table(rows))
    whole = not options.client and not options.work
    if whole:
        LATEST.write_text(json.dumps(rows, indent=1) + "\n")
    say(
        f"\nDone in {time.monotonic() - begun:.0f} s"
        + (f"; kept as benchmarks/{LATEST.name}" if whole else "")
    )
    ours_right = all(row["right"] for row in rows if row["client"] in OWN)
    return 0 if ours_right else 1


if __name__ == "__main__":
    sys.exit(main())
