"""What a report says before everything else: how the run stands, and what is out of the ordinary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airflow_bitrix.core.moments import shown_moment
from airflow_bitrix.report.summary import Summary
from airflow_bitrix.report.texts import approval_line, hidden_links_line

UNDER_WAY = frozenset({"queued", "running"})
"""States of a DAG run that is not over."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to say.

    :param tone: ``good``, ``plain``, ``odd`` or ``bad``.
    """

    tone: str
    headline: str
    text: str


def notices(summary: Summary, run: str = "", *, is_begun: bool = True) -> list[Notice]:
    """Say how the run of a plan stands.

    :param run: State of the DAG run; empty where it is not known.
    :param is_begun: Whether an apply of the plan has begun.
    """
    told = list(_standing(summary, run, is_begun=is_begun))
    if summary.hidden_links:
        told.append(Notice("odd", "", hidden_links_line(summary)))
    return told


def without_plan(run: str) -> Notice:
    """Say why there is no plan to show.

    :param run: State of the DAG run.
    """
    if run in UNDER_WAY:
        return Notice("plain", "No plan yet.", "The run is under way; this page looks again by itself.")
    if run == "failed":
        text = "The run failed before it had a plan. The log of the failed task says why."
        return Notice("bad", "No plan.", text)
    return Notice("plain", "No plan.", "This run has left no plan of contact links in the artifacts folder.")


def _standing(summary: Summary, run: str, *, is_begun: bool) -> Iterator[Notice]:
    changes, counts = summary.manifest.changes, summary.counts
    if summary.is_restore:
        yield Notice(
            "plain", "A restore.", "It puts links back that stood in an earlier journal or snapshot."
        )
    for broken in summary.manifest.broken_guards:
        yield Notice("bad", "A real run of this plan is refused:", f"{broken}.")
    if summary.dry_run:
        text = "Nothing was written to the portal. “skipped” is what a real run would write."
        yield Notice("plain", "Dry run.", text)
    if not changes:
        yield Notice("plain", "The plan is empty:", "nothing had to be changed.")
    elif not is_begun:
        yield _waiting(summary, run)
    elif not summary.complete:
        yield _unfinished(summary, run)
    if counts["failed"]:
        text = "Each stands below with the reason; a retry of the task tries them again."
        yield Notice("bad", f"{counts['failed']:,} changes failed.", text)
    elif run == "failed" and summary.complete:
        yield Notice("bad", "The run failed.", "The log of the failed task says why.")
    elif is_begun and changes and summary.complete and not summary.dry_run:
        yield Notice("good", "Done.", "Every change has its outcome.")


def _waiting(summary: Summary, run: str) -> Notice:
    changes, approval = f"{summary.manifest.changes:,} changes", summary.approval
    if approval and approval.answer == "rejected":
        text = f"{approval_line(approval)}. Nothing was written."
        return Notice("odd", "Rejected.", text)
    if approval and approval.answer == "unanswered":
        return Notice("odd", "Planned, and not applied.", f"{approval_line(approval)}. Nothing was written.")
    if run in UNDER_WAY and approval and approval.answer == "waiting":
        text = (
            f"{changes}, and somebody has to approve them first: under Required actions, "
            f"since {shown_moment(approval.at)}."
        )
        return Notice("odd", "Waits for an approval.", text)
    if run in UNDER_WAY:
        return Notice("plain", "Planned, not applied yet.", f"{changes} wait for the task that applies them.")
    if run == "failed":
        text = "The run failed before anything was written. The log of the failed task says why."
        return Notice("bad", "Planned, and not applied.", text)
    text = "Nothing was written: the plan was rejected, or no task of this run applies it here."
    return Notice("odd", "Planned, and not applied.", text)


def _unfinished(summary: Summary, run: str) -> Notice:
    if run in UNDER_WAY:
        done = summary.planned - summary.open
        text = f"{done:,} of {summary.planned:,} changes have their outcome; this page follows by itself."
        return Notice("plain", "Being applied.", text)
    if run == "success":
        text = f"{summary.open:,} changes have no outcome: the apply was limited to some of them."
        return Notice("odd", "A part of the plan was applied.", text)
    text = f"{summary.open:,} changes have no outcome yet; run the task again and it goes on from here."
    return Notice("odd", "Not finished.", text)
