"""Each clean-up rule by itself, and what must hold of any of them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core import methods
from airflow_bitrix.core.cleanup_rules import UnlinkClosed
from airflow_bitrix.core.contacts import Contact
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change, write_commands
from airflow_bitrix.core.rules import RULES, Facts, LeftOut, Rule, Wish, is_ready, judge, rules_for
from airflow_bitrix.sandbox import links as portal_rules
from airflow_bitrix.sandbox.state import State

LEAD, DEAL = Owner("lead", 5), Owner("deal", 5)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def exact(
    *contact_ids: int, primary: int | None = None, scalar: int | None = None, **facts: Any
) -> OwnerState:
    """A deal with sorts 10, 20, 30 and a role; the first contact is primary unless said otherwise."""
    first = next(iter(contact_ids), None) if primary is None else primary
    links = [ContactLink(one, 10 * at, one == first, 2) for at, one in enumerate(contact_ids, start=1)]
    return OwnerState(LinkSet(DEAL, tuple(links), scalar), **facts)


def scanned(*contact_ids: int, **facts: Any) -> OwnerState:
    return OwnerState(LinkSet.of_ids(DEAL, contact_ids, next(iter(contact_ids), None)), **facts)


def ask(
    name: str, state: OwnerState, options: Mapping[str, Any] | None = None, **known: Any
) -> Change | None:
    rules = rules_for(state.owner.kind, [name], {name: options})
    change, left_out = judge(state, rules, Facts(NOW, **known))
    assert not left_out
    return change


def rows(links: LinkSet) -> list[tuple[int, int | None, bool]]:
    return [(link.contact_id, link.sort, link.is_primary) for link in links.links]


def contact(number: int, *ways: str, **facts: Any) -> Contact:
    phones, emails = [way for way in ways if "@" not in way], [way for way in ways if "@" in way]
    created = facts.pop("created", f"2026-01-{number:02d}T10:00:00+03:00")
    return Contact(number, phones=tuple(phones), emails=tuple(emails), created=created, **facts)


def known(*contacts: Contact) -> dict[int, Contact]:
    return {one.id: one for one in contacts}


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
        (flagged(8, scalar=9), 9, "CONTACT_ID is 9, the primary contact is 8: 9 becomes both"),
        (flagged(8, scalar=None), 8, "CONTACT_ID is empty, the primary contact is 8: 8 becomes both"),
        (flagged(8, scalar=99), 8, "CONTACT_ID is 99, the primary contact is 8: 8 becomes both"),
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
    assert change.reasons == ("fix_primary: CONTACT_ID is 7, and no contact is linked",)
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
    change = ask("merge_same_person", exact(6, 7, 8, 9), contacts=contacts)
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


def test_no_phone_and_no_e_mail_stands_in_a_reason() -> None:
    change = ask("merge_same_person", exact(7, 9), contacts=TWINS)
    assert change is not None
    assert "111111" not in change.reasons[0]


def test_only_what_is_needed_is_asked_for() -> None:
    rule = rules_for("deal", ["merge_same_person"])["merge_same_person"]
    assert list(rule.reads(scanned(7))) == []
    assert list(rule.reads(scanned(7, 8, 9))) == [7, 8, 9]
    assert list(rule.counts(scanned(7, 8, 9), Facts(contacts=TWINS))) == [7, 9]
    oldest = rules_for("deal", ["merge_same_person"], {"merge_same_person": {"survivor": "oldest"}})
    assert list(oldest["merge_same_person"].counts(scanned(7, 8, 9), Facts(contacts=TWINS))) == []


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
    rule = rules_for("deal", ["trim_company_contacts"])["trim_company_contacts"]
    assert list(rule.reads(scanned(6, 7, company_id=3))) == []
    assert list(rule.reads(scanned(6, 7, 8))) == []
    assert list(rule.reads(scanned(6, 7, 8, company_id=3))) == [6, 7, 8]


# -- together ----------------------------------------------------------------------------------------------


def test_a_rule_that_may_not_empty_an_owner_leaves_it_out() -> None:
    class Clear(Rule):
        name, title = "clear", "Clear"

        def judge(self, state: OwnerState, facts: Facts) -> Wish:
            del facts
            return Wish(LinkSet(state.owner), "clear: why not")

    change, left_out = judge(exact(7), {"clear": Clear()})
    assert change is None
    assert left_out == [LeftOut("would be left without contacts", "no rule says that it may: clear: why not")]
    change, left_out = judge(
        exact(7), {**rules_for("deal", ["remove_dangling"]), "clear": Clear()}, Facts(gone={7})
    )
    assert change is not None
    assert not left_out, "a rule that may has emptied it"


def test_a_repeat_lead_with_a_contact_that_is_gone_is_released() -> None:
    state = OwnerState(LinkSet.of_ids(LEAD, (7, 8), 7), is_repeat=True)
    rules = rules_for("lead", ["remove_dangling", "release_repeat_leads"])
    change, left_out = judge(state, rules, Facts(gone={8}))
    assert change is not None
    assert (change.after, change.save, change.ends_repeat) == (LinkSet(LEAD), True, True)
    assert change.rules == ("release_repeat_leads",), (
        "a contact that is unlinked anyway needs no further reason"
    )
    held = OwnerState(state.links, is_repeat=True, company_id=3)
    change, left_out = judge(held, rules, Facts(gone={8}))
    assert change is not None
    assert (change.rules, change.save) == (("remove_dangling",), False)
    assert [group.why for group in left_out] == ["held by a company"]


def test_a_change_that_keeps_links_is_ready_once_they_are_known_exactly() -> None:
    facts = Facts(gone={8})
    rules = rules_for("deal", ["remove_dangling"])
    for state, ready in ((scanned(7, 8), False), (exact(7, 8), True), (scanned(8), True)):
        change, _ = judge(state, rules, facts)
        assert change is not None
        assert is_ready(change) == ready


def test_an_option_is_checked_however_a_rule_is_made() -> None:
    with pytest.raises(InvalidInput, match=r"^rule_options\['unlink_closed'\]\['days'\]: -1 "):
        RULES["unlink_closed"].configured({"days": -1})
    with pytest.raises(InvalidInput, match=r"^rule_options\['unlink_closed'\]\['days'\]: 'x' "):
        UnlinkClosed(days="x")  # type: ignore[arg-type]


def test_the_primary_contact_is_put_right_before_others_are_trimmed_around_it() -> None:
    state = exact(8, 9, scalar=9, company_id=1)
    contacts = known(contact(8), contact(9, company_id=1))
    options = {"trim_company_contacts": {"keep": 0}, "fix_primary": {"believe": "flag"}}
    rules = rules_for("deal", ["trim_company_contacts", "fix_primary"], options)
    change, _ = judge(state, rules, Facts(contacts=contacts))
    assert change is not None
    assert change.rules == ("fix_primary", "trim_company_contacts")
    assert rows(change.after) == [(8, 10, True)]


# -- whatever the owner, the contacts and the rules --------------------------------------------------------

IDS = st.integers(1, 8)


@st.composite
def owners(draw: st.DrawFn) -> OwnerState:
    """Any owner that a portal can hold, and some that it should not."""
    owner = Owner(draw(st.sampled_from(("lead", "deal"))), 5)
    links = [
        ContactLink(
            one,
            draw(st.sampled_from((0, 10, 10, 20, 30, 45))),
            draw(st.booleans()),
            draw(st.sampled_from((0, 2))),
        )
        for one in draw(st.lists(IDS, unique=True, max_size=6))
    ]
    links.sort(key=lambda link: (link.sort or 0, link.contact_id))
    scalar = draw(st.none() | IDS)
    return OwnerState(
        LinkSet(owner, tuple(links)).with_scalar(scalar),
        is_repeat=draw(st.sampled_from((False, False, True))),
        company_id=draw(st.sampled_from((1, 1, 0))),
        semantic=draw(st.sampled_from("PPSF")),
        fields=dict.fromkeys(("createdTime", "updatedTime"), "2025-06-01T00:00:00+00:00"),
    )


@st.composite
def facts_of_contacts(draw: st.DrawFn) -> Facts:
    ways = st.lists(st.sampled_from(("111111", "222222", "a@b.c", "d@e.f")), max_size=2)
    company = st.sampled_from((1, 1, 1, 2))
    contacts = known(*(contact(one, *draw(ways), company_id=draw(company)) for one in range(1, 9)))
    gone = draw(st.sets(IDS, max_size=3))
    links_of = {one: draw(st.integers(0, 3)) for one in contacts}
    there = {one: found for one, found in contacts.items() if one not in gone}
    return Facts(NOW, gone=gone, contacts=there, links_of=links_of)


OPTIONS = st.fixed_dictionaries(
    {
        "unlink_closed": st.fixed_dictionaries({"days": st.sampled_from((0, 90, 500))}),
        "merge_same_person": st.fixed_dictionaries({"survivor": st.sampled_from(("most_links", "oldest"))}),
        "trim_company_contacts": st.fixed_dictionaries({"keep": st.integers(0, 3)}),
        "fix_primary": st.fixed_dictionaries({"believe": st.sampled_from(("scalar", "flag"))}),
    }
)


@st.composite
def some_rules(draw: st.DrawFn) -> list[str]:
    """Any rules, mostly several."""
    return [name for name in RULES if draw(st.booleans())] or ["fix_primary"]


def carried_out(state: OwnerState, change: Change) -> OwnerState:
    """What the portal makes of a change: it follows the rules of its own that the sandbox keeps to."""
    kind, links = state.owner.kind, state.links
    portal = State()
    portal.tables[kind].next_id = state.owner.id
    portal.tables[kind].insert({"CONTACT_ID": links.shown_id})
    placed = (
        portal_rules.Link(one.sort or 0, one.contact_id, one.is_primary, one.role_id or 0)
        for one in links.links
    )
    portal.place_links(kind, state.owner.id, tuple(placed))
    before = portal.links(kind, state.owner.id)
    make: dict[str, Callable[[dict[str, Any]], portal_rules.LinkSet]] = {
        "items.set": lambda params: portal_rules.replaced(before, params["items"]),
        "delete": lambda params: portal_rules.removed(before, params["fields"]["CONTACT_ID"]),
    }
    for method, params in write_commands(change):
        verb = methods.METHODS[method].verb
        if verb == "items.delete":
            portal.clear_links(kind, state.owner.id)
        else:
            portal.write_links(kind, state.owner.id, make[verb](params))
    after = methods.links_of(state.owner, portal_rules.as_rows(portal.links(kind, state.owner.id)))
    scalar = portal.tables[kind].rows[state.owner.id]["CONTACT_ID"]
    is_repeat = state.is_repeat and not change.ends_repeat
    return OwnerState(
        after.with_scalar(scalar), is_repeat, state.company_id, "", state.semantic, fields=state.fields
    )


@given(owners(), facts_of_contacts(), some_rules(), OPTIONS)
def test_any_rules_together_end_with_what_they_should_and_are_done_then(
    state: OwnerState, facts: Facts, names: list[str], options: Any
) -> None:
    fitting = [name for name in names if state.owner.kind in RULES[name].kinds]
    rules = rules_for(state.owner.kind, fitting or ["fix_primary"], options)
    change, _ = judge(state, rules, facts)
    if change is None:
        return
    before, after = change.before, change.after
    old = {link.contact_id: link for link in before.links}

    assert set(after.contact_ids) <= set(before.contact_ids), "no rule adds a contact"
    assert [one for one in before.contact_ids if one in after.contact_ids] == list(after.contact_ids)
    assert sum(link.is_primary for link in after.links) == bool(after.links)
    assert after.scalar_id is None
    assert all(link.role_id == old[link.contact_id].role_id for link in after.links)
    if all(old[one].sort for one in after.contact_ids):
        moved = [link for link in after.links if link.sort != old[link.contact_id].sort]
        assert not moved or (moved == [after.links[-1]] and before.scalar_id is not None)
    assert change.may_empty or not change.empties
    assert change.save or not before.agrees_with(after), "a change changes something"
    assert len(change.reasons) == len(change.rules) == len(set(change.rules))

    then = carried_out(state, change)
    assert then.links.agrees_with(after)
    assert judge(then, rules, facts)[0] is None, "a second plan has nothing to do"
