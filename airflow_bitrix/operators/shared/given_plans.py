"""The plan that a task was given: found, and the very one that was made, by whom it was to be."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_bitrix.core.errors import InvalidInput, PlanRefused, RetryLater
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.numbers import whole_number
from airflow_bitrix.files.plans import MANIFEST, Manifest, read_manifest
from airflow_bitrix.operators.shared.artifacts import given_folder
from airflow_bitrix.operators.shared.plan_maker import LinkPlanMaker

_LONGEST = 100
"""Signs of a host's name that are shown."""


def maker_of(plan: object) -> str:
    """Give the task that makes a plan, where the DAG file says so: ``plan=plan.output``; else nothing.

    :param plan: The argument, before Airflow fills it in.
    """
    task = getattr(plan, "operator", None)
    kind = getattr(task, "operator_class", type(task))
    return str(task.task_id) if task and isinstance(kind, type) and issubclass(kind, LinkPlanMaker) else ""


def given_plan(plan: object, plan_hash: str | None, *, run: str, maker: str) -> tuple[Path, Manifest]:
    """Find the plan that an apply was given, and read what it says of itself.

    :param plan: What a plan operator or the approval returned, or the folder of a plan.
    :param plan_hash: The hash of the plan that may run; needed where ``plan`` is a folder.
    :raises InvalidInput: They name no plan.
    :raises PlanRefused: As :func:`given_manifest` says.
    :raises RetryLater: Likewise.
    """
    given: Mapping[str, Any] = plan if isinstance(plan, Mapping) else {"plan": plan, "hash": plan_hash}
    place, made = given.get("plan"), given.get("hash")
    if not isinstance(place, str) or not place:
        raise InvalidInput("plan", plan, "what the plan operator returned, or the folder of a plan")
    if not isinstance(made, str) or not made or plan_hash not in (None, made):
        raise InvalidInput("plan_hash", plan_hash, "the hash of the plan that may run")
    folder = given_folder("plan", place)
    return folder, given_manifest(folder, made, plan, run=run, maker=maker)


def given_parts(part: object, manifest: Manifest) -> list[int] | None:
    """Read which parts of a plan are to be applied; ``None`` for all.

    :param part: The number of one, or a list of them.
    :raises InvalidInput: The plan has no such part, or one is named twice.
    """
    if part is None:
        return None
    given = part if isinstance(part, (list, tuple)) else [part]
    numbers = [whole_number(str(one)) for one in given]
    last = len(manifest.parts) - 1
    parts = sorted({number for number in numbers if number is not None and number <= last})
    if len(parts) != len(given):
        raise InvalidInput("part", part, f"numbers of parts, from 0 to {last}, each once")
    return parts


def given_manifest(folder: Path, plan_hash: str, given: object, *, run: str, maker: str) -> Manifest:
    """Read what the plan that a task was given says of itself.

    :param folder: The plan's folder.
    :param plan_hash: The hash of the plan that was made.
    :param given: What a plan operator returned, which tells the ``host`` that wrote the plan; or no mapping.
    :param run: This DAG run, as people read it; empty outside of one.
    :param maker: The task that is to have made it; empty for any.
    :raises PlanRefused: There is no plan there, or another one, or another run or task made it.
    :raises RetryLater: There is none, and another host wrote it, which may have a disk of its own.
    """
    here = socket.gethostname()
    host = as_plain_text(given.get("host", here), _LONGEST) if isinstance(given, Mapping) else here
    if host != here and not (folder / MANIFEST).exists():
        raise RetryLater(
            f"there is no plan in {folder} as this host, {here}, sees it: it was written by host "
            f"{host}. [bitrix24] artifacts_path has to name a folder that all hosts share, or an "
            "object storage, such as s3://aws_default@bucket/bitrix24. The next try looks again"
        )
    manifest = read_manifest(folder)
    if manifest.hash != plan_hash:
        raise PlanRefused(f"the plan in {folder} is not the one with hash {plan_hash}: it was replaced")
    _check_maker(given, folder, manifest, run=run, maker=maker)
    return manifest


def _check_maker(given: object, plan: Path, manifest: Manifest, *, run: str, maker: str) -> None:
    """Refuse a plan that another run or task made, where a task handed it on; a DAG file may name any folder.

    :param given: What names the plan: what a task returned, or a folder.
    :param run: This DAG run, as people read it; empty outside of one.
    :param maker: The task that is to have made it; empty for any.
    :raises PlanRefused: It is another one.
    """
    if not isinstance(given, Mapping):
        return
    if maker and manifest.task not in (maker, ""):  # an earlier version did not tell
        raise PlanRefused(f"the plan in {plan} was not made by the task {maker}, whose plan this is to be")
    if manifest.run != run:
        made, this = (text or "no DAG run" for text in (manifest.run, run))
        raise PlanRefused(
            f"the plan in {plan} was made by {made}, and this is {this}: tasks hand on plans of their own "
            "run alone. A DAG may name another run's plan to the apply, by folder and plan_hash"
        )
