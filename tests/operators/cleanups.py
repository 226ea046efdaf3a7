"""A portal to clean up, and plans for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.plans import read_changes, read_manifest
from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkCleanupOperator
from tests.operators.rendered import rendered


@pytest.fixture
def sandbox(make_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    sandbox = make_sandbox(leads=1000, deals=1000, contacts=700, plan="self_hosted", code="abcdef123456")
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


def plan(folder: Path, kind: str, rules: list[str], **arguments: Any) -> tuple[Any, list[Change]]:
    fields = {"rules": rules, "kind": kind, "artifacts_path": str(folder), **arguments}
    made = rendered(Bitrix24PlanLinkCleanupOperator, task_id="plan", **fields).execute({})
    return made, list(changes_of(folder / "plan"))


def changes_of(folder: Path) -> Iterator[Change]:
    manifest = read_manifest(folder)
    for part in range(len(manifest.parts)):
        yield from read_changes(folder, manifest, part)
