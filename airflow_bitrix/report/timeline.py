"""What happened in a run, and when: planned, asked, answered, written, checked, taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.approvals import Approval, shown_run
from airflow_bitrix.report.summary import Summary


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened.

    :param at: When, or since when, ISO 8601; empty where a file does not tell.
    :param until: Until when, where that is later.
    """

    at: str
    text: str
    until: str = ""

    @property
    def times(self) -> list[tuple[str, str]]:
        """When it was, for machines and for people: one time, or the first and the last; none not known."""
        told = [(at, shown_timestamp(at)) for at in (self.at, self.until) if at]
        return told[:1] if told and told[0][1] == told[-1][1] else told


def timeline(summary: Summary, *, live: bool = False) -> list[Moment]:
    """Give what happened, in the order of a run.

    :param live: Whether the run is under way.
    """
    told = [Moment(summary.manifest.created, gettext("Planned"))]
    if summary.approval:
        told += _asked(summary.approval)
    if written := _written(summary, live=live):
        told.append(written)
    if summary.checked:
        told.append(Moment(summary.checked, gettext("Checked: each of them was looked at again")))
    for note in summary.taken_back:
        by = as_plain_text(shown_run(note.by))
        text = gettext("Taken back by {run}", run=by) if by else gettext("Taken back")
        told.append(Moment(note.at, text))
    return told


def _asked(approval: Approval) -> Iterator[Moment]:
    """Say how the question stands whether the plan may be applied."""
    by, end = as_plain_text(approval.by), shown_timestamp(approval.until)
    is_waiting = approval.answer == "waiting"
    if put := approval.at if is_waiting else approval.put:
        asked = gettext("Asked for approval")
        until = gettext("Asked for approval; an answer is awaited until {end}", end=end)
        yield Moment(put, until if is_waiting and approval.until else asked)
    if approval.answer == "approved":
        told = gettext("Approved by {by}", by=by)
        until = gettext("Approved by {by}, to be used until {end}", by=by, end=end)
        yield Moment(approval.at, until if approval.until else told)
    elif approval.answer == "rejected":
        yield Moment(approval.at, gettext("Rejected by {by}", by=by))
    elif approval.answer == "unanswered":
        yield Moment(approval.at, gettext("Nobody answered in time"))
    elif approval.answer == "not asked":
        why = as_plain_text(approval.reason)
        yield Moment(approval.at, gettext("Nobody was asked to approve: {why}", why=why))


def _written(summary: Summary, *, live: bool) -> Moment | None:
    """Say from when to when the plan was applied."""
    if not summary.finished or not summary.manifest.changes:
        return None
    if summary.dry_run:
        return Moment(summary.finished, gettext("Looked at, and nothing written"))
    text = gettext("Written, so far") if live and not summary.complete else gettext("Written")
    if not summary.times.first:  # older journals do not tell
        return Moment(summary.finished, text)
    first, last = (
        datetime.fromtimestamp(at, UTC).isoformat() for at in (summary.times.first, summary.times.last)
    )
    return Moment(first, text, last)
