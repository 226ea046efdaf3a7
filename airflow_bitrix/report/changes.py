"""What a comparison of two snapshots says, as a page and in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_bitrix.core.differences import WHATS, Difference, What
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.kind_words import kind_words, linked_words
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import Owner, owner_address
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.snapshot_changes import shown_links
from airflow_bitrix.files.snapshots import Snapshot
from airflow_bitrix.report.card_links import linked_contacts
from airflow_bitrix.report.page import rendered
from airflow_bitrix.report.summary import MOST_ROWS

MEANINGS: Mapping[What, str] = {
    "new": gettext_noop("not in the earlier snapshot"),
    "gone": gettext_noop("no longer there"),
    "added": gettext_noop("{kinds} linked"),
    "removed": gettext_noop("{kinds} unlinked"),
    "order": gettext_noop("the {kinds} that stayed are in another order"),
    "sort": gettext_noop("same order, other sorts"),
    "primary": gettext_noop("another {kind} is the primary one"),
    "scalar": gettext_noop("the portal shows another {kind}, though the primary flags are the same"),
    "role": gettext_noop("a {kind} has another role"),
}
"""What the kinds of change mean, with words for what is linked."""

MEANINGS_IN_PART: Mapping[What, str] = {
    **MEANINGS,
    "new": gettext_noop("not in the earlier snapshot, or only seen since"),
    "gone": gettext_noop("no longer there, or only no longer seen"),
}
"""What they mean where the webhook's user may see a part of the portal only."""


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """One difference as the page shows it; contacts are links to their cards."""

    owner: Owner
    address: str
    what: What
    contacts: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Changes:
    """All that the page says.

    :param old: The earlier snapshot, ``None`` where there was nothing to compare with.
    :param new: The later one.
    :param counts: Differences by kind of change.
    :param owners: Owners with at least one difference.
    :param rows: The first differences of owners that are in both snapshots, then those of others.
    :param remark: Why there was nothing to compare with, or which snapshots were passed over and why.
    :param about_links: Whether any of them is about a contact: a new lead without one changes no link.
    """

    old: Snapshot | None
    new: Snapshot
    counts: Mapping[str, int]
    owners: int
    rows: Sequence[ChangedRow]
    remark: str = ""
    about_links: bool = False

    @property
    def total(self) -> int:
        """How many differences there are."""
        return sum(self.counts.values())


def gather(
    old: Snapshot,
    new: Snapshot,
    found: Iterable[Difference],
    write: Callable[[Difference], object],
    *,
    remark: str = "",
) -> Changes:
    """Count differences and write each; only as many are kept as the page shows.

    :param write: Takes each difference.
    """
    counts: Counter[str] = Counter()
    owners, last = 0, 0
    about_links = False
    changed: list[ChangedRow] = []
    others: list[ChangedRow] = []
    for one in found:
        write(one)
        counts[one.what] += 1
        owners += one.owner.id != last
        last = one.owner.id
        about_links = about_links or bool(one.contact_ids)
        kept = others if one.what in ("new", "gone") else changed
        if len(kept) < MOST_ROWS:
            kept.append(_row(new.portal, one))
    rows = [*changed, *others][:MOST_ROWS]
    told: dict[str, int] = {what: counts[what] for what in WHATS if counts[what]}
    return Changes(old, new, told, owners, rows, remark, about_links)


def nothing_to_compare(new: Snapshot, remark: str) -> Changes:
    """Give the page of a snapshot that is the first, or that no earlier one can be compared with."""
    return Changes(None, new, {}, 0, (), remark)


def _row(portal: str, one: Difference) -> ChangedRow:
    linked = family_of(one.owner.kind).linked
    return ChangedRow(
        owner=one.owner,
        address=owner_address(portal, one.owner),
        what=one.what,
        contacts=linked_contacts(", ".join(map(str, one.contact_ids)), portal, linked),
        before=linked_contacts(shown_links(one.before), portal, linked),
        after=linked_contacts(shown_links(one.after), portal, linked),
    )


def counted(changes: Changes) -> list[tuple[What, int, str]]:
    """Give each kind of change, how many there are of it, and what it means."""
    meanings = MEANINGS_IN_PART if changes.new.partial else MEANINGS
    words = linked_words(changes.new.kind)
    return [(what, changes.counts.get(what, 0), gettext(meanings[what], **words)) for what in WHATS]


def as_page(changes: Changes, *, requests: int) -> str:
    """Give the comparison as one HTML file that needs nothing else.

    :param requests: Requests that the new snapshot took.
    """
    return rendered(
        "changes.html.j2",
        changes=changes,
        words_of=kind_words(changes.new.kind),
        linked=linked_words(changes.new.kind),
        shown_timestamp=shown_timestamp,
        title=gettext("What changed in {kind} links", **kind_words(changes.new.kind)),
        new=changes.new,
        old=changes.old,
        lines=counted(changes),
        widest=max([1, *changes.counts.values()]),
        most_rows=MOST_ROWS,
        requests=requests,
    )


def figures(changes: Changes) -> dict[str, Any]:
    """Give the figures, small enough for XCom."""
    return {
        "compared_with": str(changes.old.folder) if changes.old else None,
        "remark": changes.remark,
        "changed_owners": changes.owners,
        "changes": dict(changes.counts),
    }
