"""A portal whose links are changed by applies and by hand, and restores of what they were."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner, OwnerKind
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.plans import PlanWriter, read_changes, read_manifest
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24ExportContactLinksOperator,
    Bitrix24PlanLinkCleanupOperator,
    Bitrix24PlanLinkRestoreOperator,
)
from airflow_bitrix.sandbox.links import Link

Rows = list[tuple[int, int, bool]]


@pytest.fixture
def sandbox(make_sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", str(tmp_path))
    sandbox = make_sandbox(leads=700, deals=300, contacts=300, plan="self_hosted")
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


def read_changes_of(made: Any, manifest: Any, part: int) -> list[Change]:
    return list(read_changes(Path(made["plan"]), manifest, part))


def changes_of(made: Any) -> dict[int, Change]:
    manifest = read_manifest(Path(made["plan"]))
    return {
        change.owner.id: change
        for part in range(len(manifest.parts))
        for change in read_changes_of(made, manifest, part)
    }


def export(folder: Path, **arguments: Any) -> Any:
    fields = {"artifacts_path": str(folder), **arguments}
    return Bitrix24ExportContactLinksOperator(task_id="export", **fields).execute({})


def clean_up(folder: Path) -> Any:
    made = Bitrix24PlanLinkCleanupOperator(
        task_id="plan", rules=["release_repeat_leads"], artifacts_path=str(folder)
    ).execute({})
    return apply(folder, made)


def remove_dangling(folder: Path) -> Any:
    return Bitrix24PlanLinkCleanupOperator(
        task_id="plan", rules=["remove_dangling"], artifacts_path=str(folder)
    ).execute({})


def apply(folder: Path, made: Any, **arguments: Any) -> Any:
    fields = {
        "plan": made["plan"],
        "plan_hash": made["hash"],
        "is_dry_run": False,
        "needs_approval": False,
        "artifacts_path": str(folder),
        **arguments,
    }
    return Bitrix24ApplyLinkPlanOperator(task_id="apply", **fields).execute({})


def restore(folder: Path, **arguments: Any) -> Any:
    fields = {"artifacts_path": str(folder / "restore"), **arguments}
    return Bitrix24PlanLinkRestoreOperator(task_id="restore", **fields).execute({})


def plan_of(
    folder: Path, sandbox: Any, kind: OwnerKind, changes: list[Change], *, created: str | None = None
) -> Any:
    """Write a plan by hand."""
    with PlanWriter(folder / "plan") as writer:
        for change in changes:
            writer.add(change)
        manifest = writer.finish(
            read=len(changes),
            kind=kind,
            portal=sandbox.base_url,
            created=created or datetime.now(UTC).isoformat(timespec="seconds"),
            rules=("by_hand",),
            guards=Guards(),
        )
    return {"plan": str(folder / "plan"), "hash": manifest.hash}


def exact(sandbox: Any, kind: OwnerKind, owner_id: int) -> LinkSet:
    links = tuple(
        ContactLink(link.contact_id, link.sort, link.primary, link.role_id)
        for link in sandbox.state.links(kind, owner_id)
    )
    row = sandbox.state.row(kind, owner_id)
    return LinkSet(Owner(kind, owner_id), links).with_scalar(row.get("CONTACT_ID"))


def linked(sandbox: Any, kind: OwnerKind, *rows: Any) -> int:
    """An owner with links of (contact, sort, is primary)."""
    owner_id = int(sandbox.state.add(kind, {"TITLE": "Owner"}))
    sandbox.state.write_links(kind, owner_id, tuple(Link(sort, one, flag) for one, sort, flag in rows))
    return owner_id


def rows_of(owner: Mapping[str, Any]) -> Rows:
    """Contact, sort and primary of each link; roles are the portal's own business."""
    return sorted((row[0], row[1], row[2] == "Y") for row in owner["links"])
