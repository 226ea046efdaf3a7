"""Parked owners: what a migration could not do yet, kept for its next run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.links import OwnerKind


@dataclass(frozen=True, slots=True)
class ParkedOwner:
    """An owner of the source that the next run takes up again.

    :param owner: Its id.
    :param why: The group that it is counted under.
    :param reason: Why, for a person.
    :param since: When it was parked first, ISO 8601 in UTC.
    """

    owner: int
    why: str
    reason: str
    since: str


def parked_file(folder: Path, kind: OwnerKind) -> Path:
    """Give the file of the parked owners of a kind: ``parked-deal.jsonl``."""
    return folder / f"parked-{kind}.jsonl"


def read_parked(path: Path) -> dict[int, ParkedOwner]:
    """Read parked owners, by id; a missing file holds none.

    :raises PlanRefused: The file is damaged: what it held would be forgotten.
    """
    if not path.exists():
        return {}
    parked: dict[int, ParkedOwner] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            one = ParkedOwner(**json.loads(line))
            parked[int(one.owner)] = one
        except (ValueError, TypeError):
            raise PlanRefused(f"line {number} of {path} is damaged; mend or remove it") from None
    return parked


def write_parked(path: Path, parked: Iterable[ParkedOwner]) -> None:
    """Replace the file by one with these owners, in order of id: whoever reads it sees the old or the new.

    On object storage a file is put whole, so that it needs no other name meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (
        json.dumps(asdict(one), separators=(",", ":")) + "\n"
        for one in sorted(parked, key=lambda one: one.owner)
    )
    place = path.with_name(f"{path.name}.new") if isinstance(path, Path) else path
    with place.open("w", encoding="utf-8") as file:
        file.writelines(lines)
        if isinstance(path, Path):
            file.flush()
            os.fsync(file.fileno())
    if place is not path:
        place.replace(path)
