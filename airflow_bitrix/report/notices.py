"""What a report says before everything else: how the run stands, and what is out of the ordinary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from airflow_bitrix.core.kind_words import kind_words, owners_of
from airflow_bitrix.core.languages import as_set, gettext, gettext_noop, ngettext
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

_NOT_APPLIED = gettext_noop("Planned, and not applied.")


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
        headline = gettext("A task's result contradicts the decision:")
        told.insert(0, Notice("bad", headline, f"{summary.contradiction}."))
    if again:  # whether the plan is to be made again too, or only what follows it, cannot be told from here
        text = gettext("The plan is older, and so are its outcomes, but for those that have come since.")
        headline = gettext("Run again since {moment}.", moment=shown_timestamp(again))
        told.append(Notice("odd", headline, text))
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
    return (Notice("odd", gettext("Partial view:"), f"{why}.") for why in partial)


def empty_snapshots(snapshots: Iterable[Snapshot]) -> Iterator[Notice]:
    """Say of snapshots that nobody is in them."""
    for one in snapshots:
        if not one.owners:
            words = kind_words(one.kind)
            none = gettext("no {kind} is there to be seen.", **words)
            if one.filter:
                none = gettext("no {kind} matches its filter, {filter}.", filter=dict(one.filter), **words)
            yield Notice("odd", gettext("The snapshot is empty:"), none)


def failed(why: Mapping[str, str], logs: Mapping[str, str] | None = None) -> Iterator[Notice]:
    """Say why tasks have failed.

    :param why: The sentence of each, by its id; empty where the task has left none.
    :param logs: Where the log of each is, relative to the page.
    """
    for task, said in why.items():
        headline = gettext("The task {task} failed.", task=task)
        if said:
            headline = gettext("The task {task} failed:", task=task)
        text = f"{said.removesuffix('.')}." if said else ""
        log = (logs or {}).get(task, "")
        yield Notice("bad", headline, text, log, gettext("Its log") if log else "")


def retried(tasks: Sequence[str]) -> Iterator[Notice]:
    """Say that tasks have failed and are tried again.

    :param tasks: Their ids.
    """
    if tasks:
        text = f"{', '.join(tasks)}."
        yield Notice("odd", gettext("A task has failed, and Airflow will try it again:"), text)


def queued(ahead: Mapping[str, Sequence[str]]) -> Iterator[Notice]:
    """Say what a run that Airflow has not begun is queued behind.

    :param ahead: The tasks that other runs of its DAG are at, by run.
    """
    if ahead:
        others = (
            gettext("{run} (at {tasks})", run=run, tasks=", ".join(tasks)) if tasks else run
            for run, tasks in ahead.items()
        )
        text = gettext(
            "Airflow begins it when fewer runs of this DAG are under way than its max_active_runs. These "
            "are: {runs}.",
            runs=", ".join(others),
        )
        yield Notice("odd", gettext("Queued."), text)


def without_plan(run: str, elsewhere: Mapping[str, tuple[str, str]] | None = None) -> Notice:
    """Say why there is no plan to show.

    :param run: State of the DAG run.
    :param elsewhere: What tasks have left on other hosts, and on which, by the task's id.
    """
    if elsewhere:
        task, (place, host) = next(iter(elsewhere.items()))
        text = gettext("The task {task} has left {place} on host {host}.", task=task, place=place, host=host)
        headline = gettext("What this run has left is not to be seen from here.")
        return Notice("bad", headline, f"{text} {gettext(SHARE)}.")
    if run in UNDER_WAY:
        text = gettext("The run is under way; this page looks again by itself.")
        return Notice("plain", gettext("No plan yet."), text)
    if run == "failed":
        return Notice("bad", gettext("No plan."), gettext("The run failed before it had a plan."))
    text = gettext(
        "No task of this run has left a plan, a comparison or a snapshot of contact links. Not every DAG "
        "makes one."
    )
    return Notice("plain", gettext("Nothing to show here."), text)


def _about(summary: Summary) -> Iterator[Notice]:
    """Say what kind of plan it is, and whether it was taken back."""
    for note in summary.taken_back:
        yield Notice("odd", "", taken_back_line(note))
    if summary.is_restore:
        origin = summary.manifest.origin
        text = gettext("It puts links back that stood in an earlier journal or snapshot.")
        text = f"{origin_line(origin)}." if origin else text
        if summary.manifest.kind == "lead":
            follows = gettext("The repeat flag of a lead follows when the lead is saved.")
            text = f"{text} {follows}"
        yield Notice("plain", gettext("A restore."), text)
    for broken in summary.manifest.broken_guards:
        text = f"{broken}. {_way_out(broken)}".strip()
        yield Notice("bad", gettext("A real run of this plan is refused:"), text)
    if not summary.manifest.changes:
        yield _empty(summary)
    elif summary.dry_run:
        text = gettext(
            "Nothing was written to the portal. “skipped” is what a real run would write: run it again with "
            "the dry run turned off."
        )
        yield Notice("plain", gettext("Dry run."), text)


def _way_out(broken: str) -> str:
    """Say how the trigger form calls the guard."""
    titles = {
        "max_changes": gettext_noop("Most changes allowed"),
        "max_share": gettext_noop("Largest share changed"),
    }
    title = next((title for argument, title in titles.items() if argument in broken), "")
    if not title:
        return ""
    return gettext("Allow more under “{title}” in the trigger form, or plan for fewer.", title=gettext(title))


def _empty(summary: Summary) -> Notice:
    headline = gettext("The plan is empty:")
    if none := no_match(summary.manifest):
        text = gettext("{none}. Look at them again if some were expected.", none=none)
        return Notice("odd", headline, text)
    left, read = sum(summary.left_out.values()), int(summary.manifest.counts.get("read", 0))
    text = gettext("nothing had to be changed.")
    if left:
        text = gettext(
            "nothing is to be changed. Of {owners} read, {left} were left out on purpose.",
            owners=owners_of(summary.manifest.kind, read),
            left=left,
        )
    return Notice("plain", headline, text)


def _standing(summary: Summary, run: str, *, is_begun: bool, is_over: bool) -> Iterator[Notice]:
    """Say how far it has come.

    :param is_over: Whether it has come to its end where every change has its outcome.
    """
    changes, failed = summary.manifest.changes, summary.counts["failed"]
    if summary.wait and run in UNDER_WAY and not summary.complete:
        yield _behind(summary.wait, summary.manifest.kind)
    elif has_expired(summary) and not (is_begun and run):  # what has begun may go on; a file cannot tell
        until = shown_timestamp(summary.approval.until if summary.approval else "")
        text = gettext(
            "It counted until {until}, and nothing was written: {again}.",
            until=until,
            again=gettext(ASK_AGAIN),
        )
        yield Notice("bad", gettext("The approval has expired."), text)
    elif changes and not is_begun:
        yield _waiting(summary, run)
    elif changes and not summary.complete:
        yield _unfinished(summary, run)
    if failed:
        text = gettext(
            "Each stands below with the reason; clear the tasks that apply the plan to try them again."
        )
        yield Notice("bad", ngettext("{count} change failed.", "{count} changes failed.", failed), text)
    elif run == "failed" and summary.complete:
        text = gettext("Every change has its outcome all the same.")
        yield Notice("bad", gettext("The run failed."), text)
    elif not is_over:
        return
    elif run in UNDER_WAY and is_begun and changes and summary.complete and not summary.checked:
        text = gettext("The run is not over yet.")
        yield Notice("plain", gettext("Every change has its outcome."), text)
    elif is_begun and changes and summary.complete and not summary.dry_run:
        yield Notice("good", gettext("Done."), gettext("Every change has its outcome."))


def _behind(wait: Wait, kind: OwnerKind) -> Notice:
    """Say which run another one waits for."""
    since, writes_since = shown_timestamp(wait.since), shown_timestamp(wait.writes_since)
    text = gettext(
        "{run} has been writing {kinds} of this portal since {writes_since}, and one run at a time does. "
        "This one has waited since {since}, and does so until {until} at most.",
        run=wait.writer,
        writes_since=writes_since,
        since=since,
        until=shown_timestamp(wait.until),
        **kind_words(kind),
    )
    return Notice("odd", gettext("Waits for another run:"), text)


def _waiting(summary: Summary, run: str) -> Notice:
    approval = summary.approval
    changes = ngettext("{count} change", "{count} changes", summary.manifest.changes)
    if approval and approval.answer in ("rejected", "unanswered"):
        is_rejected = approval.answer == "rejected"
        headline = gettext("Rejected.") if is_rejected else gettext(_NOT_APPLIED)
        text = gettext("{told}. Nothing was written.", told=approval_line(approval))
        again = (
            ""
            if is_rejected
            else gettext("Clear “{task}”, and it asks again.", task=as_set(gettext_noop("Ask for approval")))
        )
        return Notice("odd", headline, f"{text} {again}".strip())
    if run in UNDER_WAY and approval and approval.answer == "waiting":
        text = gettext(
            "{changes}, and {who} has to approve first: under Required actions, since {moment}.",
            changes=changes,
            who=approval.by or gettext("somebody"),
            moment=shown_timestamp(approval.at),
        )
        if approval.until:
            end = shown_timestamp(approval.until)
            unanswered = gettext("Without an answer until {end} nothing is written.", end=end)
            text = f"{text} {unanswered}"
        return Notice("odd", gettext("Waits for an approval."), text)
    if run in UNDER_WAY:
        text = gettext("{changes}, to be written by the task that applies the plan.", changes=changes)
        return Notice("plain", gettext("Planned, not applied yet."), text)
    if run == "failed":
        text = gettext("The run failed before anything was written.")
        return Notice("bad", gettext(_NOT_APPLIED), text)
    text = gettext("Nothing was written: the plan was rejected, or no task of this run applies it here.")
    return Notice("odd", gettext(_NOT_APPLIED), text)


def _unfinished(summary: Summary, run: str) -> Notice:
    if run in UNDER_WAY:
        text = gettext(
            "{done} of {planned} changes have their outcome; this page follows by itself.",
            done=summary.planned - summary.open,
            planned=summary.planned,
        )
        return Notice("plain", gettext("Being applied."), text)
    if run == "success":
        text = gettext(
            "{count} changes have no outcome: the apply was limited to some of them.", count=summary.open
        )
        return Notice("odd", gettext("A part of the plan was applied."), text)
    text = gettext(
        "{count} changes have no outcome yet; run the task again and it goes on from here.",
        count=summary.open,
    )
    return Notice("odd", gettext("Not finished."), text)
