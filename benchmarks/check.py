"""Whether what a client told is true, and what the work would have needed at least."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_bitrix.core.families import family_of
from benchmarks.clients.runner import Seen, items_for
from benchmarks.works import PLAIN, WHOLE, Work

Portal = Mapping[str, Mapping[str, Any]]

COMMANDS = 50
OWNERS_A_COMMAND = 50


def least_requests(work: Work, client: str) -> int:
    """Tell the requests that a perfect plan needs: of a scan one that knows every id beforehand.

    A client that makes one request for each owner is held against its own least.
    """
    if work.kind in WHOLE:
        return max(1, -(-work.n // (OWNERS_A_COMMAND * (1 if client == PLAIN else COMMANDS))))
    return work.n if client == PLAIN else -(-work.n // COMMANDS)


def check(work: Work, ids: Sequence[int], reports: Iterable[Mapping[str, Any]], portal: Portal) -> list[str]:
    """Tell what is wrong, in a few words each; nothing where all is right.

    :param ids: The owners that the client was given.
    :param reports: What its processes told.
    :param portal: What the portal says of all owners, by kind.
    """
    told: dict[int, Any] = {}
    problems = []
    for report in reports:
        told |= {int(key): value for key, value in report["told"].items()}
        if "raised" in report:
            problems.append(f"raised {report['raised']}")
        if work.kind in WHOLE and "raised" not in report:
            problems += _scanned(work, report["seen"], portal)
    if work.kind in WHOLE:
        return problems
    held = portal[work.of[0]]
    missing = sum(one not in told for one in set(ids))
    if missing:
        problems.append(f"{missing:,} of {len(set(ids)):,} without an outcome")
    wrong = sum(not _true(work, one, told[one], held) for one in set(ids) if one in told)
    if wrong:
        problems.append(f"{wrong:,} outcomes are not true")
    return problems


def _true(work: Work, owner_id: int, told: Any, held: Mapping[str, Any]) -> bool:
    if str(owner_id) not in held:
        return isinstance(told, str)  # the portal's error, told of the right owner
    links = held[str(owner_id)]["links"]
    if work.kind == "read":
        return bool(told == links)
    wanted: list[list[Any]] = []
    if work.kind == "set":
        rows = items_for(owner_id)
        wanted = [[row["CONTACT_ID"], row["SORT"], row["IS_PRIMARY"], 0] for row in rows]
    return told is True and links == wanted


def _scanned(work: Work, seen: Sequence[int], portal: Portal) -> list[str]:
    truth = Seen()
    owners = ((kind, *one) for kind, held in portal.items() for one in held.items())
    for kind, owner_id, owner in owners:
        if not work.filter or owner["stage_semantic"] == "S":
            # The older list shows the contact of the card alone.
            contacts = [link[0] for link in owner["links"]] if work.kind == "scan" else []
            is_shared = family_of(kind).is_shared  # of a company no contact is the primary one
            truth.add(int(owner_id), contacts, None if is_shared else owner["contact_id"])
    if truth.count != seen[0]:
        return [f"{seen[0]:,} owners instead of {truth.count:,}"]
    return [] if truth.sum == seen[1] else ["owners that are not there, or that are there otherwise"]
