"""What a report says, gathered from a plan and its journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_bitrix.core.links import Owner, owner_address
from airflow_bitrix.core.plan import OUTCOMES, Change, ChangeOutcome, shown_contacts
from airflow_bitrix.core.rules import RULES
from airflow_bitrix.files.efforts import Effort
from airflow_bitrix.files.plans import Manifest

MOST_ROWS = 500
"""Rows of each table of the page at most; the files hold all of them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One change as the report shows it."""

    owner: Owner
    address: str
    outcome: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class Summary:
    """All that the report says."""

    manifest: Manifest
    dry_run: bool
    finished: str
    complete: bool
    counts: Mapping[str, int]
    overwritten: int
    left_out: Mapping[str, int]
    effort: Effort
    troubles: Sequence[Row]
    changes: Sequence[Row]
    planned: int

    @property
    def title(self) -> str:
        """The headline: ``Lead link clean-up, dry run``."""
        return f"{self.manifest.kind.capitalize()} link clean-up" + (", dry run" if self.dry_run else "")

    @property
    def hidden_links(self) -> int:
        """How often links were read by ``items.get``, because the portal leaves them out of its lists."""
        return int(self.manifest.counts.get("hidden_links", 0)) + self.effort.hidden_links

    @property
    def open(self) -> int:
        """Changes that have no outcome yet, because the apply ended early."""
        return max(self.planned - sum(self.counts.values()), 0)


def summarise(
    manifest: Manifest,
    changes: Iterable[Change],
    outcomes: Iterable[ChangeOutcome],
    effort: Effort,
    *,
    dry_run: bool,
    finished: str,
    planned: int | None = None,
) -> Summary:
    """Gather a summary; only as many rows are kept as the page shows.

    :param finished: When the apply ended, ISO 8601.
    :param planned: How many changes were to get an outcome; ``None`` for all of the plan.
    """
    planned = manifest.changes if planned is None else planned
    shown = _first_changes(changes)
    counts: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
    overwritten = 0
    troubles: list[Row] = []
    rows: list[Row] = []
    for outcome in outcomes:
        counts[outcome.outcome] += 1
        change = shown.get(outcome.owner.id)
        row = _row(manifest.portal, outcome, change)
        overwritten += outcome.is_overwrite
        if outcome.needs_a_look and len(troubles) < MOST_ROWS:
            troubles.append(row)
        if change is not None:
            rows.append(row)
    return Summary(
        manifest=manifest,
        dry_run=dry_run,
        finished=finished,
        complete=sum(counts.values()) >= planned,
        counts=counts,
        overwritten=overwritten,
        left_out=manifest.counts.get("left_out", {}),
        effort=effort,
        troubles=troubles,
        changes=rows,
        planned=planned,
    )


def _first_changes(changes: Iterable[Change]) -> dict[int, Change]:
    first: dict[int, Change] = {}
    for change in changes:
        if len(first) == MOST_ROWS:
            break
        first[change.owner.id] = change
    return first


def _row(portal: str, outcome: ChangeOutcome, change: Change | None) -> Row:
    before = outcome.before or (change.before if change else None)
    return Row(
        owner=outcome.owner,
        address=owner_address(portal, outcome.owner),
        outcome=outcome.outcome,
        before=shown_contacts(before) if before else "",
        after=shown_contacts(change.after) if change else "",
        reason=outcome.reason or ("; ".join(change.reasons) if change else ""),
    )


_MEANING = {
    "applied": "written and read back",
    "already": "was right before anything was written",
    "drift": "somebody changed it since the plan was made; left alone",
    "failed": "not confirmed; the reason stands in failed.csv",
    "skipped": "dry run: would be written",
}


def outcome_lines(summary: Summary) -> list[tuple[str, int, str]]:
    """Give each outcome with its count and what it means."""
    lines: list[tuple[str, int, str]] = [(name, summary.counts[name], _MEANING[name]) for name in OUTCOMES]
    if summary.open:
        lines.append(("open", summary.open, "the apply ended before its turn; run it again"))
    return lines


def rule_titles(manifest: Manifest) -> list[tuple[str, str]]:
    """Give name and title of each rule of a plan."""
    return [(name, RULES[name].title if name in RULES else name) for name in manifest.rules]


def as_markdown(summary: Summary) -> str:
    """Give the summary for a log or a mail: a table of outcomes, what was left out, what it cost."""
    kind, effort = summary.manifest.kind, summary.effort
    lines = [
        f"### {summary.title}",
        "",
        f"| outcome | {kind}s | what it means |",
        "|:---|---:|:---|",
        *(f"| {name} | {count:,} | {meaning} |" for name, count, meaning in outcome_lines(summary)),
    ]
    if summary.overwritten:
        lines += [
            "",
            f"{summary.overwritten:,} of the applied overwrote what somebody had changed meanwhile.",
        ]
    if summary.left_out:
        lines += ["", f"| left out because | {kind}s |", "|:---|---:|"]
        lines += [f"| {why} | {count:,} |" for why, count in summary.left_out.items()]
    read = summary.manifest.counts.get("read", 0)
    lines += ["", f"{read:,} {kind}s read, {summary.manifest.changes:,} changes planned."]
    requests = f"{effort.requests:,} request{'s' * (effort.requests != 1)}"
    lines += [f"{requests} in {effort.seconds:.1f} s, {effort.refused:,} refused by the portal."]
    if summary.hidden_links:
        lines += ["", hidden_links_line(summary)]
    return "\n".join(lines)


def as_line(summary: Summary) -> str:
    """Give the figures of a summary in a line: ``Lead link clean-up: 210 applied, 1 drift``."""
    counted = {**summary.counts, "open": summary.open}
    told = ", ".join(f"{count:,} {name}" for name, count in counted.items() if count)
    return f"{summary.title}: {told or 'nothing to change'}"


def hidden_links_line(summary: Summary) -> str:
    """Say that the portal leaves links out of its lists, and what that cost."""
    times = f"{summary.hidden_links:,} times"
    return f"The portal leaves links out of crm.item.list: they were read by items.get, {times}."


def as_json(summary: Summary) -> dict[str, Any]:
    """Give the figures of a summary, small enough for XCom."""
    effort = summary.effort
    return {
        "dry_run": summary.dry_run,
        "complete": summary.complete,
        "counts": dict(summary.counts),
        "overwritten": summary.overwritten,
        "left_out": dict(summary.left_out),
        "requests": effort.requests,
        "refused": effort.refused,
        "hidden_links": summary.hidden_links,
        "seconds": round(effort.seconds, 1),
    }
