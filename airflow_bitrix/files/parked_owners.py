"""Parked owners: what a migration could not do yet, kept for its next run."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.json_texts import json_value
from airflow_bitrix.files.own_files import make_folder, open_new
from airflow_bitrix.files.plain_files import read_plain
from airflow_bitrix.files.plan_locks import turn_at


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


@dataclass(frozen=True, slots=True)
class Pairing:
    """What parked owners belong to: what another migration has parked is no matter of this one.

    :param kind: Of these owners, in both portals.
    :param source: Address of the portal that is read, the owners' own.
    :param target: Address of the portal that is changed.
    :param match: How records are found, see :class:`~airflow_bitrix.core.matching.Matching`.
    :param originator: With ``origin``.
    :param match_field: With ``field``.
    """

    kind: OwnerKind
    source: str
    target: str
    match: str
    originator: str = ""
    match_field: str = ""

    @property
    def line(self) -> str:
        """The first line of its file."""
        return json.dumps(asdict(self), separators=(",", ":"))


def parked_file(folder: Path, pairing: Pairing) -> Path:
    """Give the file of a pairing: ``parked-deal.old.bitrix24.com.new.bitrix24.com.1f0c7a2e.jsonl``.

    The digits stand for the whole pairing, of which the first line of the file tells.
    """
    portals = ".".join(
        re.sub(r"[^\w.-]", "_", one.partition("://")[2]) for one in (pairing.source, pairing.target)
    )
    digest = hashlib.sha256(pairing.line.encode()).hexdigest()[:8]
    return folder / f"parked-{pairing.kind}.{portals}.{digest}.jsonl"


def read_parked(path: Path, pairing: Pairing) -> dict[int, ParkedOwner]:
    """Read parked owners, by id; a missing file holds none.

    :raises PlanRefused: The file is damaged, or of another pairing: what it held would be forgotten.
    """
    if not path.exists():
        return {}
    parked: dict[int, ParkedOwner] = {}
    number = 1
    try:
        first, *lines = read_plain(path).splitlines()
        about = json_value(first)
        for number, line in enumerate(lines, start=2):  # noqa: B007 (an error names it)
            one = ParkedOwner(**json_value(line))
            parked[int(one.owner)] = one
    except (ValueError, TypeError):
        raise PlanRefused(
            gettext("line {number} of {path} is damaged; mend or remove it", number=str(number), path=path)
        ) from None
    if about != asdict(pairing):
        told = gettext(
            "{source} and {target}, matched by {match}",
            source=pairing.source,
            target=pairing.target,
            match=pairing.match,
        )
        raise PlanRefused(
            gettext(
                "{path} does not belong to the {kinds} of {told}; remove it",
                path=path,
                told=told,
                **kind_words(pairing.kind),
            )
        )
    return parked


def write_parked(path: Path, pairing: Pairing, parked: Iterable[ParkedOwner]) -> None:
    """Replace the file by one with these owners, in order of id: whoever reads it sees the old or the new.

    On object storage a file is put whole, so that it needs no other name meanwhile.
    """
    make_folder(path.parent)
    lines = (
        json.dumps(asdict(one), separators=(",", ":")) + "\n"
        for one in sorted(parked, key=lambda one: one.owner)
    )
    place = path.with_name(f"{path.name}.new") if is_on_disk(path) else path
    with open_new(place) as file:
        file.write(pairing.line + "\n")
        file.writelines(lines)
        if is_on_disk(path):
            file.flush()
            os.fsync(file.fileno())
    if place is not path:
        place.replace(path)


def add_parked(
    path: Path, pairing: Pairing, parked: Mapping[int, ParkedOwner], *, instead_of: Collection[int]
) -> None:
    """Put parked owners into the file in place of those that a run took up; those that others parked stay.

    :param parked: What the run has parked, by id.
    :param instead_of: Ids of what was parked when it began.
    :raises PlanRefused: The file is damaged, or of another pairing.
    """
    make_folder(path.parent)
    with turn_at(path.parent):
        others = {
            number: one for number, one in read_parked(path, pairing).items() if number not in instead_of
        }
        write_parked(path, pairing, {**others, **parked}.values())
