"""Whether a path leads to a disk of this machine, or to an object storage."""

from __future__ import annotations

from pathlib import Path


def is_on_disk(path: Path) -> bool:
    """Whether a path leads to a file system of this machine, where files are locked, renamed, appended to.

    That it is a ``pathlib.Path`` does not tell: until universal_pathlib 0.3, which Airflow 3.1 does not have,
    the paths of object storages are that as well.
    """
    return isinstance(path, Path) and getattr(path, "protocol", "") == ""
