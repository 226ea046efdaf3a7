"""Leads with two contacts each, plans for them that were written by hand, and applies of those."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.plans import PlanWriter
from airflow_bitrix.operators.link_plans import Bitrix24ApplyLinkPlanOperator

LOCKED = {"error": "", "error_description": "This lead is locked."}


@pytest.fixture
def sandbox(make_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    sandbox = make_sandbox(contacts=300, plan="self_hosted")
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


def links(lead: int, *rows: tuple[int, int, bool]) -> LinkSet:
    return LinkSet(Owner("lead", lead), tuple(ContactLink(*row, role_id=0) for row in rows))


def unlink_second(lead: int) -> Change:
    before = links(lead, (1, 10, True), (2, 20, False))
    return Change(before, links(lead, (1, 10, True)), ("wanted",), ("made_up",))


def make(
    sandbox: Any,
    folder: Path,
    count: int,
    kind: Callable[[int], Change] = unlink_second,
    *,
    run: str = "",
    **guards: Any,
) -> dict[str, Any]:
    """Leads with two contacts each, and a plan for them."""
    for _ in range(count):
        sandbox.state.add("lead", {"CONTACT_IDS": [1, 2]})
    with PlanWriter(folder / "plan") as plan:
        for lead in range(1, count + 1):
            plan.add(kind(lead))
        about: dict[str, Any] = {"kind": "lead", "portal": sandbox.base_url, "created": "", "rules": ()}
        about["run"] = run
        manifest = plan.finish(read=count, guards=Guards(**guards), **about)
    return {"plan": str(folder / "plan"), "hash": manifest.hash}


def apply(made: dict[str, Any], **arguments: Any) -> Any:
    fields = {"plan": made, "is_dry_run": False, "needs_approval": False, **arguments}
    return Bitrix24ApplyLinkPlanOperator(task_id="apply", **fields).execute({})


def counts(done: Any) -> dict[str, int]:
    return {name: number for name, number in done["counts"].items() if number}


def bare(sandbox: Any) -> set[int]:
    """Leads that have lost their second contact."""
    return {int(lead) for lead, owner in sandbox.links("lead").items() if len(owner["links"]) == 1}
