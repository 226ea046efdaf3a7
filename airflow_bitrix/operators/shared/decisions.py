"""Whether a plan may be applied: by the decision beside it, which workers alone write.

What tasks hand on to each other is an XCom, which many may rewrite: it says where a plan lies, and allows
nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_bitrix.compat import AirflowException
from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.approvals import (
    Approval,
    Asker,
    Contradiction,
    read_approval,
    read_decision,
    write_approval,
    write_contradiction,
)
from airflow_bitrix.files.journals import has_begun
from airflow_bitrix.files.plans import Manifest
from airflow_bitrix.operators.shared.artifacts import given_folder
from airflow_bitrix.report.texts import ASK_AGAIN, approval_line

_LONGEST = 100
"""Characters shown of each text that an XCom says."""

log = logging.getLogger(__name__)


def asker_of(context: Mapping[str, Any]) -> Asker:
    """Give the task that a context is of; outside of a DAG run nothing."""
    if not (run_id := context.get("run_id")):
        return Asker()
    ti = context["ti"]
    index = -1 if ti.map_index is None else ti.map_index
    return Asker(context["dag"].dag_id, run_id, ti.task_id, index, str(ti.id))


def decide(plan: Path, decision: Approval) -> None:
    """Keep the decision about a plan beside it.

    :param plan: Folder of the plan.
    :raises AirflowException: That fails: then nothing may be applied.
    """
    try:
        write_approval(plan.parent, decision)
    except Exception as error:
        said = gettext(
            "the decision cannot be kept beside the plan in {plan}, and nothing is applied without it",
            plan=plan,
        )
        raise AirflowException(f"{said}: {error}") from error


def check_other_tasks(plan: Path, manifest: Manifest, asker: Asker, *, asks: bool) -> None:
    """Refuse to decide about a plan that another task had rejected, or asks about without consent so far.

    :param plan: Folder of the plan.
    :param asks: Whether somebody is to be asked: then it may wait for others, too.
    :raises PlanRefused: The other task's decision counts.
    """
    old = read_approval(plan.parent, manifest.hash)
    counts = ("rejected",) if asks else ("rejected", "waiting", "unanswered")
    if old and old.answer in counts and old.asked.task_id != asker.task_id:
        said = gettext(
            "another task, {task_id}, asks about the plan in {plan}",
            task_id=str(old.asked.task_id),
            plan=plan,
        )
        raise PlanRefused(f"{said}: {approval_line(old)}")


def decision_in_run(
    given: object, context: Mapping[str, Any], is_at_home: Callable[[Path], bool]
) -> tuple[Path, Approval] | None:
    """Give the folder of a plan, and what this run has decided about it so far.

    ``None`` where there is nothing of the kind, or it cannot be read.

    :param given: What a plan operator returned, or anything else: by now its task may be making another plan.
    :param is_at_home: Whether a plan lies where workers alone write.
    """
    place = given.get("plan") if isinstance(given, Mapping) else None
    try:
        plan = given_folder("plan", place)
        decision = read_decision(plan.parent) if is_at_home(plan) else None
    except (InvalidInput, PlanRefused) as error:
        log.warning("%s", error)
        return None
    return (plan, decision) if decision and decision.asked.run == asker_of(context).run else None


def check_decision(plan: Path, manifest: Manifest, home: Path, *, needs_approval: bool) -> Approval | None:
    """Refuse a plan that nobody has let be applied; give the decision about it, if there is one.

    :param plan: Folder of the plan.
    :param home: Folder that holds its journal: what has begun may go on when its approval has expired.
    :param needs_approval: Whether it is refused, too, where nobody was to decide about it.
    :raises PlanRefused: It may not be applied.
    """
    decision = read_decision(plan.parent)
    if decision is None or decision.plan != manifest.hash:
        if needs_approval:
            raise PlanRefused(
                gettext(
                    "nobody has decided about the plan in {plan}: let a task ask for approval ahead of "
                    "this one, as carry_out does, or say needs_approval=False where a DAG is to go "
                    "without",
                    plan=plan,
                )
            )
        return None
    if why := _why_not(decision, lambda: has_begun(home, manifest.hash)):
        raise PlanRefused(gettext("the plan in {plan} {why}", plan=plan, why=why))
    return decision


def may_not_go_on(plan: Path, manifest: Manifest, home: Path) -> str:
    """Say why clearing the tasks that apply a plan would not help; nothing where it would.

    :param plan: Folder of the plan.
    :param home: Folder that holds its journal.
    """
    decision = read_approval(plan.parent, manifest.hash)
    return _why_not(decision, lambda: has_begun(home, manifest.hash)) if decision else ""


def _why_not(decision: Approval, begun: Callable[[], bool]) -> str:
    """Say why a decision lets nothing be applied; nothing where it does."""
    at, until = shown_timestamp(decision.at), shown_timestamp(decision.until)
    if decision.answer == "approved":
        is_over = decision.is_over(datetime.now(UTC)) and not begun()
        return (
            gettext(
                "may not be applied any more, its approval expired at {until}: {ask_again}",
                until=until,
                ask_again=gettext(ASK_AGAIN),
            )
            if is_over
            else ""
        )
    if decision.answer == "not asked" and decision.unasked in ("empty", "never", "within limit"):
        return ""
    again = gettext("turn the dry run off, and make another one")
    return {
        "waiting": gettext(
            "has waited for an approval since {at}: clear this task once somebody has approved it", at=at
        ),
        "rejected": gettext(
            "was rejected by {by}, {at}: it is not applied any more. Make another one", by=decision.by, at=at
        ),
        "unanswered": gettext(
            "was not approved by anybody until {at}: {ask_again}", at=at, ask_again=gettext(ASK_AGAIN)
        ),
        "not asked": gettext(
            "passed as a dry run and nobody was asked, so that it may not be applied: {again}", again=again
        )
        if decision.unasked
        else gettext(
            "has a decision that does not say why nobody was asked: {ask_again}", ask_again=gettext(ASK_AGAIN)
        ),
    }[decision.answer]


def note_contradiction(given: object, plan: Path, manifest: Manifest) -> None:
    """Warn where a task's result says of a plan what the decision beside it does not; the report tells, too.

    :param given: What names the plan.
    """
    claimed = given.get("approval") if isinstance(given, Mapping) else None
    decision = read_approval(plan.parent, manifest.hash)
    if (
        not isinstance(claimed, Mapping)
        or not decision
        or _gist(told := _claimed(claimed)) == _gist(decision)
    ):
        return
    said = gettext(
        "the result of the task that asks for approval says “{claimed}”, the decision beside "
        "the plan says “{decided}”. The decision counts; the result may have been rewritten",
        claimed=str(approval_line(told)),
        decided=str(approval_line(decision)),
    )
    log.warning("%s", gettext("A task's result contradicts the decision: {said}", said=said))
    try:
        write_contradiction(plan.parent, Contradiction(manifest.hash, said))
    except Exception as error:  # noqa: BLE001 (whatever a storage raises, nothing is allowed by it)
        log.warning("%s", gettext("The report will not tell so: {error}", error=error))


def _claimed(told: Mapping[str, Any]) -> Approval:
    """Read what a task's result says of the decision, whatever that is."""
    by, at, until = (as_plain_text(told.get(name) or "", _LONGEST) for name in ("by", "at", "valid_until"))
    if told.get("answer") == "rejected":
        return Approval("", "rejected", at, by)
    if told.get("is_dry_run"):
        return Approval("", "not asked", at, reason=gettext("a dry run"), unasked="dry run")
    if by:
        return Approval("", "approved", at, by, until)
    return Approval(
        "",
        "not asked",
        at,
        reason=gettext("mode {mode}", mode=as_plain_text(told.get("mode") or "", _LONGEST)),
        unasked="never",
    )


def _gist(decision: Approval) -> tuple[object, ...]:
    """Give what two decisions have to agree in."""
    is_answer = decision.answer in ("approved", "rejected")
    about = (decision.by, decision.until[: len("2026-11-29T10:00:00")]) if is_answer else ("", "")
    return decision.answer, *about, decision.unasked == "dry run"
