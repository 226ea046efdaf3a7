"""What a run tells people wherever they are. The words of it, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.kind_words import owners
from airflow_bitrix.core.languages import gettext, ngettext
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.core.wording import listed
from airflow_bitrix.files.plans import Manifest
from airflow_bitrix.report.approval import headline
from airflow_bitrix.report.summary import Summary
from airflow_bitrix.report.texts import as_line, comments_line

Event = Literal["approval", "rejected", "finished", "failed", "late", "ended"]
"""What happened: an approval is wanted, or was refused; a plan was carried out; a task has failed; a run is
late; something else has come to its end."""

_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Told:
    """What is told. Its texts are plain, of one line each, and have no marks of a messenger in them.

    :param event: What happened.
    :param title: That in a sentence.
    :param numbers: The numbers of it; empty where there are none.
    :param counts: They as numbers, by name.
    :param reason: Why; empty where there is nothing to say.
    :param run: The DAG run, as people read it; empty outside of one.
    :param approval_url: Where an answer is awaited; empty where none is, or Airflow's address is not known.
    :param report_url: The report of the run; empty where Airflow's address is not known.
    """

    event: Event = "ended"
    title: str = ""
    numbers: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    run: str = ""
    approval_url: str = ""
    report_url: str = ""

    @property
    def text(self) -> str:
        """All of it, a line for each."""
        lines = (
            self.title,
            self.numbers,
            self.reason,
            self.run and f"{self.run[0].upper()}{self.run[1:]}",
            self.approval_url and gettext("Approve or reject: {address}", address=self.approval_url),
            self.report_url and gettext("Report: {address}", address=self.report_url),
        )
        return "\n".join(filter(None, lines))

    def __str__(self) -> str:
        """Give all of it."""
        return self.text


def asks(manifests: Sequence[Manifest], until: str) -> Told:
    """Tell that somebody is to approve plans.

    :param until: Until when an answer is awaited, as people read it.
    """
    read = [int(one.counts.get("read", 0)) for one in manifests]
    left_out = sum(sum(one.counts.get("left_out", {}).values()) for one in manifests)
    changes = sum(one.changes for one in manifests)
    told = listed([owners(one.kind, count) for one, count in zip(manifests, read, strict=True)])
    numbers = gettext("{owners} read, {planned}", owners=told, planned=_planned(changes))
    return Told(
        "approval",
        plain(gettext("An approval is wanted: {headline}", headline=headline(*manifests))),
        numbers + (gettext(", {number} left out", number=left_out) if left_out else ""),
        {"read": sum(read), "changes": changes, "left_out": left_out},
        plain(gettext("An answer is awaited until {until}.", until=until)),
    )


def _planned(changes: int) -> str:
    return ngettext("{count} change planned", "{count} changes planned", changes)


def rejected(by: str) -> Told:
    """Tell that somebody has rejected a plan."""
    return Told("rejected", plain(gettext("The plan was rejected by {by}; nothing was written", by=by)))


def ended(summary: Summary) -> Told:
    """Tell what has become of a plan."""
    comments = comments_line(summary)
    return Told(
        "finished",
        plain(
            gettext("{title}: finished, nothing was written", title=summary.title)
            if summary.dry_run
            else gettext("{title}: finished", title=summary.title)
        ),
        plain(". ".join(filter(None, (as_line(summary), comments.removesuffix("."))))),
        {**summary.counts, "open": summary.open, "overwritten": summary.overwritten},
    )


def has_failed(told: Told, task: str, reason: str) -> Told:
    """Tell that a task has failed.

    :param told: What is told of it beside that.
    :param task: Its name; empty where it is not known which.
    :param reason: Why, in the words of the error.
    """
    title = gettext("The task “{task}” has failed", task=task) if task else gettext("The run has failed")
    return replace(told, event="failed", title=plain(title), reason=plain(reason))


def has_ended(task: str) -> Told:
    """Tell that a task has come to its end that says nothing more of it."""
    return Told(
        title=plain(
            gettext("The task “{task}” has ended", task=task) if task else gettext("The run has ended")
        )
    )


def is_late(deadline: str) -> Told:
    """Tell that a run has not done by its deadline what it was to do."""
    return Told(
        "late",
        plain(gettext("The run is late: its deadline was {deadline}", deadline=shown_timestamp(deadline))),
    )


def plain(text: object) -> str:
    """Give words of others without marks of a messenger: they call nobody, and press no buttons."""
    return as_plain_text(text, _LONGEST).replace("[", "(").replace("]", ")")
