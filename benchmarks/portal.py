"""The sandbox portal with records made for benchmarks, as a process of its own.

Like ``python -m airflow_bitrix.sandbox``, but lean: a million leads are ready in seconds, with gaps between
their ids where asked for. Prints the webhook's address and, with TLS, the authority's file.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from airflow_bitrix.sandbox import links as link_rules
from airflow_bitrix.sandbox import lists, php
from airflow_bitrix.sandbox.links import STEP, Link, LinkSet
from airflow_bitrix.sandbox.schema import BY_ITEM_NAME, RECORDS
from airflow_bitrix.sandbox.server import Sandbox

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.filters import Selection
    from airflow_bitrix.sandbox.schema import Kind
    from airflow_bitrix.sandbox.state import State

CONTACTS = 3_000
LINK_SETS = 2_000
RARE = 0.01
"""The share of leads that are converted: what the filter of a scan picks."""

SAVED_AT = 1_772_323_200


def fill(state: State, kind: Kind, leads: int, share: float) -> None:
    """Make owners up, most of them with one to three contacts.

    :param kind: Of which kind.
    :param leads: How many there are.
    :param share: Which share of the ids is taken; the others are gaps, here and there.
    """
    rng = random.Random(7)
    ids = range(1, leads + 1) if share == 1 else sorted(rng.sample(range(1, int(leads / share) + 1), leads))
    sets = [_link_set(rng) for _ in range(LINK_SETS)]
    table, record = state.tables[kind], RECORDS[kind]
    rare = set(rng.sample(ids, int(RARE * leads)))
    for owner_id in ids:
        table.next_id = owner_id
        stage = "CONVERTED" if owner_id in rare else "NEW"
        row: dict[str, Any] = {"DATE_MODIFY": SAVED_AT}
        if kind == "lead":
            row |= {"STATUS_ID": stage, "STATUS_SEMANTIC_ID": "S" if stage == "CONVERTED" else "P"}
        table.insert(row)
        links = rng.choice(sets)
        if record.scalar:
            row[record.scalar] = link_rules.scalar(links)
        state.place_links(kind, owner_id, links)


def _link_set(rng: random.Random) -> LinkSet:
    ids = rng.sample(range(1, CONTACTS + 1), rng.choice((0, 1, 1, 2, 3)))
    primary = rng.choice(ids) if ids else 0
    return tuple(Link(STEP * place, one, one == primary) for place, one in enumerate(ids, 1))


def be_fair() -> None:
    """Smooth two edges of the sandbox on which other clients would stumble, and not for a fault of theirs.

    It does not sort ``crm.item.list`` by ``ID`` in capitals; two of the clients ask for that whatever the
    method is, so portals seem to take it. And for a page by offset it goes through all records, where a
    portal's database has an index.
    """
    BY_ITEM_NAME["lead"]["ID"] = BY_ITEM_NAME["lead"]["id"]
    walk = lists.read

    def read(state: State, kind: Kind, selection: Selection, **how: Any) -> lists.Page:
        offset, order = php.to_int(how["start"]), how["order"]
        if offset < 0 or selection.tests or selection.candidates is not None or (order and order[0][1]):
            return walk(state, kind, selection, **how)
        ids = state.tables[kind].between(selection.low, selection.high)
        following = offset + lists.PAGE if offset + lists.PAGE < len(ids) else None
        return lists.Page(ids[offset : offset + lists.PAGE], len(ids), following)

    lists.read = read


def main() -> int:
    """Serve what the command line's JSON asks for, until SIGINT or SIGTERM."""
    options: dict[str, Any] = json.loads(sys.argv[1])
    leads, share, of = (options.pop(name) for name in ("leads", "share", "of"))
    faults, switches = options.pop("faults"), options.pop("switches")
    be_fair()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Sandbox(**options) as sandbox:
        for kind in of:
            fill(sandbox.state, kind, leads, share)
        sandbox.set_switches(**switches)
        sandbox.set_faults(**faults)
        sys.stdout.write(f"webhook: {sandbox.webhook_url}\nauthority: {sandbox.authority}\n")
        sys.stdout.flush()
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
