"""Sample DAGs about several kinds of owners, beside those of migrations, to the exact expected end."""

from __future__ import annotations

from typing import Any

from airflow_bitrix.core.families import family_of
from tests.airflow.sample_dags import DANGLING, SNAPSHOT, folder_of, of_groups, outcomes

GROUPS = {"lead": "leads", "deal": "deals", "quote": "quotes", "company": "companies"}


def held(kind: str, rows: list[list[Any]]) -> Any:
    """What counts of links: of a company who they are, as all else is the contacts'."""
    return {row[0] for row in rows} if family_of(kind).is_shared else [tuple(row[:3]) for row in rows]


def links(sandbox: Any, kind: str) -> dict[str, Any]:
    """What a portal holds of each owner of a kind."""
    return ends(kind, sandbox.links(kind))


def ends(kind: str, owners: dict[str, Any]) -> dict[str, Any]:
    return {owner: held(kind, data["links"]) for owner, data in owners.items()}


def test_links_to_contacts_that_are_gone_go_from_all_kinds_as_the_truth_says(
    run: Any, make_sandbox: Any
) -> None:
    sandbox = make_sandbox(leads=300, deals=300, contacts=200, quotes=300, companies=300, plan="self_hosted")
    expected = sandbox.truth()["expected"]["remove_dangling"]
    wanted = {kind: links(sandbox, kind) | ends(kind, expected[kind]) for kind in GROUPS}

    _, states = run(DANGLING, sandbox, kinds=["quote"])
    assert of_groups(states, "chosen", "approve", "quotes") == {"success"}
    assert of_groups(states, "leads", "deals", "companies", "invoices") == {"skipped"}
    assert sandbox.stats()["writes"] == 0

    done, states = run(DANGLING, sandbox, dry_run=False)
    assert of_groups(states, "chosen", "approve", *GROUPS.values()) == {"success"}
    assert of_groups(states, "invoices") == {"skipped"}
    for kind, group in GROUPS.items():
        became = outcomes(folder_of(done, f"plans.{group}"))
        assert became == dict.fromkeys(map(int, expected[kind]), "applied")
        assert len(became) > 3
        assert links(sandbox, kind) == wanted[kind]


def test_a_snapshot_of_further_kinds_is_compared_with_the_last_of_its_own_kind(
    run: Any, make_sandbox: Any
) -> None:
    sandbox = make_sandbox(leads=20, deals=20, contacts=30, quotes=20, companies=20, plan="self_hosted")
    sandbox.state.add("quote", {"CONTACT_IDS": [1]})
    _, states = run(SNAPSHOT, sandbox)
    assert of_groups(states, "chosen", "leads", "deals") == {"success"}  # as before there were others
    assert of_groups(states, "quotes", "companies", "invoices") == {"skipped"}

    kinds = ["deal", "quote", "company"]
    run(SNAPSHOT, sandbox, kinds=kinds)
    added = sandbox.state.add("quote", {"CONTACT_IDS": [2]})
    done, states = run(SNAPSHOT, sandbox, kinds=kinds)
    assert of_groups(states, "deals", "quotes", "companies") == {"success"}
    assert of_groups(states, "leads") == {"skipped"}
    changed = {
        group: [
            row.split(",")[:3] for row in (folder_of(done, group) / "changed.csv").read_text().split()[1:]
        ]
        for group in ("deals", "quotes", "companies")
    }
    assert changed == {"deals": [], "quotes": [["quote", str(added), "new"]], "companies": []}
