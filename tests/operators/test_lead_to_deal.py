"""Contacts of leads on their deals: planned exactly, applied to the exact end, and compared."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_bitrix.core.errors import Bitrix24Error, PlanRefused
from tests.operators import migrations
from tests.operators.migrations import apply, changes, plan, reconcile, table

if TYPE_CHECKING:
    from tests.operators.conftest import Portals

sandbox = migrations.sandbox


def joined_rows(deal: dict[str, Any], lead: dict[str, Any], there: set[int]) -> list[tuple[int, int, str]]:
    """What a deal's links come to, worked out from what the portal tells of it and its lead."""
    own = sorted((tuple(link[:3]) for link in deal["links"]), key=lambda row: (row[1], row[0]))
    linked = {row[0] for row in own}
    others = sorted((tuple(link[:3]) for link in lead["links"]), key=lambda row: (row[1], row[0]))
    further = [row for row in others if row[0] not in linked and row[0] in there]
    if not further:
        return own

    def main(owner: dict[str, Any], rows: list[Any]) -> int | None:
        ids = [row[0] for row in rows]
        if owner["contact_id"] in ids:
            return int(owner["contact_id"])
        return min((row[0] for row in rows if row[2] == "Y"), default=None)

    first = main(deal, own) or main(lead, [row for row in others if row[0] in there])
    after = [row[:2] for row in own]
    for contact, sort, _ in further:
        last = max((row[1] for row in after), default=0)
        after.append((contact, sort if sort > last else last + 10))
    first = first if first in {row[0] for row in after} else after[0][0]
    rows = [(contact, sort, "NY"[contact == first]) for contact, sort in after]
    return sorted(rows, key=lambda row: (row[1], row[0]))


def expected_deals(sandbox: Any) -> dict[int, list[tuple[int, int, str]]]:
    there, leads = set(sandbox.state.tables["contact"].rows), sandbox.links("lead")
    none: dict[str, Any] = {"links": [], "contact_id": None}
    return {
        int(number): joined_rows(
            deal, leads.get(str(sandbox.state.row("deal", int(number)).get("LEAD_ID")), none), there
        )
        for number, deal in sandbox.links("deal").items()
    }


def test_deals_get_the_contacts_of_their_leads_to_the_exact_end(
    sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    short = set(sandbox.truth()["deals"]["missing_lead_contacts"])
    expected, leads = expected_deals(sandbox), sandbox.links("lead")
    before = portals.rows(sandbox, "deal")
    made = plan(tmp_path, migration="lead_to_deal")
    concerned = {deal for deal, rows in expected.items() if rows != before[deal]}
    assert set(changes(made)) == concerned
    # The others lack only contacts that are gone, and are named.
    left_out = table(tmp_path / "plan" / "left_out.csv")
    assert {row["why"] for row in left_out} == {"contact is gone"}
    assert short - concerned <= {int(row["owner_id"]) for row in left_out} <= short
    assert apply(made)["counts"]["applied"] == len(concerned) > 20
    assert portals.rows(sandbox, "deal") == expected
    assert sandbox.links("lead") == leads
    assert plan(tmp_path / "again", migration="lead_to_deal")["changes"] == 0
    compared = reconcile(tmp_path, migration="lead_to_deal")
    assert set(compared["by_difference"]) == {"left out"}


def test_links_are_read_exactly_only_where_a_contact_is_missing(sandbox: Any, tmp_path: Path) -> None:
    made = plan(tmp_path, migration="lead_to_deal")
    asked = sandbox.stats()["commands_in_batches"]
    short = len(sandbox.truth()["deals"]["missing_lead_contacts"])
    assert asked["crm.deal.contact.items.get"] <= short < made["read"]
    assert asked["crm.lead.contact.items.get"] <= short
    # the scan, leads as a scan tells them, exact deals, leads again and exactly, and the contacts
    assert sandbox.stats()["admitted"] <= 5 + 2 * math.ceil(short / 50)


def test_a_lead_that_is_gone_leaves_its_deal_as_it_is(sandbox: Any, portals: Portals, tmp_path: Path) -> None:
    short = sandbox.truth()["deals"]["missing_lead_contacts"]
    lead = sandbox.state.row("deal", short[0])["LEAD_ID"]
    sandbox.state.delete("lead", lead)
    orphans = {deal for deal, row in sandbox.state.tables["deal"].rows.items() if row.get("LEAD_ID") == lead}
    before = portals.rows(sandbox, "deal")
    made = plan(tmp_path, migration="lead_to_deal")
    rows = [row for row in table(tmp_path / "plan" / "left_out.csv") if row["why"] == "lead is gone"]
    assert {int(row["owner_id"]) for row in rows} == orphans
    assert f"lead {lead} is not there" in rows[0]["reason"]
    apply(made)
    after = portals.rows(sandbox, "deal")
    assert {deal: after[deal] for deal in orphans} == {deal: before[deal] for deal in orphans}


@pytest.mark.parametrize("scalar", [None, 2, 9])
def test_a_deal_that_has_its_lead_s_contacts_is_left_alone_whatever_else_is_odd(
    scalar: int | None, make_sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    sandbox = make_sandbox(contacts=9, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    lead = sandbox.state.add("lead", {"CONTACT_IDS": [1]})
    deal = sandbox.state.add("deal", {"LEAD_ID": lead, "CONTACT_IDS": [1, 2]})
    sandbox.state.row("deal", deal)["CONTACT_ID"] = scalar
    assert plan(tmp_path, migration="lead_to_deal")["changes"] == 0
    assert reconcile(tmp_path, migration="lead_to_deal")["differences"] == 0


def test_after_a_move_leads_keep_what_did_not_arrive_on_all_their_deals(
    make_sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    sandbox = make_sandbox(contacts=9, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    add = sandbox.state.add
    for contacts in ([1, 2], [3, 4], [5, 6], [7], [8, 9]):
        add("lead", {"CONTACT_IDS": contacts})
    for lead, contacts in ((1, []), (2, []), (3, [6]), (3, []), (4, [7]), (0, [1])):
        add("deal", {"LEAD_ID": lead, "CONTACT_IDS": contacts})
    made = plan(tmp_path / "deals", migration="lead_to_deal")
    # Deals that get a single contact cannot be written.
    sandbox.set_faults(
        command=1.0,
        command_error={"error": "ERROR_CORE", "error_description": "Locked"},
        only_methods=["crm.deal.contact.add"],
    )
    done = apply(made, max_failed=9)
    sandbox.clear_faults()
    deals = portals.rows(sandbox, "deal")
    failed = {int(row["owner_id"]) for row in table(done["failed_csv"])}
    assert 0 < len(failed) < made["changes"]

    released = plan(tmp_path / "leads", migration="release_moved_leads")
    before = portals.rows(sandbox, "lead")
    apply(released)
    expected = {}
    for lead, rows in before.items():
        of_lead = [
            {row[0] for row in deals[deal]}
            for deal, record in sandbox.state.tables["deal"].rows.items()
            if record.get("LEAD_ID") == lead
        ]
        held = set.intersection(*of_lead) if of_lead else set()
        rest = [row for row in rows if row[0] not in held]
        if rest and not any(row[2] == "Y" for row in rest):
            rest[0] = (*rest[0][:2], "Y")
        expected[lead] = rest
    assert portals.rows(sandbox, "lead") == expected
    assert expected[5] == [(8, 10, "Y"), (9, 20, "N")]
    assert portals.rows(sandbox, "deal") == deals

    # The failed ones are moved by the next run.
    apply(plan(tmp_path / "deals2", migration="lead_to_deal"))
    apply(plan(tmp_path / "leads2", migration="release_moved_leads"))
    after = portals.rows(sandbox, "lead")
    assert {lead: after[lead] for lead in (1, 2, 3, 4)} == {1: [], 2: [], 3: [], 4: []}
    end = portals.rows(sandbox, "deal")
    assert {deal: {row[0] for row in rows} for deal, rows in end.items()} == {
        1: {1, 2}, 2: {3, 4}, 3: {5, 6}, 4: {5, 6}, 5: {7}, 6: {1},
    }  # fmt: skip


@pytest.mark.parametrize("hidden", [False, True])
def test_a_filter_says_which_leads_are_released_and_all_their_deals_say_of_what(
    make_sandbox: Any, portals: Portals, tmp_path: Path, *, hidden: bool
) -> None:
    sandbox = make_sandbox(contacts=9, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    sandbox.set_switches(hide_contact_ids=hidden)
    add = sandbox.state.add
    for contacts in ([1, 2], [1, 2], [3, 4], [5]):
        add("lead", {"CONTACT_IDS": contacts})
    wanted = {"CATEGORY_ID": 3}
    for lead, contacts, fields in (
        (1, [1, 2], wanted), (1, [], {}), (2, [1, 2], wanted), (2, [2], {}), (3, [3, 4], wanted),
        (4, [5], {}),
    ):  # fmt: skip
        add("deal", {"LEAD_ID": lead, "CONTACT_IDS": contacts, **fields})
    for _ in range(120):  # more deals of one lead than fit on a page, the last of which lacks a contact
        add("deal", {"LEAD_ID": 3, "CONTACT_IDS": [3, 4]})
    add("deal", {"LEAD_ID": 3, "CONTACT_IDS": [4]})
    made = plan(tmp_path, migration="release_moved_leads", filter={"categoryId": 3})
    assert made["read"] == 3
    assert {lead: [link[0] for link in one["after"]] for lead, one in changes(made).items()} == {
        2: [1],
        3: [3],
    }
    apply(made)
    after = portals.rows(sandbox, "lead")
    assert {lead: [row[0] for row in rows] for lead, rows in after.items()} == {
        1: [1, 2],
        2: [1],
        3: [3],
        4: [5],
    }


def test_leads_are_not_released_on_the_word_of_a_user_who_may_not_see_all_deals(
    make_sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    sandbox = make_sandbox(contacts=9, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    lead = sandbox.state.add("lead", {"CONTACT_IDS": [1, 2]})
    sandbox.state.add("deal", {"LEAD_ID": lead, "CONTACT_IDS": [1, 2]})
    sandbox.state.add("deal", {"LEAD_ID": lead, "CONTACT_IDS": [], "ASSIGNED_BY_ID": 77})
    assert plan(tmp_path / "all", migration="release_moved_leads")["changes"] == 0
    sandbox.set_switches(limited_user=True)
    with pytest.raises(PlanRefused, match=r"deals .*no administrator.*believe_any_user=True") as refused:
        plan(tmp_path / "refused", migration="release_moved_leads")
    assert isinstance(refused.value, AirflowFailException)
    made = plan(tmp_path / "told", migration="release_moved_leads", believe_any_user="True")
    assert made["changes"] == 1
    assert plan(tmp_path / "copy", migration="lead_to_deal")["changes"] == 0


@pytest.mark.parametrize("save", [False, True, "True"])
def test_released_leads_stop_being_repeat_leads_only_where_they_are_saved(
    save: Any, make_sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    sandbox = make_sandbox(contacts=9, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    add = sandbox.state.add
    for fields in ({}, {"COMPANY_ID": 3}, {"STATUS_ID": "CONVERTED"}):
        lead = add("lead", {"CONTACT_IDS": [1, 2], **fields})
        add("deal", {"LEAD_ID": lead, "CONTACT_IDS": [1, 2, 5]})
    before = {lead: data["is_return_customer"] for lead, data in sandbox.links("lead").items()}
    made = plan(tmp_path, migration="release_moved_leads", save=save)
    assert made["emptied"] == 0  # the migration says that they may be
    assert apply(made)["counts"]["applied"] == 3
    after = sandbox.links("lead")
    assert portals.rows(sandbox, "lead") == {1: [], 2: [], 3: []}
    flags = {lead: data["is_return_customer"] for lead, data in after.items()}
    assert flags == ({**before, "1": "N"} if save else before)
    assert before["1"] == before["2"] == "Y"
    saves = sandbox.stats()["commands_in_batches"].get("crm.lead.update", 0)
    assert saves == (3 if save else 0)


def test_a_portal_that_refuses_leaves_no_plan(sandbox: Any, tmp_path: Path) -> None:
    plan(tmp_path, migration="lead_to_deal")
    sandbox.set_switches(scope=["user"])
    with pytest.raises(Bitrix24Error, match="lacks the scope"):
        plan(tmp_path, migration="lead_to_deal")
    assert not (tmp_path / "plan" / "manifest.json").exists()


# Reconcile


def test_a_comparison_finds_exactly_what_deals_lack_of_their_leads(sandbox: Any, tmp_path: Path) -> None:
    leads = sandbox.links("lead")
    there = set(sandbox.state.tables["contact"].rows)
    expected = set()
    for number, deal in sandbox.links("deal").items():
        lead = sandbox.state.row("deal", int(number)).get("LEAD_ID")
        own = {link[0] for link in deal["links"]}
        for link in leads[str(lead)]["links"] if lead else []:
            if link[0] not in own:
                expected.add((["left out", "missing"][link[0] in there], number, str(lead), str(link[0])))
    told = reconcile(tmp_path, migration="lead_to_deal")
    rows = table(told["reconcile_csv"])
    found = {
        ("missing", row["target_owner"], row["source_owner"], row["source_contact"])
        if row["difference"] == "missing"
        else ("left out", row["source_owner"], re.findall(r"lead (\d+)", row["detail"])[0],
              row["source_contact"])
        for row in rows if row["difference"] != "primary"
    }  # fmt: skip
    assert found == expected
    assert {row["kind"] for row in rows} == {"deal"}


def test_a_lead_whose_deal_is_gone_by_the_time_of_the_apply_keeps_its_contacts(
    make_sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    """A plan may wait a day for its approval; the contacts would hang nowhere."""
    sandbox = make_sandbox(contacts=9, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    leads = [sandbox.state.add("lead", {"CONTACT_IDS": [1, 2]}) for _ in range(3)]
    deals = [sandbox.state.add("deal", {"LEAD_ID": lead, "CONTACT_IDS": [1, 2]}) for lead in leads]
    made = plan(tmp_path, migration="release_moved_leads")
    assert made["changes"] == 3
    sandbox.state.delete("deal", deals[1])
    done = apply(made)
    assert {name: number for name, number in done["counts"].items() if number} == {"applied": 2, "drift": 1}
    rows = portals.rows(sandbox, "lead")
    assert [len(rows[lead]) for lead in leads] == [0, 2, 0]
