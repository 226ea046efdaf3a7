"""Hosts of a cluster on one machine: processes that see no file of each other, and each its own host name.

A host is a Linux namespace of mounts, host name and process ids. All hosts have their disks at the same path,
and each of them finds another folder there; the folders of the others are covered. Its processes die with
the first of them, as those of a machine do that loses its power.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it carries no types, and its stubs would be one more package

NAMESPACES = ("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")

_ENTER = """
set -e
hostname "$1"
mount --bind "$2/hosts/$1" "$2/disk"
mount -t tmpfs none "$2/hosts"
cd "$2/disk"
shift 2
exec "$@"
"""


class HostsError(RuntimeError):
    """Nothing closes hosts off from each other here; the text says why."""


class Hosts:
    """The disks of all hosts, in one folder.

    :param root: That folder. What lies in it beside the disks, all hosts see.
    :raises HostsError: Namespaces are not to be had here.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.disk = root / "disk"
        """Where each host finds its disk."""
        self._namespaces = [*NAMESPACES, *(["--map-root-user"] if os.geteuid() else [])]
        tried = subprocess.run([*self._namespaces, "true"], capture_output=True, text=True, check=False)
        if tried.returncode:
            raise HostsError(
                f"hosts cannot be closed off from each other: {tried.stderr.strip()}; it needs root, or a "
                "kernel that lets users make namespaces (sysctl kernel.unprivileged_userns_clone=1)"
            )

    def command(self, name: str, command: list[str]) -> list[str]:
        """Give the command that runs another one on a host, whose disk is made where it has none yet."""
        self.disk.mkdir(parents=True, exist_ok=True)
        for folder in ("airflow", "home", "tmp"):
            (self.disk_of(name) / folder).mkdir(parents=True, exist_ok=True)
        return [*self._namespaces, "sh", "-c", _ENTER, "sh", name, str(self._root), *command]

    def disk_of(self, name: str) -> Path:
        """Tell where a host's disk lies, as seen from outside."""
        return self._root / "hosts" / name

    def environment(self) -> dict[str, str]:
        """Tell a process where its home and its temporary folder are."""
        return {
            "AIRFLOW_HOME": str(self.disk / "airflow"),
            "HOME": str(self.disk / "home"),
            "TMPDIR": str(self.disk / "tmp"),
        }


def cut_the_power(process: subprocess.Popen[bytes]) -> None:
    """Kill all processes of a host at once; none of them can do anything about it."""
    for first in psutil.Process(process.pid).children():
        first.send_signal(signal.SIGKILL)
    process.wait()


def owner_of_services() -> list[str]:
    """Give the words before a command that root shall not run: PostgreSQL refuses to."""
    if os.geteuid():
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def give_to_services(folder: Path) -> None:
    """Let the owner of services have a folder."""
    if not os.geteuid():
        shutil.chown(folder, "postgres", "postgres")
