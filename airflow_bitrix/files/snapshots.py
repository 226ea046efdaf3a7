"""Snapshot files: the link sets of many owners at one time, one a line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Self

from airflow_bitrix.core.links import LinkSet, OwnerKind
from airflow_bitrix.files import FORMAT

LINKS = "links.jsonl"
ABOUT = "manifest.json"


class SnapshotWriter:
    """Writes a snapshot: ``links.jsonl`` with a line an owner, and then ``manifest.json`` about it.

    A line is ``{"owner": id, "links": [[contact id, sort, is primary, role id], …]}``; sort and role are null
    where they are not known. ``"scalar"`` stands beside them where the owner's ``CONTACT_ID`` is at odds with
    the flags. Without a manifest a snapshot is not whole.

    :param folder: Where it goes. A snapshot that lies there already is replaced.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digest = hashlib.sha256()
        self.owners = 0
        self.links = 0
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ABOUT).unlink(missing_ok=True)
        self._file = (folder / LINKS).open("w", encoding="utf-8")

    def __enter__(self) -> Self:
        """Give the writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def add(self, links: LinkSet) -> None:
        """Write the link set of one owner."""
        scalar = {} if links.scalar_id is None else {"scalar": links.scalar_id}
        row = {"owner": links.owner.id, "links": links.as_json(), **scalar}
        line = json.dumps(row, separators=(",", ":")) + "\n"
        self._file.write(line)
        self._digest.update(line.encode())
        self.owners += 1
        self.links += len(links.links)

    def finish(
        self, *, kind: OwnerKind, portal: str, created: str, detail: str, hidden_links: int = 0
    ) -> dict[str, Any]:
        """Write the manifest, which makes the files a snapshot, and give it.

        :param hidden_links: Owners whose links the portal left out of its lists; they were read one by one.
        """
        self._file.close()
        about = {
            "format": FORMAT,
            "kind": kind,
            "portal": portal,
            "created": created,
            "detail": detail,
            "owners": self.owners,
            "links": self.links,
            "hidden_links": hidden_links,
            "sha256": self._digest.hexdigest(),
        }
        (self._folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        return about
