"""A row of an apply whose files lie on an object storage, beside one whose files lie in a folder.

Both go on at the same time, each on a portal of its own, so that whatever else this machine does slows both.
"""

from __future__ import annotations

import json
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from benchmarks.check import check
from benchmarks.places import START_SECONDS, Control, Places
from benchmarks.works import Work

SECONDS = 400
"""After so long an apply is stopped."""

PER_TASK = 100
"""What a task asks a storage besides, however long it works, leaving aside the signs of its leases."""


def beside_a_folder(places: Places, work: Work, client: str) -> dict[str, Any]:
    """Apply the same plan twice, and give the figures of the storage, held against those of the folder."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bitrix24-bench-")))
        port, asked = stack.enter_context(places.storage(folder))
        requests.put(f"http://127.0.0.1:{port}/artifacts", timeout=60)
        sides = []
        for name, storage in (("in a folder", 0), ("on a storage", port)):
            own = folder / name
            own.mkdir()
            address = stack.enter_context(places.portal(work, own, tls=False))
            portal = Control(address)
            linked = [int(lead) for lead, row in portal.links("lead").items() if row["links"]]
            ids = linked[: work.n]
            begun = places.runner(work, client, own / "task", address, ids, storage=storage)
            sides.append((stack.enter_context(begun), portal, ids))
        for runner, portal, _ in sides:
            places.wait(runner, "ready", START_SECONDS)
            portal.forget()
        before = len(_requests(asked))
        for runner, _, _ in sides:
            (runner.folder / "go").touch()
        problems, reports = [], []
        for runner, portal, ids in sides:
            places.wait(runner, "report.json", SECONDS)
            reports.append(json.loads((runner.folder / "report.json").read_text()))
            problems += check(work, ids, reports[-1:], {"lead": portal.links("lead")})
        here, there = (one["ended"] - one["began"] for one in reports)
        counted = sides[1][1].stats()
        stored = _requests(asked)[before:]
        saves = len([one for one in stored if one.startswith("PUT") and ".jsonl.d/" in one])
    sent = counted["admitted"] + counted["refused_503"]
    said = f"folder {here:.1f} s; {len(stored):,} requests to the storage, {saves:,} of them while it writes"
    return {
        "requests": sent,
        "refused": counted["refused_503"],
        "seconds": round(there, 3),
        "bound_seconds": round(here, 3),
        "ratio": None if problems else round(there / here, 3),
        "right": not problems and len(stored) <= sent + PER_TASK,
        "cpu_seconds": round(reports[1]["cpu_seconds"], 3),
        "peak_rss_mb": round(reports[1]["peak_rss_mb"], 1),
        "note": "; ".join([*problems, said]),
    }


def _requests(log: Path) -> list[str]:
    """Give what a storage was asked, by its log."""
    return re.findall(r"\b((?:GET|PUT|POST|HEAD|DELETE) /\S+)", log.read_text(errors="replace"))
