"""The names of what a run is about, beside its plan: a file for each part of the plan, an owner a line.

They are personal data, and nothing goes by them: all else of a run does without, and a file that is damaged,
or is gone, means that ids stand alone. Each line has all that is said of an owner, the names of its contacts
too, so that what a page shows is read by its lines alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.names import LONGEST_NAME, NAMELESS, OwnerNames
from airflow_bitrix.files import part_name
from airflow_bitrix.files.atomic_writes import atomic_write
from airflow_bitrix.files.object_files import listed, remove
from airflow_bitrix.files.own_files import make_folder
from airflow_bitrix.files.plain_files import read_plain

NAMES = "names"
"""The folder, beside that of the plan."""

_MOST_BYTES = 2**25
"""Bytes of a file that is read; one of a thousand leads with three contacts each has some 300,000."""

_OWNER = re.compile(rb'\n\{"owner":([0-9]{1,10}),')


class _Line(msgspec.Struct):
    owner: int
    title: str = ""
    stage: str = ""
    responsible: str = ""
    contacts: dict[int, str] = {}
    companies: dict[int, str] = {}


_decode = msgspec.json.Decoder(_Line).decode


def write_part_names(folder: Path, number: int, told: Iterable[tuple[int, OwnerNames]]) -> None:
    """Write the names of owners of one part of a plan; those that were there are replaced.

    :param folder: The task's folder, in which the plan lies.
    :param number: Number of the part.
    :param told: Ids of owners, and their names; one without any is left out.
    """
    place = folder / NAMES
    make_folder(place)
    with atomic_write(place / part_name(number)) as file:
        for owner_id, names in told:
            if names != NAMELESS:
                contacts = {str(one): name for one, name in names.contacts.items()}
                companies = {str(one): name for one, name in names.companies.items()}
                about = {"owner": owner_id, "title": names.title, "stage": names.stage}
                line = {**about, "responsible": names.responsible, "contacts": contacts}
                line |= {"companies": companies} if companies else {}
                file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def remove_names(folder: Path) -> None:
    """Remove the names in a task's folder, as far as these are files."""
    place = folder / NAMES
    with suppress(OSError):
        remove([place / name for name in listed(place)])


def names_content(path: Path) -> bytes:
    """Read the file of a part's names; empty where there is none that can be read.

    :raises RetryLater: The object storage is away.
    """
    with suppress(OSError):  # no plain file among them
        return read_plain(path, _MOST_BYTES)
    return b""


def places_of(content: bytes) -> Mapping[int, int]:
    """Give where the line of each owner begins, in bytes, by the owner's id."""
    return {int(found[1]): found.start() for found in _OWNER.finditer(b"\n" + content)}


def names_in(line: bytes, owner_id: int) -> OwnerNames:
    """Read the line of an owner; nameless where it is damaged, or another's."""
    try:
        told = _decode(line)
    except (msgspec.MsgspecError, RecursionError):
        return NAMELESS
    if told.owner != owner_id:
        return NAMELESS
    contacts, companies = (
        {one: _plain(name) for one, name in names.items()} for names in (told.contacts, told.companies)
    )
    return OwnerNames(_plain(told.title), _plain(told.stage), _plain(told.responsible), contacts, companies)


def _plain(text: str) -> str:
    return as_plain_text(text, LONGEST_NAME) if text else ""


def text_in(line: bytes, owner_id: int) -> str:
    """Give all names in the line of an owner as one text, as they stand there; empty where there are none."""
    try:
        told = _decode(line)
    except (msgspec.MsgspecError, RecursionError):
        return ""
    if told.owner != owner_id:
        return ""
    linked = (*told.contacts.values(), *told.companies.values())
    return " ".join((told.title, told.stage, told.responsible, *linked))


def lower_lines(content: bytes) -> dict[int, bytes]:
    """Give the lines in lower case, of any alphabet, by where they begin in the content."""
    found: dict[int, bytes] = {}
    at = 0
    for line in content.split(b"\n"):
        found[at] = line.decode(errors="replace").lower().encode()
        at += len(line) + 1
    return found


class PartNames:
    """The names of one part, read at once and made values of one by one.

    :param folder: The task's folder.
    :param number: Number of the part.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._content = names_content(folder / NAMES / part_name(number))
        self._places = places_of(self._content)

    def of(self, owner_id: int) -> OwnerNames:
        """Give the names of an owner."""
        at = self._places.get(owner_id)
        return NAMELESS if at is None else names_in(line_at(self._content, at), owner_id)

    def __contains__(self, owner_id: object) -> bool:
        return owner_id in self._places


def read_names(folder: Path, parts: Iterable[int], wanted: Iterable[int]) -> dict[int, OwnerNames]:
    """Give the names of some owners, by id.

    :param parts: Numbers of the parts that they may be in.
    """
    left = set(wanted)
    found: dict[int, OwnerNames] = {}
    for number in parts:
        if not left:
            break
        of_part = PartNames(folder, number)
        found |= {one: of_part.of(one) for one in left if one in of_part}
        left -= found.keys()
    return found


class NamesInTurn:
    """The names of owners that come part by part.

    :param folder: The task's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._part: PartNames | None = None

    def turn_to(self, number: int) -> None:
        """Go on to the owners of a part."""
        self._part = PartNames(self._folder, number)

    def of(self, owner_id: int) -> OwnerNames:
        """Give the names of an owner of the part that it is the turn of."""
        return self._part.of(owner_id) if self._part else NAMELESS


def line_at(content: bytes, at: int) -> bytes:
    """Give the line that begins at a place."""
    ends = content.find(b"\n", at)
    return content[at : ends if ends >= 0 else None]
