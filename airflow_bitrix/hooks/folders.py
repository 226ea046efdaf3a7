"""Folders of this host that the hooks share."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from airflow_bitrix.compat import conf


def pacing_folder() -> Path:
    """Give the folder of the files through which the processes of this host share a portal's allowance."""
    fallback = str(Path(tempfile.gettempdir()) / f"airflow-bitrix-{os.geteuid()}")
    return Path(conf.get("bitrix24", "pacing_path", fallback=fallback) or fallback)
