"""Clean-up rules: which owners they want changed, which they leave out, and how several work together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.rule_options import whole
from airflow_bitrix.core.rules import (
    RULES,
    Facts,
    LeftOut,
    Rule,
    Verdict,
    Wish,
    judge,
    rules_for,
)

LEAD = Owner("lead", 5)
RELEASE = rules_for("lead", ["release_repeat_leads"])


def release(seen: OwnerState) -> Verdict:
    return RELEASE["release_repeat_leads"].judge(seen, Facts())


def state(*contact_ids: int, **facts: Any) -> OwnerState:
    return OwnerState(LinkSet.of_ids(LEAD, contact_ids, next(iter(contact_ids), None)), **facts)


@pytest.mark.parametrize(
    "seen",
    [state(), state(7), state(7, semantic="S"), state(7, company_id=3)],
    ids=["empty", "linked", "converted", "held by a company"],
)
def test_a_lead_that_is_no_repeat_lead_is_no_concern(seen: OwnerState) -> None:
    assert release(seen) is None


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (state(7, is_repeat=True), "repeat lead: unlink 1 contact and save"),
        (state(7, 8, is_repeat=True), "repeat lead: unlink 2 contacts and save"),
        (
            state(is_repeat=True),
            "repeat lead without contacts: save, so that the portal takes the flag off",
        ),
        (
            state(7, is_repeat=True, semantic="F"),
            "repeat lead: unlink 1 contact and save",
        ),
    ],
    ids=["one contact", "two contacts", "none", "junk stage"],
)
def test_a_repeat_lead_loses_its_contacts_and_is_saved(seen: OwnerState, reason: str) -> None:
    expected = Wish(LinkSet(LEAD), reason, save=True, ends_repeat=True, may_empty=True)
    assert release(seen) == expected


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"company_id": 3}, "held by a company"),
        ({"semantic": "S"}, "converted"),
        ({"stage_id": "CONVERTED"}, "converted"),
        ({"stage_id": "CONVERTED", "company_id": 3}, "converted"),
    ],
    ids=["company", "success semantic", "converted stage", "both"],
)
def test_a_repeat_lead_that_a_save_would_not_release_is_left_out(facts: dict[str, Any], why: str) -> None:
    verdict = release(state(7, is_repeat=True, **facts))
    assert isinstance(verdict, LeftOut)
    assert verdict.why == why
    assert verdict.reason


def test_the_company_that_holds_a_lead_is_named() -> None:
    verdict = release(state(7, is_repeat=True, company_id=31))
    assert isinstance(verdict, LeftOut)
    assert "company 31" in verdict.reason


def test_judging_gives_one_change_from_what_was_seen_to_what_is_wanted() -> None:
    seen = state(7, 8, is_repeat=True)
    reasons = ("release_repeat_leads: repeat lead: unlink 2 contacts and save",)
    rules = ("release_repeat_leads",)
    expected = Change(seen.links, LinkSet(LEAD), reasons, rules, save=True, ends_repeat=True, may_empty=True)
    assert judge(seen, RELEASE) == (expected, [])


def test_judging_an_owner_that_no_rule_is_about_gives_nothing() -> None:
    assert judge(state(7), RELEASE) == (None, [])


def test_judging_an_owner_that_is_left_out_gives_only_the_reason() -> None:
    change, left_out = judge(state(7, is_repeat=True, company_id=3), RELEASE)
    assert change is None
    assert [group.why for group in left_out] == ["held by a company"]


class Without(Rule):
    """A rule that unlinks one contact wherever it sees it."""

    name = "without"
    title = "Unlink one contact"
    contact_id: int = whole(8, most=99)
    wish: Mapping[str, Any] = field(default_factory=dict, metadata={"read": lambda _, given: given})

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        del facts
        if self.contact_id not in state.links.contact_ids:
            return LeftOut(f"no {self.contact_id}", f"contact {self.contact_id} is not linked")
        rest = [other for other in state.links.contact_ids if other != self.contact_id]
        after = LinkSet.of_ids(LEAD, rest, next(iter(rest), None))
        return Wish(after, f"unlink {self.contact_id}", **self.wish)


def without(contact_id: int, **wish: bool) -> Rule:
    return Without(contact_id=contact_id, wish=wish)


def test_a_later_rule_sees_what_the_earlier_ones_want_and_all_reasons_are_kept() -> None:
    seen = state(7, 8, 9)
    rules = {"a": without(8, save=True), "b": without(8), "c": without(7)}
    change, left_out = judge(seen, rules)
    assert change is not None
    assert change.before == seen.links
    assert change.after.contact_ids == (9,)
    assert change.reasons == ("a: unlink 8", "c: unlink 7")
    assert change.save
    assert not change.ends_repeat
    assert [group.why for group in left_out] == ["no 8"]


def test_a_rule_after_the_release_no_longer_sees_a_repeat_lead() -> None:
    change, _ = judge(
        state(7, is_repeat=True), {"first": RELEASE["release_repeat_leads"], **RELEASE, "x": without(7)}
    )
    assert change is not None
    assert len(change.reasons) == 1


def test_rules_come_in_an_order_of_their_own_and_each_once() -> None:
    names = list(RULES)
    assert list(rules_for("lead", reversed(names * 2))) == names
    assert list(rules_for("lead", ("fix_primary", "unlink_closed"))) == ["unlink_closed", "fix_primary"]


@pytest.mark.parametrize(
    "names",
    [
        *([], (), ["release"], ["release_repeat_leads", "x"], [""], [None], [1]),
        *([["release_repeat_leads"]], [{}], "release_repeat_leads", "", None, 5, True),
    ],
    ids=repr,
)
def test_a_rule_that_is_not_there_is_refused_and_the_error_names_those_that_are(names: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^rules: .*accepted: .*release_repeat_leads"):
        rules_for("lead", names)


def test_a_rule_for_leads_is_refused_for_deals() -> None:
    with pytest.raises(InvalidInput, match=r"^rules: 'release_repeat_leads' is not accepted.* for deals$"):
        rules_for("deal", ["release_repeat_leads"])


@pytest.mark.parametrize("name", RULES)
def test_every_rule_tells_what_it_does_and_which_owners_it_is_for(name: str) -> None:
    assert RULES[name].title
    assert RULES[name].kinds
    assert name == RULES[name].name
