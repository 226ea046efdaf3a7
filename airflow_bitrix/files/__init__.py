"""What a run leaves: plans, journals, snapshots, lists, streamed. Imports ``core``.

Folders may be :class:`pathlib.Path` or anything that behaves like it, as ``ObjectStoragePath`` does.
"""

from __future__ import annotations

from airflow_bitrix.core.languages import gettext

FORMAT = 2
"""Version of the files; another one is refused."""


def part_name(number: int) -> str:
    """Name of a part of a plan or a journal: ``part-00000.jsonl``."""
    return f"part-{number:05d}.jsonl"


def another_format(given: object) -> str:
    """Say that a file is of another version. What it tells of that may be anything: versions are shown."""
    told = given if type(given) is int and 0 <= given < _MOST_FORMATS else "unknown"
    return gettext("has format {told}, this version reads {ours}", told=str(told), ours=str(FORMAT))


_MOST_FORMATS = 1000
