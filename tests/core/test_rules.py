"""Clean-up rules: which owners they want changed, which they leave out, and how several work together."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.rules import (
    RULES,
    LeftOut,
    Rule,
    Verdict,
    Wish,
    judge,
    release_repeat_leads,
    rules_for,
)
from airflow_bitrix.core.states import OwnerState

LEAD = Owner("lead", 5)


def state(*contact_ids: int, **facts: Any) -> OwnerState:
    return OwnerState(LinkSet.of_ids(LEAD, contact_ids, next(iter(contact_ids), None)), **facts)


@pytest.mark.parametrize(
    "seen",
    [state(), state(7), state(7, semantic="S"), state(7, company_id=3)],
    ids=["empty", "linked", "converted", "held by a company"],
)
def test_a_lead_that_is_no_repeat_lead_is_no_concern(seen: OwnerState) -> None:
    assert release_repeat_leads(seen) is None


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (state(7, is_repeat=True), "release_repeat_leads: repeat lead: unlink 1 contact and save"),
        (state(7, 8, is_repeat=True), "release_repeat_leads: repeat lead: unlink 2 contacts and save"),
        (
            state(is_repeat=True),
            "release_repeat_leads: repeat lead without contacts: save, so that the portal takes the flag off",
        ),
        (
            state(7, is_repeat=True, semantic="F"),
            "release_repeat_leads: repeat lead: unlink 1 contact and save",
        ),
    ],
    ids=["one contact", "two contacts", "none", "junk stage"],
)
def test_a_repeat_lead_loses_its_contacts_and_is_saved(seen: OwnerState, reason: str) -> None:
    expected = Wish(LinkSet(LEAD), reason, save=True, ends_repeat=True, may_empty=True)
    assert release_repeat_leads(seen) == expected


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
    verdict = release_repeat_leads(state(7, is_repeat=True, **facts))
    assert isinstance(verdict, LeftOut)
    assert verdict.why == why
    assert verdict.reason


def test_the_company_that_holds_a_lead_is_named() -> None:
    verdict = release_repeat_leads(state(7, is_repeat=True, company_id=31))
    assert isinstance(verdict, LeftOut)
    assert "company 31" in verdict.reason


def test_judging_gives_one_change_from_what_was_seen_to_what_is_wanted() -> None:
    seen = state(7, 8, is_repeat=True)
    reasons = ("release_repeat_leads: repeat lead: unlink 2 contacts and save",)
    rules = ("release_repeat_leads",)
    expected = Change(seen.links, LinkSet(LEAD), reasons, rules, save=True, ends_repeat=True, may_empty=True)
    assert judge(seen, RULES) == (expected, [])


def test_judging_an_owner_that_no_rule_is_about_gives_nothing() -> None:
    assert judge(state(7), RULES) == (None, [])


def test_judging_an_owner_that_is_left_out_gives_only_the_reason() -> None:
    change, left_out = judge(state(7, is_repeat=True, company_id=3), RULES)
    assert change is None
    assert [group.why for group in left_out] == ["held by a company"]


def without(contact_id: int, **options: bool) -> Rule:
    """A rule that unlinks one contact wherever it sees it."""

    def judge_one(seen: OwnerState) -> Verdict:
        if contact_id not in seen.links.contact_ids:
            return LeftOut(f"no {contact_id}", f"contact {contact_id} is not linked")
        rest = [other for other in seen.links.contact_ids if other != contact_id]
        return Wish(LinkSet.of_ids(LEAD, rest, next(iter(rest), None)), f"unlink {contact_id}", **options)

    return Rule(f"unlink {contact_id}", frozenset({"lead"}), judge_one, {})


def test_a_later_rule_sees_what_the_earlier_ones_want_and_all_reasons_are_kept() -> None:
    seen = state(7, 8, 9)
    rules = {"a": without(8, save=True), "b": without(8), "c": without(7)}
    change, left_out = judge(seen, rules)
    assert change is not None
    assert change.before == seen.links
    assert change.after.contact_ids == (9,)
    assert change.reasons == ("unlink 8", "unlink 7")
    assert change.save
    assert not change.ends_repeat
    assert [group.why for group in left_out] == ["no 8"]


def test_a_rule_after_the_release_no_longer_sees_a_repeat_lead() -> None:
    change, _ = judge(
        state(7, is_repeat=True), {"first": RULES["release_repeat_leads"], **RULES, "x": without(7)}
    )
    assert change is not None
    assert len(change.reasons) == 1


def test_rules_come_in_the_order_they_are_asked_for_and_each_once() -> None:
    assert list(rules_for("lead", ["release_repeat_leads", "release_repeat_leads"])) == [
        "release_repeat_leads"
    ]
    assert list(rules_for("lead", ("release_repeat_leads",))) == ["release_repeat_leads"]


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
    assert name.isidentifier()
