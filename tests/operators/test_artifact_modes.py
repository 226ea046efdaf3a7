"""Who may read what a run leaves: its user alone, unless the administrator says otherwise."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.files.approvals import Approval, write_approval
from airflow_bitrix.files.leases import Lease
from airflow_bitrix.files.own_files import make_folder, write_new
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24CheckLinkPlanOperator,
    Bitrix24ExportContactLinksOperator,
    Bitrix24PlanLinkCleanupOperator,
    Bitrix24PlanLinkRestoreOperator,
)
from tests.operators import restores

sandbox = restores.sandbox

ACCESS = "AIRFLOW__BITRIX24__ARTIFACTS_ACCESS"


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(root: Path) -> tuple[set[int], set[int]]:
    """Give the modes of all folders and of all files below a folder."""
    folders, files = set[int](), set[int]()
    for path in root.rglob("*"):
        mode = path.lstat().st_mode
        (folders if stat.S_ISDIR(mode) else files).add(stat.S_IMODE(mode))
    return folders, files


def run_all(folder: Path) -> None:
    """Plan, apply, check, export twice, and plan the way back; then plan anew in the same folder."""
    here: dict[str, Any] = {"artifacts_path": str(folder / "run")}
    for _ in range(2):
        plan = Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=["release_repeat_leads"], **here)
        made = plan.execute({})
        write_approval(folder / "run", Approval(made["hash"], "approved", "2026-11-21T10:00:00+00:00"))
    work: dict[str, Any] = {"plan": made, "is_dry_run": False, **here}
    Bitrix24ApplyLinkPlanOperator(task_id="apply", **work).execute({})
    Bitrix24CheckLinkPlanOperator(task_id="check", **work).execute({})
    export: dict[str, Any] = {"task_id": "export", "artifacts_path": str(folder / "export")}
    earlier = Bitrix24ExportContactLinksOperator(**export).execute({})
    Bitrix24ExportContactLinksOperator(**export, compare_with=earlier["snapshot"]).execute({})
    restore: dict[str, Any] = {"task_id": "restore", "artifacts_path": str(folder / "restore")}
    Bitrix24PlanLinkRestoreOperator(**restore, journal=str(folder / "run")).execute({})
    Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=["release_repeat_leads"], **here).execute({})


@pytest.mark.attack
@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_nobody_else_may_read_what_a_pipeline_leaves(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mask: int
) -> None:
    assert sandbox
    root = tmp_path / "root"
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", str(root))
    monkeypatch.setenv("AIRFLOW__BITRIX24__PACING_PATH", str(tmp_path / "root" / "pacing"))
    with umask(mask):
        run_all(root / "dag")
    names = {path.name for path in root.rglob("*")}
    for name in (
        "manifest.json",
        "part-00000.jsonl",
        "failed.csv",
        "report.html",
        "links.jsonl",
        "check.json",
    ):
        assert name in names
    assert "changed.csv" in names
    assert any(name.startswith("writing-") for name in names)
    assert any(name.startswith("earlier-") for name in names)
    assert modes(root) == ({0o700}, {0o600})


@pytest.mark.parametrize(
    ("access", "mask", "expected"),
    [
        ("private", 0o000, (0o700, 0o600)),
        ("group", 0o077, (0o2770, 0o660)),
        ("group", 0o000, (0o2770, 0o660)),
        ("umask", 0o022, (0o755, 0o644)),
        ("umask", 0o007, (0o770, 0o660)),
        ("", 0o000, (0o700, 0o600)),
    ],
)
def test_who_may_read_is_the_administrator_s_to_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, access: str, mask: int, expected: tuple[int, int]
) -> None:
    monkeypatch.setenv(ACCESS, access)
    with umask(mask):
        make_folder(tmp_path / "a" / "b")
        write_new(tmp_path / "a" / "b" / "file", "")
    assert modes(tmp_path) == ({expected[0]}, {expected[1]})


def test_so_it_is_with_what_is_created_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases tell which task works on which host."""
    for access, expected in (("private", (0o700, 0o600)), ("group", (0o2770, 0o660))):
        monkeypatch.setenv(ACCESS, access)
        root = tmp_path / access
        with umask(0o022):
            make_folder(root / "run")
            with Lease(root / "run" / "lease", {}, lambda _: True, "it is at work"):
                names = {path.name for path in (root / "run" / "lease").iterdir()}
                assert names == {"000001.000001"}
                assert modes(root) == ({expected[0]}, {expected[1]})
            assert modes(root) == ({expected[0]}, {expected[1]})


@pytest.mark.parametrize("access", ["0o770", "everybody", "PRIVATE"])
def test_a_setting_that_means_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, access: str
) -> None:
    monkeypatch.setenv(ACCESS, access)
    said = rf"^\[bitrix24\] artifacts_access: '{access}' is not accepted; accepted: private, group or umask$"
    with pytest.raises(InvalidInput, match=said):
        make_folder(tmp_path / "a")
    with pytest.raises(InvalidInput, match=said):
        write_new(tmp_path / "b", "")
    assert not list(tmp_path.iterdir())


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    """An administrator may have opened it to somebody, and another user's could not be changed."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o755)
    write_new(tmp_path / "shared" / "file", "first")
    (tmp_path / "shared" / "file").chmod(0o644)
    make_folder(tmp_path / "shared")
    write_new(tmp_path / "shared" / "file", "second")
    assert modes(tmp_path) == ({0o755}, {0o644})
