"""What the portal does to a link set. Pure functions over sorted tuples of links.

The rules, traps included, are those of the portal's own binding code: see the comments at each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_bitrix.sandbox import php

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STEP = 10


class Link(NamedTuple):
    """One link. Tuples sort by sort and then by contact, as the portal's table is read.

    Where the owner is a contact, a company is what is linked, and ``contact_id`` is the company's.
    """

    sort: int
    contact_id: int
    primary: bool = False
    role_id: int = 0


LinkSet = tuple[Link, ...]


class Edit(NamedTuple):
    """What is written: the set that comes of it, and whose rows the portal writes, changed or not."""

    after: LinkSet
    written: frozenset[int]


def find(links: LinkSet, contact_id: int) -> Link | None:
    """The link of a contact, if there is one."""
    return next((link for link in links if link.contact_id == contact_id), None)


def scalar(links: LinkSet) -> int | None:
    """What the owner's CONTACT_ID becomes: the smallest id among the rows flagged primary."""
    return min((link.contact_id for link in links if link.primary), default=None)


def internalized(row: Any, key: str) -> dict[str, Any]:
    """What the portal keeps of a row that was sent: three names, and of these no arrays and no nulls."""
    sent = dict(php.items(row))
    kept: dict[str, Any] = {}
    for name, cast in ((key, php.to_int), ("SORT", php.to_int), ("IS_PRIMARY", php.to_text)):
        if name in sent:
            value = sent[name]
            kept[name] = cast(value) if value is None or php.is_array(value) else value
    return kept


def edit(before: LinkSet, after: LinkSet) -> Edit:
    """Write what differs."""
    return Edit(after, frozenset(link.contact_id for link in after if link not in before))


def _written(before: LinkSet, wanted: Sequence[Link]) -> Edit:
    """The edit by which the portal writes what it takes for the difference between two lists of rows.

    Of rows that are new the last of a contact counts, of those that are there the first whose sort differs.
    """
    stored = {link.contact_id: link for link in before}
    last = {row.contact_id: row for row in wanted}
    written = {contact_id: row for contact_id, row in last.items() if contact_id not in stored}
    for row in wanted:
        if row.contact_id not in written and row.sort != stored[row.contact_id].sort:
            written[row.contact_id] = row
    # With several primary rows the portal knows of the last one only.
    was = next((link.contact_id for link in reversed(before) if link.primary), 0)
    now = next((row.contact_id for row in reversed(wanted) if row.primary), 0)
    if was != now:
        if now and now not in written:
            written[now] = last[now]._replace(primary=True)
        if was in last:
            written[was] = last[was]._replace(primary=False)
    after = tuple(sorted(written.get(contact_id) or stored[contact_id] for contact_id in last))
    return Edit(after, frozenset(written))


def added(before: LinkSet, contact_id: int, fields: Mapping[str, Any], sent: Any) -> Edit:
    """``add`` of a contact that is not in the set.

    :param sent: The contact's id as it was sent.
    """
    claim = fields.get("IS_PRIMARY")
    highest = max((link.sort for link in before), default=0)
    new = Link(php.to_int(fields.get("SORT", php.number(max(highest, 0) + STEP))), contact_id)
    if claim != "Y" and any(link.primary for link in before):
        # "y" is not seen as a claim, so nobody steps back, but the row is stored with an upper-case "Y".
        new = new._replace(primary=str(claim).upper() == "Y")
        return Edit(tuple(sorted((*before, new))), frozenset((contact_id,)))
    # The portal looks for the new row by the id as it was sent: "5abc" is linked as 5, but not found as 5.
    is_found = php.compare(sent, contact_id) == 0
    return _written(
        before, (*(link._replace(primary=False) for link in before), new._replace(primary=is_found))
    )


def removed(before: LinkSet, contact_id: int, *, heir: bool = True) -> Edit:
    """``delete`` of a contact that is in the set: the first that is left inherits the primary, or nobody."""
    if not heir:
        return Edit(tuple(link for link in before if link.contact_id != contact_id), frozenset())
    rest = [link for link in before if link.contact_id != contact_id]
    if any(link.primary for link in before if link.contact_id == contact_id):
        rest = [link._replace(primary=place == 0) for place, link in enumerate(rest)]
    return _written(before, rest)


def replaced(before: LinkSet, items: Any, key: str = "CONTACT_ID", *, keeps_sorts: bool = False) -> Edit:
    """``items.set``: a full replacement that skips every malformed row without a word.

    :param keeps_sorts: A sort that is not sent stays; else rows are counted anew.
    """
    sorts = {link.contact_id: link.sort for link in before} if keeps_sorts else {}
    rows: list[Link] = []
    claims: list[bool] = []
    for index in range(len(php.values(items))):
        # The portal counts upwards from 0: after a gap in the keys the last rows are never looked at.
        row = internalized(php.item(items, str(index)), key)
        if (contact_id := php.to_int(row.get(key))) > 0:
            # It compares before it casts: "abc" and 0.5 are above 0, and stored as 0.
            is_above = php.compare(row.get("SORT", 0), 0) > 0
            sort = php.to_int(row["SORT"]) if is_above else sorts.get(contact_id, (index + 1) * STEP)
            rows.append(Link(sort, contact_id))
            claims.append(row.get("IS_PRIMARY") == "Y")
    winner = claims.index(True) if True in claims else 0
    return _written(before, [row._replace(primary=place == winner) for place, row in enumerate(rows)])


def from_ids(before: LinkSet, contact_ids: list[int]) -> Edit:
    """A save with ``CONTACT_IDS``: sorts 10, 20, 30 …, the first is primary.

    Of one that comes twice the last place counts, but for the first of all; the other leaves a gap.
    """
    there = [contact_id for contact_id in contact_ids if contact_id > 0]
    sorts = {contact_id: place * STEP for place, contact_id in enumerate(there, 1)}
    sorts |= dict.fromkeys(there[:1], STEP)
    rows = sorted(sorts.items(), key=lambda row: row[1])
    return replaced(before, [{"CONTACT_ID": contact_id, "SORT": sort} for contact_id, sort in rows])


def as_rows(links: LinkSet, key: str = "CONTACT_ID") -> list[dict[str, Any]]:
    """The result of ``items.get``."""
    return [
        {
            key: link.contact_id,
            "SORT": link.sort,
            "ROLE_ID": link.role_id,
            "IS_PRIMARY": "Y" if link.primary else "N",
        }
        for link in links
    ]
