"""Each clean-up rule by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_bitrix.core.cleanup_rules import TrimCompanyContacts
from airflow_bitrix.core.link_writes import write_commands
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.person_rules import MergeSamePerson
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.rules import Facts, Needs, judge, rules_for
from tests.core.asked_about import DEAL, LEAD, NOW, contact, exact, known, rows, scanned


def ask(
    name: str, state: OwnerState, options: Mapping[str, Any] | None = None, **known: Any
) -> Change | None:
    rules = rules_for(state.owner.kind, [name], {name: options})
    change, left_out = judge(state, rules, Facts(NOW, **known))
    assert not left_out
    return change


# -- remove_dangling ---------------------------------------------------------------------------------------


def test_links_to_contacts_that_are_gone_go_and_the_others_keep_sort_and_role() -> None:
    change = ask("remove_dangling", exact(7, 8, 9), gone={8})
    assert change is not None
    assert rows(change.after) == [(7, 10, True), (9, 30, False)]
    assert {link.role_id for link in change.after.links} == {2}
    assert change.reasons == ("remove_dangling: contact 8 is gone",)
    assert not change.may_empty


def test_where_the_primary_contact_is_gone_the_first_that_is_left_takes_its_place() -> None:
    change = ask("remove_dangling", exact(7, 8, 9, 6, primary=9), gone={9, 7})
    assert change is not None
    assert rows(change.after) == [(8, 20, True), (6, 40, False)]
    assert change.reasons == ("remove_dangling: contacts 7, 9 are gone",)


def test_an_owner_whose_contacts_are_all_gone_may_be_left_empty() -> None:
    change = ask("remove_dangling", scanned(7, 8), gone={7, 8, 9})
    assert change is not None
    assert change.empties
    assert change.may_empty


def test_where_all_contacts_are_there_nothing_dangles() -> None:
    assert ask("remove_dangling", scanned(7, 8), gone={9}) is None


def test_long_lists_of_contacts_are_cut_short_in_the_reason() -> None:
    change = ask("remove_dangling", scanned(*range(1, 41)), gone=set(range(1, 41)))
    assert change is not None
    assert change.reasons == ("remove_dangling: contacts 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 30 more are gone",)


# -- fix_primary -------------------------------------------------------------------------------------------


def flagged(*primaries: int, scalar: int | None = None) -> OwnerState:
    links = [ContactLink(one, 10 * at, one in primaries, 2) for at, one in enumerate((7, 8, 9), start=1)]
    return OwnerState(LinkSet(DEAL, tuple(links)).with_scalar(scalar))


@pytest.mark.parametrize(
    ("state", "primary", "reason"),
    [
        (flagged(scalar=8), 8, "no contact is primary: 8 becomes it"),
        (flagged(scalar=None), 7, "no contact is primary: 7 becomes it"),
        (flagged(scalar=99), 7, "no contact is primary: 7 becomes it"),
        (flagged(8, 9, scalar=8), 8, "contacts 8, 9 are all primary: only 8 stays it"),
        (flagged(8, 9, scalar=7), 7, "contacts 8, 9 are all primary: only 7 stays it"),
        (flagged(8, scalar=9), 9, "the card shows 9 first, the primary contact is 8: 9 becomes both"),
        (flagged(8, scalar=None), 8, "the card shows nobody first, the primary contact is 8: 8 becomes both"),
        (flagged(8, scalar=99), 8, "the card shows 99 first, the primary contact is 8: 8 becomes both"),
    ],
)
def test_one_contact_becomes_primary_and_is_what_contact_id_says(
    state: OwnerState, primary: int, reason: str
) -> None:
    change = ask("fix_primary", state)
    assert change is not None
    assert change.after.primary_id == change.after.shown_id == primary
    assert [link.is_primary for link in change.after.links].count(True) == 1
    assert change.after.contact_ids == (7, 8, 9)
    assert change.reasons == (f"fix_primary: {reason}",)


def test_the_flag_may_be_believed_instead() -> None:
    change = ask("fix_primary", flagged(8, scalar=9), {"believe": "flag"})
    assert change is not None
    assert change.after.shown_id == 8
    change = ask("fix_primary", flagged(scalar=9), {"believe": "flag"})
    assert change is not None
    assert change.after.shown_id == 9, "there is no flag to believe"


@pytest.mark.parametrize("state", [exact(7, 8), exact(7, 8, primary=8), exact(), scanned(7)])
def test_what_is_right_already_is_left_alone(state: OwnerState) -> None:
    assert ask("fix_primary", state) is None


def test_a_contact_id_without_any_link_is_cleared() -> None:
    change = ask("fix_primary", exact(scalar=7))
    assert change is not None
    assert change.reasons == ("fix_primary: the card shows 7 first, and no contact is linked",)
    assert write_commands(change) == [("crm.deal.contact.items.delete", {"id": 5})]
    assert not change.empties


# -- merge_same_person -------------------------------------------------------------------------------------


TWINS = known(contact(7, "111111"), contact(8, "222222", "a@b.c"), contact(9, "111111", "x@y.z"))


def test_the_one_that_stays_keeps_its_place_and_takes_the_primary_over() -> None:
    change = ask("merge_same_person", exact(7, 8, 9), contacts=TWINS, links_of={7: 1, 9: 4})
    assert change is not None
    assert rows(change.after) == [(8, 20, False), (9, 30, True)]
    assert change.reasons == ("merge_same_person: contact 7 is the same person as 9 by phone or e-mail",)


@pytest.mark.parametrize(("survivor", "stays"), [("most_links", 9), ("oldest", 7), ("most_complete", 8)])
def test_who_stays_can_be_chosen(survivor: str, stays: int) -> None:
    contacts = known(*(contact(one, "111111", filled=filled) for one, filled in ((7, 1), (8, 3), (9, 2))))
    links_of = {7: 1, 8: 1, 9: 2}
    change = ask(
        "merge_same_person", exact(7, 8, 9), {"survivor": survivor}, contacts=contacts, links_of=links_of
    )
    assert change is not None
    assert change.after.contact_ids == (stays,)


def test_among_equals_the_oldest_stays_whatever_its_id_and_time_zone() -> None:
    created = {
        7: "2026-01-01T12:00:00+03:00",
        8: "2026-01-01T10:30:00+01:00",
        9: "2026-01-01T08:59:59+00:00",
        6: "",
    }
    contacts = known(*(contact(one, "111111", created=at) for one, at in created.items()))
    change = ask("merge_same_person", exact(6, 7, 8, 9), {"shared_by": 4}, contacts=contacts)
    assert change is not None
    assert change.after.contact_ids == (9,)


@pytest.mark.parametrize(("match", "left"), [("phone_or_email", (7,)), ("phone", (7, 9)), ("email", (7, 8))])
def test_persons_are_told_by_phone_or_e_mail_or_one_of_them_and_along_a_chain(
    match: str, left: tuple[int, ...]
) -> None:
    contacts = known(contact(7, "111111"), contact(8, "111111", "a@b.c"), contact(9, "a@b.c"))
    change = ask("merge_same_person", exact(7, 8, 9), {"match": match}, contacts=contacts)
    assert change is not None
    assert change.after.contact_ids == left


def test_two_persons_on_one_owner_are_one_change() -> None:
    contacts = known(
        *(contact(one, way) for one, way in ((5, "a@b.c"), (6, "111111"), (7, "a@b.c"), (8, "111111")))
    )
    change = ask("merge_same_person", exact(5, 6, 7, 8), contacts=contacts)
    assert change is not None
    assert change.after.contact_ids == (5, 6)
    assert change.reasons[0].count("same person as") == 2


def test_contacts_without_phone_and_e_mail_are_nobody_s_double() -> None:
    assert ask("merge_same_person", exact(7, 8), contacts=known(contact(7), contact(8))) is None
    assert ask("merge_same_person", exact(7, 8)) is None


def told(*ids: int, options: Any = None, **known: Any) -> tuple[Change | None, list[str]]:
    rules = rules_for("deal", ["merge_same_person"], {"merge_same_person": options})
    change, left_out = judge(exact(*ids), rules, Facts(NOW, **known))
    return change, [one.reason for one in left_out]


def test_a_phone_that_more_than_a_few_contacts_hold_is_told_and_not_used() -> None:
    said = "contacts 7, 9 share a phone that 4 contacts hold: not used"
    assert told(7, 8, 9, contacts=TWINS, holders={"111111": {*range(4)}}) == (None, [said])
    assert told(7, 8, 9, contacts=TWINS, holders={"111111": {*range(20)}})[1] == [
        said.replace("4", "20 or more")
    ]
    change, left_out = told(7, 8, 9, contacts=TWINS, holders={"111111": {*range(3)}})
    assert change is not None
    assert not left_out
    change, left_out = told(
        7, 8, 9, options={"shared_by": 4}, contacts=TWINS, holders={"111111": {*range(4)}}
    )
    assert change is not None
    assert told(7, 8, 9, options={"match": "email"}, contacts=TWINS, holders={"111111": {*range(4)}}) == (
        None,
        [],
    )


def test_who_is_one_person_by_something_else_is_so_beside_a_switchboard() -> None:
    same = "a@b.c"
    contacts = known(*(contact(one, "111111", *way) for one, way in ((7, [same]), (8, [same]), (9, []))))
    change, left_out = told(7, 8, 9, contacts=contacts, holders={"111111": {*range(9)}})
    assert change is not None
    assert change.after.contact_ids == (7, 9)
    merged = "merge_same_person: contact 8 is the same person as 7 by phone or e-mail"
    assert change.reasons == (f"{merged}, contacts 7, 8, 9 share a phone that 9 contacts hold: not used",)
    assert not left_out


def test_contacts_of_one_owner_count_as_well() -> None:
    """Where the portal's index of phones does not know them yet."""
    contacts = known(*(contact(one, "111111") for one in (5, 6, 7, 8)))
    assert told(5, 6, 7, 8, contacts=contacts)[1] == [
        "contacts 5, 6, 7, 8 share a phone that 4 contacts hold: not used"
    ]


def test_no_phone_and_no_e_mail_stands_in_a_reason() -> None:
    change = ask("merge_same_person", exact(7, 9), contacts=TWINS)
    assert change is not None
    assert "111111" not in change.reasons[0]


def test_only_what_is_needed_is_asked_for() -> None:
    def needs(*ids: int, told: Facts = FACTS, **options: Any) -> Needs:
        rules = rules_for("deal", ["merge_same_person"], {"merge_same_person": options})
        return rules["merge_same_person"].needs(scanned(*ids), told)

    assert needs(7) == Needs()
    assert needs(7, 8, 9, told=Facts()) == Needs((7, 8, 9), holders=[], links_of=[])
    assert needs(7, 8, 9) == Needs((7, 8, 9), holders=["111111"], links_of=[])
    known = replace(FACTS, holders={"111111": {7, 9}})
    assert needs(7, 8, 9, told=known) == Needs((7, 8, 9), holders=["111111"], links_of=[7, 9])
    assert needs(7, 8, 9, told=known, survivor="oldest").links_of == []
    assert needs(7, 8, 9, match="email").holders == []
    assert MergeSamePerson().phone_region == ""
    assert MergeSamePerson(match="email").phone_region is None


FACTS = Facts(contacts=TWINS)


# -- unlink_closed -----------------------------------------------------------------------------------------


def closed(owner: Owner, days: float, field: str = "updatedTime", **facts: Any) -> OwnerState:
    moment = (NOW - timedelta(days=days)).isoformat()
    given = {"semantic": "F", "fields": {field: moment}, **facts}
    return OwnerState(LinkSet.of_ids(owner, (7, 8), 7), **given)


@pytest.mark.parametrize(
    ("owner", "said"),
    [
        (LEAD, "junk lead, saved 2025-12-01: unlink 2 contacts"),
        (DEAL, "lost deal, saved 2025-12-01: unlink 2 contacts"),
    ],
)
def test_what_was_closed_long_ago_is_unlinked(owner: Owner, said: str) -> None:
    change = ask("unlink_closed", closed(owner, 90))
    assert change is not None
    assert change.after == LinkSet(owner)
    assert change.may_empty
    assert not change.save
    assert change.reasons == (f"unlink_closed: {said}",)


@pytest.mark.parametrize(
    "state",
    [
        closed(LEAD, 89.9),
        closed(DEAL, 1000, semantic="S"),
        closed(DEAL, 1000, semantic="P"),
        closed(DEAL, 1000, semantic="", stage_id="NEW"),
        OwnerState(LinkSet(DEAL), semantic="F"),
    ],
    ids=["too young", "won", "open", "open by stage", "no contacts"],
)
def test_what_is_open_won_young_or_empty_is_not(state: OwnerState) -> None:
    assert ask("unlink_closed", state) is None


@pytest.mark.parametrize("stage", ["JUNK", "LOSE", "C5:LOSE"])
def test_a_portal_that_does_not_tell_what_a_stage_means_is_understood_by_its_name(stage: str) -> None:
    assert ask("unlink_closed", closed(DEAL, 100, semantic="", stage_id=stage)) is not None


def test_the_age_may_be_counted_from_the_creation() -> None:
    options = {"since": "created", "days": "30"}
    assert ask("unlink_closed", closed(DEAL, 31, "createdTime"), options) is not None
    assert ask("unlink_closed", closed(DEAL, 29, "createdTime"), options) is None


@pytest.mark.parametrize("told", [None, "", "0000-00-00", 5])
def test_a_date_that_the_portal_does_not_tell_leaves_the_owner_out(told: Any) -> None:
    state = OwnerState(LinkSet.of_ids(DEAL, (7,), 7), semantic="F", fields={"updatedTime": told})
    change, left_out = judge(state, rules_for("deal", ["unlink_closed"]), Facts(NOW))
    assert change is None
    assert [group.why for group in left_out] == ["age not known"]


def test_the_filter_finds_what_the_rule_is_about() -> None:
    rule = rules_for("deal", ["unlink_closed"], {"unlink_closed": {"days": 1}})["unlink_closed"]
    assert rule.filter(NOW) == {"=stageSemanticId": "F", "<=updatedTime": "2026-02-28T00:00:00+00:00"}
    assert rule.also == ("updatedTime",)


# -- trim_company_contacts ---------------------------------------------------------------------------------


STAFF = known(*(contact(one, company_id=3) for one in (6, 7, 8, 9)), contact(5, company_id=4), contact(4))


@pytest.mark.parametrize(
    ("keep", "primary", "left"),
    [
        (0, 6, (4, 5, 6)),
        (1, 6, (4, 5, 6, 7)),
        (2, 6, (4, 5, 6, 7, 8)),
        (1, 9, (4, 5, 6, 9)),
        (1, 4, (4, 5, 6)),
        (0, 4, (4, 5)),
    ],
)
def test_the_primary_contact_and_the_first_few_of_the_company_stay_and_all_others(
    keep: int, primary: int, left: tuple[int, ...]
) -> None:
    state = exact(4, 5, 6, 7, 8, 9, primary=primary, company_id=3)
    change = ask("trim_company_contacts", state, {"keep": keep}, contacts=STAFF)
    assert change is not None
    assert change.after.contact_ids == left
    assert change.after.primary_id == primary
    assert {link.sort for link in change.after.links} < {10, 20, 30, 40, 50, 60}


@pytest.mark.parametrize(
    "state",
    [
        exact(6, 7, 8, 9),
        exact(6, 7, company_id=3),
        exact(4, 5, 6, 7, primary=6, company_id=3),
        exact(6, 7, 8, 9, company_id=4),
    ],
    ids=["no company", "few", "few of the company", "another company"],
)
def test_few_contacts_or_those_of_nobody_s_company_are_left_alone(state: OwnerState) -> None:
    assert ask("trim_company_contacts", state, contacts=STAFF) is None


def test_contacts_are_read_only_where_there_may_be_too_many() -> None:
    needs = TrimCompanyContacts().needs
    assert needs(scanned(6, 7, company_id=3), Facts()) == Needs()
    assert needs(scanned(6, 7, 8), Facts()) == Needs()
    assert needs(scanned(6, 7, 8, company_id=3), Facts()) == Needs((6, 7, 8))
