"""Every kind of owner through all operators: exported, cleaned up, migrated, compared, brought back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.families import family_of
from airflow_bitrix.operators.link_plans import (
    Bitrix24CheckLinkPlanOperator,
    Bitrix24ExportContactLinksOperator,
    Bitrix24PlanLinkCleanupOperator,
    Bitrix24PlanLinkRestoreOperator,
)
from airflow_bitrix.sandbox.server import Sandbox
from tests.operators.migrations import apply, changes, plan, reconcile

if TYPE_CHECKING:
    from tests.operators.conftest import Portals

OF_CONTACTS = ("quote", "company", "smart_invoice", "dynamic_1036")
"""Beside leads and deals, of which all other tests are."""
KINDS = (*OF_CONTACTS, "contact")
"""And contacts, to which companies are linked."""
MAP = {one: one + 100 for one in range(1, 100)}


@pytest.fixture(scope="module")
def portal() -> Iterator[Sandbox]:
    with Sandbox(
        contacts=200, quotes=300, companies=300, invoices=300, items=300, plan="self_hosted"
    ) as sandbox:
        yield sandbox


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sandbox(portal: Sandbox, portals: Portals) -> Sandbox:
    portal.reset()
    portals.connect(bitrix24_default=portal)
    return portal


def held(sandbox: Sandbox, kind: str) -> dict[int, Any]:
    """What a portal holds of each owner: of a company the contacts alone, as all else is theirs."""
    found = {}
    for owner_id, owner in sandbox.links(kind).items():
        rows = sorted((link[1], link[0], link[2]) for link in owner["links"])
        is_shared = family_of(kind).is_shared
        found[int(owner_id)] = (
            {one for _, one, _ in rows} if is_shared else [(one, flag) for _, one, flag in rows]
        )
    return found


def may_save(kind: str) -> bool:
    return family_of(kind).is_saved


def check(made: Any) -> Any:
    return Bitrix24CheckLinkPlanOperator(task_id="check", plan=made, is_dry_run=False).execute({})


def export(folder: Path, kind: str, **arguments: Any) -> Any:
    fields = {"kind": kind, "artifacts_path": str(folder), **arguments}
    return Bitrix24ExportContactLinksOperator(task_id="export", **fields).execute({})


def test_contacts_are_replaced_compared_and_brought_back(sandbox: Sandbox, kind: str, tmp_path: Path) -> None:
    before, saving = held(sandbox, kind), may_save(kind)
    # A portal flags the contact that it shows, whatever was flagged before: of these a restore tells.
    odd = {int(one) for one, owner in sandbox.links(kind).items() if not _is_plain(kind, owner)}
    first = export(tmp_path / "first", kind, detail="full")
    of = f"{family_of(kind).linked}_map"
    mapped = {"migration": of, "kind": kind, of: MAP}
    made = plan(tmp_path / "run", **mapped, allow_saving=saving)
    assert sandbox.stats()["writes"] == 0
    concerned = {
        int(owner)
        for owner, data in sandbox.links(kind).items()
        if any(link[0] in MAP for link in data["links"])
    }
    assert set(changes(made)) == concerned
    told = apply(made)
    assert told["counts"]["applied"] == len(concerned) > 30
    assert check(made)["counts"]["applied"] == len(concerned)
    assert not any(link[0] in MAP for owner in sandbox.links(kind).values() for link in owner["links"])
    compared = reconcile(tmp_path, **mapped)
    assert (compared["differences"], compared["by_difference"]) == (0, {})
    changed = export(tmp_path / "changed", kind, compare_with=first["snapshot"])
    assert changed["changed_owners"] == len(concerned)

    back = Bitrix24PlanLinkRestoreOperator(
        task_id="back", journal=told, artifacts_path=str(tmp_path / "back"), allow_saving=saving
    ).execute({})
    assert back["changes"] == len(concerned)
    assert apply(back)["counts"]["applied"] == len(concerned)
    now = held(sandbox, kind)
    assert {one: links for one, links in now.items() if one not in odd} == {
        one: links for one, links in before.items() if one not in odd
    }
    assert len(odd) < len(before) / 10


def _is_plain(kind: str, owner: Any) -> bool:
    """Whether exactly the contact is flagged that the card shows."""
    flagged = [link[0] for link in owner["links"] if link[2] == "Y"]
    return family_of(kind).is_shared or flagged == [
        one for one in [owner[f"{family_of(kind).linked}_id"]] if one
    ]


@pytest.mark.parametrize("kind", OF_CONTACTS)
def test_links_to_contacts_that_are_gone_are_removed(sandbox: Sandbox, kind: str, tmp_path: Path) -> None:
    before, expected = held(sandbox, kind), sandbox.truth()["expected"]["remove_dangling"][kind]
    made = Bitrix24PlanLinkCleanupOperator(
        task_id="plan",
        kind=kind,
        rules=["remove_dangling"],
        allow_saving=may_save(kind),
        artifacts_path=str(tmp_path),
    ).execute({})
    assert {str(owner) for owner in changes(made)} == set(expected)
    assert apply(made)["counts"]["applied"] == len(expected) > 3
    now = held(sandbox, kind)
    for owner, end in expected.items():
        left = {one[0] if isinstance(one, tuple) else one for one in now[int(owner)]}
        assert left == {link[0] for link in end["links"]}
    assert {one: now[one] for one in before if str(one) not in expected} == {
        one: before[one] for one in before if str(one) not in expected
    }


@pytest.mark.parametrize("kind", ["smart_invoice", "dynamic_1036"])
def test_what_is_written_by_saving_is_refused_unless_the_author_allows_it(
    sandbox: Sandbox, kind: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=r"^allow_saving: False is not accepted"):
        plan(tmp_path, migration="contact_map", kind=kind, contact_map=MAP)
    assert sandbox.stats()["admitted"] == 0
