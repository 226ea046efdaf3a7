"""Each clean-up rule over HTTP: its plan makes of a portal what the portal's data say it should be."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_bitrix.client.portal import Portal
from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.link_writes import save_command, write_commands
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.rules import RULES
from airflow_bitrix.sandbox.links import Link
from airflow_bitrix.sandbox.seed import NOW
from tests.operators.cleanups import plan, sandbox

__all__ = ["sandbox"]

KINDS = ("lead", "deal")
SEVERAL = [name for name, rule in RULES.items() if rule.kinds >= set(KINDS)]


CarryOut = Callable[[list[Change]], None]


@pytest.fixture
def carry_out(sandbox: Any, connect: Callable[..., Portal]) -> CarryOut:
    """Send what changes ask for, nothing more and nothing else."""

    def run(changes: list[Change]) -> None:
        portal = connect(sandbox.webhook_url)
        commands = [command for change in changes for command in write_commands(change)]
        saves = [save_command(change) for change in changes if change.save]
        assert all(outcome.ok for outcome in portal.batch([*commands, *saves]))

    return run


Check = Callable[..., Any]


@pytest.fixture
def check(sandbox: Any, tmp_path: Path, carry_out: CarryOut) -> Check:
    """Plan, carry out and compare every owner of the portal; a second plan has nothing to do."""

    def run(kind: str, rules: list[str], expected: Mapping[str, Any], **arguments: Any) -> Any:
        before = {one: sandbox.links(one) for one in KINDS}
        made, changes = plan(tmp_path, kind, rules, **arguments)
        assert {str(change.owner.id) for change in changes} == set(expected)
        for change in changes:
            assert change.after.agrees_with(change.before) == (not change.before.links), change
            assert change.reasons
            assert len(change.reasons) == len(change.rules)
            assert set(change.rules) <= set(rules)
        carry_out(changes)
        after = {one: sandbox.links(one) for one in KINDS}
        assert ends_of(after[kind]) == {**ends_of(before[kind]), **expected}
        other = "deal" if kind == "lead" else "lead"
        assert after[other] == before[other]
        for owner_id, owner in after[kind].items():
            roles = {tuple(row[:3]): row[3] for row in before[kind][owner_id]["links"]}
            for *row, role in owner["links"]:
                assert role == roles.get(tuple(row), role), "a link that is kept as it was keeps its role"
        again, _ = plan(tmp_path, kind, rules, **arguments)
        assert again["changes"] == 0
        return made

    return run


def ends_of(owners: Any) -> dict[str, Any]:
    """Give what the truth tells of owners, from what the portal holds."""
    return {
        owner_id: {"links": [row[:3] for row in owner["links"]], "contact_id": owner["contact_id"]}
        for owner_id, owner in owners.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_links_to_contacts_that_are_gone_are_removed(kind: str, sandbox: Any, check: Check) -> None:
    expected = sandbox.truth()["expected"]["remove_dangling"][kind]
    assert set(map(int, expected)) == set(sandbox.truth()[f"{kind}s"]["dangling"])
    check(kind, ["remove_dangling"], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_each_owner_gets_one_primary_contact_and_the_scalar_agrees(
    kind: str, sandbox: Any, check: Check
) -> None:
    expected = sandbox.truth()["expected"]["fix_primary"][kind]
    planted = sandbox.truth()[f"{kind}s"]
    assert set(map(int, expected)) == {*planted["no_primary"], *planted["scalar_at_odds"]}
    check(kind, ["fix_primary"], expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("survivor", ["most_links", "oldest", "most_complete"])
def test_of_contacts_that_are_one_person_one_stays(
    kind: str, survivor: str, sandbox: Any, check: Check
) -> None:
    every = sandbox.truth()["expected"]["merge_same_person"]
    expected = every[survivor][kind]
    assert set(map(int, expected)) == set(sandbox.truth()[f"{kind}s"]["same_person"])
    assert every["most_links"] != every["oldest"] != every["most_complete"]
    options = {"merge_same_person": {"survivor": survivor}}
    check(kind, ["merge_same_person"], expected, rule_options=options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", ["0", "1", "2"])
def test_of_the_contacts_that_a_company_brought_the_primary_and_the_first_few_stay(
    kind: str, keep: str, sandbox: Any, check: Check
) -> None:
    expected = sandbox.truth()["expected"]["trim_company_contacts"][keep][kind]
    assert len(expected) > 5
    options = {"trim_company_contacts": {"keep": keep}}
    check(kind, ["trim_company_contacts"], expected, rule_options=options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("since", ["saved", "created"])
def test_closed_owners_are_unlinked_once_they_are_old_enough(
    kind: str, since: str, sandbox: Any, check: Check
) -> None:
    closed = sandbox.truth()["expected"]["unlink_closed"][kind]
    days = (datetime.now(UTC) - datetime.fromtimestamp(NOW, UTC)).days + 300
    until = datetime.now(UTC) - timedelta(days=days)
    old = [one for one, dates in closed.items() if datetime.fromisoformat(dates[since]) <= until]
    assert 5 < len(old) < len(closed) - 5
    expected: dict[str, Any] = {one: {"links": [], "contact_id": None} for one in old}
    options = {"unlink_closed": {"days": str(days), "since": since}}
    made = check(kind, ["unlink_closed"], expected, rule_options=options)
    assert made["read"] < 1000 / 3, "only closed owners that are old enough are read"


@pytest.mark.parametrize("kind", KINDS)
def test_all_rules_together_make_one_change_an_owner(kind: str, sandbox: Any, check: Check) -> None:
    rules = [name for name in RULES if kind in RULES[name].kinds]
    expected = sandbox.truth()["expected"]["together"][kind]
    options = {"unlink_closed": {"days": 0}}
    made = check(kind, rules, expected, rule_options=options)
    assert set(made["by_rule"]) == set(rules)
    assert made["emptied"] == 0
    flags = {one: owner["is_return_customer"] for one, owner in sandbox.links("lead").items()}
    released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    assert kind == "deal" or {flags[str(lead)] for lead in released} == {"N"}


def test_what_several_rules_want_of_an_owner_is_one_change_with_every_reason(
    sandbox: Any, tmp_path: Path, carry_out: CarryOut
) -> None:
    contacts, deals = sandbox.state.tables["contact"].rows, sandbox.state.tables["deal"].rows
    brought = [one for one, row in contacts.items() if row.get("COMPANY_ID") == 9][:3]
    contacts[301]["EMAIL"] = contacts[302]["EMAIL"] = (("sam@example.com", "WORK"),)
    ids = [9999, 301, *brought, 302]
    links = tuple(Link(10 * place, one, role_id=3) for place, one in enumerate(ids, start=1))
    sandbox.state.place_links("deal", 5, links)
    deals[5].update(COMPANY_ID=9, CONTACT_ID=None, STAGE_ID="NEW", STAGE_SEMANTIC_ID="P")

    options = {"merge_same_person": {"survivor": "oldest"}}
    _, changes = plan(tmp_path, "deal", SEVERAL[::-1], rule_options=options, filter={"@id": [5]})
    (change,) = changes
    assert change.rules == ("remove_dangling", "fix_primary", "merge_same_person", "trim_company_contacts")
    trimmed = "3 contacts of company 9 beside the primary one, 1 may stay"
    assert change.reasons == (
        "remove_dangling: contact 9999 is gone",
        "fix_primary: no contact is primary: 301 becomes it",
        "merge_same_person: contact 302 is the same person as 301 by phone or e-mail",
        f"trim_company_contacts: {trimmed}: unlink contacts {brought[1]}, {brought[2]}",
    )
    carry_out(changes)
    deal = sandbox.links("deal")["5"]
    assert deal["links"] == [[301, 20, "Y", 0], [brought[0], 30, "N", 3]]
    assert deal["contact_id"] == 301


def test_an_owner_whose_contacts_are_all_gone_is_left_without(
    sandbox: Any, tmp_path: Path, carry_out: CarryOut
) -> None:
    sandbox.state.place_links("lead", 5, (Link(10, 9998, primary=True), Link(20, 9999)))
    made, changes = plan(tmp_path, "lead", ["remove_dangling"], filter={"@id": [5]})
    assert [change.after.contact_ids for change in changes] == [()]
    assert made["emptied"] == 0, "the rule says that it may"
    carry_out(changes)
    assert sandbox.links("lead")["5"]["links"] == []


FEW = {
    "release_repeat_leads": 1,
    "unlink_closed": 1,
    "remove_dangling": 4,
    "merge_same_person": 8,
    "trim_company_contacts": 3,
    "fix_primary": 20,
}
"""Requests beside the one that asks who sees the portal."""


@pytest.mark.parametrize("name", FEW)
def test_a_plan_for_2000_leads_takes_few_requests(
    name: str, make_sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_sandbox(leads=2000, contacts=3000, plan="self_hosted")
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    made, _ = plan(tmp_path, "lead", [name])
    assert made["changes"] >= 30
    stats = sandbox.stats()
    assert stats["admitted"] <= 1 + FEW[name]
    several = {
        one for lead in sandbox.links("lead").values() if len(lead["links"]) > 1 for one, *_ in lead["links"]
    }
    assert stats["commands_in_batches"].get("crm.contact.list", 0) <= -(-len(several) // 50)


def test_contacts_in_full_are_read_of_owners_with_several_only(
    make_sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_sandbox(contacts=300, plan="self_hosted")
    for contact in range(1, 101):
        lead = sandbox.state.add("lead", {})
        sandbox.state.update("lead", lead, {"CONTACT_IDS": [contact]})
    sandbox.state.update("lead", 7, {"CONTACT_IDS": [201, 202]})
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    made, (change,) = plan(tmp_path, "lead", ["merge_same_person"])
    assert (made["read"], change.owner.id, change.after.contact_ids) == (100, 7, (201,))
    assert sandbox.stats()["commands_in_batches"]["crm.contact.list"] == 1


def test_owners_that_are_cleared_are_not_read_one_by_one(sandbox: Any, tmp_path: Path) -> None:
    plan(tmp_path, "lead", ["fix_primary"])
    linked = sum(bool(lead["links"]) for lead in sandbox.links("lead").values())
    assert sandbox.stats()["commands_in_batches"]["crm.lead.contact.items.get"] == linked
    sandbox.reset_stats()
    made, _ = plan(tmp_path, "lead", ["release_repeat_leads", "fix_primary"])
    cleared = made["by_rule"]["release_repeat_leads"] - len(sandbox.truth()["leads"]["repeat_flag_only"])
    assert sandbox.stats()["commands_in_batches"]["crm.lead.contact.items.get"] == linked - cleared


def test_remove_dangling_refuses_a_user_who_may_not_see_all_contacts(sandbox: Any, tmp_path: Path) -> None:
    sandbox.set_switches(limited_user=True)
    with pytest.raises(
        PlanRefused, match=r"^remove_dangling takes contacts .* is no administrator"
    ) as refused:
        plan(tmp_path, "lead", ["unlink_closed", "remove_dangling"])
    assert isinstance(refused.value, AirflowFailException)
    assert not (tmp_path / "plan" / "manifest.json").exists()
    assert sandbox.stats()["writes"] == 0

    options = {"remove_dangling": {"believe_any_user": True}}
    made, changes = plan(tmp_path, "lead", ["remove_dangling"], rule_options=options)
    assert changes == []
    assert made["left_out"]["contact cannot be read"] > 50
    assert ": Access denied." in (tmp_path / "plan" / "left_out.csv").read_text()


@pytest.mark.parametrize("further", [[], ["merge_same_person"]])
def test_a_contact_that_cannot_be_read_is_not_taken_for_gone(
    further: list[str], make_sandbox: Any, portals: Any, tmp_path: Path
) -> None:
    sandbox = make_sandbox(contacts=9, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    for contacts in ([1, 2], [3, 90], [2, 90, 5], [2]):
        lead = sandbox.state.add("lead", {"CONTACT_IDS": [1]})
        links = tuple(Link(10 * at, one, at == 1) for at, one in enumerate(contacts, start=1))
        sandbox.state.place_links("lead", lead, links)
    sandbox.set_switches(refuse_contacts_read=[2])
    made, changes = plan(tmp_path, "lead", ["remove_dangling", *further])
    assert {change.owner.id: change.after.contact_ids for change in changes} == {2: (3,), 3: (2, 5)}
    assert "contact 2: Access denied." in changes[1].reasons[0]
    assert made["left_out"] == {"contact cannot be read": 2}
    left_out = (tmp_path / "plan" / "left_out.csv").read_text()
    assert "1,contact cannot be read,contact 2: Access denied." in left_out


def test_other_rules_leave_contacts_alone_that_cannot_be_read(sandbox: Any, tmp_path: Path) -> None:
    sandbox.set_switches(refuse_contacts_read=list(range(1, 701)))
    rules = ["merge_same_person", "trim_company_contacts"]
    made, _ = plan(tmp_path, "deal", rules)
    assert made["read"] == 1000
    assert made["changes"] == 0


@pytest.mark.parametrize("hidden", [True, False])
def test_a_portal_that_leaves_links_out_of_its_lists_gives_the_same_plan(
    sandbox: Any, tmp_path: Path, *, hidden: bool
) -> None:
    sandbox.set_switches(hide_contact_ids=hidden)
    made, changes = plan(tmp_path, "deal", SEVERAL, rule_options={"unlink_closed": {"days": 0}})
    assert {str(change.owner.id) for change in changes} == set(
        sandbox.truth()["expected"]["together"]["deal"]
    )
    assert made["hidden_links"] == (1000 if hidden else 0)
