"""Two tasks that apply one plan at the same time, in processes of their own: one writes, wherever it lies."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.file_systems import MOUNTS
from airflow_bitrix.files.plans import PlanWriter
from airflow_bitrix.sandbox.links import Link
from scripts.killing import worker_of
from tests.operators.stops import Writes

LEADS = 150

NFS = "27 1 0:51 / / rw,relatime shared:1 - nfs4 server:/export rw,vers=4.2\n"


def a_plan(sandbox: Any, folder: Path) -> dict[str, Any]:
    """Every lead loses its only contact."""
    with PlanWriter(folder / "plan") as plan:
        for _ in range(LEADS):
            lead = sandbox.state.add("lead", {"CONTACT_ID": 7})
            sandbox.state.place_links("lead", lead, (Link(10, 7, primary=True),))
            before = LinkSet(Owner("lead", lead), (ContactLink(7, 10, is_primary=True, role_id=0),), 7)
            plan.add(Change(before, LinkSet(before.owner), ("r",), may_empty=True))
        about: dict[str, Any] = {"kind": "lead", "portal": sandbox.base_url, "created": "", "rules": ()}
        manifest = plan.finish(read=LEADS, guards=Guards(), **about)
    told = {"plan": str(folder / "plan"), "plan_hash": manifest.hash}
    return {**told, "operator": "Bitrix24ApplyLinkPlanOperator", "is_dry_run": False, "needs_approval": False}


def test_one_of_two_applies_writes_and_the_other_is_told_who_does(
    make_sandbox: Any, object_storage: Any, tmp_path: Path
) -> None:
    sandbox = make_sandbox(contacts=10, plan="self_hosted")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(NFS)
    places = {
        "folder": (tmp_path / "local", MOUNTS),
        "NFS": (tmp_path / "nfs", mounts),
        "S3": (object_storage.folder(tmp_path.name), MOUNTS),
    }
    homes = [tmp_path / "one", tmp_path / "other"]
    for home in homes:
        home.mkdir()
    one, other = (worker_of(sandbox, home) for home in homes)
    for name, (folder, mounted) in places.items():
        task = a_plan(sandbox, folder)
        ends: list[int] = []

        def begin(task: dict[str, Any] = task, mounted: Path = mounted, ends: list[int] = ends) -> None:
            ends.append(other.run("other", mounts=mounted, **task))

        # The portal itself begins the second one, in the middle of a write of the first.
        writes = Writes(begin, after=40)
        with sandbox.portal.lock:
            sandbox.portal.writes = writes
        assert one.run("one", mounts=mounted, **task) == 0, name
        assert ends == [1], name
        assert one.result("one")["counts"]["applied"] == LEADS
        assert set(Counter(write.owner_id for write in writes).values()) == {1}, name
        log = (homes[1] / "log.txt").read_text().splitlines()
        told = rf": another task applies this plan now: {re.escape(str(folder / 'plan'))}: "
        who = r"a process outside of Airflow, on host \S+, process \d+, since 20\d\d-"
        assert re.search(told + who, log[-1]), log[-5:]
        assert (folder / "lease").exists() == (name != "folder")
        assert other.run("other", mounts=mounted, **task) == 0, name
        assert other.result("other")["counts"]["applied"] == LEADS
