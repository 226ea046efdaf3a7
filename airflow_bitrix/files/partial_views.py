"""Why a task without a plan may have seen a part of a portal only, kept for its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from airflow_bitrix.files.json_texts import read_as
from airflow_bitrix.files.own_files import make_folder, write_new

PARTIAL = "partial.json"


def write_partial(folder: Path, partial: Sequence[str]) -> None:
    """Write the sentences that say so into a task's folder; none take away what an earlier try left.

    :param partial: A sentence for each portal.
    """
    path = folder / PARTIAL
    if partial:
        make_folder(folder)
        write_new(path, msgspec.json.encode(list(partial)).decode())
    else:
        path.unlink(missing_ok=True)


def read_partial(folder: Path) -> list[str]:
    """Read them; none where all was seen."""
    try:
        return read_as(folder / PARTIAL, list[str])
    except (OSError, ValueError):
        return []
