"""Why a task without a plan may have seen a part of a portal only, kept for its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

PARTIAL = "partial.json"


def write_partial(folder: Path, partial: Sequence[str]) -> None:
    """Write the sentences that say so into a task's folder; none take away what an earlier try left.

    :param partial: A sentence for each portal.
    """
    path = folder / PARTIAL
    if partial:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(list(partial)))
    else:
        path.unlink(missing_ok=True)


def read_partial(folder: Path) -> list[str]:
    """Read them; none where all was seen."""
    try:
        return msgspec.json.decode((folder / PARTIAL).read_bytes(), type=list[str])
    except (OSError, msgspec.DecodeError):
        return []
