"""What the tab reads of a file of differences: all of it once, however often its page is asked for."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from airflow_bitrix.core.differences import Difference
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.migrations import Aim, Left
from airflow_bitrix.files.reconciliations import ReconciliationWriter
from airflow_bitrix.files.snapshot_changes import CHANGED, ChangedFile
from airflow_bitrix.plugins.differences import SHOWN, found_in
from tests.plugins.runs import PORTAL

MANY = 50_000


@pytest.mark.attack
def test_looking_at_the_differences_again_costs_next_to_nothing(tmp_path: Path) -> None:
    rows = (f"missing,lead,{number},1\n" for number in range(MANY))
    (tmp_path / "reconcile.csv").write_text("difference,kind,source_owner,target_owner\n" + "".join(rows))

    def cost() -> float:
        began = time.process_time()
        found = found_in(tmp_path)
        assert found
        assert (found.total, len(found.rows)) == (MANY, SHOWN)
        return time.process_time() - began

    first = cost()
    assert min(cost() for _ in range(5)) < first / 10


def test_differences_that_were_written_again_are_read_again(tmp_path: Path) -> None:
    for number in (1, 2):
        path = tmp_path / "reconcile.csv.new"
        path.write_text("difference,kind\n" + "missing,lead\n" * number)
        Path(path).replace(tmp_path / "reconcile.csv")
        found = found_in(tmp_path)
        assert found
        assert found.total == number


def test_ids_in_a_comparison_lead_to_the_cards_of_their_portals(tmp_path: Path) -> None:
    aim = Aim(
        LinkSet.of_ids(Owner("deal", 7), [1]),
        LinkSet.of_ids(Owner("deal", 7), [1, 2]),
        "why",
        source=Owner("lead", 3),
        came_from={2: 22},
    )
    with ReconciliationWriter(tmp_path / "reconcile.csv", "deal", "https://old.example", PORTAL) as file:
        file.add(aim)
        file.leave(Left(Owner("lead", 4), "gone", "no deal", contact_ids=(9,)))
    found = found_in(tmp_path)
    assert found
    assert (found.counted, "address" in found.columns) == ("differences", False)
    addresses = [re.findall('href="(.*?)"', cell) for row in (found.rows[0], found.rows[-1]) for cell in row]
    assert [one for (one,) in filter(None, addresses)] == [
        "https://old.example/crm/lead/details/3/",
        "https://old.example/crm/contact/details/22/",
        f"{PORTAL}/crm/deal/details/7/",
        f"{PORTAL}/crm/contact/details/2/",
        "https://old.example/crm/lead/details/4/",
        "https://old.example/crm/contact/details/9/",
    ]


def test_changes_since_a_snapshot_count_owners_and_lead_to_them_and_to_contacts(tmp_path: Path) -> None:
    before, after = (LinkSet.of_ids(Owner("deal", 7), ids) for ids in ([1, 2], [1]))
    with ChangedFile(tmp_path / CHANGED, PORTAL) as file:
        file.add(Difference(Owner("deal", 7), "removed", before, after, (2,)))
    found = found_in(tmp_path)
    assert found
    assert (found.counted, dict(found.counts)) == ("deals", {"removed": 1})
    (row,) = found.rows
    links = [re.findall('href="(.*?)"', cell) for cell in row]
    card = f"{PORTAL}/crm/contact/details"
    assert links == [
        [f"{PORTAL}/crm/deal/details/7/"],
        [],
        [f"{card}/2/"],
        [f"{card}/1/", f"{card}/2/"],
        [f"{card}/1/"],
    ]


def test_a_comparison_of_companies_of_contacts_speaks_of_them_and_leads_to_their_cards(
    tmp_path: Path,
) -> None:
    contact = Owner("contact", 7)
    with ReconciliationWriter(tmp_path / "reconcile.csv", "contact", PORTAL, PORTAL) as file:
        file.add(Aim(LinkSet.of_ids(contact, [1]), LinkSet.of_ids(contact, [2]), "why"))
    found = found_in(tmp_path)
    assert found
    assert found.counted == "differences"
    assert found.meanings["missing"] == "a company is not linked that should be"
    assert {"its company", "company"} <= set(found.columns)
    assert f"{PORTAL}/crm/company/details/2/" in str(found.rows)
    assert "/crm/contact/details/2/" not in str(found.rows)
