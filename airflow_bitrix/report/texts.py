"""What a report says in words: titles, meanings, and the summary as Markdown and in a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from airflow_bitrix.core.errors import LONGEST_MESSAGE
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.kind_words import kind_words, owners, owners_of
from airflow_bitrix.core.languages import gettext, gettext_noop, ngettext, number, pgettext
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.plan import OUTCOMES
from airflow_bitrix.core.restores import RULE as RESTORE
from airflow_bitrix.core.restores import Origin
from airflow_bitrix.core.rules import RULES
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.approvals import Approval, shown_run
from airflow_bitrix.files.plans import Manifest
from airflow_bitrix.files.taken_back import TakenBack
from airflow_bitrix.report.summary import Summary

_MEANING = {
    "applied": gettext_noop("written and read back"),
    "already": gettext_noop("was right before anything was written"),
    "drift": gettext_noop("somebody changed it since the plan was made; left alone"),
    "failed": gettext_noop("not confirmed; the reason stands in failed.csv"),
    "skipped": gettext_noop("dry run: would be written"),
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
    lines: list[tuple[str, int, str]] = [
        (name, summary.counts[name], gettext(_MEANING[name])) for name in OUTCOMES
    ]
    if summary.open:
        means = gettext("the apply ended before its turn; run it again")
        if has_expired(summary):
            means = gettext("the approval has expired")
        lines.append(("open", summary.open, means))
    return lines


def has_expired(summary: Summary) -> bool:
    """Whether the approval of a plan counts no more, and no change has an outcome."""
    is_untouched = summary.open == summary.planned > 0
    return is_untouched and bool(summary.approval and summary.approval.is_over(datetime.now(UTC)))


_TITLES = {
    RESTORE: gettext_noop("Restore: bring links back to what they were"),
    "contact_map": gettext_noop("Replace contacts: put new ones in the place of old ones"),
    "company_map": gettext_noop("Replace companies of contacts: put new ones in the place of old ones"),
    "lead_to_deal": gettext_noop(
        "Lead to deal: give deals the contacts of the leads that they were made from"
    ),
    "release_moved_leads": gettext_noop(
        "Release moved leads: take from leads the contacts that all their deals hold"
    ),
    "portal_to_portal": gettext_noop(
        "Portal to portal: give owners the contacts that they have in the source"
    ),
    **{name: rule.title for name, rule in RULES.items()},
}


def rule_titles(manifest: Manifest) -> list[tuple[str, str]]:
    """Give name and title of each rule of a plan."""
    # Those of the sample rules are in the catalogue; an author's is shown as it is, with braces of its own.
    noted = {note.name: note.title.replace("{", "{{").replace("}", "}}") for note in manifest.rule_notes}
    titles = {**noted, **_TITLES}
    return [
        (name, as_plain_text(gettext(titles[name])) if name in titles else name) for name in manifest.rules
    ]


def saving_line(kind: OwnerKind) -> str:
    """Say what a write does to owners of a kind whose links are written by saving them."""
    return gettext(
        "**each change saves its {kind_it}**: that starts the portal's automation, sets the order of the "
        "contacts by tens, and makes the first of them the primary one",
        **kind_words(kind),
    )


def limits_of(manifest: Manifest) -> list[tuple[str, str]]:
    """Give each guard of a plan as it stands, by what the trigger forms call it."""
    guards = manifest.guards
    share = gettext("no limit")
    if guards.max_share is not None:
        of_read, of_all = (
            gettext_noop("{share} of the {kinds_of} read"),
            gettext_noop("{share} of the {kinds_of} on the portal"),
        )
        which = of_read if guards.population is None else of_all
        share = gettext(which, share=per_cent(guards.max_share), **kind_words(manifest.kind))
    return [
        (gettext("Most changes allowed"), shown_limit(guards.max_changes)),
        (gettext("Largest share changed"), share),
        (gettext("Portals"), ", ".join(guards.portals) or pgettext("portal", "any")),
    ]


def shown_limit(limit: int | None) -> str:
    """Give a limit on a number, or say that there is none."""
    return gettext("no limit") if limit is None else number(limit)


def per_cent(share: float) -> str:
    """Give a share as people write it: ``20%``, ``0.5%``."""
    return f"{share * 100:.6g}%"


def no_match(manifest: Manifest) -> str:
    """Say that nothing was found that the plan is about; nothing where something was."""
    if manifest.counts.get("read", 0):
        return ""
    return gettext(
        "no {kind} matches what the plan is about: its rules, filter, stages, days or list",
        **kind_words(manifest.kind),
    )


def approval_line(approval: Approval) -> str:
    """Say how the question stands whether a plan may be applied."""
    at = shown_timestamp(approval.at)
    end = shown_timestamp(approval.until)
    by, reason = as_plain_text(approval.by), as_plain_text(approval.reason)
    told = {
        "waiting": gettext_noop("Waits for an approval since {at}"),
        "approved": gettext_noop("Approved by {by}, {at}"),
        "rejected": gettext_noop("Rejected by {by}, {at}"),
        "unanswered": gettext_noop("Nobody answered until {at}"),
        "not asked": gettext_noop("Nobody was asked to approve: {why}"),
    }
    if approval.until:
        told |= {
            "waiting": gettext_noop("Waits for an approval since {at}, until {end}"),
            "approved": gettext_noop("Approved by {by}, {at}, to be used until {end}"),
        }
    return gettext(told[approval.answer], at=at, by=by, end=end, why=reason)


def partial_line(why: str) -> str:
    """Say that what was seen may be a part of the portal only.

    :param why: Why, as the operators tell it.
    """
    return gettext("Partial view: {why}.", why=why)


def origin_line(origin: Origin) -> str:
    """Say what a restore goes back to."""
    made, folder = shown_timestamp(origin.created), as_plain_text(origin.folder)
    if origin.what == "snapshot":
        return gettext("Brings links back to the snapshot of {moment}: {folder}", moment=made, folder=folder)
    run = as_plain_text(shown_run(origin.run)) or gettext("the run")
    return gettext("Takes back {run}, planned {moment}: {folder}", run=run, moment=made, folder=folder)


def taken_back_line(note: TakenBack) -> str:
    """Say that a run was taken back, by which restore, when, and how far."""
    by, at = as_plain_text(shown_run(note.by)), shown_timestamp(note.at)
    if note.counts:
        counts = ", ".join(f"{number(count)} {name}" for name, count in note.counts.items() if count)
        told = (
            gettext("Taken back by {run}, {at}.", run=by, at=at)
            if by
            else gettext("Taken back, {at}.", at=at)
        )
        of_them = gettext(
            "Of its changes: {counts}. Its own report names what it left alone, and why.",
            counts=counts or pgettext("changes", "none"),
        )
        return f"{told} {of_them}"
    if not by:
        return gettext("A restore began to take it back, {at}, and has not told what came of it.", at=at)
    return gettext(
        "A restore by {run} began to take it back, {at}, and has not told what came of it.", run=by, at=at
    )


def as_markdown(summary: Summary) -> str:
    """Give the summary for a log or a mail: a table of outcomes, what was left out, what it cost."""
    effort, words = summary.effort, kind_words(summary.manifest.kind)
    lines = [f"### {summary.title}", ""]
    lines += [line for why in summary.partial for line in (partial_line(why), "")]
    if summary.manifest.origin:
        lines += [f"{origin_line(summary.manifest.origin)}.", ""]
    lines += [line for note in summary.taken_back for line in (taken_back_line(note), "")]
    heads = (gettext("outcome"), words["kinds"], gettext("what it means"))
    lines += _table(heads, outcome_lines(summary))
    if summary.overwritten:
        lines += [
            "",
            gettext(
                "{count} of the applied overwrote what somebody had changed meanwhile.",
                count=summary.overwritten,
            ),
        ]
    if summary.left_out:
        left_out = [(gettext(why), count) for why, count in summary.left_out.items()]
        lines += ["", *_table((gettext("left out because"), words["kinds"]), left_out)]
    read = int(summary.manifest.counts.get("read", 0))
    planned = ngettext("{count} change planned", "{count} changes planned", summary.manifest.changes)
    told = gettext("{owners} read, {planned}.", owners=owners(summary.manifest.kind, read), planned=planned)
    lines += ["", told]
    if none := no_match(summary.manifest):
        lines += [f"{none[0].upper()}{none[1:]}."]
    lines += [
        gettext(
            "{requests} in {seconds} s, {refused} refused by the portal.",
            requests=ngettext("{count} request", "{count} requests", effort.requests),
            seconds=number(round(effort.seconds, 1)),
            refused=effort.refused,
        )
    ]
    if summary.approval:
        lines += [f"{approval_line(summary.approval)}."]
    if summary.contradiction:
        lines += [gettext("A task's result contradicts the decision:") + f" {summary.contradiction}."]
    if told := comments_line(summary):
        lines += [told]
    if summary.hidden_links:
        lines += ["", hidden_links_line(summary)]
    return "\n".join(as_plain_text(line, LONGEST_MESSAGE) for line in lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str | int]]) -> Iterator[str]:
    """Give a Markdown table whose columns also stand below each other in a log."""
    cells = [head, *([number(one) if isinstance(one, int) else _cell(one) for one in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    are_numbers = [isinstance(one, int) for one in rows[0]]

    def line(texts: Iterable[str]) -> str:
        columns = zip(texts, widths, are_numbers, strict=True)
        padded = (text.rjust(width) if right else text.ljust(width) for text, width, right in columns)
        return f"| {' | '.join(padded)} |"

    yield line(head)
    rules = zip(widths, are_numbers, strict=True)
    yield (
        "|"
        + "|".join("-" * (width + 1) + ":" if right else ":" + "-" * (width + 1) for width, right in rules)
        + "|"
    )
    yield from map(line, cells[1:])


def _cell(text: str) -> str:
    return as_plain_text(text).replace("|", "\\|")


def as_line(summary: Summary) -> str:
    """Give the figures of a summary in a line: ``Outcomes of 211 leads: 210 applied, 1 drift``."""
    counted = {**summary.counts, "open": summary.open}
    told = ", ".join(f"{number(count)} {name}" for name, count in counted.items() if count)
    nothing = no_match(summary.manifest) or gettext("nothing to change")
    of = owners_of(summary.manifest.kind, summary.planned)
    return gettext("Outcomes of {owners}: {counts}", owners=of, counts=told or nothing)


def comments_line(summary: Summary) -> str:
    """Say on how many cards a comment tells of the change, and how many were refused; nothing for none."""
    made, refused = summary.effort.comments, summary.effort.refused_comments
    if not made and not refused:
        return ""
    comments = ngettext("{count} comment", "{count} comments", made)
    words = kind_words(summary.manifest.kind)
    if not refused:
        return gettext("{comments} made on the cards of {kinds_of}.", comments=comments, **words)
    why = as_plain_text(summary.effort.comment_refusal)
    return gettext(
        "{comments} made on the cards of {kinds_of}, {refused} refused by the portal, the first for {why}.",
        comments=comments,
        refused=refused,
        why=why.removesuffix("."),
        **words,
    )


def hidden_links_line(summary: Summary) -> str:
    """Say that the portal leaves links out of its lists, and what that cost."""
    return gettext(
        "The portal leaves links out of crm.item.list: they were read by items.get, {count} times.",
        count=summary.hidden_links,
    )
