"""What is measured: a table of works, for the whole run and for the quick one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

OURS, FAST, SDK, PLAIN = "airflow-bitrix", "fast-bitrix24", "b24pysdk", "HttpHook loop"
OURS_SYNC = f"{OURS}, sync"
OWN = (OURS, OURS_SYNC)
ALL = (OURS, FAST, SDK, PLAIN)
BATCHING = (OURS, FAST, SDK)
LISTING = (OURS, OURS_SYNC, FAST, SDK)

Kind = Literal["read", "set", "clear", "scan", "list", "share"]
WHOLE: tuple[Kind, ...] = ("scan", "list", "share")
"""Kinds that go through whatever there is, and are given no ids."""

Measure = Literal["seconds", "requests", "cpu", "memory", "right", "share"]

BUCKETS: Mapping[str, tuple[float, float]] = {"standard": (2, 50)}
"""Requests a second that drain, and requests that a plan's bucket holds."""


@dataclass(frozen=True)
class Work:
    """One work, to be done by several clients.

    :param name: What stands in the table.
    :param kind: What is done.
    :param n: To how many owners.
    :param plain_n: To how many by a client that makes one request for each; 0 leaves it out.
    :param leads: Owners that the portal has; ``n`` where it is 0.
    :param share: Share of the ids that is taken.
    :param of: The kinds of owners that the portal has, each as many; several are scanned in one run.
    :param filter: A scan's filter.
    :param plan: The portal's plan.
    :param latency: Seconds that the portal takes for a request.
    :param used: Who has used up the bucket before: nobody, the client itself, or a stranger on the same host.
    :param processes: Processes that share the work.
    :param hosts: Whether each of them is a host of its own, which knows of no other, or but through Redis.
    :param seconds: How long hosts go on.
    :param goals: For hosts: the largest part that may be refused, and the smallest share to the fair one.
    :param applies: Whether a plan is applied, with its files on an object storage and in a folder.
    :param missing: Whether one of the owners does not exist.
    :param measure: What the ratio is about.
    :param target: The ratio that ours should not exceed; for ``cpu`` the reads that a second should do, and
        where none is named as many as those of fast-bitrix24.
    :param alone: Whether nothing else may run meanwhile.
    """

    name: str
    kind: Kind
    n: int
    plain_n: int = 0
    leads: int = 0
    share: float = 1
    of: tuple[str, ...] = ("lead",)
    filter: Mapping[str, Any] = field(default_factory=dict)
    plan: str = "standard"
    latency: float = 0
    used: Literal["", "own", "stranger"] = ""
    switches: Mapping[str, Any] = field(default_factory=dict)
    faults: Mapping[str, Any] = field(default_factory=dict)
    processes: int = 1
    hosts: Literal["", "apart", "redis"] = ""
    seconds: float = 0
    goals: tuple[float, float] = (0.04, 0.5)
    applies: bool = False
    missing: bool = False
    measure: Measure = "seconds"
    target: float | None = None
    alone: bool = False
    clients: tuple[str, ...] = ALL

    def for_client(self, client: str) -> Work | None:
        """Give the work as a client is to do it, or ``None`` where that client is left out."""
        if client not in self.clients:
            return None
        if client != PLAIN:
            return self
        # Bound by pace and waiting, not by the machine.
        return replace(self, n=self.plain_n, alone=self.measure == "cpu") if self.plain_n else None


KINDS: tuple[Kind, ...] = ("read", "set", "clear")
VERBS: Mapping[Kind, str] = {"read": "exact reads", "set": "sets", "clear": "clears"}
FIVE = ("lead", "deal", "quote", "company", "smart_invoice")
COMMAND_FAILS = {"missing_owner_items_get": "not_found"}


def works(*, quick: bool) -> list[Work]:
    """Give the works, in the order of the table."""
    return [
        *_scans(quick=quick),
        *_lists(quick=quick),
        *_paced(quick=quick),
        *_hosts(quick=quick),
        *_applies(quick=quick),
        *_hard(quick=quick),
        *_processor(quick=quick),
        *_memory(quick=quick),
    ]


def _scans(*, quick: bool) -> Iterator[Work]:
    fixed: dict[str, Any] = {"kind": "scan", "measure": "requests", "alone": True}
    large = 20_000 if quick else 100_000
    for n, plain_n in ((5_000, 0 if quick else 5_000), (large, 0)):
        # Three requests more than a tenth above the least.
        target = (1.1 * -(-n // 2_500) + 3) / -(-n // 2_500)
        yield Work(f"scan {n:,}, dense ids", n=n, plain_n=plain_n, target=target, **fixed)
        yield Work(f"scan {n:,}, 90 % gaps", n=n, share=0.1, target=2.5, clients=BATCHING, **fixed)
    rare: dict[str, Any] = {"filter": {"stageId": "CONVERTED"}, "leads": large}
    yield Work(
        f"scan 1 % of {large:,} by a filter",
        n=large // 100,
        plain_n=large // 100,
        target=2.5,
        **rare,
        **fixed,
    )
    yield Work(
        f"scan {large:,}, dense ids, a batch takes 1 s",
        n=large,
        latency=1,
        clients=(OURS, FAST) if quick else BATCHING,
        **{**fixed, "alone": False},
    )
    for of in (("quote",), ("company",), FIVE):
        many = 1_000 * len(of) if of == FIVE else 5_000
        name = f"scan {many:,} of five kinds in one run" if of == FIVE else f"scan {many:,}, {of[0]}"
        target = (1.1 * -(-many // 2_500) + 3) / -(-many // 2_500)
        yield Work(name, n=many, leads=many // len(of), of=of, target=target, clients=(OURS,), **fixed)
    if not quick:
        rare["leads"] = 500_000
        yield Work("scan 1 % of 500,000 by a filter", n=5_000, target=2.5, clients=(OURS,), **rare, **fixed)


def _lists(*, quick: bool) -> Iterator[Work]:
    fixed: dict[str, Any] = {"kind": "list", "alone": True}
    large = 20_000 if quick else 100_000
    # The small one may take four requests, one of them for the first page.
    for n, target, plain_n in ((5_000, 2, 0 if quick else 5_000), (large, 1.2, 0)):
        clients = (*LISTING, PLAIN) if plain_n else LISTING
        yield Work(
            f"list {n:,} rows",
            n=n,
            plain_n=plain_n,
            measure="requests",
            target=target,
            clients=clients,
            **fixed,
        )
    yield Work(
        f"list {large:,} rows, a batch takes 1 s",
        n=large,
        latency=1,
        measure="requests",
        clients=LISTING[:-1] if quick else LISTING,
        **{**fixed, "alone": False},
    )
    yield Work(
        "listed rows per CPU second", n=large, plan="self_hosted", measure="cpu", clients=LISTING, **fixed
    )


def _paced(*, quick: bool) -> Iterator[Work]:
    n, plain_n = (3_000, 0) if quick else (5_000, 100)
    kinds: tuple[Kind, ...] = ("read",) if quick else KINDS
    # The others would take a minute for what is slow or refused.
    patient = (OURS, FAST) if quick else ALL

    def reach(target: float) -> float | None:
        # Of a few seconds a fixed half second is a large share.
        return None if quick else target

    for kind in kinds:
        verb = f"{n:,} {VERBS[kind]}"
        fixed: dict[str, Any] = {"kind": kind, "n": n, "plain_n": plain_n}
        strange: dict[str, Any] = {"used": "stranger", "clients": patient}
        counting: dict[str, Any] = {"switches": {"count_refused": True}}
        late: dict[str, Any] = {"faults": {"late": 0.1}}
        yield Work(f"{verb}, full burst", target=reach(1.03), **fixed)
        yield Work(
            f"{verb}, full burst, 0.1 s late on average", target=reach(1.03), clients=patient, **late, **fixed
        )
        yield Work(f"{verb}, burst used before", used="own", target=reach(1.03), **fixed)
        yield Work(f"{verb}, a batch takes 1 s", latency=1, target=reach(1.05), clients=patient, **fixed)
        yield Work(f"{verb}, used by a stranger", target=reach(1.03), **strange, **fixed)
        yield Work(
            f"{verb}, used by a stranger, 0.1 s late on average",
            target=reach(1.03),
            **strange,
            **late,
            **fixed,
        )
        yield Work(
            f"{verb}, used by a stranger, refusals count", target=reach(1.06), **strange, **counting, **fixed
        )
    yield Work(
        f"{n:,} exact reads by 4 processes", "read", n, processes=4, target=reach(1.05), clients=BATCHING
    )


HOSTS_SECONDS, HOSTS_SECONDS_QUICK = 90.0, 60.0


def _hosts(*, quick: bool) -> Iterator[Work]:
    fixed: dict[str, Any] = {"kind": "share", "n": 2_000, "measure": "share", "clients": (OURS,)}
    fixed["seconds"] = HOSTS_SECONDS_QUICK if quick else HOSTS_SECONDS
    counting: Mapping[str, Mapping[str, Any]] = {"": {}, ", refusals count": {"count_refused": True}}
    for number in (2,) if quick else (2, 4):
        for said, switches in ({"": counting[""]} if quick else counting).items():
            yield Work(
                f"{number} hosts, nothing shared{said}",
                processes=number,
                hosts="apart",
                target=1 / 0.93,
                switches=switches,
                **fixed,
            )
        if not quick:
            yield Work(
                f"{number} hosts, one Redis",
                processes=number,
                hosts="redis",
                target=1 / 0.98,
                goals=(0, {2: 0.9, 4: 0.8}[number]),
                **fixed,
            )


def _applies(*, quick: bool) -> Iterator[Work]:
    n = 1_500 if quick else 3_500
    yield Work(
        f"{n:,} changes applied, files on S3 or in a folder",
        "clear",
        n,
        leads=2 * n,
        applies=True,
        target=None if quick else 1.05,
        clients=(OURS,),
    )


def _hard(*, quick: bool) -> Iterator[Work]:
    fixed: dict[str, Any] = {"plan": "self_hosted", "measure": "right"}
    lost: dict[str, Any] = {"faults": {"drop_after": 0.3}}
    for kind in KINDS:
        verb = VERBS[kind]
        yield Work(
            f"101 {verb}, one command fails", kind, 101, 101, missing=True, switches=COMMAND_FAILS, **fixed
        )
        yield Work(
            f"1,000 {verb}, answers lost after the work", kind, 1_000, 0 if quick else 100, **lost, **fixed
        )
    yield Work("5,051 exact reads (N mod 50 = 1)", "read", 5_051, **fixed, clients=BATCHING)
    yield Work("2,551 owners scanned (N mod 50 = 1)", "scan", 2_551, **fixed, clients=BATCHING)


def _processor(*, quick: bool) -> Iterator[Work]:
    n, plain_n = (10_000, 200) if quick else (50_000, 1_000)
    yield Work(
        "exact reads per CPU second", "read", n, plain_n,
        plan="self_hosted", measure="cpu", target=60_000, alone=True,
    )  # fmt: skip


def _memory(*, quick: bool) -> Iterator[Work]:
    for n in (10_000, 100_000 if quick else 1_000_000):
        yield Work(
            f"peak memory, {n:,} owners scanned", "scan", n,
            plan="self_hosted", measure="memory", alone=True, clients=(OURS,),
        )  # fmt: skip
