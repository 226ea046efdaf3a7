"""Changes: how one stands against the portal, and what its commands make of the portal's links."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_bitrix.core import methods
from airflow_bitrix.core.link_writes import Command, save_command, write_commands
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change, standing

LEAD = Owner("lead", 5)


class PortalLinks:
    """The contacts of one owner, after the rules that the portal itself keeps to."""

    def __init__(self, links: LinkSet) -> None:
        self.rows: dict[int, dict[str, Any]] = {
            link.contact_id: {"SORT": link.sort or 10 * number, "IS_PRIMARY": "Y" if link.is_primary else "N"}
            for number, link in enumerate(links.links, start=1)
        }

    def carry_out(self, command: Command) -> None:
        method, params = command
        match methods.METHODS[method].verb:
            case "items.delete":
                self.rows.clear()
            case "delete":
                self._delete(params["fields"]["CONTACT_ID"])
            case "items.set":
                self._set(params["items"])
            case "add":
                self._add(params["fields"])
            case verb:
                pytest.fail(f"{verb} is not expected in a change")

    def _add(self, fields: dict[str, Any]) -> None:
        last = max((row["SORT"] for row in self.rows.values()), default=0)
        has_primary = any(row["IS_PRIMARY"] == "Y" for row in self.rows.values())
        flag = "N" if has_primary else "Y"
        self.rows[fields["CONTACT_ID"]] = {"SORT": fields.get("SORT", last + 10), "IS_PRIMARY": flag}

    def _set(self, items: list[dict[str, Any]]) -> None:
        rows: dict[int, dict[str, Any]] = {}
        for index, item in enumerate(items, start=1):
            sort = int(item.get("SORT") or 0)
            flag = "Y" if item.get("IS_PRIMARY") == "Y" else "N"
            rows[item["CONTACT_ID"]] = {"SORT": sort if sort > 0 else 10 * index, "IS_PRIMARY": flag}
        if not any(row["IS_PRIMARY"] == "Y" for row in rows.values()):
            next(iter(rows.values()))["IS_PRIMARY"] = "Y"
        self.rows = rows

    def _delete(self, contact_id: int) -> None:
        was_primary = self.rows.pop(contact_id)["IS_PRIMARY"] == "Y"
        if was_primary and self.rows:
            self.rows[self._in_order()[0]]["IS_PRIMARY"] = "Y"

    def _in_order(self) -> list[int]:
        return sorted(self.rows, key=lambda contact_id: (self.rows[contact_id]["SORT"], contact_id))

    def exact(self) -> LinkSet:
        rows = [{"CONTACT_ID": contact_id, "ROLE_ID": 0, **row} for contact_id, row in self.rows.items()]
        return methods.links_of(LEAD, rows)

    def scanned(self) -> LinkSet:
        primaries = [contact_id for contact_id, row in self.rows.items() if row["IS_PRIMARY"] == "Y"]
        return LinkSet.of_ids(LEAD, self._in_order(), min(primaries, default=None))


def ids(*contact_ids: int, primary: int | None = None) -> LinkSet:
    return LinkSet.of_ids(LEAD, contact_ids, primary or next(iter(contact_ids), None))


def rows(*links: tuple[int, int, bool]) -> LinkSet:
    return LinkSet(LEAD, tuple(ContactLink(*link, role_id=0) for link in links))


def change(before: LinkSet, after: LinkSet, **options: Any) -> Change:
    return Change(before, after, ("why",), **options)


@st.composite
def link_sets(draw: st.DrawFn) -> LinkSet:
    """Any link set that the portal can be in and keep: distinct sorts above 0, one primary."""
    contact_ids = draw(st.lists(st.integers(1, 9), unique=True, max_size=6))
    sorts = sorted(draw(st.sets(st.integers(1, 90), min_size=6, max_size=6)))
    primary = draw(st.sampled_from(contact_ids)) if contact_ids else None
    if draw(st.booleans()):
        return LinkSet.of_ids(LEAD, contact_ids, primary)
    return rows(*zip(contact_ids, sorts, [contact == primary for contact in contact_ids], strict=False))


@given(link_sets(), link_sets())
@example(ids(1), rows((1, 1, True), (2, 2, False)))  # 1 may stand behind 2: its sort is not known
@example(rows((1, 5, True), (2, 50, False)), ids(1, 3, 2, primary=1))  # an add comes behind the largest sort
@example(rows((1, 1, True)), ids(2, 1, primary=1))  # an add would come behind 1, whose sort is known
def test_a_changes_commands_turn_what_was_there_into_what_is_wanted(before: LinkSet, after: LinkSet) -> None:
    portal = PortalLinks(before)
    commands = write_commands(change(before, after))
    assert len(commands) == (0 if before.agrees_with(after) else 1)
    for command in commands:
        portal.carry_out(command)
    assert after.agrees_with(portal.scanned())
    if before.is_exact:  # a scan does not know the sorts, so it cannot see that only they differ
        assert after.agrees_with(portal.exact())
    if commands and commands[0][0].endswith("items.set"):
        assert portal.exact().contact_ids == after.contact_ids


@given(link_sets(), link_sets())
def test_a_change_that_was_carried_out_is_done_and_needs_nothing_more(
    before: LinkSet, after: LinkSet
) -> None:
    portal = PortalLinks(before)
    planned = change(before, after)
    for command in write_commands(planned):
        portal.carry_out(command)
    assert standing(planned, OwnerState(portal.scanned())) == ("done", "")
    assert write_commands(change(portal.scanned(), after)) == []


COMMANDS: list[tuple[str, LinkSet, LinkSet, list[Command]]] = [
    ("nothing to nothing", ids(), ids(), []),
    ("same ids", ids(7, 8), ids(7, 8), []),
    ("all go", ids(7, 8), ids(), [("crm.lead.contact.items.delete", {"id": 5})]),
    (
        "one of two goes",
        ids(7, 8),
        ids(7),
        [("crm.lead.contact.delete", {"id": 5, "fields": {"CONTACT_ID": 8}})],
    ),
    (
        "the primary goes, the next takes its place",
        ids(7, 8, 9),
        ids(8, 9),
        [("crm.lead.contact.delete", {"id": 5, "fields": {"CONTACT_ID": 7}})],
    ),
    (
        "the primary goes, another than the next is wanted",
        ids(7, 8, 9),
        ids(8, 9, primary=9),
        [
            (
                "crm.lead.contact.items.set",
                {
                    "id": 5,
                    "items": [{"CONTACT_ID": 8, "IS_PRIMARY": "N"}, {"CONTACT_ID": 9, "IS_PRIMARY": "Y"}],
                },
            )
        ],
    ),
    (
        "only the primary changes",
        rows((7, 10, True), (8, 20, False)),
        rows((7, 10, False), (8, 20, True)),
        [
            (
                "crm.lead.contact.items.set",
                {
                    "id": 5,
                    "items": [
                        {"CONTACT_ID": 7, "IS_PRIMARY": "N", "SORT": 10},
                        {"CONTACT_ID": 8, "IS_PRIMARY": "Y", "SORT": 20},
                    ],
                },
            )
        ],
    ),
]


@pytest.mark.parametrize(
    ("before", "after", "expected"), [row[1:] for row in COMMANDS], ids=[row[0] for row in COMMANDS]
)
def test_a_change_takes_the_smallest_command_that_does_it(
    before: LinkSet, after: LinkSet, expected: list[Command]
) -> None:
    assert write_commands(change(before, after)) == expected


def test_commands_of_a_deal_are_the_deals_own() -> None:
    deal = Owner("deal", 6)
    gone = Change(LinkSet.of_ids(deal, [7], 7), LinkSet(deal), ("why",))
    assert write_commands(gone) == [("crm.deal.contact.items.delete", {"id": 6})]


def test_a_wanted_order_is_kept_where_a_wanted_sort_is_0() -> None:
    """A link may have sort 0, but ``items.set`` takes 0 for "not given" and counts 10, 20, 30 instead."""
    after = rows((7, 0, True), (8, 5, False))
    portal = PortalLinks(ids(9))
    for command in write_commands(change(ids(9), after)):
        portal.carry_out(command)
    assert portal.exact().contact_ids == (7, 8)


SAVES = [
    ("no contact is left", ids(), 0),
    ("one contact is left", ids(7), 7),
    ("the primary of several", ids(7, 8, primary=8), 8),
]


@pytest.mark.parametrize(("after", "named"), [row[1:] for row in SAVES], ids=[row[0] for row in SAVES])
def test_a_save_names_the_contact_that_is_there_already(after: LinkSet, named: int) -> None:
    expected = ("crm.lead.update", {"id": 5, "fields": {"CONTACT_ID": named}})
    assert save_command(change(ids(7, 8), after, save=True)) == expected


def test_a_save_never_names_contact_0_where_contacts_are_to_stay() -> None:
    """Contact 0 removes all links; contacts without a primary flag are a state that the portal allows."""
    unflagged = LinkSet(LEAD, (ContactLink(7), ContactLink(8)))
    _, params = save_command(change(unflagged, unflagged, save=True))
    assert params["fields"]["CONTACT_ID"] in (7, 8)


RELEASE = change(ids(7, 8), ids(), save=True, ends_repeat=True)
SAVE_ONLY = change(ids(), ids(), save=True, ends_repeat=True)
DROP_8 = change(ids(7, 8), ids(7))

STANDINGS: list[tuple[str, Change, OwnerState, str, str]] = [
    ("as planned from", RELEASE, OwnerState(ids(7, 8), is_repeat=True), "open", ""),
    ("unlinked and saved", RELEASE, OwnerState(ids(), is_repeat=False), "done", ""),
    ("unlinked, not saved", RELEASE, OwnerState(ids(), is_repeat=True), "unsaved", ""),
    ("only to be saved", SAVE_ONLY, OwnerState(ids(), is_repeat=True), "unsaved", ""),
    ("saved by somebody", SAVE_ONLY, OwnerState(ids(), is_repeat=False), "done", ""),
    ("another contact", RELEASE, OwnerState(ids(7, 9), is_repeat=True), "drift", "7*, 9"),
    ("a contact more", RELEASE, OwnerState(ids(7, 8, 9), is_repeat=True), "drift", "7*, 8, 9"),
    ("another primary", RELEASE, OwnerState(ids(7, 8, primary=8), is_repeat=True), "drift", "7, 8*"),
    ("a contact came back", SAVE_ONLY, OwnerState(ids(7), is_repeat=True), "drift", "planned from none"),
    ("flag gone, links there", RELEASE, OwnerState(ids(7, 8)), "drift", "no longer a repeat lead"),
    ("company came", RELEASE, OwnerState(ids(7, 8), is_repeat=True, company_id=3), "drift", "company 3"),
    (
        "company came, unlinked",
        RELEASE,
        OwnerState(ids(), is_repeat=True, company_id=3),
        "drift",
        "company 3",
    ),
    ("converted", RELEASE, OwnerState(ids(7, 8), is_repeat=True, semantic="S"), "drift", "converted"),
    (
        "converted stage",
        RELEASE,
        OwnerState(ids(7, 8), is_repeat=True, stage_id="CONVERTED"),
        "drift",
        "conv",
    ),
    ("done, company", RELEASE, OwnerState(ids(), is_repeat=False, company_id=3), "done", ""),
    ("links only, open", DROP_8, OwnerState(ids(7, 8), is_repeat=True, semantic="S"), "open", ""),
    ("links only, done", DROP_8, OwnerState(ids(7), is_repeat=True, company_id=3), "done", ""),
    ("links only, drift", DROP_8, OwnerState(ids(8)), "drift", "contacts are now 8*, planned from 7*, 8"),
    ("links only, all gone", DROP_8, OwnerState(ids()), "drift", "contacts are now none"),
]


@pytest.mark.parametrize(
    ("planned", "now", "stands", "words"), [row[1:] for row in STANDINGS], ids=[row[0] for row in STANDINGS]
)
def test_a_change_stands_as_the_portal_shows(
    planned: Change, now: OwnerState, stands: str, words: str
) -> None:
    found, difference = standing(planned, now)
    assert found == stands
    assert words in difference
    assert bool(difference) is (stands == "drift")


@given(link_sets(), link_sets(), st.booleans(), st.booleans(), st.lists(st.text()))
def test_a_change_comes_back_from_a_file_as_it_was(
    before: LinkSet,
    after: LinkSet,
    save: bool,  # noqa: FBT001
    ends_repeat: bool,  # noqa: FBT001
    reasons: list[str],
) -> None:
    planned = Change(before, after, tuple(reasons), save=save, ends_repeat=ends_repeat)
    assert Change.from_json("lead", json.loads(json.dumps(planned.as_json()))) == planned
