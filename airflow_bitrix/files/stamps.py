"""What tells one state of a file from another, without reading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Stamp = tuple[Any, ...]
"""A file's state: when it was written, ns since 1970, its size, and signs of the disk; empty for no file."""


def stamp(path: Path) -> Stamp:
    """Tell a file's state: another one means that it was written since. Empty where there is no file."""
    told: Stamp | None = getattr(path, "stamp", None)  # of a look at an object storage
    if told is not None:
        return told
    try:
        about = path.stat()
    except FileNotFoundError:
        return ()
    # The last is the one that whoever edits a file cannot set.
    return about.st_mtime_ns, about.st_size, about.st_ino, about.st_ctime_ns
