"""What a run leaves: plans, journals, snapshots, lists, streamed. Imports ``core``.

Folders may be :class:`pathlib.Path` or anything that behaves like it, as ``ObjectStoragePath`` does.
"""

from __future__ import annotations

FORMAT = 2
"""Version of the files; another one is refused."""


def part_name(number: int) -> str:
    """Name of a part of a plan or a journal: ``part-00000.jsonl``."""
    return f"part-{number:05d}.jsonl"
