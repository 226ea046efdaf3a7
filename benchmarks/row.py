"""One row: a portal, the processes of one client, a check of what came of it, and figures."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from benchmarks.applies import beside_a_folder
from benchmarks.check import check, least_requests
from benchmarks.places import START_SECONDS, Control, Places, RowError, Runner
from benchmarks.works import BUCKETS, SDK, WHOLE, Work

NEEDS_TLS = {SDK}

ROW_SECONDS = 400
"""After so long a client is stopped, and its row tells so."""

NOBODY = 10_000_000
"""The id of no lead."""

Row = dict[str, Any]


def make(places: Places, work: Work, client: str) -> Row:
    """Let a client do a work, and give the row of the table."""
    row: Row = {
        "client": client, "work": work.name, "n": work.n, "seconds": None, "bound_seconds": None,
        "ratio": None, "requests": None, "refused": None, "right": False, "cpu_seconds": None,
        "peak_rss_mb": None, "measure": work.measure, "target": work.target, "note": "",
    }  # fmt: skip
    try:
        measured = beside_a_folder if work.applies else _measured
        return row | measured(places, work, client)
    except RowError as error:
        return row | {"note": str(error)}
    except requests.RequestException as error:
        return row | {"note": f"the sandbox does not answer: {type(error).__name__}"}


def _measured(places: Places, work: Work, client: str) -> Row:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bitrix24-bench-")))
        address = stack.enter_context(places.portal(work, folder, tls=client in NEEDS_TLS))
        ids = [*range(1, work.n + 1)] if work.kind not in WHOLE or work.hosts else []
        if work.missing:
            ids[len(ids) // 2] = NOBODY
        redis_port = stack.enter_context(places.redis(folder)) if work.hosts == "redis" else 0
        runners = []
        for part in range(work.processes):
            some = ids if work.hosts else ids[part :: work.processes]
            own = folder / str(part)
            runner = places.runner(work, client, own, address, some, redis_port=redis_port)
            runners.append(stack.enter_context(runner))
        for one in runners:
            places.wait(one, "ready", START_SECONDS)
        portal = Control(address)
        level = _before(work, portal, runners)
        for one in runners:
            (one.folder / "go").touch()
        for one in runners:
            places.wait(one, "report.json", ROW_SECONDS)
        reports = [json.loads((one.folder / "report.json").read_text()) for one in runners]
        counted = portal.stats()
        sent = {"requests": counted["admitted"] + counted["refused_503"], "refused": counted["refused_503"]}
        if work.hosts:
            return sent | shared(work, reports, sent["requests"], sent["refused"])
        problems = check(work, ids, reports, {kind: portal.links(kind) for kind in work.of})
        least = least_requests(work, client)
        return sent | _figures(work, least, level, reports, problems, requests=sent["requests"])


def _before(work: Work, portal: Control, runners: Sequence[Runner]) -> float:
    """Use the bucket up where that belongs to the work, and tell how full it is."""
    at = time.monotonic()
    if work.used == "stranger":
        for _ in range(int(BUCKETS[work.plan][1])):
            portal.call("profile")
        at = time.monotonic()
    if work.used == "own":
        at = max(float((one.folder / "used").read_text()) for one in runners)
    level = float(portal.stats()["max_level"]) if work.used else 0.0
    portal.forget()
    return max(0.0, level - BUCKETS[work.plan][0] * (time.monotonic() - at)) if work.used else 0.0


def _figures(
    work: Work,
    least: int,
    level: float,
    reports: Sequence[Mapping[str, Any]],
    problems: Sequence[str],
    *,
    requests: int,
) -> Row:
    seconds = max(one["ended"] for one in reports) - min(one["began"] for one in reports)
    cpu = sum(one["cpu_seconds"] for one in reports)
    bound = work.latency
    if work.plan in BUCKETS:
        rate, burst = BUCKETS[work.plan]
        bound += max(0.0, (least - (burst - level)) / rate)
    ratios = {"requests": requests / least, "seconds": seconds / bound if bound else None}
    ratio = None if problems else ratios.get(work.measure)
    note = "; ".join(problems)
    if work.measure == "cpu" and not note:
        verb = "rows" if work.kind == "list" else "reads"
        note = f"{work.n / cpu:,.0f} {verb} per CPU second"
    return {
        "seconds": round(seconds, 3),
        "bound_seconds": round(bound, 3),
        "ratio": round(ratio, 3) if ratio is not None else None,
        "right": not problems,
        "cpu_seconds": round(cpu, 3),
        "peak_rss_mb": round(max(one["peak_rss_mb"] for one in reports), 1),
        "least_requests": least,
        "note": note,
    }


def shared(work: Work, reports: Sequence[Mapping[str, Any]], requests: int, refused: int) -> Row:
    """Tell how hosts shared what the portal allows."""
    rate, burst = BUCKETS[work.plan]
    failed = sum(one.get("failed", 0) for one in reports)
    done = [one.get("done", 0) for one in reports]
    problems = [f"raised {one['raised']}" for one in reports if "raised" in one]
    problems += [f"{failed:,} calls failed"] if failed else []
    smallest = min(done) * len(done) / max(sum(done), 1)
    return {
        "seconds": round(work.seconds, 3),
        "ratio": round((burst + rate * work.seconds) / max(requests - refused, 1), 3),
        "right": not problems,
        "cpu_seconds": round(sum(one["cpu_seconds"] for one in reports), 3),
        "peak_rss_mb": round(max(one["peak_rss_mb"] for one in reports), 1),
        "goals": work.goals,
        "refused_part": round(refused / max(requests, 1), 4),
        "smallest_share": round(smallest, 3),
        "note": "; ".join(
            [
                *problems,
                f"{refused / max(requests, 1):.1%} refused, smallest share {smallest:.2f} of fair",
            ]
        ),
    }
