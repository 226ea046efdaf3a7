"""What a report says in words: titles, meanings, and the summary as Markdown and in a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from airflow_bitrix.core.errors import LONGEST_MESSAGE
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.plan import OUTCOMES
from airflow_bitrix.core.restores import RULE as RESTORE
from airflow_bitrix.core.restores import Origin
from airflow_bitrix.core.rules import RULES
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.core.wording import counted
from airflow_bitrix.files.approvals import Approval
from airflow_bitrix.files.plans import Manifest
from airflow_bitrix.files.taken_back import TakenBack
from airflow_bitrix.report.summary import Summary

_MEANING = {
    "applied": "written and read back",
    "already": "was right before anything was written",
    "drift": "somebody changed it since the plan was made; left alone",
    "failed": "not confirmed; the reason stands in failed.csv",
    "skipped": "dry run: would be written",
}


SHARE = gettext_noop(
    "[bitrix24] artifacts_path has to name a folder that all hosts share, or an object storage, such as "
    "s3://aws_default@bucket/bitrix24"
)
"""What to do where a host does not see what another one wrote."""

ASK_AGAIN = gettext_noop(
    "clear “Ask for approval” with all that follows it, and somebody can approve the plan again; "
    "clearing a task that applies it does not help"
)
"""What to do where an approval has expired."""


def outcome_lines(summary: Summary) -> list[tuple[str, int, str]]:
    """Give each outcome with its count and what it means."""
    lines: list[tuple[str, int, str]] = [(name, summary.counts[name], _MEANING[name]) for name in OUTCOMES]
    if summary.open:
        is_late = has_expired(summary)
        means = "the approval has expired" if is_late else "the apply ended before its turn; run it again"
        lines.append(("open", summary.open, means))
    return lines


def has_expired(summary: Summary) -> bool:
    """Whether the approval of a plan counts no more, and no change has an outcome."""
    is_untouched = summary.open == summary.planned > 0
    return is_untouched and bool(summary.approval and summary.approval.is_over(datetime.now(UTC)))


_TITLES = {
    RESTORE: "Restore: bring links back to what they were",
    "contact_map": "Replace contacts: put new ones in the place of old ones",
    "lead_to_deal": "Lead to deal: give deals the contacts of the leads that they were made from",
    "release_moved_leads": "Release moved leads: take from leads the contacts that all their deals hold",
    "portal_to_portal": "Portal to portal: give owners the contacts that they have in the source",
    **{name: rule.title for name, rule in RULES.items()},
}


def rule_titles(manifest: Manifest) -> list[tuple[str, str]]:
    """Give name and title of each rule of a plan."""
    noted = {note.name: as_plain_text(note.title) for note in manifest.rule_notes}
    return [
        (name, gettext(_TITLES[name]) if name in _TITLES else noted.get(name, name))
        for name in manifest.rules
    ]


def limits_of(manifest: Manifest) -> list[tuple[str, str]]:
    """Give each guard of a plan as it stands, by what the trigger forms call it."""
    guards = manifest.guards
    which = "read" if guards.population is None else "on the portal"
    share = (
        "no limit"
        if guards.max_share is None
        else f"{per_cent(guards.max_share)} of the {manifest.kind}s {which}"
    )
    return [
        ("Most changes allowed", shown_limit(guards.max_changes)),
        ("Largest share changed", share),
        ("Portals", ", ".join(guards.portals) or "any"),
    ]


def shown_limit(limit: int | None) -> str:
    """Give a limit on a number, or say that there is none."""
    return "no limit" if limit is None else f"{limit:,}"


def per_cent(share: float) -> str:
    """Give a share as people write it: ``20%``, ``0.5%``."""
    return f"{share * 100:.6g}%"


def no_match(manifest: Manifest) -> str:
    """Say that nothing was found that the plan is about; nothing where something was."""
    if manifest.counts.get("read", 0):
        return ""
    return f"no {manifest.kind} matches what the plan is about: its rules, filter, stages, days or list"


def approval_line(approval: Approval) -> str:
    """Say how the question stands whether a plan may be applied."""
    at = shown_timestamp(approval.at)
    end = shown_timestamp(approval.until)
    until = f", to be used until {end}" if approval.until else ""
    by, reason = as_plain_text(approval.by), as_plain_text(approval.reason)
    return {
        "waiting": f"Waits for an approval since {at}" + (f", until {end}" if approval.until else ""),
        "approved": f"Approved by {by}, {at}{until}",
        "rejected": f"Rejected by {by}, {at}",
        "unanswered": f"Nobody answered until {at}",
        "not asked": f"Nobody was asked to approve: {reason}",
    }[approval.answer]


def partial_line(why: str) -> str:
    """Say that what was seen may be a part of the portal only.

    :param why: Why, as the operators tell it.
    """
    return f"Partial view: {why}."


def origin_line(origin: Origin) -> str:
    """Say what a restore goes back to."""
    made, folder = shown_timestamp(origin.created), as_plain_text(origin.folder)
    if origin.what == "snapshot":
        return f"Brings links back to the snapshot of {made}: {folder}"
    return f"Takes back {as_plain_text(origin.run) or 'the run'}, planned {made}: {folder}"


def taken_back_line(note: TakenBack) -> str:
    """Say that a run was taken back, by which restore, when, and how far."""
    by = f" by {as_plain_text(note.by)}" if note.by else ""
    counts = ", ".join(f"{count:,} {name}" for name, count in note.counts.items() if count)
    if note.counts:
        told = f"Of its changes: {counts or 'none'}. Its own report names what it left alone, and why."
        return f"Taken back{by}, {shown_timestamp(note.at)}. {told}"
    return (
        f"A restore{by} began to take it back, {shown_timestamp(note.at)}, and has not told what came of it."
    )


def as_markdown(summary: Summary) -> str:
    """Give the summary for a log or a mail: a table of outcomes, what was left out, what it cost."""
    kind, effort = summary.manifest.kind, summary.effort
    lines = [f"### {summary.title}", ""]
    lines += [line for why in summary.partial for line in (partial_line(why), "")]
    if summary.manifest.origin:
        lines += [f"{origin_line(summary.manifest.origin)}.", ""]
    lines += [line for note in summary.taken_back for line in (taken_back_line(note), "")]
    lines += _table(("outcome", f"{kind}s", "what it means"), outcome_lines(summary))
    if summary.overwritten:
        lines += [
            "",
            f"{summary.overwritten:,} of the applied overwrote what somebody had changed meanwhile.",
        ]
    if summary.left_out:
        lines += ["", *_table(("left out because", f"{kind}s"), list(summary.left_out.items()))]
    read = summary.manifest.counts.get("read", 0)
    lines += ["", f"{read:,} {kind}s read, {summary.manifest.changes:,} changes planned."]
    if none := no_match(summary.manifest):
        lines += [f"{none[0].upper()}{none[1:]}."]
    requests = f"{effort.requests:,} request{'s' * (effort.requests != 1)}"
    lines += [f"{requests} in {effort.seconds:.1f} s, {effort.refused:,} refused by the portal."]
    if summary.approval:
        lines += [f"{approval_line(summary.approval)}."]
    if summary.contradiction:
        lines += [f"A task's result contradicts the decision: {summary.contradiction}."]
    if told := comments_line(summary):
        lines += [told]
    if summary.hidden_links:
        lines += ["", hidden_links_line(summary)]
    return "\n".join(as_plain_text(line, LONGEST_MESSAGE) for line in lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str | int]]) -> Iterator[str]:
    """Give a Markdown table whose columns also stand below each other in a log."""
    cells = [head, *([f"{one:,}" if isinstance(one, int) else _cell(one) for one in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numbers = [isinstance(one, int) for one in rows[0]]

    def line(texts: Iterable[str]) -> str:
        columns = zip(texts, widths, numbers, strict=True)
        padded = (text.rjust(width) if number else text.ljust(width) for text, width, number in columns)
        return f"| {' | '.join(padded)} |"

    yield line(head)
    rules = zip(widths, numbers, strict=True)
    yield (
        "|"
        + "|".join("-" * (width + 1) + ":" if number else ":" + "-" * (width + 1) for width, number in rules)
        + "|"
    )
    yield from map(line, cells[1:])


def _cell(text: str) -> str:
    return as_plain_text(text).replace("|", "\\|")


def as_line(summary: Summary) -> str:
    """Give the figures of a summary in a line: ``Outcomes of 211 leads: 210 applied, 1 drift``."""
    counted = {**summary.counts, "open": summary.open}
    told = ", ".join(f"{count:,} {name}" for name, count in counted.items() if count)
    kind = f"{summary.manifest.kind}{'s' * (summary.planned != 1)}"
    nothing = no_match(summary.manifest) or "nothing to change"
    return f"Outcomes of {summary.planned:,} {kind}: {told or nothing}"


def comments_line(summary: Summary) -> str:
    """Say on how many cards a comment tells of the change, and how many were refused; nothing for none."""
    made, refused = summary.effort.comments, summary.effort.refused_comments
    if not made and not refused:
        return ""
    told = f"{counted(made, 'comment')} made on the cards of {summary.manifest.kind}s"
    if not refused:
        return f"{told}."
    why = as_plain_text(summary.effort.comment_refusal)
    return f"{told}, {refused:,} refused by the portal, the first for {why.removesuffix('.')}."


def hidden_links_line(summary: Summary) -> str:
    """Say that the portal leaves links out of its lists, and what that cost."""
    times = f"{summary.hidden_links:,} times"
    return f"The portal leaves links out of crm.item.list: they were read by items.get, {times}."
