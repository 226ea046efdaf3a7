"""Defaults, re-sorting, primaries, and everything that is skipped or wiped without a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from airflow_bitrix.sandbox.links import Link

if TYPE_CHECKING:
    from tests.sandbox.conftest import Client, Contacts

Links = tuple[tuple[str, int, str], ...]

ONE: Links = (("A", 10, "Y"),)
TWO: Links = (("A", 10, "Y"), ("B", 20, "N"))
THREE: Links = (("A", 10, "N"), ("B", 20, "Y"), ("C", 30, "N"))


@dataclass(frozen=True)
class Row:
    """Links before, what is sent, links after and the owner's CONTACT_ID after."""

    says: str
    before: Links
    verb: str
    sent: Any
    after: Links
    scalar: str | None


def _row(contact: Any, **more: Any) -> dict[str, Any]:
    return {"CONTACT_ID": contact, **more}


ADD = [
    Row("without a sort: the highest and ten", TWO, "add", _row("C"), (*TWO, ("C", 30, "N")), "A"),
    Row("first link without a sort: ten", (), "add", _row("A"), ONE, "A"),
    Row(
        "where all sorts are 0: ten", (("A", 0, "Y"),), "add", _row("B"), (("A", 0, "Y"), ("B", 10, "N")), "A"
    ),
    Row("sort 0 is kept", ONE, "add", _row("B", SORT=0), (("B", 0, "N"), *ONE), "A"),
    Row("an empty sort is 0", ONE, "add", _row("B", SORT=""), (("B", 0, "N"), *ONE), "A"),
    Row("a sort that is no number is 0", ONE, "add", _row("B", SORT="first"), (("B", 0, "N"), *ONE), "A"),
    Row("the first is primary whatever is sent", (), "add", _row("A", IS_PRIMARY="N"), ONE, "A"),
    Row(
        "a new primary takes it from the old one and from nobody else",
        THREE,
        "add",
        _row("D", SORT=5, IS_PRIMARY="Y"),
        (("D", 5, "Y"), ("A", 10, "N"), ("B", 20, "N"), ("C", 30, "N")),
        "D",
    ),
    Row("primary true is no primary", ONE, "add", _row("B", IS_PRIMARY=True), (*ONE, ("B", 20, "N")), "A"),
    Row("primary 1 is no primary", ONE, "add", _row("B", IS_PRIMARY=1), (*ONE, ("B", 20, "N")), "A"),
    Row("a small y makes two primaries", ONE, "add", _row("B", IS_PRIMARY="y"), (*ONE, ("B", 20, "Y")), "A"),
    Row("a role is dropped", ONE, "add", _row("B", ROLE_ID=7), (*ONE, ("B", 20, "N")), "A"),
    Row("known: nothing changes", TWO, "add", _row("B", SORT=5, IS_PRIMARY="Y"), TWO, "A"),
]
SET = [
    Row(
        "sorts count from ten, the first is primary",
        (),
        "items.set",
        [_row("C"), _row("A")],
        (("C", 10, "Y"), ("A", 20, "N")),
        "C",
    ),
    Row(
        "a sort of 0 or less counts as none",
        (),
        "items.set",
        [_row("A", SORT=0), _row("B", SORT=-5)],
        TWO,
        "A",
    ),
    Row(
        "skipped rows count for the sort and not for the primary",
        (),
        "items.set",
        [_row(0), "junk", _row("A")],
        (("A", 30, "Y"),),
        "A",
    ),
    Row(
        "the one Y is primary", (), "items.set", [_row("A"), _row("B", IS_PRIMARY="Y"), _row("C")], THREE, "B"
    ),
    Row(
        "of several Y the first wins",
        (),
        "items.set",
        [_row("A"), _row("B", IS_PRIMARY="Y"), _row("C", IS_PRIMARY="Y")],
        THREE,
        "B",
    ),
    Row(
        "a small y is ignored",
        (),
        "items.set",
        [_row("A"), _row("B", IS_PRIMARY="y")],
        TWO,
        "A",
    ),
    Row("who is not named is unlinked", THREE, "items.set", [_row("C")], (("C", 10, "Y"),), "C"),
    Row(
        "who stays without a sort is sorted anew",
        (("A", 700, "Y"), ("B", 900, "N")),
        "items.set",
        [_row("A"), _row("B")],
        TWO,
        "A",
    ),
    Row(
        "a double is written with its last sort and without the primary",
        (),
        "items.set",
        [_row("A", SORT=10), _row("B", SORT=20), _row("A", SORT=70)],
        (("B", 20, "N"), ("A", 70, "N")),
        None,
    ),
    Row("an empty list unlinks all", TWO, "items.set", [], (), None),
    Row("bare ids wipe all links", TWO, "items.set", ["A", "B", "C"], (), None),
    Row("one row in place of a list wipes all links", TWO, "items.set", _row("A"), (), None),
    Row("small keys wipe all links", TWO, "items.set", [{"contactId": "A"}, {"contact_id": "B"}], (), None),
    Row(
        "rows without a contact wipe all links", TWO, "items.set", [_row(0), _row(-1), {"SORT": 5}], (), None
    ),
    Row(
        "after a gap in the keys the rest is lost",
        (),
        "items.set",
        {"0": _row("A"), "2": _row("B")},
        ONE,
        "A",
    ),
]
DELETE = [
    Row(
        "the first by sort inherits the primary",
        THREE,
        "delete",
        _row("B"),
        (("A", 10, "Y"), ("C", 30, "N")),
        "A",
    ),
    Row(
        "inheriting goes by sort and not by id",
        (("C", 10, "N"), ("A", 20, "N"), ("B", 30, "Y")),
        "delete",
        _row("B"),
        (("C", 10, "Y"), ("A", 20, "N")),
        "C",
    ),
    Row(
        "another leaves the primary alone", THREE, "delete", _row("C"), (("A", 10, "N"), ("B", 20, "Y")), "B"
    ),
    Row("the last one empties CONTACT_ID", ONE, "delete", _row("A"), (), None),
    Row("not linked: nothing changes", TWO, "delete", _row("C"), TWO, "A"),
]
CLEAR = [Row("items.delete empties all", THREE, "items.delete", None, (), None)]


@pytest.mark.parametrize("row", [*ADD, *SET, *DELETE, *CLEAR], ids=lambda row: f"{row.verb}: {row.says}")
def test_links_after_a_call(portal: Client, kind: str, owner: int, contacts: Contacts, row: Row) -> None:
    before = [(contacts[name], sort, primary) for name, sort, primary in row.before]
    portal.link(kind, owner, before)
    assert portal.links(kind, owner) == before

    name = {"add": "fields", "delete": "fields", "items.set": "items"}.get(row.verb)
    sent = {name: contacts.named(row.sent)} if name else {}
    portal.call(f"crm.{kind}.contact.{row.verb}", {"id": owner, **sent}).result  # noqa: B018 - it must succeed

    assert portal.links(kind, owner) == [(contacts[one], sort, primary) for one, sort, primary in row.after]
    assert portal.scalar(kind, owner) == (contacts[row.scalar] if row.scalar else None)


@pytest.mark.parametrize("gone", ["A", "B"], ids=["the primary", "another"])
def test_deleting_a_contact_unlinks_it_and_flags_no_new_primary(
    portal: Client, kind: str, owner: int, contacts: Contacts, gone: str
) -> None:
    made = {name: portal.add("contact", NAME="Contract test") for name in "AB"}
    kept = made["B" if gone == "A" else "A"]
    portal.link(kind, owner, [(made["A"], 10, "Y"), (made["B"], 20, "N"), (contacts["D"], 30, "N")])
    portal.delete("contact", made[gone])
    mark = "N" if gone == "A" else "Y"
    assert sorted(portal.links(kind, owner)) == sorted(
        [(kept, 20 if gone == "A" else 10, mark), (contacts["D"], 30, "N")]
    )
    # The smallest id that is left, of which D's is the smaller one where the primary went.
    assert portal.scalar(kind, owner) == (min(kept, contacts["D"]) if gone == "A" else kept)


def test_set_gives_rewritten_rows_role_0_and_leaves_the_others(sandbox: Any, client: Client) -> None:
    lead = sandbox.state.add("lead", {})
    links = (Link(10, 1, primary=True, role_id=5), Link(25, 2, role_id=5))
    sandbox.state.write_links("lead", lead, links)
    client.call("crm.lead.contact.add", {"id": lead, "fields": {"CONTACT_ID": 3}})
    client.call("crm.lead.contact.delete", {"id": lead, "fields": {"CONTACT_ID": 3}})
    assert [one.role_id for one in sandbox.state.links("lead", lead)] == [5, 5]
    client.call("crm.lead.contact.items.set", {"id": lead, "items": [{"CONTACT_ID": 1}, {"CONTACT_ID": 2}]})
    assert [one.role_id for one in sandbox.state.links("lead", lead)] == [5, 0]
