"""A thousand tasks that wait in one event loop, as in Airflow's triggerer: ``python -m benchmarks.sensors``.

Each kind of question is asked by a thousand triggers in a process of its own, at a portal of the standard
plan. With the usual interval of 60 seconds, requests a look are requests a minute.
At the end some of what they wait for comes true, and exactly those triggers have to fire.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from scripts.local_sandbox import LocalSandbox
from scripts.processes import Processes, clean_environment, interrupt_on_signals

INTERVAL, LOOKS = 15, 3
PAGE = os.sysconf("SC_PAGE_SIZE")
KINDS = ("links", "records", "both")
AWAITED = 9999
"""Contact that is linked to some leads in the end, and to none before."""


def triggers(kind: str, count: int) -> list[Any]:
    """Give triggers that wait for what is not so: for links of leads, for numbers of records, or for both."""
    from airflow_bitrix.triggers.waiting import (  # noqa: PLC0415 (Airflow finds its home first)
        Bitrix24ContactLinksTrigger,
        Bitrix24RecordsTrigger,
    )

    common: Mapping[str, Any] = {"bitrix24_conn_id": "bitrix24_default", "poke_interval": INTERVAL}

    def links(number: int) -> Any:
        return Bitrix24ContactLinksTrigger(kind="lead", owner_id=number, exactly=[AWAITED], **common)

    def records(number: int) -> Any:
        return Bitrix24RecordsTrigger(
            kind="lead", filter={"title": f"awaited {number}"}, at_least=1, **common
        )

    made: Mapping[str, Callable[[int], Any]] = {
        "links": links,
        "records": records,
        "both": lambda number: (links if number % 2 else records)(number),
    }
    return [made[kind](number) for number in range(1, count + 1)]


async def watch(kind: str, count: int, url: str, come_true: Sequence[int]) -> dict[str, Any]:
    """Let triggers wait, and tell what that took.

    :param url: The webhook's address, for what is read and written beside.
    :param come_true: Numbers of those whose conditions hold in the end.
    """
    stats = f"{url.partition('/rest/')[0]}/__sandbox/stats"
    # One that waits already has loaded what all of them use.
    first = asyncio.ensure_future(fire(triggers(kind, 1)[0]))
    await asyncio.sleep(2)
    gc.collect()
    before = memory()
    made = triggers(kind, count)
    tasks = {number: asyncio.ensure_future(fire(one)) for number, one in enumerate(made, 1)}
    longest = asyncio.ensure_future(longest_hold())
    await asyncio.sleep(INTERVAL)
    await asyncio.to_thread(requests.delete, stats)
    begun = time.monotonic()
    await asyncio.sleep(INTERVAL * LOOKS)
    told = (await asyncio.to_thread(requests.get, stats)).json()
    seconds = time.monotonic() - begun
    gc.collect()
    after = memory()
    longest.cancel()
    for number in come_true:
        await asyncio.to_thread(come_true_for, kind, url, number)
    done, waiting = await asyncio.wait(
        [*tasks.values(), first], timeout=2 * INTERVAL, return_when=asyncio.ALL_COMPLETED
    )
    fired = {number for number, task in tasks.items() if task in done and "found" in task.result()}
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.sleep(1)
    with suppress(asyncio.CancelledError):
        return {
            "kind": kind,
            "triggers": count,
            "requests_a_look": told["admitted"] / LOOKS,
            "refused": told["refused_503"],
            "seconds": round(seconds, 1),
            "kb_a_trigger": round((after - before) / count / 1024, 1),
            "loop_held_ms": round((await longest) * 1000),
            "right": fired == set(come_true) and len(asyncio.all_tasks()) == 1,
        }
    raise AssertionError


async def fire(trigger: Any) -> dict[str, Any]:
    """Give the event of a trigger."""
    payload: dict[str, Any] = (await anext(trigger.run())).payload
    return payload


async def longest_hold() -> float:
    """Tell how long the event loop was held up at most."""
    longest, before = 0.0, time.monotonic()
    try:
        while True:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            longest, before = max(longest, now - before - 0.01), now
    except asyncio.CancelledError:
        return longest


def memory() -> int:
    """Tell the bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def come_true_for(kind: str, url: str, number: int) -> None:
    """Make what a trigger waits for so."""
    if kind == "links" or (kind == "both" and number % 2):
        method, params = "crm.lead.contact.items.set", {"id": number, "items": [{"CONTACT_ID": AWAITED}]}
    else:
        method, params = "crm.lead.add", {"fields": {"TITLE": f"awaited {number}"}}
    requests.post(f"{url}{method}", json=params, timeout=30).raise_for_status()


def main() -> int:
    """Measure each kind of question, and print a line for it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sensors", description=__doc__)
    parser.add_argument("--triggers", type=int, default=1000)
    parser.add_argument("--kind", choices=KINDS, help="only this one")
    parser.add_argument("--at", help="address of a webhook; used for the process of one kind")
    options = parser.parse_args()
    if options.at:
        come_true = range(1, options.triggers + 1, options.triggers // 10)
        found = asyncio.run(watch(options.kind, options.triggers, options.at, come_true))
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    interrupt_on_signals()
    right = True
    for kind in [options.kind] if options.kind else KINDS:
        with Processes(clean_environment()) as processes, tempfile.TemporaryDirectory() as home:
            sandbox = LocalSandbox(processes, leads=options.triggers, deals=10, contacts=500).start()
            found = measured(sandbox, kind, options.triggers, home)
            right = right and found["right"]
            sys.stdout.write(json.dumps(found) + "\n")
    return 0 if right else 1


def measured(sandbox: LocalSandbox, kind: str, count: int, home: str) -> dict[str, Any]:
    """Give the figures of a process of its own, whose Airflow has an empty home."""
    url = f"{sandbox.url}/rest/1/{sandbox.code}/"
    env = {
        **clean_environment(),
        "AIRFLOW_HOME": home,
        "AIRFLOW_CONN_BITRIX24_DEFAULT": json.dumps({"conn_type": "bitrix24", "password": url}),
        "AIRFLOW__BITRIX24__PACING_PATH": f"{home}/pacing",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "NO_PROXY": "127.0.0.1",
    }
    command = [
        sys.executable,
        "-m",
        "benchmarks.sensors",
        "--kind",
        kind,
        "--triggers",
        str(count),
        "--at",
        url,
    ]
    done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 (ours)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
