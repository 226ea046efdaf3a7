"""The two rules that come as examples: what they want of an owner, and what they make of a portal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.client.portal import Portal
from airflow_bitrix.core.link_writes import save_command, write_commands
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.rules import judge
from airflow_bitrix.rules import Company, Contact, Facts, LinkSet, Means, Needs, Owner
from airflow_bitrix.rules.company_cards import CompanyCardPrimary
from airflow_bitrix.rules.found_contacts import LinkFoundContact
from tests.operators.cleanups import plan, sandbox

__all__ = ["sandbox"]

LEAD, DEAL = Owner("lead", 5), Owner("deal", 6)
CALLER = OwnerState(LinkSet(LEAD), semantic="P")


def found(*contacts: Contact, phones: tuple[str, ...] = ("111111",), **about: Any) -> Facts:
    held = {one: {each.id for each in contacts} for one in (*phones, "a@b.c")}
    known = {each.id: each for each in contacts}
    return Facts(means={LEAD: Means(phones, ("a@b.c",))}, holders=held, contacts=known, **about)


@pytest.mark.parametrize(
    ("contact", "by"),
    [
        (Contact(7, phones=("111111",)), "phone"),
        (Contact(7, emails=("a@b.c",)), "e-mail"),
        (Contact(7, phones=("111111",), emails=("a@b.c",)), "e-mail"),
    ],
)
def test_the_one_contact_that_has_what_the_lead_has_is_linked(contact: Contact, by: str) -> None:
    change, left_out = judge(CALLER, {"link_found_contact": LinkFoundContact()}, found(contact))
    assert change is not None
    assert change.after.as_json() == [[7, 10, True, 0]]
    assert change.reasons == (f"link_found_contact: contact 7 has the {by} of this lead",)
    assert (change.save, dict(change.holds), left_out) == (False, {"semantic": "P"}, [])


@pytest.mark.parametrize(
    ("state", "facts"),
    [
        (CALLER, found(Contact(7, phones=("222222",)))),
        (CALLER, found()),
        (CALLER, Facts()),
        (OwnerState(LinkSet(LEAD), semantic="F"), found(Contact(7, phones=("111111",)))),
        (OwnerState(LinkSet.of_ids(LEAD, [8], 8), semantic="P"), found(Contact(7, phones=("111111",)))),
    ],
    ids=["another phone", "nobody", "nothing known", "junk", "linked already"],
)
def test_a_lead_of_which_nobody_is_found_or_that_is_no_concern_is_left_alone(
    state: OwnerState, facts: Facts
) -> None:
    assert judge(state, {"link_found_contact": LinkFoundContact()}, facts) == (None, [])


def test_a_lead_of_which_several_are_found_is_for_a_person() -> None:
    both = found(Contact(7, phones=("111111",)), Contact(9, emails=("a@b.c",)))
    change, left_out = judge(CALLER, {"link_found_contact": LinkFoundContact()}, both)
    assert change is None
    assert [one.reason for one in left_out] == ["contacts 7, 9 have its phone or e-mail"]
    change, _ = judge(CALLER, {"link_found_contact": LinkFoundContact(match="email")}, both)
    assert change is not None
    assert change.after.contact_ids == (9,)


def test_a_lead_of_which_one_more_may_be_found_that_cannot_be_read_is_for_a_person() -> None:
    """The portal tells who holds a phone also of contacts that the webhook's user may not see."""
    facts = found(Contact(7, phones=("111111",)))
    facts = replace(facts, holders={"111111": {7, 9}})
    change, left_out = judge(CALLER, {"link_found_contact": LinkFoundContact()}, facts)
    assert change is None
    assert [one.reason for one in left_out] == [
        "contact 9 may have its phone or e-mail, too, and cannot be read"
    ]


def test_what_is_asked_for_comes_one_after_the_other() -> None:
    rule = LinkFoundContact()
    assert rule.needs(CALLER, Facts()) == Needs(means=True, holders=(), contacts=[])
    means = {LEAD: Means(("111111",), ("a@b.c",))}
    asked = ("111111", "a@b.c")
    assert rule.needs(CALLER, Facts(means=means)) == Needs(means=True, holders=asked, contacts=[])
    told = Facts(means=means, holders={"111111": {7}})
    assert rule.needs(CALLER, told) == Needs(means=True, holders=asked, contacts=[7])
    assert rule.needs(OwnerState(LinkSet.of_ids(LEAD, [8], 8), semantic="P"), Facts()) == Needs()


def test_the_first_on_the_company_s_card_of_those_that_are_linked_becomes_primary() -> None:
    state = OwnerState(LinkSet.of_ids(DEAL, [9, 8, 7], 9), company_id=3)
    rules = {"company_card_primary": CompanyCardPrimary()}
    change, _ = judge(state, rules, Facts(companies={3: Company(3, (2, 7, 8))}))
    assert change is not None
    assert (change.after.contact_ids, change.after.primary_id) == ((9, 8, 7), 7)
    assert dict(change.holds) == {"company_id": 3}
    for contacts in ((), (2, 4), (9, 7)):
        assert judge(state, rules, Facts(companies={3: Company(3, contacts)})) == (None, [])
    change, left_out = judge(state, rules, Facts())
    assert (change, [one.why for one in left_out]) == (None, ["company cannot be read"])


def test_a_company_that_the_user_may_not_read_ends_no_plan(sandbox: Any, tmp_path: Path) -> None:
    denied = {"error": "ACCESS_DENIED", "error_description": "Access denied!"}
    sandbox.set_faults(command=1.0, only_methods=["crm.company.contact.items.get"], command_error=denied)
    made, changes = plan(tmp_path, "deal", ["company_card_primary"])
    assert changes == []
    assert made["left_out"].keys() == {"company cannot be read"}


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("link_found_contact", "lead"),
        ("company_card_primary", "lead"),
        ("company_card_primary", "deal"),
    ],
)
def test_on_a_portal_each_does_what_the_portal_s_data_say(
    rule: str, kind: str, sandbox: Any, tmp_path: Path, connect: Callable[..., Portal]
) -> None:
    expected = sandbox.truth()["expected"][rule][kind]
    assert len(expected) > 5
    before = sandbox.links(kind)
    made, changes = plan(tmp_path, kind, [rule])
    assert {str(change.owner.id) for change in changes} == set(expected)
    commands = [command for change in changes for command in write_commands(change)]
    assert not [save_command(change) for change in changes if change.save]
    assert all(outcome.ok for outcome in connect(sandbox.webhook_url).batch(commands))
    after = sandbox.links(kind)
    ends = {
        owner_id: {"links": [row[:3] for row in owner["links"]], "contact_id": owner["contact_id"]}
        for owner_id, owner in after.items()
        if owner_id in expected
    }
    assert ends == expected
    assert {one: after[one] for one in after if one not in expected} == {
        one: before[one] for one in before if one not in expected
    }
    assert plan(tmp_path, kind, [rule])[0]["changes"] == 0
    notes = json.loads((Path(made["plan"]) / "manifest.json").read_text())["rule_notes"]
    assert [(one["name"], one["version"].partition(" ")[0]) for one in notes] == [(rule, "airflow-bitrix")]
