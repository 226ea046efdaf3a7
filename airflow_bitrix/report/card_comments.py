"""What is said on the card of a lead or deal that was changed. The words of it, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.links import LinkSet
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.approvals import Approval

MOST_SHOWN = 30
"""Contacts that are named; of others their number is told."""

_LONGEST = 300


@dataclass(frozen=True, slots=True)
class CardComment:
    """What a comment tells.

    :param portal: Address of the portal.
    :param before: The links that the owner had.
    :param after: Those that it has now.
    :param reasons: Why, a text for each rule that asked for it.
    :param approval: The decision about the plan; ``None`` where nobody was to decide.
    :param run: The DAG run, as people read it; empty outside of one.
    :param mark: What the comments of this plan are known by.
    """

    portal: str
    before: LinkSet
    after: LinkSet
    reasons: Sequence[str]
    approval: Approval | None
    run: str
    mark: str


def comment_mark(plan_hash: str) -> str:
    """Give what comments of a plan are known by, in any language."""
    return f"airflow-bitrix {plan_hash[:12]}"


def card_comment(told: CardComment) -> str:
    """Give the comment, in the marks of the portal's own texts (BBCode)."""
    had, has = _contacts(told.portal, told.before), _contacts(told.portal, told.after)
    what = ["[B]Contacts were changed by Airflow[/B]", f"Before: {had}", f"Now: {has}"]
    if told.before.agrees_with(told.after):  # a save, which takes a repeat flag off
        what = ["[B]Saved by Airflow[/B]", f"Contacts, as before: {has}"]
    lines = [
        *what,
        f"Why: {'; '.join(map(_plain, told.reasons)) or 'the plan says so'}",
        *_decision(told.approval),
        f"By {_plain(told.run) or 'an apply outside of Airflow'} ({told.mark})",
    ]
    return "\n".join(lines)


def _contacts(portal: str, links: LinkSet) -> str:
    if not links.links:
        return "no contacts"
    shown = [
        f"[URL={portal}/crm/contact/details/{link.contact_id}/]{link.contact_id}[/URL]"
        + (" (primary)" if link.is_primary else "")
        for link in links.links[:MOST_SHOWN]
    ]
    more = len(links.links) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _decision(approval: Approval | None) -> list[str]:
    if approval is None:
        return []
    if approval.answer == "approved":
        return [f"Approved by {_plain(approval.by)}, {shown_timestamp(approval.at)}"]
    return [f"Nobody was asked to approve: {_plain(approval.reason)}"]


def _plain(text: str) -> str:
    """Give words of others without marks: they make no links, and call nobody."""
    return as_plain_text(text, _LONGEST).replace("[", "(").replace("]", ")")
