"""Several clean-up rules on one owner, and what must hold of any of them together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core import methods
from airflow_bitrix.core.cleanup_rules import UnlinkClosed
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.link_writes import write_commands
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.rules import RULES, Facts, LeftOut, Rule, Wish, is_ready, judge, rules_for
from airflow_bitrix.sandbox import links as portal_rules
from airflow_bitrix.sandbox.state import State
from tests.core.asked_about import LEAD, NOW, contact, exact, known, rows, scanned

# -- together ----------------------------------------------------------------------------------------------


def test_a_rule_that_may_not_empty_an_owner_leaves_it_out() -> None:
    class Clear(Rule):
        name, title = "clear", "Clear"

        def judge(self, state: OwnerState, facts: Facts) -> Wish:
            del facts
            return Wish(LinkSet(state.owner), "why not")

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
    ways = st.lists(st.sampled_from(("111111", "222222", "a@b.c", "d@e.f")), max_size=2, unique=True)
    company = st.sampled_from((1, 1, 1, 2))
    contacts = known(*(contact(one, *draw(ways), company_id=draw(company)) for one in range(1, 9)))
    gone = draw(st.sets(IDS, max_size=3))
    links_of = {one: draw(st.integers(0, 3)) for one in contacts}
    there = {one: found for one, found in contacts.items() if one not in gone}
    phones = {phone for found in there.values() for phone in found.phones}
    holders = {phone: {one for one, found in there.items() if phone in found.phones} for phone in phones}
    return Facts(NOW, gone=gone, contacts=there, links_of=links_of, holders=holders)


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
    make: dict[str, Callable[[dict[str, Any]], portal_rules.Edit]] = {
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
        # Only with its sort does the portal take the flag from one of several primary links.
        flagged = sum(link.is_primary for link in before.links) > 1 and moved == list(after.links)
        assert not moved or flagged or (moved == [after.links[-1]] and before.scalar_id is not None)
    assert change.may_empty or not change.empties
    assert change.save or not before.agrees_with(after), "a change changes something"
    assert len(change.reasons) == len(change.rules) == len(set(change.rules))

    then = carried_out(state, change)
    assert then.links.agrees_with(after)
    assert judge(then, rules, facts)[0] is None, "a second plan has nothing to do"
