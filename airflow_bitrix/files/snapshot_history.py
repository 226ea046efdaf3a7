"""Which snapshots a task has made, so that the next one can be compared with the last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.atomic_writes import atomic_write
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.json_texts import read_json
from airflow_bitrix.files.own_files import make_folder
from airflow_bitrix.files.snapshots import ABOUT, LINKS, Snapshot, read_snapshot


class SnapshotHistory:
    """The whole snapshots of one task, kind and portal, in a small file that points at them.

    The file is replaced as a whole, and only when a new snapshot is whole and compared: a night that fails
    loses nothing, and the next one reports what changed since the last good one.

    :param path: The file.
    :raises PlanRefused: The file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: list[dict[str, Any]] = []
        if not path.exists():
            return
        try:
            self._entries = [
                {"snapshot": str(one["snapshot"]), "sha256": str(one["sha256"])}
                for one in read_json(path)["snapshots"]
            ]
        except (ValueError, KeyError, TypeError):
            raise PlanRefused(
                gettext("{path} is damaged; remove it, and the next snapshot begins anew", path=path)
            ) from None

    def newest_first(self) -> Iterator[tuple[str, str]]:
        """Give folder and digest of each snapshot."""
        return ((one["snapshot"], one["sha256"]) for one in reversed(self._entries))

    def add(self, snapshot: Snapshot) -> None:
        """Point at one more snapshot, now the last."""
        folder = str(snapshot.folder)
        others = [one for one in self._entries if one["snapshot"] != folder]
        self._replace([*others, {"snapshot": folder, "sha256": snapshot.sha256}])

    def forget_all_but(self, keep: int) -> list[str]:
        """Leave ``keep`` snapshots, and give the folders of the others, oldest first.

        They are no longer pointed at when this returns, and so may be deleted.
        """
        gone, kept = self._entries[:-keep], self._entries[-keep:]
        if gone:
            self._replace(kept)
        return [one["snapshot"] for one in gone]

    def _replace(self, entries: list[dict[str, Any]]) -> None:
        text = json.dumps({"snapshots": entries}, indent=1) + "\n"
        make_folder(self._path.parent)
        with atomic_write(self._path) as file:
            file.write(text)
        self._entries = entries


def same_snapshot(folder: Path, sha256: str) -> Snapshot:
    """Read a snapshot that was whole once, and refuse it where it is no longer what it was.

    :raises PlanRefused: It is gone, damaged, or another one lies in its place.
    """
    snapshot = read_snapshot(folder)
    if snapshot.sha256 != sha256:
        raise PlanRefused(gettext("another snapshot lies in {folder} now", folder=folder))
    snapshot.check()
    return snapshot


def delete_snapshot(folder: Path) -> bool:
    """Delete the files of a whole snapshot, and its folder where nothing else lies in it.

    :return: Whether there was one: what is not whole is left alone.
    """
    if not (folder / ABOUT).exists():
        return False
    (folder / ABOUT).unlink()
    (folder / LINKS).unlink(missing_ok=True)
    if is_on_disk(folder) and not any(folder.iterdir()):  # a folder of an object storage goes with its files
        folder.rmdir()
    return True
