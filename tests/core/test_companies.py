"""A company that holds a lead: the option that takes it off, how such a change stands, and the way back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_bitrix.core.cleanup_rules import ReleaseRepeatLeads
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.link_writes import save_command, write_commands, write_size
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change, ChangeOutcome, companies_of, standing, unsaved
from airflow_bitrix.core.restores import CompanyImage, Image, judge_restore, recovery
from airflow_bitrix.core.rules import Facts, LeftOut, Rule, Verdict, Wish, judge, rules_for

LEAD = Owner("lead", 5)
UNLINK = rules_for("lead", ["release_repeat_leads"], {"release_repeat_leads": {"company": "unlink"}})


def ids(*contact_ids: int) -> LinkSet:
    return LinkSet.of_ids(LEAD, contact_ids, next(iter(contact_ids), None))


def exact(*contact_ids: int) -> LinkSet:
    rows = (ContactLink(one, 10 * at, at == 1, 0) for at, one in enumerate(contact_ids, start=1))
    return LinkSet(LEAD, tuple(rows))


def state(*contact_ids: int, **facts: Any) -> OwnerState:
    return OwnerState(ids(*contact_ids), **facts)


def planned(*contact_ids: int) -> Change:
    change, left_out = judge(state(*contact_ids, is_repeat=True, company_id=17), UNLINK)
    assert change
    assert left_out == []
    return change


@pytest.mark.parametrize(
    ("contact_ids", "reason"),
    [
        ((7, 8), "repeat lead: unlink 2 contacts, take company 17 off, and save"),
        ((7,), "repeat lead: unlink 1 contact, take company 17 off, and save"),
        ((), "repeat lead without contacts: take company 17 off, and save"),
    ],
)
def test_the_option_takes_the_company_off_in_the_save_that_is_made_anyway(
    contact_ids: tuple[int, ...], reason: str
) -> None:
    change = planned(*contact_ids)
    assert change.reasons == (f"release_repeat_leads: {reason}",)
    assert (change.save, change.ends_repeat, change.company, change.holds) == (
        True,
        True,
        0,
        {"company_id": 17},
    )
    assert companies_of(change) == (17, 0)
    save = ("crm.lead.update", {"id": 5, "fields": {"COMPANY_ID": 0, "CONTACT_ID": 0}})
    assert save_command(change) == save
    assert write_size(change) == len(write_commands(change)) + 2


def test_a_lead_without_a_company_is_released_as_ever() -> None:
    seen = state(7, is_repeat=True)
    assert judge(seen, UNLINK) == judge(seen, rules_for("lead", ["release_repeat_leads"]))


@pytest.mark.parametrize("facts", [{"semantic": "S"}, {"stage_id": "CONVERTED"}])
def test_a_converted_lead_is_left_out_all_the_same(facts: dict[str, Any]) -> None:
    change, (left_out,) = judge(state(7, is_repeat=True, company_id=17, **facts), UNLINK)
    assert (change, left_out.why) == (None, "converted")


@pytest.mark.parametrize("wrong", ["Unlink", "remove", True, 0, ["keep"]])
def test_another_option_is_refused_with_one_error(wrong: Any) -> None:
    options = {"release_repeat_leads": {"company": wrong}}
    text = r"^rule_options\['release_repeat_leads'\]\['company'\]: .*; accepted: 'keep' or 'unlink'$"
    with pytest.raises(InvalidInput, match=text):
        rules_for("lead", ["release_repeat_leads"], options)


@pytest.mark.parametrize("left_open", [None, "", "None"])
def test_an_answer_that_is_left_open_keeps_the_company(left_open: Any) -> None:
    assert ReleaseRepeatLeads.configured({"company": left_open}) == ReleaseRepeatLeads(company="keep")


class HoldsNone(Rule):
    """A rule that counts on an owner to have the company that it sees."""

    name = "holds_none"
    title = "Count on the company"

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        del facts
        return Wish(state.links, "none", holds={"company_id": state.company_id}, may_empty=True)


def test_a_rule_behind_it_sees_no_company_and_the_plan_holds_the_one_that_was_there() -> None:
    change, _ = judge(
        state(7, is_repeat=True, company_id=17), {**UNLINK, "holds_none": HoldsNone.configured({})}
    )
    assert change
    assert (change.holds, change.company) == ({"company_id": 17}, 0)


def test_lines_of_plans_tell_a_company_only_where_it_changes() -> None:
    line = json.loads(json.dumps(planned(7).as_json()))
    assert (line["company"], line["holds"]) == (0, {"company_id": 17})
    assert Change.from_json("lead", line) == planned(7)
    without, _ = judge(state(7, is_repeat=True), UNLINK)
    assert without
    assert not {"company", "holds"} & {*without.as_json()}


@pytest.mark.parametrize(
    ("company", "holds"),
    [
        ("17", {"company_id": 17}),
        (True, {"company_id": 17}),
        (-1, {"company_id": 17}),
        (2**31, {"company_id": 17}),
        (0, {"company_id": "17"}),
        (0, {"company_id": None}),
        (0, {}),
    ],
)
def test_a_line_with_something_else_for_a_company_is_no_change(company: Any, holds: Any) -> None:
    line = {**planned(7).as_json(), "company": company, "holds": holds}
    with pytest.raises((ValueError, KeyError)):
        Change.from_json("lead", line)


STANDINGS: list[tuple[str, OwnerState, bool, str, str]] = [
    ("as planned from", state(7, is_repeat=True, company_id=17), False, "open", ""),
    ("done", state(), False, "done", ""),
    ("contacts gone", state(is_repeat=True, company_id=17), False, "unsaved", ""),
    ("saved without effect", state(is_repeat=True), False, "unsaved", ""),
    ("another company", state(7, is_repeat=True, company_id=18), False, "drift", "company id is now 18"),
    ("another company, begun", state(7, is_repeat=True, company_id=18), True, "drift", "is now 18"),
    ("another company, no contacts", state(is_repeat=True, company_id=18), True, "drift", "is now 18"),
    ("off already", state(7, is_repeat=True), False, "drift", "company id is now 0, planned from 17"),
    ("off by its own save", state(7, is_repeat=True), True, "open", ""),
    ("other contacts", state(8, is_repeat=True, company_id=17), False, "drift", "contacts are now 8*"),
    ("converted", state(7, is_repeat=True, company_id=17, semantic="S"), False, "drift", "converted"),
    ("no repeat lead", state(7, company_id=17), False, "drift", "still linked to its contacts"),
    ("no repeat lead, bare", state(company_id=17), False, "drift", "still of company 17"),
]


@pytest.mark.parametrize(
    ("now", "begun", "stands", "words"), [row[1:] for row in STANDINGS], ids=[row[0] for row in STANDINGS]
)
def test_a_change_of_a_company_stands_as_the_portal_shows(
    now: OwnerState,
    begun: bool,  # noqa: FBT001
    stands: str,
    words: str,
) -> None:
    found, difference = standing(planned(7), now, begun=begun)
    assert found == stands
    assert words in difference
    assert bool(difference) is (stands == "drift")


def test_what_a_save_has_not_brought_about_is_said() -> None:
    assert unsaved(planned(), state(is_repeat=True)) == "still a repeat lead after saving"
    assert unsaved(planned(), state(is_repeat=True, company_id=17)) == "after saving, of company 17"


# The way back


def restored(
    now: OwnerState, was: LinkSet, *, left: LinkSet | None = None, **how: Any
) -> tuple[Change | LeftOut, dict[str, int]]:
    image = Image(was, left=LinkSet(LEAD) if left is None else left, company=CompanyImage(17, 0))
    switches: dict[str, Any] = {"missing": (), "overwrite": False, "save": False, **how}
    verdict = judge_restore(image, now, **switches)
    return verdict, dict(recovery(image, now, verdict))


def test_a_restore_gives_contacts_and_company_back_by_a_save_and_says_so() -> None:
    verdict, counts = restored(state(), exact(7, 8))
    assert isinstance(verdict, Change)
    assert (verdict.after.contact_ids, verdict.company, verdict.holds) == ((7, 8), 17, {"company_id": 0})
    assert (verdict.save, verdict.ends_repeat) == (True, False)
    assert verdict.reasons == ("restore: as in the snapshot; saved, so that it is of company 17 again",)
    # A save that named a contact could replace them all, where they did not come back with it.
    assert save_command(verdict) == ("crm.lead.update", {"id": 5, "fields": {"COMPANY_ID": 17}})
    assert counts == {"taken": 2, "back": 2, "companies": 1, "whole": 1}


def test_a_lead_that_only_lost_its_company_gets_it_back() -> None:
    verdict, counts = restored(state(), LinkSet(LEAD))
    assert isinstance(verdict, Change)
    assert (verdict.before, verdict.after, verdict.company) == (LinkSet(LEAD), LinkSet(LEAD), 17)
    assert write_commands(verdict) == []
    assert counts == {"companies": 1, "whole": 1}


def test_a_lead_that_has_all_of_it_again_is_left_as_it_is() -> None:
    verdict, _ = restored(OwnerState(exact(7), company_id=17), exact(7))
    assert isinstance(verdict, LeftOut)
    assert verdict.why == "as it was already"


def test_contacts_that_came_back_without_the_company_are_completed() -> None:
    verdict, _ = restored(OwnerState(exact(7)), exact(7))
    assert isinstance(verdict, Change)
    assert (write_commands(verdict), verdict.company) == ([], 17)


def test_a_company_that_somebody_gave_it_since_stays_unless_it_may_be_overwritten() -> None:
    now = state(company_id=18)
    verdict, _ = restored(now, exact(7))
    assert verdict == LeftOut(
        "changed since",
        "by somebody else: it is now of company 18, the apply was to leave it without a company",
    )
    forced, _ = restored(now, exact(7), overwrite=True)
    assert isinstance(forced, Change)
    assert (forced.company, forced.holds) == (17, {"company_id": 18})


def test_a_company_that_no_longer_exists_is_left_out_and_the_contacts_come_back() -> None:
    verdict, counts = restored(state(), exact(7), no_companies={17})
    assert isinstance(verdict, Change)
    assert (verdict.after.contact_ids, verdict.company, verdict.save, verdict.holds) == (
        (7,),
        None,
        False,
        {},
    )
    assert "company 17 no longer exists, and does not come back" in verdict.reasons[0]
    assert counts == {"taken": 1, "back": 1, "company": 1}
    alone, _ = restored(state(), LinkSet(LEAD), no_companies={17})
    assert isinstance(alone, LeftOut)
    assert (alone.why, "company 17 no longer exists" in alone.reason) == ("cannot be brought nearer", True)


def test_contacts_that_no_longer_exist_do_not_keep_the_company_away() -> None:
    verdict, counts = restored(state(), exact(7), missing={7})
    assert isinstance(verdict, Change)
    assert (verdict.after, verdict.company) == (LinkSet(LEAD), 17)
    assert (counts["gone"], counts["companies"]) == (1, 1)


def test_a_restore_that_is_taken_back_takes_the_company_off_again() -> None:
    image = Image(LinkSet(LEAD), left=exact(7), company=CompanyImage(0, 17))
    now = OwnerState(exact(7), company_id=17, is_repeat=True)
    verdict = judge_restore(image, now, missing=(), overwrite=False, save=False)
    assert isinstance(verdict, Change)
    assert (verdict.after.links, verdict.company, verdict.save) == ((), 0, True)
    assert verdict.reasons == ("restore: as in the snapshot; saved, so that it is without a company again",)


def test_what_a_write_found_counts_more_than_what_was_planned_from() -> None:
    assert companies_of(planned(7), ChangeOutcome(LEAD, "applied", "", ids(7), 18)) == (18, 0)
    assert companies_of(planned(7), ChangeOutcome(LEAD, "drift")) == (17, 0)
    unconcerned = judge(state(7, is_repeat=True), UNLINK)[0]
    assert unconcerned
    assert companies_of(unconcerned) is None
