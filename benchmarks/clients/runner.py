"""What every client's runner shares: a job comes in as a file, what was told and measured goes out as one.

Only the standard library, since some clients live in an environment of their own. A runner connects, says
that it is ready, waits for the word to go, does the job once, and writes down time, CPU time and memory.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

Told = dict[int, Any]
"""By owner: the rows of a read as they came, ``True`` for a write, or the text of an error."""

USED_UP = 49
"""Requests that a client makes before the clock starts, where the bucket is used already."""

POLL_SECONDS = 0.005


@dataclass(frozen=True)
class Job:
    """What a runner is asked for.

    :param url: The webhook's address.
    :param work: ``read``, ``set``, ``clear``, ``scan``, ``list`` or ``share``.
    :param ids: Owners to work on.
    :param filter: A scan's filter.
    :param plan: The portal's plan, for clients that pace themselves.
    :param used: Whether the bucket is used up first.
    :param folder: Where processes of one host may share what they know.
    :param seconds: How long to go on, where the work has no end.
    :param redis: Port of the Redis through which hosts share what they know, 0 for none.
    :param storage: Port of the object storage that the files of an apply lie on, 0 for a folder.
    :param of: The kinds of owners that a scan goes through.
    """

    url: str
    work: str
    ids: list[int] = field(default_factory=list)
    filter: dict[str, Any] = field(default_factory=dict)
    plan: str = "standard"
    used: bool = False
    folder: str = ""
    seconds: float = 0
    redis: int = 0
    storage: int = 0
    of: list[str] = field(default_factory=lambda: ["lead"])


class Driver(Protocol):
    """A client, connected."""

    def use_up(self, requests: int) -> None:
        """Make cheap requests, one each."""

    def read(self, ids: Sequence[int]) -> Told:
        """Read the exact links of leads."""

    def write(self, wanted: Mapping[int, list[dict[str, Any]]]) -> Told:
        """Set the links of leads."""

    def clear(self, ids: Sequence[int]) -> Told:
        """Remove all links of leads."""

    def scan(self, wanted: Mapping[str, Any], seen: Seen) -> None:
        """Go through the leads that a filter matches."""

    def list(self, params: Mapping[str, Any], seen: Seen) -> None:
        """List all leads by the older method."""

    def close(self) -> None:
        """Let go of connections."""


@runtime_checkable
class Sharer(Protocol):
    """A client that can work beside others for a while."""

    def share(self, ids: Sequence[int], seconds: float) -> tuple[int, int]:
        """Read links again and again, and tell how many calls were done and how many failed."""


class Seen:
    """Owners that a scan gave: their number, and a sum that tells one multitude from another.

    The sum does not depend on the order, and an owner that comes twice changes it.
    """

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0

    def add(self, owner_id: int, contacts: Sequence[int], primary: int | None) -> None:
        """Take note of an owner, its contacts in order, and its primary contact."""
        line = f"{owner_id}:{','.join(map(str, contacts))}:{primary or 0}"
        digest = hashlib.blake2b(line.encode(), digest_size=8).digest()
        self.count += 1
        self.sum = (self.sum + int.from_bytes(digest, "big")) % (1 << 64)

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Take note of a row of the older list."""
        self.add(int(row["ID"]), [], int(row["CONTACT_ID"] or 0) or None)


def items_for(owner_id: int) -> list[dict[str, Any]]:
    """Tell the two contacts that the benchmark links to an owner; their order says which is primary."""
    pair = [(1_001 + owner_id % 7, 10), (2_001 + owner_id % 11, 20)]
    return [
        {"CONTACT_ID": contact_id, "SORT": sort, "IS_PRIMARY": "Y" if place == owner_id % 2 else "N"}
        for place, (contact_id, sort) in enumerate(pair)
    ]


def serve(connect: Callable[[Job], Driver]) -> None:
    """Do the job whose folder stands on the command line."""
    folder = Path(sys.argv[1])
    job = Job(**json.loads((folder / "job.json").read_text()))
    driver = connect(job)
    told: Told = {}
    report: dict[str, Any] = {}
    seen = Seen()
    if job.used:
        driver.use_up(USED_UP)
        (folder / "used").write_text(str(time.monotonic()))
    (folder / "ready").touch()
    while not (folder / "go").exists():
        time.sleep(POLL_SECONDS)

    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.monotonic()
    try:
        if isinstance(driver, Sharer) and job.work == "share":
            report["done"], report["failed"] = driver.share(job.ids, job.seconds)
        else:
            told = _do(driver, job, seen)
    except Exception as error:  # noqa: BLE001 - whatever a client raises is its result
        report["raised"] = f"{type(error).__name__}: {error}"[:300]
    ended = time.monotonic()
    after = resource.getrusage(resource.RUSAGE_SELF)
    report |= {
        "began": began,
        "ended": ended,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_rss_mb": peak_mb(),
        "seen": [seen.count, seen.sum],
        "told": {one: _rows_of(got) if isinstance(got, list) else got for one, got in told.items()},
    }
    (folder / "report.tmp").write_text(json.dumps(report))
    (folder / "report.tmp").rename(folder / "report.json")
    driver.close()


def _do(driver: Driver, job: Job, seen: Seen) -> Told:
    match job.work:
        case "read":
            return driver.read(job.ids)
        case "set":
            return driver.write({owner_id: items_for(owner_id) for owner_id in job.ids})
        case "clear":
            return driver.clear(job.ids)
        case "list":
            driver.list({"select": ["ID", "TITLE", "STATUS_ID", "CONTACT_ID"]}, seen)
        case _:
            driver.scan(job.filter, seen)
    return {}


def _rows_of(items: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Write what ``items.get`` answered as plain rows."""
    return [[row["CONTACT_ID"], row["SORT"], row["IS_PRIMARY"], row["ROLE_ID"]] for row in items]


def peak_mb() -> float:
    """Tell the most memory that this process has had.

    Linux hands ``ru_maxrss`` down from the starting process, so there the kernel's own figure is read.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
