"""Which folders lie on a disk of this machine, where the kernel's locks are all that is needed."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.plain_files import read_plain

MOUNTS = Path("/proc/self/mountinfo")
"""What is mounted where, as the kernel tells it."""

LOCAL = re.compile(
    "apfs|bcachefs|btrfs|exfat|ext[234]|f2fs|hfs|jfs|overlay|ramfs|reiserfs|squashfs|tmpfs|ufs|vfat|xfs|zfs"
)
"""Types of file systems that one machine alone has mounted, with locks that the kernel keeps."""


def is_kept_by_kernel(folder: Path, mounts: Path | None = None) -> bool:
    """Whether whoever locks a file in a folder is seen by everybody who may.

    Of a network's file system, of one in a user's process, and of a type that is not known here nobody can
    tell: some have locks for each host, some have none and say so, some say nothing.

    :param mounts: Tells what is mounted where; by default :data:`MOUNTS`, without which nothing is mounted.
    """
    if not is_on_disk(folder):
        return False
    mounts = mounts or MOUNTS
    kinds = _mounted(mounts) if mounts.exists() else {Path("/"): "apfs"}
    place = folder.absolute().resolve()
    here = next((kinds[path] for path in (place, *place.parents) if path in kinds), "")
    return bool(LOCAL.fullmatch(here))


def _mounted(mounts: Path) -> dict[Path, str]:
    """Give the type of each file system by the folder that it is mounted on."""
    found = {}
    for line in read_plain(mounts).decode(errors="replace").splitlines():
        about, _, kind = line.partition(" - ")
        fields = about.split()
        if len(fields) > 4:  # noqa: PLR2004 (the fifth is the folder)
            place = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
            found[Path(place)] = kind.split()[0] if kind else ""
    return found
