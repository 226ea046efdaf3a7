"""The sentence that a report begins with: what a run does, or has done, for people who read no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.kind_words import linked_words, links_told, owners, owners_of
from airflow_bitrix.core.languages import gettext, gettext_noop, ngettext
from airflow_bitrix.core.restores import RULE as RESTORE
from airflow_bitrix.files.plans import Manifest
from airflow_bitrix.files.snapshots import Snapshot
from airflow_bitrix.report.notices import UNDER_WAY
from airflow_bitrix.report.summary import Summary
from airflow_bitrix.report.texts import has_expired, no_match

MOST_REASONS = 3
"""Reasons for which owners are left alone that the sentence names."""

_LONGEST = 120


class _Work(NamedTuple):
    """What a plan does to owners, said of it in each of its states."""

    will: str
    would: str
    did: str
    so_far: str
    plan: str


_CHANGE = _Work(
    gettext_noop("The {kinds} of {subject_of} will be changed"),
    gettext_noop("A real run would change the {kinds} of {subject_of}"),
    gettext_noop("The run changed the {kinds} of {subject_of}"),
    gettext_noop("The run has changed the {kinds} of {subject_of} so far"),
    gettext_noop("the change of {kinds_of} of {subject_of}"),
)

_WORKS: Mapping[tuple[str, ...], _Work] = {
    ("release_repeat_leads",): _Work(
        gettext_noop("{subject} will be released"),
        gettext_noop("A real run would release {subject}"),
        gettext_noop("The run released {subject}"),
        gettext_noop("The run has released {subject} so far"),
        gettext_noop("the release of {subject_of}"),
    ),
    (RESTORE,): _Work(
        gettext_noop("The {kinds} of {subject_of} will be brought back"),
        gettext_noop("A real run would bring the {kinds} of {subject_of} back"),
        gettext_noop("The run brought the {kinds} of {subject_of} back"),
        gettext_noop("The run has brought the {kinds} of {subject_of} back so far"),
        gettext_noop("the return of {kinds_of} of {subject_of}"),
    ),
}
"""By the rules of the plan; all others change what is linked."""


def opening(summary: Summary, run: str = "", *, is_begun: bool = True) -> str:
    """Give the sentence.

    :param run: State of the DAG run; empty where it is not known.
    :param is_begun: Whether an apply of the plan has begun.
    """
    manifest = summary.manifest
    if not manifest.changes:
        return _sentence(_nothing(manifest), _left_alone(manifest))
    if is_begun:
        return _sentence(_begun(summary, run), _left_alone(manifest), *_others(summary, run))
    return _sentence(_planned(summary, run), _left_alone(manifest))


def opening_of_snapshots(snapshots: Sequence[Snapshot], differences: int | None) -> str:
    """Give the sentence of a task that has written links down; nothing where it has not.

    :param differences: How many it has found to the snapshot before; ``None`` where there was none.
    """
    if not snapshots:
        return ""
    held = [
        gettext(
            "{owners} with {links} written down",
            owners=owners(one.kind, one.owners),
            links=links_told(one.kind, one.links),
        )
        for one in snapshots
    ]
    if differences is None:
        return _sentence(*held, gettext("there is no earlier snapshot to compare with"))
    found = ngettext("{count} difference", "{count} differences", differences)
    return _sentence(*held, gettext("{differences} to the snapshot before", differences=found))


def _sentence(*clauses: str) -> str:
    return f"{'; '.join(clause for clause in clauses if clause)}."


def _of(
    message: Literal["will", "would", "did", "so_far", "plan"], manifest: Manifest, some: int, of: int
) -> str:
    """Say what is done to some owners of so many."""
    kind = manifest.kind
    subject, subject_of = owners(kind, some), owners_of(kind, some)
    if some < of:
        subject = subject_of = gettext("{count} of {owners}", count=some, owners=owners_of(kind, of))
    work = _WORKS.get(manifest.rules, _CHANGE)
    words = {"subject": subject, "subject_of": subject_of, **linked_words(kind)}
    return gettext(getattr(work, message), **words)


def _read(manifest: Manifest) -> int:
    return int(manifest.counts.get("read", 0))


def _nothing(manifest: Manifest) -> str:
    if no_match(manifest):
        return gettext("Nothing was found that this run is about")
    return gettext(
        "Nothing is to be changed among {owners}", owners=owners_of(manifest.kind, _read(manifest))
    )


def _begun(summary: Summary, run: str) -> str:
    """Say how far an apply has come."""
    manifest, applied = summary.manifest, summary.counts["applied"]
    if summary.dry_run:
        return _of("would", manifest, manifest.changes, _read(manifest))
    if summary.complete:
        return _of("did", manifest, applied, _read(manifest))
    if run in UNDER_WAY:
        return _of("so_far", manifest, applied, manifest.changes)
    if has_expired(summary):
        plan = _of("plan", manifest, manifest.changes, _read(manifest))
        return gettext("Nothing was written: the approval of {plan} has expired", plan=plan)
    return gettext("{told}, and ended early", told=_of("did", manifest, applied, manifest.changes))


def _planned(summary: Summary, run: str) -> str:
    """Say what is to come, or why it does not."""
    manifest, approval = summary.manifest, summary.approval
    plan = _of("plan", manifest, manifest.changes, _read(manifest))
    answer = approval.answer if approval else ""
    if run in UNDER_WAY and answer not in ("rejected", "unanswered") and not has_expired(summary):
        told = _of("will", manifest, manifest.changes, _read(manifest))
        return gettext("{told}, once somebody approves", told=told) if answer == "waiting" else told
    by = as_plain_text(approval.by) if approval else ""
    whys = (
        (answer == "rejected", gettext_noop("Nothing was written: {by} has rejected {plan}")),
        (answer == "unanswered", gettext_noop("Nothing was written: nobody approved {plan} in time")),
        (has_expired(summary), gettext_noop("Nothing was written: the approval of {plan} has expired")),
        (manifest.broken_guards, gettext_noop("Nothing was written: a limit stops {plan}")),
        (run == "failed", gettext_noop("Nothing was written: the run failed ahead of {plan}")),
        (True, gettext_noop("Nothing was written: {plan} is planned, and was not carried out")),
    )
    return gettext(next(message for holds, message in whys if holds), by=by, plan=plan)


def _left_alone(manifest: Manifest) -> str:
    """Say how many owners are left alone, and why."""
    left: Mapping[str, int] = manifest.counts.get("left_out", {})
    if not left:
        return ""
    most = sorted(left.items(), key=lambda one: -one[1])
    told = [
        gettext("{count} {why}", count=count, why=as_plain_text(gettext(why), _LONGEST))
        for why, count in most[:MOST_REASONS]
    ]
    if rest := sum(count for _, count in most[MOST_REASONS:]):
        told.append(gettext("{count} for other reasons", count=rest))
    all_of_them = owners(manifest.kind, sum(left.values()))
    return gettext("left alone: {owners} ({reasons})", owners=all_of_them, reasons=", ".join(told))


def _others(summary: Summary, run: str) -> list[str]:
    """Say what became of those that were not written."""
    counts = summary.counts
    told = (
        (counts["already"], gettext_noop("right already: {count}")),
        (counts["drift"], gettext_noop("changed by somebody else meanwhile, and left alone: {count}")),
        (counts["failed"], gettext_noop("failed: {count}")),
        (0 if run in UNDER_WAY else summary.open, gettext_noop("without an outcome: {count}")),
    )
    return [gettext(message, count=count) for count, message in told if count]
