"""What the portal holds: records, links, and what a save does to them. In memory, no HTTP."""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_bitrix.sandbox import links as link_rules
from airflow_bitrix.sandbox import php
from airflow_bitrix.sandbox.clock import Clock
from airflow_bitrix.sandbox.link_tables import LinkTable, MirroredTable
from airflow_bitrix.sandbox.links import Edit
from airflow_bitrix.sandbox.schema import BY_NAME, KINDS, RECORDS, Kind, semantic_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_bitrix.sandbox.links import LinkSet

Row = dict[str, Any]


MOST_MESSAGES = 10_000
"""Messages that are remembered; older ones are forgotten."""


class Comment(NamedTuple):
    """A comment on the timeline of a record."""

    id: int
    kind: Kind
    owner_id: int
    text: str
    author: int
    created: int


class Message(NamedTuple):
    """What somebody was told: a message of a dialog, or a notification."""

    id: int
    to: str
    text: str
    kind: str
    sent: int


@dataclass
class Table:
    """Records of one kind by id, with the ids in order so that ranges are found without a walk."""

    rows: dict[int, Row] = field(default_factory=dict)
    ids: list[int] = field(default_factory=list)
    next_id: int = 1

    def insert(self, row: Row) -> int:
        """Give the row the next id and keep it."""
        row["ID"] = record_id = self.next_id
        self.next_id += 1
        self.rows[record_id] = row
        self.ids.append(record_id)
        return record_id

    def remove(self, record_id: int) -> None:
        """Forget a record; its id is never given again."""
        del self.rows[record_id]
        del self.ids[bisect.bisect_left(self.ids, record_id)]

    def between(self, low: int, high: int) -> list[int]:
        """The ids from low to high, both included."""
        return self.ids[bisect.bisect_left(self.ids, low) : bisect.bisect_right(self.ids, high)]


class State:
    """The portal's data.

    Rows are dicts by the upper-case field names of the schema; a field that was never set is absent.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.flag_at_once = False
        self.company_takes_primary = True
        self.users: dict[int, Row] = {}
        self.comments: dict[int, Comment] = {}
        """By id; those of records that were deleted stay, and nobody can read them."""
        self.messages: deque[Message] = deque(maxlen=MOST_MESSAGES)
        self._next_post = 1
        self.tables: dict[Kind, Table] = {kind: Table() for kind in KINDS}
        tables = {kind: LinkTable() for kind, record in RECORDS.items() if record.scalar}
        self._links: dict[Kind, LinkTable | MirroredTable] = {
            **tables,
            "company": MirroredTable(tables["contact"]),
        }

    # Reading

    def row(self, kind: Kind, record_id: int) -> Row | None:
        """One record, if it exists."""
        return self.tables[kind].rows.get(record_id)

    def value(self, kind: Kind, row: Row, name: str) -> Any:
        """A field of a row, or the field's default."""
        found = row.get(name)
        return BY_NAME[kind][name].default if found is None else found

    def links(self, kind: Kind, owner_id: int) -> LinkSet:
        """The link set of a record, in order."""
        return self._links[kind].of(owner_id)

    def owners_of(self, kind: Kind, linked_ids: Iterable[int]) -> set[int]:
        """The records of a kind that any of these contacts, or of these companies, is linked to."""
        return set().union(*map(self._links[kind].owners, linked_ids))

    # Links

    def write_links(self, kind: Kind, owner_id: int, after: LinkSet | Edit) -> None:
        """Store a link set as the link methods do: the scalar follows, nothing else changes."""
        before = self.links(kind, owner_id)
        edit = after if isinstance(after, Edit) else link_rules.edit(before, after)
        if edit.after == before and not edit.written:
            return
        self.place_links(kind, owner_id, edit.after)
        if RECORDS[kind].scalar:
            self._show_primary(kind, owner_id)
        else:
            self._lose(
                {link.contact_id for link in before} - {link.contact_id for link in edit.after}, owner_id
            )
            self._make_primary(owner_id, edit.written)
        if self.flag_at_once and kind == "lead":
            row = self.tables[kind].rows[owner_id]
            self._recalculate_flag(owner_id, row, was=self.value(kind, row, "STATUS_SEMANTIC_ID"))

    def place_links(self, kind: Kind, owner_id: int, after: LinkSet) -> None:
        """Store a link set and leave all records alone: how a seed plants what is at odds."""
        self._links[kind].place(owner_id, after)

    def clear_links(self, kind: Kind, owner_id: int) -> None:
        """Remove every link; the scalar is emptied even where there was nothing to remove."""
        self.write_links(kind, owner_id, ())
        scalar = RECORDS[kind].scalar
        if not scalar:
            # Of all that show this company, also without a link.
            self._lose(self.tables["contact"].rows, owner_id)
        elif row := self.row(kind, owner_id):
            row[scalar] = None

    def _show_primary(self, kind: Kind, owner_id: int) -> None:
        if row := self.row(kind, owner_id):
            row[RECORDS[kind].scalar] = link_rules.scalar(self.links(kind, owner_id))

    def _lose(self, contact_ids: Iterable[int], company_id: int) -> None:
        """Show another company of contacts that a company let go, without flagging one."""
        for contact_id in contact_ids:
            row = self.row("contact", contact_id)
            if row and row.get("COMPANY_ID") == company_id:
                rest = self.links("contact", contact_id)
                row["COMPANY_ID"] = min((link.contact_id for link in rest), default=None)

    def _make_primary(self, company_id: int, contact_ids: Iterable[int]) -> None:
        """What a company does to each contact whose row it writes: it becomes the contact's one primary."""
        for contact_id in contact_ids:
            links = self.links("contact", contact_id)
            others = {link.contact_id for link in links if link.primary} - {company_id}
            wanted = {company_id} if self.company_takes_primary or not others else others
            flagged = tuple(link._replace(primary=link.contact_id in wanted) for link in links)
            self.place_links("contact", contact_id, flagged)
            self._show_primary("contact", contact_id)

    # Words

    def comment(self, kind: Kind, owner_id: int, text: str, author: int) -> int:
        """Put a comment on the timeline of a record, and give its id."""
        made = Comment(self._post_id(), kind, owner_id, text, author, int(self.clock.time()))
        self.comments[made.id] = made
        return made.id

    def comments_on(self, kind: Kind, owner_id: int) -> list[Comment]:
        """The comments on a record, in the order in which they came."""
        return [one for one in self.comments.values() if (one.kind, one.owner_id) == (kind, owner_id)]

    def message(self, to: str, text: str, kind: str) -> int:
        """Tell somebody something, and give the id of the message."""
        made = Message(self._post_id(), to, text, kind, int(self.clock.time()))
        self.messages.append(made)
        return made.id

    def _post_id(self) -> int:
        self._next_post += 1
        return self._next_post - 1

    # Records

    def add(self, kind: Kind, fields: Mapping[str, Any], user: int = 1) -> int:
        """Create a record from upper-case fields and return its id."""
        row: Row = {"ASSIGNED_BY_ID": user, "CREATED_BY_ID": user, "DATE_CREATE": int(self.clock.time())}
        record_id = self.tables[kind].insert(row)
        self._save(kind, record_id, fields, user=user, was="")
        if not row.get("TITLE") and "TITLE" in BY_NAME[kind]:
            row["TITLE"] = f"{RECORDS[kind].name} #{record_id}"
        return record_id

    def update(self, kind: Kind, record_id: int, fields: Mapping[str, Any], user: int = 1) -> None:
        """Save a record: even without a single field this is a save, with all that hangs on one."""
        row = self.tables[kind].rows[record_id]
        semantic = RECORDS[kind].semantic
        was = self.value(kind, row, semantic) if semantic else ""
        self._save(kind, record_id, fields, user=user, was=was)

    def delete(self, kind: Kind, record_id: int) -> None:
        """Delete a record, its links, and those to it: no owner gets a new primary flagged by it."""
        if kind == "contact":
            for owner_kind, record in RECORDS.items():
                if record.family.linked == kind and record.scalar:
                    self._unbind_everywhere(owner_kind, record_id)
        if kind == "company":
            self._forget_company(record_id)
        self.clear_links(kind, record_id)
        row = self.tables[kind].rows[record_id]
        self.tables[kind].remove(record_id)
        if kind == "deal":
            self._recalculate_deals(row)

    def _forget_company(self, company_id: int) -> None:
        """Take a company off leads, which are saved by that, and off deals; quotes and items keep it."""
        for kind in ("lead", "deal"):
            for record_id, row in self.tables[kind].rows.items():
                if row.get("COMPANY_ID") == company_id:
                    row["COMPANY_ID"] = None
                    if kind == "lead":
                        self.update(kind, record_id, {})

    def _unbind_everywhere(self, kind: Kind, linked_id: int) -> None:
        scalar = RECORDS[kind].scalar
        for owner_id in self.owners_of(kind, (linked_id,)):
            rest = tuple(link for link in self.links(kind, owner_id) if link.contact_id != linked_id)
            self.place_links(kind, owner_id, rest)
            row = self.row(kind, owner_id)
            # What is written by saves alone has its rows taken away, and goes on showing whom it showed.
            if row and row.get(scalar) == linked_id and not RECORDS[kind].family.is_saved:
                row[scalar] = min((link.contact_id for link in rest), default=None)

    def _save(self, kind: Kind, record_id: int, fields: Mapping[str, Any], *, user: int, was: str) -> None:
        row, record = self.tables[kind].rows[record_id], RECORDS[kind]
        before = (row.get("COMPANY_ID"), row.get("CONTACT_ID"))
        for name, value in fields.items():
            known = BY_NAME[kind].get(name)
            if known and not known.read_only and name != record.scalar:
                row[name] = known.clean(value)
        row.update(DATE_MODIFY=int(self.clock.time()), MODIFY_BY_ID=user)
        semantic = semantic_of(self.value(kind, row, record.stage)) if record.stage else ""
        if record.semantic:
            row[record.semantic] = semantic
        if "CLOSED" in BY_NAME[kind]:
            row["CLOSED"] = "N" if semantic == "P" else "Y"
        self._save_links(kind, record_id, fields)
        if kind == "lead":
            self._recalculate_flag(record_id, row, was, enrich=True)
        if kind == "deal":
            lead = self.row("lead", row.get("LEAD_ID") or 0)
            if not was and lead and self.value("lead", lead, "IS_RETURN_CUSTOMER") == "Y":
                row["IS_REPEATED_APPROACH"] = "Y"
            self._recalculate_deals({"COMPANY_ID": before[0], "CONTACT_ID": before[1]})
            self._recalculate_deals(row)

    def _save_links(self, kind: Kind, owner_id: int, fields: Mapping[str, Any]) -> None:
        before, record = self.links(kind, owner_id), RECORDS[kind]
        if record.links in fields:
            sent = fields[record.links]
            ids = [php.to_int(value) for value in php.values(sent)] if php.is_array(sent) else []
        elif record.family.is_shared:
            if "CONTACT_ID" in fields:
                self._save_members(owner_id, fields["CONTACT_ID"])
            return
        elif record.scalar in fields:
            wanted = php.to_int(fields[record.scalar])
            if link_rules.find(before, wanted):
                return
            ids = [wanted]
        else:
            return
        after = link_rules.from_ids(before, ids).after
        if record.family.is_shared or record.family.is_saved:
            # A save leaves one row flagged: of a company, too, whatever these contacts have been elsewhere.
            after = tuple(link._replace(primary=place == 0) for place, link in enumerate(after))
        self.place_links(kind, owner_id, after)
        if not record.family.is_shared:
            self._show_primary(kind, owner_id)
        elif (seen := {link.contact_id for link in before}) != (
            seen_now := {link.contact_id for link in after}
        ):
            for contact_id in seen | seen_now:
                self._show_a_company(contact_id)

    def _save_members(self, company_id: int, sent: Any) -> None:
        """What the older methods do with the contacts of a company that is saved: who is new comes first."""
        # One id is a list of it: all others go.
        given = php.values(sent) if php.is_array(sent) else [sent]
        ids = {contact_id for one in given if (contact_id := php.to_int(one)) > 0}
        if not ids:
            self.clear_links("company", company_id)
            return
        before = self.links("company", company_id)
        new = ids - {link.contact_id for link in before}
        kept = [link for link in before if link.contact_id in ids]
        made = [link_rules.Link(link_rules.STEP, one, primary=True) for one in new]
        self.write_links("company", company_id, Edit(tuple(sorted((*kept, *made))), frozenset(new)))

    def _show_a_company(self, contact_id: int) -> None:
        """Show a contact's primary company on its card, or the smallest where none is flagged."""
        links = self.links("contact", contact_id)
        if row := self.row("contact", contact_id):
            smallest = min((link.contact_id for link in links), default=None)
            row["COMPANY_ID"] = link_rules.scalar(links) or smallest

    def _recalculate_flag(self, lead_id: int, row: Row, was: str, *, enrich: bool = False) -> None:
        if "S" in (was, row.get("STATUS_SEMANTIC_ID", "P")):
            return
        repeat = bool(self.links("lead", lead_id) or row.get("COMPANY_ID"))
        if enrich and repeat and row.get("IS_RETURN_CUSTOMER", "N") == "N":
            self._enrich(row)
        row["IS_RETURN_CUSTOMER"] = "Y" if repeat else "N"

    def _enrich(self, lead: Row) -> None:
        """Carry a lead's phones and e-mails over to company and primary contact, its name to the latter."""
        for kind, names in (("company", ()), ("contact", ("NAME", "SECOND_NAME", "LAST_NAME"))):
            client = self.row(kind, lead.get(f"{kind.upper()}_ID") or 0)
            if client is None:
                continue
            for name in names:
                client[name] = client.get(name) or lead.get(name)
            for name in ("PHONE", "EMAIL"):
                own: tuple[tuple[str, str], ...] = client.get(name) or ()
                new = [pair for pair in lead.get(name) or () if pair[0] not in {value for value, _ in own}]
                client[name] = (*own, *new)

    def _recalculate_deals(self, like: Mapping[str, Any]) -> None:
        """Flag the deals of one customer: all are repeats but the earliest won, once one is won."""
        company, contact = like.get("COMPANY_ID") or 0, like.get("CONTACT_ID") or 0
        rows = self.tables["deal"].rows
        if company:
            deals = [row for row in rows.values() if row.get("COMPANY_ID") == company]
        elif contact:
            owners = sorted(self.owners_of("deal", (contact,)))
            deals = [rows[deal_id] for deal_id in owners if not rows[deal_id].get("COMPANY_ID")]
            deals = [row for row in deals if row.get("CONTACT_ID") == contact]
        else:
            return
        flag_repeat_deals(deals)


def flag_repeat_deals(deals: Iterable[Row]) -> None:
    """Flag the deals of one customer, in order of id: once one is won, all the others are repeats."""
    rows = list(deals)
    won = next((row for row in rows if row.get("STAGE_SEMANTIC_ID") == "S"), None)
    for row in rows:
        row["IS_RETURN_CUSTOMER"] = "Y" if won is not None and row is not won else "N"
