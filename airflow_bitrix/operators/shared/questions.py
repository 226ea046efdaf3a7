"""Plans that a person is asked about in one question, and how its answer is kept beside each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import Context
from msgspec import structs

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.approvals import Answer, Approval, Asker
from airflow_bitrix.files.plans import Manifest
from airflow_bitrix.links import report_address
from airflow_bitrix.operators.shared.artifacts import is_in_tab, tab_folder
from airflow_bitrix.operators.shared.decisions import decide

_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """One of the plans that a task is to ask about.

    :param number: Its place among those that the task was given.
    :param given: What names it.
    :param folder: Folder of the plan.
    """

    number: int
    given: Mapping[str, Any]
    folder: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Question:
    """What this run has decided so far about a plan.

    :param folder: Folder of the plan.
    :param shown: The decision, with the plan that was shown.
    :param asker: The task that looks at it.
    """

    folder: Path
    shown: Approval
    asker: Asker

    @property
    def is_ours(self) -> bool:
        """Whether this very try of the task put the question."""
        return self.shown.answer == "waiting" and self.shown.asked == self.asker

    @property
    def is_beside(self) -> bool:
        """Whether it found the plan empty when it asked about others."""
        return self.shown.unasked == "empty" and self.shown.asked == self.asker

    def keep(self, answer: Answer, at: datetime, *, by: str = "", until: datetime | None = None) -> None:
        """Keep the answer beside the plan."""
        end = moment(until) if until else ""
        told = {"answer": answer, "at": moment(at), "by": by, "until": end, "asked": self.asker}
        decide(self.folder, structs.replace(self.shown, **told))


def check_as_shown(plans: Sequence[Asked], questions: Mapping[int, Question], by: str) -> None:
    """Refuse plans of which one is not what was shown, or is missing.

    :param questions: What was decided about each before the answer, by the plan's number.
    :param by: Who answered.
    :raises PlanRefused: It is so: what was answered counts for nothing.
    """
    for plan in plans:
        question = questions.get(plan.number)
        if not question or not (question.is_ours or question.is_beside):
            raise PlanRefused(
                gettext(
                    "what was shown to {by} is not known any more: the decision in {folder} is "
                    "gone, or that of another question. Clear this task, and it asks again",
                    by=by,
                    folder=plan.folder.parent,
                )
            )
        if question.shown.plan != plan.manifest.hash:
            raise PlanRefused(
                gettext(
                    "the plan was made again after it was shown to {by}: {approved} was approved, "
                    "{made} was not; clear this task, and it asks again",
                    by=by,
                    approved=question.shown.plan[:12],
                    made=plan.manifest.hash[:12],
                )
            )
    shown = {one for question in questions.values() for one in question.shown.together}
    if missing := len(shown - {plan.manifest.hash for plan in plans}):
        raise PlanRefused(
            gettext(
                "{by} was shown {shown} plans, {missing} of which are not there any more; clear this task, "
                "and it asks again",
                by=by,
                shown=len(shown),
                missing=missing,
            )
        )


def moment(at: datetime) -> str:
    """Give a moment as decisions keep it."""
    return at.isoformat(timespec="seconds")


def who_answered(event: Mapping[str, Any]) -> str:
    """Give the name of whoever answered."""
    user = event.get("responded_by_user") or {}
    return as_plain_text(user.get("name") or user.get("id") or gettext("nobody, by default"), _LONGEST_NAME)


def report_link(context: Context, plan: Path) -> str:
    """Give the line that leads to the report; nothing where the tab of this run does not have the plan."""
    ti = context["ti"]
    if not is_in_tab(plan, tab_folder(ti.dag_id, ti.run_id)):
        return ""
    report = report_address(ti.dag_id, ti.run_id, plan.parent.name)
    return gettext("[All changes, in the report of this run]({report})\n\n", report=report)
