"""What is said on the card of an owner that was changed. The words of it, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.kind_words import linked_titled, linked_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import LinkSet
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.approvals import Approval, shown_run

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
    :param companies: Its company before and now, 0 for none; ``None`` where that stays.
    """

    portal: str
    before: LinkSet
    after: LinkSet
    reasons: Sequence[str]
    approval: Approval | None
    run: str
    mark: str
    companies: tuple[int, int] | None = None


def comment_mark(plan_hash: str) -> str:
    """Give what comments of a plan are known by, in any language."""
    return f"airflow-bitrix {plan_hash[:12]}"


def card_comment(told: CardComment) -> str:
    """Give the comment, in the marks of the portal's own texts (BBCode)."""
    words = linked_titled(told.before.owner.kind)
    had, has = _contacts(told.portal, told.before), _contacts(told.portal, told.after)
    what = [
        gettext("[B]{kinds} were changed by Airflow[/B]", **words),
        gettext("Before: {had}", had=had),
        gettext("Now: {has}", has=has),
    ]
    if told.before.agrees_with(told.after):  # a save, which takes a repeat flag off
        what = [gettext("[B]Saved by Airflow[/B]"), gettext("{kinds}, as before: {has}", has=has, **words)]
    if told.companies:
        was, is_now = (
            _card(told.portal, "company", one) if one else gettext("none") for one in told.companies
        )
        what.append(gettext("Company: {before} → {after}", before=was, after=is_now))
    lines = [
        *what,
        gettext("Why: {why}", why="; ".join(map(_plain, told.reasons)) or gettext("the plan says so")),
        *_decision(told.approval),
        gettext(
            "By {run} ({mark})",
            run=_plain(shown_run(told.run)) or gettext("an apply outside of Airflow"),
            mark=told.mark,
        ),
    ]
    return "\n".join(lines)


def _contacts(portal: str, links: LinkSet) -> str:
    if not links.links:
        return gettext("no {kinds}", **linked_words(links.owner.kind))
    shown = [
        _card(portal, family_of(links.owner.kind).linked, link.contact_id)
        + (gettext(" (primary)") if link.is_primary else "")
        for link in links.links[:MOST_SHOWN]
    ]
    more = len(links.links) - len(shown)
    return ", ".join(shown) + (gettext(" and {more} more", more=more) if more else "")


def _card(portal: str, kind: str, record_id: int) -> str:
    return f"[URL={portal}/crm/{kind}/details/{record_id}/]{record_id}[/URL]"


def _decision(approval: Approval | None) -> list[str]:
    if approval is None:
        return []
    if approval.answer == "approved":
        return [gettext("Approved by {by}, {at}", by=_plain(approval.by), at=shown_timestamp(approval.at))]
    return [gettext("Nobody was asked to approve: {why}", why=_plain(approval.reason))]


def _plain(text: str) -> str:
    """Give words of others without marks: they make no links, and call nobody."""
    return as_plain_text(text, _LONGEST).replace("[", "(").replace("]", ")")
