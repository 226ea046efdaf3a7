"""The DAG that replaces companies of contacts, run by Airflow in this process, and the way back."""

from __future__ import annotations

from typing import Any

from tests.airflow import test_migration_dags
from tests.airflow.sample_dags import RESTORE, folder_of, of_groups
from tests.airflow.test_migration_dags import all_rows, table

run = test_migration_dags.run


def test_companies_are_replaced_on_contacts_and_one_run_takes_it_back(run: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(contacts=4, companies=5, plan="self_hosted")
    for contact, companies in enumerate(([1], [3, 2], [2, 4], [5]), 1):
        sandbox.state.update("contact", contact, {"COMPANY_IDS": companies})
    before = all_rows(sandbox, "contact")
    form = {"companies": {"1": 2, "2": 4}, "dry_run": False}
    done, states = run("bitrix24_company_remap", {"bitrix24_default": sandbox}, **form)
    assert {*states.values()} == {"success"}
    assert all_rows(sandbox, "contact") == {
        1: [(4, 10, "Y")],
        2: [(3, 10, "Y"), (4, 20, "N")],
        3: [(4, 10, "Y")],
        4: [(5, 10, "Y")],
    }
    assert table(folder_of(done, "compare") / "reconcile.csv") == []

    folder = str(folder_of(done, "plan").parent)
    _, states = run(RESTORE, {"bitrix24_default": sandbox}, journal=folder, dry_run=False)
    assert of_groups(states, "approve", "contacts") == {"success"}
    assert of_groups(states, "leads", "companies") == {"skipped"}
    assert all_rows(sandbox, "contact") == before
