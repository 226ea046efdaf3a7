"""The plan that a task was given: found, and the very one that was made."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_bitrix.core.errors import PlanRefused, RetryLater
from airflow_bitrix.files.plans import MANIFEST, Manifest, read_manifest


def given_manifest(folder: Path, plan_hash: str, given: object) -> Manifest:
    """Read what the plan that a task was given says of itself.

    :param folder: The plan's folder.
    :param plan_hash: The hash of the plan that was made.
    :param given: What a plan operator returned, which tells the ``host`` that wrote the plan; or no mapping.
    :raises PlanRefused: There is no plan there, or another one.
    :raises RetryLater: There is none, and another host wrote it, which may have a disk of its own.
    """
    told: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    here = socket.gethostname()
    if told.get("host", here) != here and not (folder / MANIFEST).exists():
        raise RetryLater(
            f"there is no plan in {folder} as this host, {here}, sees it: it was written by host "
            f"{told['host']}. [bitrix24] artifacts_path has to name a folder that all hosts share, or an "
            "object storage, such as s3://aws_default@bucket/bitrix24. The next try looks again"
        )
    manifest = read_manifest(folder)
    if manifest.hash != plan_hash:
        raise PlanRefused(f"the plan in {folder} is not the one with hash {plan_hash}: it was replaced")
    return manifest
