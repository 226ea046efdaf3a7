"""What a check of an apply cost and when it ended, kept beside the plan for its report."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.json_texts import read_json
from airflow_bitrix.files.own_files import write_new
from airflow_bitrix.files.stamps import stamp

CHECK = "check.json"


@dataclass(frozen=True, slots=True)
class Check:
    """A check that has looked again at what an apply wrote.

    :param plan: Hash of the plan.
    :param finished: When it ended, ISO 8601.
    :param effort: What it cost.
    :param partial: Why it may not have seen all, a sentence for each portal.
    """

    plan: str
    finished: str
    effort: ApplyCost
    partial: tuple[str, ...] = ()


def write_check(folder: Path, check: Check) -> None:
    """Write it into the folder that holds ``journal/``."""
    write_new(folder / CHECK, json.dumps(asdict(check)) + "\n")


def read_check(folder: Path, plan_hash: str, noted: float) -> Check | None:
    """Read the last check of a plan; ``None`` where there was none since the last outcome.

    :param noted: When an outcome was noted last, unix time.
    """
    try:
        told: Any = read_json(folder / CHECK)
        plan, finished, effort = told["plan"], told["finished"], ApplyCost(**told["effort"])
        check = Check(plan, finished, effort, tuple(map(str, told.get("partial", ()))))
        ended = datetime.fromisoformat(check.finished).timestamp() + 1
        if not is_on_disk(folder):  # it has a clock of its own, by which the outcome was noted
            ended = stamp(folder / CHECK)[0] / 1e9
    except (OSError, ValueError, TypeError, KeyError):  # half written, or another version's
        return None
    return check if check.plan == plan_hash and ended >= noted else None
