"""Contacts that others took the place of: planned exactly, applied to the exact end, and compared."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from tests.operators import migrations
from tests.operators.migrations import apply, changes, plan, reconcile, table

if TYPE_CHECKING:
    from tests.operators.conftest import Portals

sandbox = migrations.sandbox


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
        used[many] = (stats["admitted"] - exact - 2, made["read"])  # for the user and the new contact
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
    with pytest.raises(
        InvalidInput, match="contact_map: 'line 3: \\(not shown\\),7; line 4: 8,nothing'"
    ) as refused:
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
