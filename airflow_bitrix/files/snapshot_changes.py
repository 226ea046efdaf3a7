"""``changed.csv``: what differs between two snapshots, a difference a row; and with what was compared."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from airflow_bitrix.core.differences import Difference
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import ContactLink, LinkSet, owner_address
from airflow_bitrix.files.json_texts import read_as
from airflow_bitrix.files.own_files import make_folder, open_new, write_new

CHANGED, COMPARED = "changed.csv", "compared.json"


@dataclass(frozen=True, slots=True)
class SnapshotChanges:
    """With what a snapshot was compared.

    :param since: When the earlier snapshot was made, ISO 8601; empty where there was none to compare with.
    :param remark: Why there was none, or which were passed over.
    :param earlier: When earlier snapshots were made, ISO 8601, and their folders: first the one that it was
        compared with, then those before that one, the newest first.
    """

    since: str
    remark: str = ""
    earlier: tuple[tuple[str, str], ...] = ()


def write_snapshot_changes(folder: Path, compared: SnapshotChanges) -> None:
    """Write it into a task's folder."""
    write_new(folder / COMPARED, json.dumps(asdict(compared)) + "\n")


def read_snapshot_changes(folder: Path) -> SnapshotChanges | None:
    """Read it; ``None`` where nothing was compared."""
    try:
        return read_as(folder / COMPARED, SnapshotChanges)
    except (OSError, ValueError):  # half written, or another version's
        return None


class ChangedFile:
    """Writes ``changed.csv``, a difference at a time.

    :param path: The file. One that lies there already is replaced.
    :param portal: Address of the portal, for the addresses of the owners' pages.
    """

    def __init__(self, path: Path, portal: str) -> None:
        self._portal = portal
        make_folder(path.parent)
        self._file = open_new(path, newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(["owner", "owner_id", "what", "contacts", "before", "after", "address"])

    def __enter__(self) -> Self:
        """Give the file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def add(self, one: Difference) -> None:
        """Write one difference."""
        sides = shown_links(one.before), shown_links(one.after)
        address = owner_address(self._portal, one.owner)
        contacts = " ".join(map(str, one.contact_ids))
        self._rows.writerow([one.owner.kind, one.owner.id, one.what, contacts, *sides, address])


def shown_links(links: LinkSet | None) -> str:
    """Give contacts in order, a star behind each primary, sort and role in brackets where they are known."""
    if links is None:
        return ""
    text = ", ".join(map(_shown, links.links)) or gettext("none")
    if links.scalar_id is None:
        return text
    first = str(links.scalar_id or gettext("none"))
    return gettext("{text}; its card shows {contact_id} first", text=text, contact_id=first)


def _shown(link: ContactLink) -> str:
    text = f"{link.contact_id}{'*' * link.is_primary}"
    if link.sort is None:
        return text
    role = gettext(", role {role}", role=str(link.role_id)) if link.role_id else ""
    return f"{text} ({link.sort}{role})"
