"""Migrations within a portal: planned exactly, applied to the exact end, and compared."""

from __future__ import annotations

import csv
import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput, PlanRefused
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24PlanLinkCleanupOperator,
    Bitrix24PlanLinkMigrationOperator,
    Bitrix24ReconcileContactLinksOperator,
)

if TYPE_CHECKING:
    from tests.operators.conftest import Portals


@pytest.fixture
def sandbox(make_sandbox: Any, portals: Portals) -> Any:
    sandbox = make_sandbox(leads=900, deals=700, contacts=300, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    return sandbox


def plan(folder: Path, **arguments: Any) -> Any:
    return Bitrix24PlanLinkMigrationOperator(task_id="plan", artifacts_path=str(folder), **arguments).execute(
        {}
    )


def apply(made: Any, **arguments: Any) -> Any:
    fields = {"plan": made, "is_dry_run": False, **arguments}
    return Bitrix24ApplyLinkPlanOperator(task_id="apply", **fields).execute({})


def reconcile(folder: Path, **arguments: Any) -> Any:
    return Bitrix24ReconcileContactLinksOperator(
        task_id="compare", artifacts_path=str(folder), **arguments
    ).execute({})


def table(path: Path | str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as rows:
        return list(csv.DictReader(rows))


def changes(made: Any) -> dict[int, Any]:
    parts = sorted(Path(made["plan"]).glob("part-*.jsonl"))
    lines = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
    return {line["owner"]: line for line in lines}


# Contact map


@pytest.mark.parametrize("kind", ["lead", "deal"])
@pytest.mark.parametrize("olds", [range(2, 60, 2), range(2, 300, 2)], ids=["looked up", "scanned"])
def test_a_contact_map_ends_exactly_with_order_and_primary_kept(
    kind: str, olds: range, sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    contact_map = {old: old - 1 if old % 3 else 299 for old in olds}
    before = sandbox.links(kind)
    expected = {int(owner): portals.remapped(data, contact_map) for owner, data in before.items()}
    concerned = {owner for owner, rows in portals.rows(sandbox, kind).items() if rows != expected[owner]}
    made = plan(tmp_path, migration="contact_map", kind=kind, contact_map=contact_map)
    assert sandbox.stats()["writes"] == 0
    assert set(changes(made)) == concerned
    assert made["by_rule"] == {"contact_map": len(concerned)}
    told = apply(made)
    assert told["counts"]["applied"] == len(concerned) > 20
    assert portals.rows(sandbox, kind) == expected

    again = plan(tmp_path / "again", migration="contact_map", kind=kind, contact_map=contact_map)
    assert again["changes"] == 0
    compared = reconcile(tmp_path, migration="contact_map", kind=kind, contact_map=contact_map)
    assert (compared["differences"], compared["by_difference"]) == (0, {})


def test_a_few_contacts_are_looked_up_and_many_are_found_by_a_scan(
    make_sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    sandbox = make_sandbox(leads=9000, contacts=2000, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    used: dict[int, tuple[int, int]] = {}
    for many in (50, 100, 101, 150, 200, 1000):
        sandbox.reset_stats()
        contact_map = dict.fromkeys(range(1, many + 1), 2000)
        made = plan(tmp_path, migration="contact_map", kind="lead", contact_map=contact_map)
        stats = sandbox.stats()
        exact = math.ceil(stats["commands_in_batches"]["crm.lead.contact.items.get"] / 50)
        used[many] = (stats["admitted"] - exact - 1, made["read"])  # one for the new contact
    # 9,000 leads take 4 requests to scan; a look-up takes one for 50 contacts, and one more beyond 100 to
    # learn how many leads there are.
    requests = {many: requests for many, (requests, _) in used.items()}
    assert requests == {50: 1, 100: 2, 101: 4, 150: 4, 200: 5, 1000: 5}
    assert used[200][1] > used[100][1] > 0


def test_a_contact_with_more_owners_than_a_page_loses_none(
    make_sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    sandbox = make_sandbox(contacts=5, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    for number in range(260):
        sandbox.state.add("lead", {"CONTACT_IDS": [1, 2] if number % 2 else [3, 1]})
    made = plan(tmp_path, migration="contact_map", kind="lead", contact_map=[[1, 4]])
    assert made["read"] == made["changes"] == 260
    apply(made)
    expected = {
        number + 1: [(4, 10, "Y"), (2, 20, "N")] if number % 2 else [(3, 10, "Y"), (4, 20, "N")]
        for number in range(260)
    }
    assert portals.rows(sandbox, "lead") == expected


@pytest.mark.parametrize(
    ("share", "is_broken"), [(0.02, False), ("0.02", False), (0.019, True), (None, False)]
)
def test_the_share_is_one_of_all_owners_though_a_look_up_reads_but_a_few(
    share: Any, make_sandbox: Any, portals: Portals, tmp_path: Path, *, is_broken: bool
) -> None:
    sandbox = make_sandbox(contacts=9, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    for number in range(100):
        sandbox.state.add("lead", {"CONTACT_IDS": [1] if number < 2 else [2]})
    arguments = {"migration": "contact_map", "kind": "lead", "contact_map": {1: 5}}
    plan(tmp_path / "no limit", **arguments)
    without = sandbox.stats()["admitted"]
    sandbox.reset_stats()
    made = plan(tmp_path, **arguments, max_share=share)
    assert sandbox.stats()["admitted"] == without + (share is not None)
    assert (made["read"], made["changes"]) == (2, 2)
    if is_broken:
        with pytest.raises(
            PlanRefused, match=r"it changes 2\.0% of the 100 owners of its kind on the portal"
        ):
            apply(made)
    else:
        assert apply(made)["counts"]["applied"] == 2


def test_a_filter_narrows_a_contact_map(sandbox: Any, tmp_path: Path) -> None:
    contact_map = dict.fromkeys(range(1, 100), 299)
    wanted = {"logic": "OR", "<=id": 50, "=stageId": "JUNK"}
    rows = sandbox.state.tables["lead"].rows
    made = plan(tmp_path, migration="contact_map", kind="lead", contact_map=contact_map, filter=wanted)
    within = {lead for lead, row in rows.items() if lead <= 50 or row["STATUS_ID"] == "JUNK"}
    linked = {
        int(lead)
        for lead, data in sandbox.links("lead").items()
        if any(link[0] in contact_map for link in data["links"])
    }
    assert set(changes(made)) == within & linked != linked


def test_new_contacts_that_are_not_there_are_refused_before_there_is_a_plan(
    sandbox: Any, tmp_path: Path
) -> None:
    sandbox.state.delete("contact", 7)
    contact_map = {5: 6, 8: 7, 9: 10**9}
    with pytest.raises(InvalidInput, match="contact_map: '7, 1000000000' is not accepted; accepted: new"):
        plan(tmp_path, migration="contact_map", kind="deal", contact_map=contact_map)
    assert not (tmp_path / "plan" / "manifest.json").exists()
    assert sandbox.stats()["writes"] == 0


def test_a_map_file_with_bad_rows_is_refused_before_anything_is_sent(sandbox: Any, tmp_path: Path) -> None:
    path = tmp_path / "merged.csv"
    path.write_text("old;new\n5;6\nAnn;7\n8;\n")
    with pytest.raises(InvalidInput, match="contact_map: 'line 3: Ann,7; line 4: 8,nothing'") as refused:
        plan(tmp_path, migration="contact_map", kind="lead", contact_map=str(path))
    assert isinstance(refused.value, AirflowFailException)
    path.write_text("old;new\n5;6\n7;6\n6;5\n")
    with pytest.raises(InvalidInput, match="contact_map: '5 -> 6 -> 5'"):
        plan(tmp_path, migration="contact_map", kind="lead", contact_map=str(path))
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.usefixtures("sandbox")
def test_a_map_from_a_file_does_what_a_map_does(tmp_path: Path) -> None:
    path = tmp_path / "merged.csv"
    path.write_bytes(b"\xef\xbb\xbfold;new\r\n5;6\r\n6;7\r\n")
    from_file = plan(tmp_path / "a", migration="contact_map", kind="lead", contact_map=f"file://{path}")
    given = plan(tmp_path / "b", migration="contact_map", kind="lead", contact_map={"5": 7, "6": 7})
    assert changes(from_file) == changes(given)
    assert changes(given)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"migration": "contact_map"},
            r"contact_map: no map is given; .*\(in .* form: Map file, or Contacts\)$",
        ),
        (
            {"migration": "portal_to_portal", "source_conn_id": "bitrix24_default", "match": "map"},
            r"owner_map: no map is given; .*\(in the trigger form: Map of leads\)$",
        ),
    ],
)
def test_a_map_that_is_missing_is_called_by_the_names_of_the_form(
    arguments: dict[str, Any], said: str, sandbox: Any, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=f"^{said}"):
        plan(tmp_path, kind="lead", **arguments)
    assert sandbox.stats()["admitted"] == 0


def test_a_map_and_a_file_at_once_are_refused_and_both_are_named(sandbox: Any, tmp_path: Path) -> None:
    path = tmp_path / "merged.csv"
    path.write_text("old,new\n5,6\n")
    arguments = {"migration": "contact_map", "kind": "lead", "contact_map_file": str(path)}
    with pytest.raises(InvalidInput, match=r"^contact_map, contact_map_file: .*7.*merged\.csv.* only one"):
        plan(tmp_path / "both", contact_map={"7": 8}, **arguments)
    assert sandbox.stats()["admitted"] == 0
    alone = plan(tmp_path / "a", contact_map="None", **arguments)
    given = plan(tmp_path / "b", migration="contact_map", kind="lead", contact_map={5: 6})
    assert changes(alone) == changes(given)
    assert changes(given)


@pytest.mark.usefixtures("sandbox")
def test_nothing_merged_is_nothing_to_do(tmp_path: Path) -> None:
    made = plan(tmp_path, migration="contact_map", kind="lead", contact_map=[])
    assert (made["changes"], made["read"]) == (0, 0)


def test_under_faults_every_owner_is_still_found(sandbox: Any, tmp_path: Path) -> None:
    contact_map = dict.fromkeys(range(1, 40), 300)
    calm = plan(tmp_path / "a", migration="contact_map", kind="deal", contact_map=contact_map)
    sandbox.set_faults(seed=5, throttle=0.1, html=0.05, command=0.02)
    rough = plan(tmp_path / "b", migration="contact_map", kind="deal", contact_map=contact_map)
    assert sum(sandbox.stats()["faults"].values()) > 2
    assert changes(rough) == changes(calm)


def test_a_portal_that_hides_links_in_its_lists_is_migrated_all_the_same(
    sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    sandbox.set_switches(hide_contact_ids=True)
    contact_map = {5: 6, 17: 300}
    expected = {
        int(owner): portals.remapped(data, contact_map) for owner, data in sandbox.links("lead").items()
    }
    apply(plan(tmp_path, migration="contact_map", kind="lead", contact_map=contact_map))
    assert portals.rows(sandbox, "lead") == expected


def test_a_portal_that_refuses_leaves_no_plan(sandbox: Any, tmp_path: Path) -> None:
    plan(tmp_path, migration="lead_to_deal")
    sandbox.set_switches(scope=["user"])
    with pytest.raises(Bitrix24Error, match="lacks the scope"):
        plan(tmp_path, migration="lead_to_deal")
    assert not (tmp_path / "plan" / "manifest.json").exists()


# Leads and deals


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
    with pytest.raises(PlanRefused, match=r"no administrator.*deals.*believe_any_user=True") as refused:
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


# Arguments


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"migration": "everything"}, "migration"),
        ({"migration": None}, "migration"),
        ({"migration": "contact_map", "contact_map": {5: 6}}, "kind"),
        ({"migration": "contact_map", "kind": "contact", "contact_map": {5: 6}}, "kind"),
        ({"migration": "lead_to_deal", "kind": "lead"}, "kind"),
        ({"migration": "release_moved_leads", "kind": "deal"}, "kind"),
        ({"migration": "contact_map", "kind": "lead"}, "contact_map"),
        ({"migration": "contact_map", "kind": "lead", "contact_map": "None"}, "contact_map"),
        ({"migration": "contact_map", "kind": "lead", "contact_map": 5}, "contact_map"),
        ({"migration": "contact_map", "kind": "lead", "contact_map": "/nowhere.csv"}, "contact_map"),
        ({"migration": "contact_map", "kind": "lead", "contact_map": {5: 6}, "save": True}, "save"),
        ({"migration": "contact_map", "kind": "lead", "contact_map": "5,6\n" * 99}, "contact_map"),
        ({"migration": "contact_map", "kind": "lead", "contact_map": "ftpx://host/map.csv"}, "contact_map"),
        ({"migration": "lead_to_deal", "contact_map": {5: 6}}, "contact_map"),
        ({"migration": "lead_to_deal", "contact_map_file": "merged.csv"}, "contact_map_file"),
        (
            {"migration": "contact_map", "kind": "lead", "contact_map_file": "/nowhere.csv"},
            "contact_map_file",
        ),
        ({"migration": "lead_to_deal", "source_conn_id": "other"}, "source_conn_id"),
        ({"migration": "lead_to_deal", "originator": "old"}, "originator"),
        ({"migration": "lead_to_deal", "filter": "id>5"}, "filter"),
        ({"migration": "lead_to_deal", "extra": "drop"}, "extra"),
        ({"migration": "lead_to_deal", "detail": "some"}, "detail"),
        ({"migration": "release_moved_leads", "save": "perhaps"}, "save"),
        ({"migration": "release_moved_leads", "believe_any_user": "1"}, "believe_any_user"),
        ({"migration": "lead_to_deal", "believe_any_user": True}, "believe_any_user"),
        ({"migration": "lead_to_deal", "max_changes": -1}, "max_changes"),
    ],
)
def test_an_argument_that_cannot_be_right_is_refused_by_name(
    arguments: dict[str, Any], argument: str, sandbox: Any, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=rf"^{argument}: .* accepted: ") as refused:
        plan(tmp_path, **arguments)
    assert isinstance(refused.value, AirflowFailException)
    if argument != "max_changes":
        with pytest.raises(InvalidInput, match=rf"^{argument}: .* accepted: "):
            reconcile(tmp_path, **arguments)
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.parametrize("migration", ["contact_map", "lead_to_deal", "release_moved_leads"])
def test_an_unknown_field_in_the_filter_is_refused(migration: str, sandbox: Any, tmp_path: Path) -> None:
    arguments = {"contact_map": {5: 6}, "kind": "lead"} if migration == "contact_map" else {}
    with pytest.raises(InvalidInput, match="filter: 'stagId' is not accepted"):
        plan(tmp_path, migration=migration, filter={"stagId": "NEW"}, **arguments)
    assert sandbox.stats()["writes"] == 0


@pytest.mark.parametrize(
    "wanted", [{"id": None}, {"@id": []}, {"0": {"stageId": {}}}, {"@id": [1, None]}], ids=repr
)
def test_a_filter_with_nothing_to_compare_with_is_refused_by_its_name(
    wanted: dict[str, Any], sandbox: Any, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=r"^filter: .* accepted: a value for each field") as refused:
        plan(tmp_path, migration="lead_to_deal", filter=wanted)
    assert isinstance(refused.value, AirflowFailException)
    clean = Bitrix24PlanLinkCleanupOperator(
        task_id="plan", rules=["fix_primary"], filter=wanted, artifacts_path=str(tmp_path)
    )
    with pytest.raises(InvalidInput, match=r"^filter: "):
        clean.execute({})
    assert sandbox.stats()["admitted"] == 0


# Reconcile


def test_a_comparison_finds_exactly_what_a_contact_map_has_left(sandbox: Any, tmp_path: Path) -> None:
    contact_map = {old: old - 1 for old in range(2, 80, 2)}
    planted = Counter(
        (int(lead), link[0])
        for lead, data in sandbox.links("lead").items()
        for link in data["links"]
        if link[0] in contact_map
    )
    sandbox.reset_stats()
    told = reconcile(tmp_path, migration="contact_map", kind="lead", contact_map=contact_map)
    rows = table(told["reconcile_csv"])
    found = Counter(
        (int(row["target_owner"]), int(row["target_contact"])) for row in rows if row["difference"] == "extra"
    )
    assert found == planted
    assert told["differences"] == len(rows) == sum(told["by_difference"].values())
    assert told["requests"] == sandbox.stats()["admitted"]
    assert sandbox.stats()["writes"] == 0
    with pytest.raises(AirflowFailException, match=r"differences \(max_differences is 3\); see .*reconcile"):
        reconcile(
            tmp_path, migration="contact_map", kind="lead", contact_map=contact_map, max_differences="3"
        )
    most = str(told["differences"])
    reconcile(tmp_path, migration="contact_map", kind="lead", contact_map=contact_map, max_differences=most)


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
