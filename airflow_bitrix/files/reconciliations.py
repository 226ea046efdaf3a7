"""The file of a comparison: one row a difference."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Self

from airflow_bitrix.core.links import Owner, OwnerKind, owner_address
from airflow_bitrix.core.migrations import Aim, Left
from airflow_bitrix.files.csv_cells import as_cell
from airflow_bitrix.files.own_files import make_folder, open_new

COLUMNS = (
    "difference",
    "kind",
    "source_owner",
    "source_contact",
    "target_owner",
    "target_contact",
    "detail",
    "source_address",
    "address",
)


class ReconciliationWriter:
    """Writes ``reconcile.csv``.

    :param path: The file; one that lies there already is replaced.
    :param kind: The kind of the owners that are compared.
    :param source: Address of the portal that links come from; empty for no addresses.
    :param target: Address of the portal that is compared with it; likewise.
    """

    def __init__(self, path: Path, kind: OwnerKind, source: str = "", target: str = "") -> None:
        make_folder(path.parent)
        self._source, self._target = source, target
        self._kind = kind
        self._file = open_new(path, newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(COLUMNS)
        self.counts: Counter[str] = Counter()
        self.compared = 0

    def __enter__(self) -> Self:
        """Give the writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def add(self, aim: Aim) -> None:
        """Write a row for each difference of an owner."""
        self.compared += 1
        source = aim.source or aim.owner
        for one in aim.differences:
            came_from = aim.came_from.get(one.contact_id, "" if one.what == "extra" else one.contact_id)
            cells = (came_from, aim.owner.id, one.contact_id, as_cell(one.detail))
            self._row(one.what, source.id, *cells, *self._addresses(source, aim.owner))

    def leave(self, left: Left) -> None:
        """Write a row for each contact, or the owner, that could not be compared."""
        what = "parked" if left.is_parked else "left out"
        for contact_id in left.contact_ids or ("",):
            why = as_cell(f"{left.why}: {left.reason}")
            self._row(what, left.owner.id, contact_id, "", "", why, *self._addresses(left.owner, None))

    def _addresses(self, source: Owner, target: Owner | None) -> tuple[str, str]:
        return (
            owner_address(self._source, source) if self._source else "",
            owner_address(self._target, target) if self._target and target else "",
        )

    def _row(self, what: str, *cells: object) -> None:
        self.counts[what] += 1
        self._rows.writerow([what, self._kind, *cells])
