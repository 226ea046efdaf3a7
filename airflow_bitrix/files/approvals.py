"""What became of the question about a plan, kept beside it for its report; nothing is allowed by it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from airflow_bitrix.files.own_files import write_new
from airflow_bitrix.files.plain_files import read_plain

APPROVAL = "approval.json"

Answer = Literal["waiting", "approved", "rejected", "unanswered", "not asked"]


@dataclass(frozen=True, slots=True)
class Approval:
    """How the question stands whether a plan may be applied.

    :param plan: Hash of the plan.
    :param answer: ``waiting`` until somebody answers; ``unanswered`` where nobody did in time.
    :param at: When that came to be, ISO 8601.
    :param by: Who answered; while it waits, who may, and then empty for all who see it.
    :param until: How long an approval may be used, or an answer is awaited, ISO 8601; empty for ever.
    :param reason: Why nobody was asked.
    """

    plan: str
    answer: Answer
    at: str
    by: str = ""
    until: str = ""
    reason: str = ""

    def is_over(self, now: datetime) -> bool:
        """Whether it was approved, and that counts no more."""
        try:
            return (
                self.answer == "approved" and bool(self.until) and now >= datetime.fromisoformat(self.until)
            )
        except (ValueError, TypeError):  # damaged: then nobody can tell
            return False


def write_approval(folder: Path, approval: Approval) -> None:
    """Write how the question stands into the folder that holds ``plan/``."""
    write_new(folder / APPROVAL, json.dumps(asdict(approval)) + "\n")


def read_approval(folder: Path, plan_hash: str) -> Approval | None:
    """Read how the question stands; ``None`` where nobody has asked about this very plan."""
    try:
        told: Any = json.loads(read_plain(folder / APPROVAL))
        approval = Approval(**told)
    except (OSError, ValueError, TypeError):  # TypeError: another version wrote it
        return None
    is_known = all(isinstance(one, str) for one in told.values()) and approval.answer in get_args(Answer)
    return approval if is_known and approval.plan == plan_hash else None
