"""Celery's settings for a worker that gives each task a disk and a host name that no task had before.

So has a pod of the KubernetesExecutor. A process of the pool runs one task, in namespaces of its own, and
ends.
"""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path
from typing import Any

from airflow.providers.celery.executors.default_celery import (  # type: ignore[import-not-found]  # .venv-cluster has it
    DEFAULT_CELERY_CONFIG,
)
from celery.signals import worker_process_init  # type: ignore[import-not-found]

CELERY_CONFIG = {**DEFAULT_CELERY_CONFIG, "worker_max_tasks_per_child": 1}

_NEW_MOUNTS, _NEW_HOST_NAME = 0x00020000, 0x04000000
_LIBC = ctypes.CDLL(None, use_errno=True)


@worker_process_init.connect  # type: ignore[untyped-decorator]  # the same
def move_out(**_: Any) -> None:
    """Cover the worker's disk by an empty one."""
    home = Path(os.environ["AIRFLOW_HOME"])
    disk = str(home.parent)
    _must(_LIBC.unshare(_NEW_MOUNTS | _NEW_HOST_NAME))
    _must(_LIBC.mount(b"none", disk.encode(), b"tmpfs", 0, None))
    for folder in (os.environ["AIRFLOW_HOME"], os.environ["HOME"], os.environ["TMPDIR"]):
        Path(folder).mkdir()
    os.chdir(disk)
    socket.sethostname(f"{socket.gethostname()}-pod-{os.getpid()}")


def _must(code: int) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
