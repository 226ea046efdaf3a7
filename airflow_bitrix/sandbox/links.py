"""What the portal does to a link set. Pure functions over sorted tuples of links.

The rules, traps included, are those of the portal's own binding code: see the comments at each.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from airflow_bitrix.sandbox import php

STEP = 10


class Link(NamedTuple):
    """One contact link. Tuples sort by sort and then by contact, as the portal's table is read."""

    sort: int
    contact_id: int
    primary: bool = False
    role_id: int = 0


LinkSet = tuple[Link, ...]


def find(links: LinkSet, contact_id: int) -> Link | None:
    """The link of a contact, if there is one."""
    return next((link for link in links if link.contact_id == contact_id), None)


def scalar(links: LinkSet) -> int | None:
    """What the owner's CONTACT_ID becomes: the smallest id among the rows flagged primary."""
    return min((link.contact_id for link in links if link.primary), default=None)


def added(before: LinkSet, contact_id: int, fields: Any) -> LinkSet:
    """The set after ``add`` of a contact that is not in it."""
    sent_sort, sent_primary = php.item(fields, "SORT"), php.item(fields, "IS_PRIMARY")
    highest = max((link.sort for link in before), default=0)
    sort = max(highest, 0) + STEP if sent_sort is None else php.to_int(sent_sort)
    takes_over = sent_primary == "Y" or not any(link.primary for link in before)
    # "y" is not seen as a claim, so nobody steps back, but the row is stored with an upper-case "Y".
    primary = takes_over or (isinstance(sent_primary, str) and sent_primary.upper() == "Y")
    kept = (link._replace(primary=False) for link in before) if takes_over else before
    return tuple(sorted((*kept, Link(sort, contact_id, primary))))


def removed(before: LinkSet, contact_id: int) -> LinkSet:
    """The set after ``delete`` of a contact that is in it: the first that is left inherits the primary."""
    rest = tuple(link for link in before if link.contact_id != contact_id)
    gone = find(before, contact_id)
    if rest and gone and gone.primary and not any(link.primary for link in rest):
        return (rest[0]._replace(primary=True), *rest[1:])
    return rest


def replaced(before: LinkSet, items: Any) -> LinkSet:
    """The set after ``items.set``: a full replacement that skips every malformed row without a word."""
    rows: list[Link] = []
    claims: list[bool] = []
    for index in range(len(php.values(items))):
        # The portal counts upwards from 0: after a gap in the keys the last rows are never looked at.
        row = php.item(items, str(index))
        contact_id = php.to_numeric_id(php.item(row, "CONTACT_ID")) if php.is_array(row) else 0
        if contact_id > 0:
            sort = php.to_int(php.item(row, "SORT"))
            rows.append(Link(sort if sort > 0 else (index + 1) * STEP, contact_id))
            claims.append(php.item(row, "IS_PRIMARY") == "Y")
    if not rows:
        return ()
    winner = claims.index(True) if True in claims else 0
    after: dict[int, Link] = {}
    for position, row in enumerate(rows):
        # A contact that comes twice is written with its last row, which may have lost the primary.
        after[row.contact_id] = row._replace(primary=position == winner)
    for contact_id, row in after.items():
        old = find(before, contact_id)
        if old and (old.sort, old.primary) == (row.sort, row.primary):
            after[contact_id] = old
    return tuple(sorted(after.values()))


def from_ids(before: LinkSet, contact_ids: list[int]) -> LinkSet:
    """The set after a save with ``CONTACT_IDS``: sorts 10, 20, 30 …, the first is primary."""
    unique = [contact_id for contact_id in dict.fromkeys(contact_ids) if contact_id > 0]
    fields: list[dict[str, Any]] = [{"CONTACT_ID": contact_id} for contact_id in unique]
    return replaced(before, fields)


def as_rows(links: LinkSet) -> list[dict[str, Any]]:
    """The result of ``items.get``."""
    return [
        {
            "CONTACT_ID": link.contact_id,
            "SORT": link.sort,
            "ROLE_ID": link.role_id,
            "IS_PRIMARY": "Y" if link.primary else "N",
        }
        for link in links
    ]
