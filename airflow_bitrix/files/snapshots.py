"""Snapshot files: the link sets of many owners at one time, one a line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec

from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import LinkSet, Owner, OwnerKind, entity_kind
from airflow_bitrix.files import FORMAT, another_format
from airflow_bitrix.files.damage import in_folder
from airflow_bitrix.files.json_texts import json_value, read_json
from airflow_bitrix.files.own_files import make_folder, open_new, write_new
from airflow_bitrix.files.plain_files import plain_lines

WHOLE = "whole"
"""The view of an administrator; older snapshots are taken for whole."""

LINKS = "links.jsonl"
ABOUT = "manifest.json"


class SnapshotWriter:
    """Writes a snapshot: ``links.jsonl`` with a line an owner, and then ``manifest.json`` about it.

    A line is ``{"owner": id, "links": [[contact id, sort, is primary, role id], …]}``; sort and role are null
    where they are not known. ``"scalar"`` stands beside them where the owner's ``CONTACT_ID`` is at odds with
    the flags. Without a manifest a snapshot is not whole.

    :param folder: Where it goes. A snapshot that lies there already is replaced; see :func:`free_folder`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digest = hashlib.sha256()
        self.owners = 0
        self.links = 0
        make_folder(folder)
        (folder / ABOUT).unlink(missing_ok=True)
        self._file = open_new(folder / LINKS)

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
        line = msgspec.json.encode(row) + b"\n"
        self._file.write(line.decode())
        self._digest.update(line)
        self.owners += 1
        self.links += len(links.links)

    def finish(
        self,
        *,
        kind: OwnerKind,
        portal: str,
        created: str,
        detail: str,
        hidden_links: int = 0,
        wanted: Mapping[str, Any] | None = None,
        view: str = WHOLE,
        partial: str = "",
    ) -> dict[str, Any]:
        """Write the manifest, which makes the files a snapshot, and give it.

        :param hidden_links: Owners whose links the portal left out of its lists; they were read one by one.
        :param wanted: The filter that the owners match, a ``crm.item.list`` filter.
        :param view: Whose view of the portal it is; that of an administrator is ``whole``.
        :param partial: Why it may be about a part of the portal only; empty where it is not.
        """
        self._file.close()
        about = {
            "format": FORMAT,
            "kind": kind,
            "portal": portal,
            "created": created,
            "detail": detail,
            "filter": dict(wanted or {}),
            "owners": self.owners,
            "links": self.links,
            "hidden_links": hidden_links,
            "view": view,
            "partial": partial,
            "sha256": self._digest.hexdigest(),
        }
        write_new(self._folder / ABOUT, json.dumps(about, indent=1) + "\n")
        return about


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole snapshot on disk.

    :param folder: Where it lies.
    :param kind: The kind of the owners that it is about, such as ``lead``.
    :param portal: Address of the portal.
    :param created: When it was made, ISO 8601 in UTC.
    :param detail: ``ids``, or ``full`` with sorts and roles.
    :param owners: How many owners it holds.
    :param links: How many links it holds.
    :param sha256: Digest of its lines.
    :param filter: The ``crm.item.list`` filter that its owners matched.
    :param view: Whose view of the portal it is; that of an administrator is ``whole``.
    :param partial: Why it may be about a part of the portal only; empty where it is not.
    """

    folder: Path
    kind: OwnerKind
    portal: str
    created: str
    detail: str
    owners: int
    sha256: str
    filter: Mapping[str, Any] = field(default_factory=dict)
    view: str = WHOLE
    partial: str = ""
    links: int = 0

    def link_sets(self) -> Iterator[LinkSet]:
        """Give the link sets, one after the other; memory does not grow with their number.

        :raises PlanRefused: The lines are not those that the manifest was made of.
        """
        digest = hashlib.sha256()
        for number, line in enumerate(self._lines(), start=1):
            digest.update(line)
            try:
                row = json_value(line)
                links = LinkSet.from_json(Owner(self.kind, row["owner"]), row["links"], row.get("scalar"))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise self._damaged(gettext("line {number} is no link set", number=str(number))) from None
            yield links
        self._compare(digest.hexdigest())

    def check(self) -> None:
        """Read the whole snapshot and compare its digest, without keeping anything.

        :raises PlanRefused: It was edited, cut short or damaged.
        """
        digest = hashlib.sha256()
        for line in self._lines():
            digest.update(line)
        self._compare(digest.hexdigest())

    def _lines(self) -> Iterator[bytes]:
        try:
            yield from plain_lines(self.folder / LINKS)
        except FileNotFoundError:
            raise self._damaged(gettext("{links} is missing", links=LINKS)) from None

    def _compare(self, digest: str) -> None:
        if digest != self.sha256:
            raise self._damaged(
                gettext("{links} does not match its hash: it was edited or cut short", links=LINKS)
            )

    def _damaged(self, how: str) -> PlanRefused:
        return PlanRefused(
            gettext("the snapshot{where} is damaged: {how}", where=in_folder(self.folder), how=how)
        )


def read_snapshot(folder: Path) -> Snapshot:
    """Read what a snapshot says of itself; its lines are read later.

    :raises PlanRefused: There is no snapshot, it was not finished, or its manifest cannot be read.
    """
    try:
        body = read_json(folder / ABOUT)
        given = body.get("format")
    except FileNotFoundError:
        unfinished = gettext("{links} without {about}: the export did not end", links=LINKS, about=ABOUT)
        how = unfinished if (folder / LINKS).exists() else gettext("no {about}", about=ABOUT)
        tab = gettext("the tab Bitrix24 report of the run that made one shows its folder")
        raise PlanRefused(
            gettext("there is no snapshot{where} ({how}); {tab}", where=in_folder(folder), how=how, tab=tab)
        ) from None
    except (AttributeError, ValueError):
        raise PlanRefused(
            gettext("the manifest of the snapshot{where} is damaged", where=in_folder(folder))
        ) from None
    if given != FORMAT:
        raise PlanRefused(
            gettext(
                "the snapshot{where} {another_format}",
                where=in_folder(folder),
                another_format=another_format(given),
            )
        )
    try:
        return Snapshot(
            folder,
            kind=entity_kind(body["kind"]),
            portal=str(body["portal"]),
            created=str(body["created"]),
            detail=str(body["detail"]),
            owners=int(body["owners"]),
            sha256=str(body["sha256"]),
            filter=dict(body.get("filter") or {}),
            view=str(body.get("view") or WHOLE),
            partial=str(body.get("partial") or ""),
            links=int(body.get("links") or 0),
        )
    except (ArithmeticError, KeyError, RecursionError, TypeError, ValueError, InvalidInput):
        raise PlanRefused(
            gettext("the manifest of the snapshot{where} is damaged", where=in_folder(folder))
        ) from None


_OTHER = {
    "portal": gettext_noop("the portal was {was}, and is {now} now"),
    "kind": gettext_noop("the kind was {was}, and is {now} now"),
    "filter": gettext_noop("the filter was {was}, and is {now} now"),
    "view": gettext_noop("the view was {was}, and is {now} now"),
}


def why_not_comparable(
    old: Snapshot, *, kind: OwnerKind, portal: str, wanted: Mapping[str, Any], view: str | None = None
) -> str:
    """Say why a snapshot cannot be compared with a later one; empty where it can.

    Snapshots of different detail can: then what both know is compared. Those of users who see different parts
    cannot: what one of them does not see is not gone.

    :param view: Whose view the later one is; ``None`` where that is not known yet.
    """
    for what, was, now in (
        ("portal", old.portal, portal),
        ("kind", old.kind, kind),
        ("filter", dict(old.filter), json.loads(json.dumps(dict(wanted)))),
        ("view", old.view, old.view if view is None else view),
    ):
        if was != now:
            return gettext(_OTHER[what], was=was or gettext("none"), now=now or gettext("none"))
    return ""


def free_folder(base: Path, name: str = "snapshot") -> Path:
    """Give a folder for a new snapshot: one that holds no whole snapshot, which are never written over."""
    number, folder = 1, base / name
    while (folder / ABOUT).exists():
        number += 1
        folder = base / f"{name}-{number}"
    return folder
