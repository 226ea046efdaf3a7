"""Notes beside a run that a restore has taken back: which one, when, and what came of it.

They are kept for reports and for later restores; nothing is allowed by them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.approvals import shown_run
from airflow_bitrix.files.atomic_writes import atomic_write
from airflow_bitrix.files.json_texts import read_as

NOTES = "taken-back-*.json"


@dataclass(frozen=True, slots=True)
class TakenBack:
    """That a restore has begun to take a plan back.

    :param plan: Hash of the plan that is taken back.
    :param restore: Hash of the restore's own plan.
    :param folder: Folder of that plan.
    :param at: When its apply began, ISO 8601.
    :param by: The DAG run of the restore, as people read it; empty where it is not known.
    :param counts: What became of the restore's changes, by outcome; empty until its check has told.
    """

    plan: str
    restore: str
    folder: str
    at: str
    by: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Which restore it was, as a person reads it."""
        told = gettext("the restore of {at}", at=shown_timestamp(self.at))
        return f"{told} ({shown_run(self.by)})" if self.by else told


def write_taken_back(run: Path, note: TakenBack) -> None:
    """Write a note into the folder of the run that is taken back.

    Where that restore has left one already it began then; only the counts are new.
    """
    path = run / NOTES.replace("*", note.restore[:12])
    old = _read(path)
    if old and old.restore == note.restore:
        if not note.counts:
            return
        note = TakenBack(**{**asdict(old), "counts": dict(note.counts)})
    with atomic_write(path) as file:
        file.write(json.dumps(asdict(note)) + "\n")


def read_taken_back(run: Path, plan_hash: str) -> list[TakenBack]:
    """Give the notes about a plan, the oldest first; those that cannot be read are left out."""
    notes = [note for path in run.glob(NOTES) if (note := _read(path)) and note.plan == plan_hash]
    return sorted(notes, key=lambda note: (note.at, note.restore))


def _read(path: Path) -> TakenBack | None:
    try:
        return read_as(path, TakenBack)
    except (OSError, ValueError):  # half written, or another version's
        return None
