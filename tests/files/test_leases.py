"""Leases: one holds, the next is told who; a dead holder is followed, and finds that out should it live."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.file_systems import is_kept_by_kernel
from airflow_bitrix.files.holders import Holder, this_holder
from airflow_bitrix.files.leases import HeldError, Lease, LeaseLostError, refuse_if_held
from airflow_bitrix.files.object_files import create, listed
from airflow_bitrix.files.plans import Manifest, PlanWriter, plan_lock
from airflow_bitrix.files.writers import Occupied, Writer, only_writer
from airflow_bitrix.operators.shared.artifacts import as_folder
from tests.files.obstacles import NO_PLAIN, folder, listener, pipe, soon

ELSEWHERE = Holder(
    "task apply, try 1, of run r of the DAG d", "2026-11-28T02:10:00+00:00", "worker-2", 77, "1", "k", "x"
)


def lease(folder: Path, holder: Holder | None = None, seconds: float = 60.0) -> Lease:
    return Lease(folder, {"any": 1}, lambda _: True, "it is at work", holder, seconds=seconds)


def test_a_second_one_is_told_who_holds_it_and_since_when(place: Path) -> None:
    with lease(place, ELSEWHERE):
        with pytest.raises(HeldError) as refused, lease(place):
            pass
        with pytest.raises(HeldError):
            refuse_if_held(place, lambda _: True, "it is at work")
        refuse_if_held(place, lambda _: False, "it is at work")
    assert str(refused.value) == (
        "it is at work: task apply, try 1, of run r of the DAG d, on host worker-2, process 77, "
        "since 2026-11-28 02:10 UTC"
    )
    with lease(place):
        pass
    refuse_if_held(place, lambda _: True, "it is at work")
    assert len(listed(place)) <= 2


@pytest.mark.slow
def test_a_dead_holder_is_followed_and_writes_no_more_should_it_live(place: Path) -> None:
    """It gives a sign every quarter of an hour, and the next one waits for two seconds."""
    with lease(place, ELSEWHERE, seconds=3600) as paused:
        for _ in range(3):
            paused.renew()
        began = time.monotonic()
        while True:
            try:
                with lease(place, seconds=2) as follower:
                    follower.check()
                    with pytest.raises(LeaseLostError, match="another one goes on in its place"):
                        paused.renew()
                    assert paused.is_due
                break
            except HeldError:
                assert time.monotonic() - began < 10
            time.sleep(0.2)
        with pytest.raises(LeaseLostError):
            paused.check()
        assert time.monotonic() - began > 1
    with lease(place):
        pass


KILLED = """
import os, signal, sys
from airflow_bitrix.operators.shared.artifacts import as_folder
from tests.files.test_leases import lease
with lease(as_folder(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_process_of_this_host_that_was_killed_is_followed_at_once(place: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(place)], check=False, capture_output=True)
    assert listed(place)
    with lease(place):
        pass


def deep(place: Path) -> None:
    place.write_bytes(b'{"claim": {"plan": ' + b"[" * 100_000)


@pytest.mark.attack
@pytest.mark.parametrize("make", [pipe, folder, listener, deep], ids=lambda make: make.__name__)
def test_what_is_no_file_stands_in_the_way_of_nobody_for_longer_than_a_dead_task(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    made = tmp_path / "000007.000001"
    make(made)
    with (
        soon(),
        pytest.raises(HeldError, match=r"^it is at work: a task that is not known"),
        lease(tmp_path),
    ):
        pass
    os.utime(made, (1, 1))
    with soon(), lease(tmp_path):
        pass


@pytest.mark.attack
@pytest.mark.parametrize("make", NO_PLAIN, ids=lambda make: make.__name__)
def test_a_file_that_is_created_once_goes_through_no_link_and_waits_for_nobody(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / "one")
    (tmp_path / "two").symlink_to(tmp_path / "three")
    for name in ("one", "two"):
        with soon(), pytest.raises(FileExistsError):
            create(tmp_path / name, b"content")
    assert not (tmp_path / "three").exists()


def test_a_storage_that_is_away_is_said(object_storage: Any) -> None:
    nowhere = as_folder(str(object_storage.folder("lease")).replace("artifacts", "no-such-bucket"))
    with (
        pytest.raises(RetryLater, match=r"no-such-bucket.* cannot be (written|read) now: \S"),
        lease(nowhere),
    ):
        pass


def a_plan(folder: Path) -> Manifest:
    with PlanWriter(folder) as plan:
        links = (ContactLink(7, 10, is_primary=True, role_id=0),)
        for lead in range(1, 2002):
            before = LinkSet(Owner("lead", lead), links)
            plan.add(Change(before, LinkSet(Owner("lead", lead)), ("r",), may_empty=True))
        about: dict[str, Any] = {"kind": "lead", "portal": "https://acme.bitrix24.com", "created": ""}
        return plan.finish(read=2001, guards=Guards(), rules=(), **about)


NFS = "27 1 0:51 / / rw,relatime shared:1 - nfs4 server:/export rw,vers=4.2\n"


def second(plan: Path, manifest: Manifest, mounts: Path, parts: list[int] | None) -> str:
    """Try to hold a plan that somebody holds already."""
    try:
        with plan_lock(plan, manifest, parts, mounts=mounts):
            return "held"
    except RetryLater as error:
        return str(error)


@pytest.mark.parametrize("kind", ["ext4", "nfs4"])
def test_one_apply_of_a_plan_at_a_time_wherever_it_lies(kind: str, place: Path, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(NFS.replace("nfs4", kind))
    plan = place / "plan"
    manifest = a_plan(plan)
    me = this_holder("task apply, try 1, of run r of the DAG d")
    told = rf"another task applies .* now.*: {me.who}, on host \S+, process {me.pid}, since 20"
    with plan_lock(plan, manifest, who=me.who, mounts=mounts) as leases:
        assert re.match(told, second(plan, manifest, mounts, None))
        assert re.match(told, second(plan, manifest, mounts, [1]))
        for one in leases:
            one.check()
    assert second(plan, manifest, mounts, None) == "held"
    with plan_lock(plan, manifest, [0, 2], who=me.who, mounts=mounts):
        assert re.match(told, second(plan, manifest, mounts, [2]))
        assert second(plan, manifest, mounts, [1]) == "held"
    assert second(plan, manifest, mounts, None) == "held"


def test_one_run_writes_at_a_time_and_its_tasks_together(place: Path, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(NFS)
    one, other = Writer("clean_up", "manual__1", "2026-11-21T10:00:00+00:00"), Writer("own", "m", "")
    portal = "https://acme.bitrix24.com"
    with (
        only_writer(place / "writing", portal, "lead", one, mounts=mounts),
        only_writer(place / "writing", portal, "lead", replace(one, since=""), mounts=mounts),
        only_writer(place / "writing", portal, "deal", other, mounts=mounts),
        pytest.raises(Occupied, match=r"^run manual__1 of the DAG clean_up has been writing leads"),
        only_writer(place / "writing", portal, "lead", other, mounts=mounts),
    ):
        pass
    with only_writer(place / "writing", portal, "lead", other, mounts=mounts):
        pass


@pytest.mark.parametrize(
    ("kind", "is_local"),
    [("ext4", True), ("overlay", True), ("nfs4", False), ("cifs", False), ("fuse.x", False)],
)
def test_the_kernel_is_trusted_with_what_one_machine_has_mounted(
    kind: str, *, is_local: bool, tmp_path: Path
) -> None:
    mounts = tmp_path / "mountinfo"
    here = str(tmp_path.resolve()).replace("/", "\\057", 1)
    mounts.write_text(NFS.replace("nfs4", "tmpfs") + f"28 27 0:52 / {here} rw - {kind} any rw\n")
    assert is_kept_by_kernel(tmp_path / "deeper", mounts) == is_local
