"""Companies that others took the place of, on the contacts that belong to them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import speaking
from airflow_bitrix.files.plans import read_manifest
from airflow_bitrix.operators.link_plans import (
    Bitrix24CheckLinkPlanOperator,
    Bitrix24ExportContactLinksOperator,
    Bitrix24PlanLinkRestoreOperator,
)
from airflow_bitrix.report.approval import headline
from tests.operators.migrations import apply, changes, plan

if TYPE_CHECKING:
    from tests.operators.conftest import Portals

GONE = range(301, 400)


@pytest.fixture
def sandbox(make_sandbox: Any, portals: Portals) -> Any:
    sandbox = make_sandbox(contacts=400, companies=300, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    return sandbox


def of_companies(sandbox: Any, company_ids: Any) -> set[int]:
    """The contacts that belong to one of some companies."""
    return {
        int(contact)
        for contact, data in sandbox.links("contact").items()
        if any(link[0] in company_ids for link in data["links"])
    }


def test_order_sort_and_primary_stay_and_chains_are_followed(
    sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    company_map = {one: one + 1 for one in range(1, 15)}
    before = {
        owner: {**data, "contact_id": data["company_id"]} for owner, data in sandbox.links("contact").items()
    }
    ends = dict.fromkeys(company_map, 15)
    expected = {int(owner): portals.remapped(data, ends) for owner, data in before.items()}
    file = tmp_path / "merged.csv"
    file.write_text(
        "Old company id;New company id\n" + "".join(f"{old};{new}\n" for old, new in company_map.items())
    )
    made = plan(tmp_path, migration="company_map", company_map_file=str(file))
    assert set(changes(made)) == of_companies(sandbox, company_map)
    assert apply(made)["counts"]["applied"] == made["changes"] > 50
    assert portals.rows(sandbox, "contact") == expected
    # Its card shows each contact the company that took the primary one's place.
    assert all(
        data["company_id"] == next((row[0] for row in expected[int(owner)] if row[2] == "Y"), 0)
        for owner, data in sandbox.links("contact").items()
        if int(owner) in changes(made)
    )


def test_a_few_companies_are_asked_for_their_contacts(sandbox: Any, tmp_path: Path) -> None:
    made = plan(tmp_path, migration="company_map", company_map=dict.fromkeys(range(1, 6), 7))
    assert set(changes(made)) == of_companies(sandbox, range(1, 6))
    assert made["read"] == made["changes"]
    # The user, the new company, the old ones, their contacts; and the exact links of these.
    assert sandbox.stats()["admitted"] <= 4 + -(-made["changes"] // 50)


def test_of_companies_that_are_gone_contacts_tell(sandbox: Any, tmp_path: Path) -> None:
    dangling = of_companies(sandbox, GONE)
    made = plan(tmp_path, migration="company_map", company_map=dict.fromkeys(GONE, 7))
    assert set(changes(made)) == dangling
    assert apply(made)["counts"]["applied"] == len(dangling) > 3
    assert not of_companies(sandbox, GONE)


def test_a_snapshot_brings_companies_back_that_are_there_still(
    sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    taken = Bitrix24ExportContactLinksOperator(
        task_id="export", kind="contact", detail="full", artifacts_path=str(tmp_path / "night")
    ).execute({})
    before = portals.rows(sandbox, "contact")
    alone = next(one for one, rows in before.items() if [row[0] for row in rows] == [2])
    moved = {one: rows for one, rows in before.items() if one != alone and {row[0] for row in rows} & {1, 3}}
    for contact in (*moved, alone):
        sandbox.state.update("contact", contact, {"COMPANY_IDS": [7]})
    sandbox.state.delete("company", 2)
    back = Bitrix24PlanLinkRestoreOperator(
        task_id="back", snapshot=taken, owners=[*moved, alone], artifacts_path=str(tmp_path / "back")
    ).execute({})
    assert set(changes(back)) == {*moved}
    reasons = (tmp_path / "back" / "plan" / "left_out.csv").read_text()
    assert "company 2 no longer exists, and there was no other" in reasons
    apply(back)
    now = portals.rows(sandbox, "contact")
    for contact, rows in moved.items():
        assert [row[:2] for row in now[contact]] == [row[:2] for row in rows if row[0] not in (2, *GONE)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"company_map": {1: 9999}},
            "company_map: '9999' is not accepted; accepted: new companies that are there",
        ),
        ({"company_map": {1: 2}, "kind": "lead"}, "kind: 'lead' is not accepted; accepted: 'contact' with"),
        ({"company_map": {1: 2}, "contact_map": {1: 2}}, "contact_map: .* nothing with company_map"),
        ({"company_map": {1: 2}, "company_map_file": "x"}, "company_map, company_map_file: .* only one"),
        ({"company_map": {1: 2, 2: 1}}, "company_map: '1 -> 2 -> 1' is not accepted; accepted: chains"),
        ({}, r"company_map: no map is given; .*Map file, or Companies\)"),
        ({"migration": "contact_map", "kind": "contact", "contact_map": {1: 2}}, "kind: 'contact' is not"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_be_right_is_refused(
    arguments: dict[str, Any], said: str, sandbox: Any, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=f"^{said}"):
        plan(tmp_path, **{"migration": "company_map", **arguments})
    assert sandbox.stats()["writes"] == 0


def test_people_read_of_companies(sandbox: Any, tmp_path: Path) -> None:
    made = plan(tmp_path, migration="company_map", company_map={1: 7, 2: 7})
    manifest = read_manifest(Path(made["plan"]))
    assert headline(manifest).startswith(f"Change the companies of {made['changes']} contacts on ")
    with speaking("ru"):
        assert headline(manifest).startswith("Изменить компании ")
    changed = next(iter(changes(made)))
    sandbox.state.update("contact", changed, {"COMPANY_IDS": [5]})
    assert apply(made)["counts"]["drift"] == 1
    told = Bitrix24CheckLinkPlanOperator(task_id="check", plan=made, is_dry_run=False).execute({})
    page = Path(told["report"]).read_text()
    assert "companies are now 5*, planned from " in page
    person, company = (sandbox.state.tables[kind].rows for kind in ("contact", "company"))
    assert person[changed]["LAST_NAME"] in page
    assert company[7]["TITLE"] in page
    assert "/crm/company/details/7/" in page
