"""What a report says before everything else: how the run stands, and what is out of the ordinary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.snapshots import Snapshot
from airflow_bitrix.files.writers import Wait
from airflow_bitrix.report.summary import Summary
from airflow_bitrix.report.texts import (
    ASK_AGAIN,
    SHARE,
    approval_line,
    comments_line,
    has_expired,
    hidden_links_line,
    no_match,
    origin_line,
    taken_back_line,
)

UNDER_WAY = frozenset({"queued", "running"})
"""States of a DAG run that is not over."""

_NOT_APPLIED = "Planned, and not applied."


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to say.

    :param tone: ``good``, ``plain``, ``odd`` or ``bad``.
    :param address: Where more of it stands, relative to the page; empty where it does not.
    :param called: What the link there says.
    """

    tone: str
    headline: str
    text: str
    address: str = ""
    called: str = ""


def notices(
    summary: Summary,
    run: str = "",
    *,
    is_begun: bool = True,
    retrying: Sequence[str] = (),
    again: str = "",
) -> list[Notice]:
    """Say how the run of a plan stands.

    :param run: State of the DAG run; empty where it is not known.
    :param is_begun: Whether an apply of the plan has begun.
    :param retrying: Tasks that have failed, and that Airflow is to try again.
    :param again: Since when the run goes on again with a plan that is older, ISO 8601.
    """
    told = [*seen_partially(summary.partial), *_about(summary), *retried(retrying)]
    if summary.contradiction:
        told.insert(
            0, Notice("bad", "A task's result contradicts the decision:", f"{summary.contradiction}.")
        )
    if again:  # whether the plan is to be made again too, or only what follows it, cannot be told from here
        text = "The plan is older, and so are its outcomes, but for those that have come since."
        told.append(Notice("odd", f"Run again since {shown_timestamp(again)}.", text))
    told += _standing(summary, run, is_begun=is_begun, is_over=not again)
    if comments := comments_line(summary):
        told.append(Notice("odd" if summary.effort.refused_comments else "plain", "", comments))
    if summary.hidden_links:
        told.append(Notice("odd", "", hidden_links_line(summary)))
    return told


def seen_partially(partial: Iterable[str]) -> Iterator[Notice]:
    """Say that what was seen may be a part of the portal only.

    :param partial: Why, a sentence for each portal.
    """
    return (Notice("odd", "Partial view:", f"{why}.") for why in partial)


def empty_snapshots(snapshots: Iterable[Snapshot]) -> Iterator[Notice]:
    """Say of snapshots that nobody is in them."""
    for one in snapshots:
        if not one.owners:
            which = f" matches its filter, {dict(one.filter)}" if one.filter else " is there to be seen"
            yield Notice("odd", "The snapshot is empty:", f"no {one.kind}{which}.")


def failed(why: Mapping[str, str], logs: Mapping[str, str] | None = None) -> Iterator[Notice]:
    """Say why tasks have failed.

    :param why: The sentence of each, by its id; empty where the task has left none.
    :param logs: Where the log of each is, relative to the page.
    """
    for task, said in why.items():
        headline = f"The task {task} failed:" if said else f"The task {task} failed."
        text = f"{said.removesuffix('.')}." if said else ""
        log = (logs or {}).get(task, "")
        yield Notice("bad", headline, text, log, "Its log" if log else "")


def retried(tasks: Sequence[str]) -> Iterator[Notice]:
    """Say that tasks have failed and are tried again.

    :param tasks: Their ids.
    """
    if tasks:
        text = f"{', '.join(tasks)}."
        yield Notice("odd", "A task has failed, and Airflow will try it again:", text)


def queued(ahead: Mapping[str, Sequence[str]]) -> Iterator[Notice]:
    """Say what a run that Airflow has not begun is queued behind.

    :param ahead: The tasks that other runs of its DAG are at, by run.
    """
    if ahead:
        others = (run + (f" (at {', '.join(tasks)})" if tasks else "") for run, tasks in ahead.items())
        text = (
            "Airflow begins it when fewer runs of this DAG are under way than its max_active_runs. These are:"
        )
        yield Notice("odd", "Queued.", f"{text} {', '.join(others)}.")


def without_plan(run: str, elsewhere: Mapping[str, tuple[str, str]] | None = None) -> Notice:
    """Say why there is no plan to show.

    :param run: State of the DAG run.
    :param elsewhere: What tasks have left on other hosts, and on which, by the task's id.
    """
    if elsewhere:
        task, (place, host) = next(iter(elsewhere.items()))
        text = f"The task {task} has left {place} on host {host}. {SHARE}."
        return Notice("bad", "What this run has left is not to be seen from here.", text)
    if run in UNDER_WAY:
        return Notice("plain", "No plan yet.", "The run is under way; this page looks again by itself.")
    if run == "failed":
        return Notice("bad", "No plan.", "The run failed before it had a plan.")
    text = "No task of this run has left a plan, a comparison or a snapshot of contact links."
    return Notice("plain", "Nothing to show here.", f"{text} Not every DAG makes one.")


def _about(summary: Summary) -> Iterator[Notice]:
    """Say what kind of plan it is, and whether it was taken back."""
    for note in summary.taken_back:
        yield Notice("odd", "", taken_back_line(note))
    if summary.is_restore:
        origin = summary.manifest.origin
        text = "It puts links back that stood in an earlier journal or snapshot."
        text = f"{origin_line(origin)}." if origin else text
        if summary.manifest.kind == "lead":
            text += " The repeat flag of a lead follows when the lead is saved."
        yield Notice("plain", "A restore.", text)
    for broken in summary.manifest.broken_guards:
        yield Notice("bad", "A real run of this plan is refused:", f"{broken}.{_way_out(broken)}")
    if not summary.manifest.changes:
        yield _empty(summary)
    elif summary.dry_run:
        text = "Nothing was written to the portal. “skipped” is what a real run would write"
        yield Notice("plain", "Dry run.", f"{text}: run it again with the dry run turned off.")


def _way_out(broken: str) -> str:
    """Say how the trigger form calls the guard."""
    titles = {"max_changes allows": "Most changes allowed", "max_share allows": "Largest share changed"}
    title = next((title for words, title in titles.items() if words in broken), "")
    return f" Allow more under “{title}” in the trigger form, or plan for fewer." if title else ""


def _empty(summary: Summary) -> Notice:
    if none := no_match(summary.manifest):
        return Notice("odd", "The plan is empty:", f"{none}. Look at them again if some were expected.")
    left, read = sum(summary.left_out.values()), int(summary.manifest.counts.get("read", 0))
    text = "nothing had to be changed."
    if left:
        kind = summary.manifest.kind
        text = f"nothing is to be changed. Of {read:,} {kind}s read, {left:,} were left out on purpose."
    return Notice("plain", "The plan is empty:", text)


def _standing(summary: Summary, run: str, *, is_begun: bool, is_over: bool) -> Iterator[Notice]:
    """Say how far it has come.

    :param is_over: Whether it has come to its end where every change has its outcome.
    """
    changes, failed = summary.manifest.changes, summary.counts["failed"]
    if summary.wait and run in UNDER_WAY and not summary.complete:
        yield _behind(summary.wait, summary.manifest.kind)
    elif has_expired(summary) and not (is_begun and run):  # what has begun may go on; a file cannot tell
        until = shown_timestamp(summary.approval.until if summary.approval else "")
        text = f"It counted until {until}, and nothing was written: {ASK_AGAIN}."
        yield Notice("bad", "The approval has expired.", text)
    elif changes and not is_begun:
        yield _waiting(summary, run)
    elif changes and not summary.complete:
        yield _unfinished(summary, run)
    if failed:
        text = "Each stands below with the reason; clear the tasks that apply the plan to try them again."
        yield Notice("bad", f"{failed:,} change{'s' * (failed != 1)} failed.", text)
    elif run == "failed" and summary.complete:
        yield Notice("bad", "The run failed.", "Every change has its outcome all the same.")
    elif not is_over:
        return
    elif run in UNDER_WAY and is_begun and changes and summary.complete and not summary.checked:
        yield Notice("plain", "Every change has its outcome.", "The run is not over yet.")
    elif is_begun and changes and summary.complete and not summary.dry_run:
        yield Notice("good", "Done.", "Every change has its outcome.")


def _behind(wait: Wait, kind: OwnerKind) -> Notice:
    """Say which run another one waits for."""
    since, writes_since = shown_timestamp(wait.since), shown_timestamp(wait.writes_since)
    text = (
        f"{wait.writer} has been writing {kind}s of this portal since {writes_since}, and one run at a time "
        f"does. This one has waited since {since}, and does so until {shown_timestamp(wait.until)} at most."
    )
    return Notice("odd", "Waits for another run:", text)


def _waiting(summary: Summary, run: str) -> Notice:
    number, approval = summary.manifest.changes, summary.approval
    changes = f"{number:,} change{'s' * (number != 1)}"
    if approval and approval.answer in ("rejected", "unanswered"):
        headline = "Rejected." if approval.answer == "rejected" else _NOT_APPLIED
        text = f"{approval_line(approval)}. Nothing was written."
        again = "" if approval.answer == "rejected" else " Clear “Ask for approval”, and it asks again."
        return Notice("odd", headline, text + again)
    if run in UNDER_WAY and approval and approval.answer == "waiting":
        who = approval.by or "somebody"
        since = f"under Required actions, since {shown_timestamp(approval.at)}"
        text = f"{changes}, and {who} has to approve first: {since}."
        if approval.until:
            text += f" Without an answer until {shown_timestamp(approval.until)} nothing is written."
        return Notice("odd", "Waits for an approval.", text)
    if run in UNDER_WAY:
        text = f"{changes}, to be written by the task that applies the plan."
        return Notice("plain", "Planned, not applied yet.", text)
    if run == "failed":
        return Notice("bad", _NOT_APPLIED, "The run failed before anything was written.")
    text = "Nothing was written: the plan was rejected, or no task of this run applies it here."
    return Notice("odd", _NOT_APPLIED, text)


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
