"""Owners without link methods: no plan saves them unless somebody allows it, and then all else holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.operators.link_plans import (
    Bitrix24PlanLinkCleanupOperator,
    Bitrix24PlanLinkRestoreOperator,
)
from tests.operators.migrations import apply, changes, plan

if TYPE_CHECKING:
    from tests.operators.conftest import Portals

KINDS = ["smart_invoice", "dynamic_1036"]


@pytest.fixture
def sandbox(make_sandbox: Any, portals: Portals) -> Any:
    sandbox = make_sandbox(contacts=10, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    return sandbox


def contacts_of(sandbox: Any, kind: str) -> dict[int, list[int]]:
    return {
        int(owner): [row[0] for row in sorted(data["links"], key=lambda row: (row[1], row[0]))]
        for owner, data in sandbox.links(kind).items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_replaces_contacts_by_saves_that_are_allowed_and_a_restore_by_others(
    kind: str, sandbox: Any, tmp_path: Path
) -> None:
    for contacts in ([1, 2], [3], [4, 1]):
        sandbox.state.add(kind, {"CONTACT_IDS": contacts})
    arguments: dict[str, Any] = {"migration": "contact_map", "kind": kind, "contact_map": {1: 9}}
    with pytest.raises(
        InvalidInput, match=r"^allow_saving: False is not accepted; accepted: True, as "
    ) as no:
        plan(tmp_path / "run", **arguments)
    assert isinstance(no.value, AirflowFailException)
    assert "Allow saving" in str(no.value)
    assert sandbox.stats()["admitted"] == 0

    made = plan(tmp_path / "run", **arguments, allow_saving=True)
    assert len(changes(made)) == 2
    assert "each change saves its" in Path(made["summary"]).read_text()
    applied = apply(made)
    assert applied["counts"]["applied"] == 2
    assert contacts_of(sandbox, kind) == {1: [9, 2], 2: [3], 3: [4, 9]}

    sandbox.reset_stats()
    back: dict[str, Any] = {"task_id": "plan", "journal": applied, "artifacts_path": str(tmp_path / "back")}
    with pytest.raises(InvalidInput, match=r"^allow_saving: "):
        Bitrix24PlanLinkRestoreOperator(**back).execute({})
    assert sandbox.stats()["admitted"] == 0
    told = Bitrix24PlanLinkRestoreOperator(
        **back, kind="dynamic" if "_1" in kind else kind, allow_saving=True
    )
    assert apply(told.execute({}))["counts"]["applied"] == 2
    assert contacts_of(sandbox, kind) == {1: [1, 2], 2: [3], 3: [4, 1]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_clean_up_asks_for_it_too(kind: str, sandbox: Any, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"kind": kind, "rules": ["remove_dangling"], "artifacts_path": str(tmp_path)}
    with pytest.raises(InvalidInput, match=r"^allow_saving: "):
        Bitrix24PlanLinkCleanupOperator(task_id="plan", **fields).execute({})
    assert sandbox.stats()["admitted"] == 0
    assert Bitrix24PlanLinkCleanupOperator(task_id="plan", **fields, allow_saving=True).execute({})["hash"]


@pytest.mark.parametrize("kind", ["lead", "deal", "quote", "company"])
def test_what_has_link_methods_needs_nobody_s_leave(kind: str, sandbox: Any, tmp_path: Path) -> None:
    assert sandbox.links(kind) == {}
    assert plan(tmp_path, migration="contact_map", kind=kind, contact_map={1: 9})["changes"] == 0
