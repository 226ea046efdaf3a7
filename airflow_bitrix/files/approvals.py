"""The decision about a plan, kept beside it by the workers: it is what lets the plan be applied.

What tasks hand to each other, an XCom, may be rewritten by whoever may edit XComs in Airflow. This file
cannot: it lies where workers alone write.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.atomic_writes import atomic_write
from airflow_bitrix.files.json_texts import read_as

APPROVAL, CONTRADICTION = "approval.json", "contradiction.json"

Answer = Literal["waiting", "approved", "rejected", "unanswered", "not asked"]

Unasked = Literal["", "dry run", "empty", "never", "within limit"]
"""Why nobody was asked; empty where somebody was."""


class Asker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The task that asks about a plan; outside of Airflow all of it is empty.

    :param attempt: Airflow's id of that try of the task: it stays while the question waits, and a task that
        was cleared has another one.
    """

    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    map_index: int = -1
    attempt: str = ""

    @property
    def run(self) -> str:
        """Its DAG run, as people read it; empty outside of Airflow."""
        return named_run(self.dag_id, self.run_id)


def named_run(dag_id: str, run_id: str) -> str:
    """Give a DAG run as plans and locks keep it, each another text; nothing for none."""
    return f"run {run_id} of the DAG {dag_id}" if run_id else ""


_NAMED_RUN = re.compile(r"run (.*) of the DAG (.*)", re.DOTALL)


def shown_run(named: str) -> str:
    """Give a DAG run as people read it, from what :func:`named_run` gave."""
    found = _NAMED_RUN.fullmatch(named)
    if found is None:
        return named
    return gettext("run {run_id} of the DAG {dag_id}", run_id=found[1], dag_id=found[2])


class Approval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the question stands whether a plan may be applied.

    :param plan: Hash of the plan.
    :param answer: ``waiting`` until somebody answers; ``unanswered`` where nobody did in time.
    :param at: When that came to be, ISO 8601.
    :param by: Who answered; while it waits, who may, and then empty for all who see it.
    :param until: How long an approval may be used, or an answer is awaited, ISO 8601; empty for ever.
    :param reason: Why nobody was asked, in words.
    :param unasked: Why nobody was asked.
    :param asked: The task that asks.
    :param limits: The limits that were shown beside those of the plan, by argument, as they were shown.
    :param put: When the question was put, ISO 8601; empty where nobody was asked, or an older version asked.
    :param together: Hashes of all plans that the question is about; empty where it is about this one alone.
    """

    plan: str
    answer: Answer
    at: str
    by: str = ""
    until: str = ""
    reason: str = ""
    unasked: Unasked = ""
    asked: Asker = Asker()
    limits: dict[str, str] = {}
    put: str = ""
    together: tuple[str, ...] = ()

    def is_over(self, now: datetime) -> bool:
        """Whether it was approved, and that counts no more."""
        if self.answer != "approved" or not self.until:
            return False
        try:
            return now >= datetime.fromisoformat(self.until)
        except (ValueError, TypeError):  # damaged: then nobody can tell that it still counts
            return True


class Contradiction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That what a task returned does not say of a plan what the decision beside it says.

    :param plan: Hash of the plan.
    :param said: What each of them says.
    """

    plan: str
    said: str


def write_approval(folder: Path, approval: Approval) -> None:
    """Write how the question stands into the folder that holds ``plan/``."""
    _write(folder / APPROVAL, approval)


def read_decision(folder: Path) -> Approval | None:
    """Read how the question stands, to go by it; ``None`` where nobody has asked about a plan there.

    :raises PlanRefused: It cannot be read.
    """
    path = folder / APPROVAL
    try:
        return read_as(path, Approval)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise PlanRefused(
            gettext(
                "the decision about the plan in {folder}, {approval}, cannot be read: clear the task "
                "that asks for approval with all that follows it, and it asks again",
                folder=folder,
                approval=APPROVAL,
            )
        ) from None


def read_approval(folder: Path, plan_hash: str) -> Approval | None:
    """Read how the question stands, to show it; ``None`` where nobody has asked about this very plan."""
    try:
        approval = read_decision(folder)
    except PlanRefused:
        return None
    return approval if approval and approval.plan == plan_hash else None


def write_contradiction(folder: Path, contradiction: Contradiction) -> None:
    """Note it beside the plan, for its report."""
    _write(folder / CONTRADICTION, contradiction)


def read_contradiction(folder: Path, plan_hash: str) -> str:
    """Give what was noted about this very plan; nothing where nothing was, or it cannot be read."""
    try:
        told = read_as(folder / CONTRADICTION, Contradiction)
    except (OSError, ValueError):
        return ""
    return told.said if told.plan == plan_hash else ""


def _write(path: Path, what: Approval | Contradiction) -> None:
    with atomic_write(path) as file:
        file.write(msgspec.json.encode(what).decode() + "\n")
