"""A portal and another that holds copies of its records, and what brings the links over."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24PlanLinkMigrationOperator,
    Bitrix24ReconcileContactLinksOperator,
)

if TYPE_CHECKING:
    from tests.operators.conftest import Portals, Rows


Fields = Callable[[str, int], dict[str, Any]]
"""What the target's copy of a record of the source carries, by kind and id."""


def by_origin(_kind: str, number: int) -> dict[str, Any]:
    return {"ORIGINATOR_ID": "old-crm", "ORIGIN_ID": str(number)}


def by_field(_kind: str, number: int) -> dict[str, Any]:
    return {"UF_CRM_SOURCE_ID": str(number)}


class Pair:
    """A source with planted cases, and a target that holds copies of its records without their links."""

    def __init__(self, source: Any, target: Any, fields: Fields) -> None:
        self.source, self.target, self._fields = source, target, fields
        self.there: dict[tuple[str, int], int] = {}

    def copy(self, kind: str, numbers: Any, **fields: Any) -> None:
        for number in numbers:
            self.there[kind, number] = self.target.state.add(kind, self._fields(kind, number) | fields)

    def copy_all(self, seed: int = 1, kinds: Iterable[str] = ("lead", "deal")) -> None:
        rng = random.Random(seed)
        for kind in ("contact", *kinds):
            numbers = list(self.source.state.tables[kind].rows)
            rng.shuffle(numbers)
            self.copy(kind, numbers)

    def expected(self, kind: str, portals: Portals) -> dict[int, Rows]:
        """What the target's owners come to where they had no links, worked out from the source."""
        contacts = {number: new for (which, number), new in self.there.items() if which == "contact"}
        found = {}
        for number, owner in self.source.links(kind).items():
            links = [row for row in portals.sorted(owner["links"]) if row[0] in contacts]
            main = portals.main(owner)
            first = main if main in {row[0] for row in links} else next((row[0] for row in links), None)
            rows = [(contacts[contact], sort, "NY"[contact == first]) for contact, sort, _ in links]
            found[self.there[kind, int(number)]] = sorted(rows, key=lambda row: (row[1], row[0]))
        return found


def map_files(pair: Pair, folder: Path, kind: str) -> dict[str, Any]:
    """Write what the copies know nothing of, and say that it stands there."""
    for which in (kind, "contact"):
        pairs = [(old, new) for (one, old), new in pair.there.items() if one == which]
        (folder / f"{which}.csv").write_text("".join(f"{old};{new}\r\n" for old, new in pairs))
    maps = {"owner_map": str(folder / f"{kind}.csv"), "contact_map": str(folder / "contact.csv")}
    return {"match": "map", "originator": None, **maps}


ORIGIN = {"match": "origin", "originator": "old-crm"}


def arguments_of(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    common = {"migration": "portal_to_portal", "kind": "deal", "source_conn_id": "bitrix24_source"}
    origin = {} if "match" in given else ORIGIN
    return {**common, **origin, "artifacts_path": str(folder), **given}


def plan(folder: Path, **arguments: Any) -> Any:
    fields = {"parked_path": str(folder / "stable"), **arguments_of(folder, arguments)}
    return Bitrix24PlanLinkMigrationOperator(task_id="plan", **fields).execute({})


def apply(made: Any) -> Any:
    return Bitrix24ApplyLinkPlanOperator(
        task_id="apply", plan=made, is_dry_run=False, needs_approval=False
    ).execute({})


def reconcile(folder: Path, **arguments: Any) -> Any:
    fields = arguments_of(folder, arguments)
    told = Bitrix24ReconcileContactLinksOperator(task_id="compare", **fields).execute({})
    with Path(told["reconcile_csv"]).open(newline="") as rows:
        return told, list(csv.DictReader(rows))


def parked(made: Any) -> dict[int, str]:
    _, *lines = Path(made["parked_file"]).read_text().splitlines()
    return {line["owner"]: line["why"] for line in map(json.loads, lines)}
