"""A worker killed at any moment of an apply: a retry ends it, and no owner gets two different values.

``BITRIX24_KILLS=50`` kills it at fifty moments.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.plans import PlanWriter
from airflow_bitrix.sandbox.links import Link
from airflow_bitrix.sandbox.server import Sandbox
from scripts.killing import Writes

CHANGES = 2000
KILLS = int(os.environ.get("BITRIX24_KILLS", "5"))

WORKER = """
import json, os, sys, traceback
from airflow_bitrix.operators.link_plans import Bitrix24ApplyLinkPlanOperator as Apply
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(2, 1)  # what Airflow logs
        done = 1
        try:
            task = json.loads(line)
            os.environ["AIRFLOW_CONN_BITRIX24_DEFAULT"] = task.pop("connection")
            done = int(Apply(task_id="apply", **task).execute({})["counts"]["failed"])
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(done)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Worker:
    """Runs applies in processes of their own, which start at once and may be killed."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.said() == "ready"

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def start(self, task: dict[str, Any]) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        return int(self.said())

    def wait(self) -> int:
        return int(self.said())


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    worker.process.wait(30)
    assert worker.process.stdout is not None
    worker.process.stdout.close()


def links_of(lead: int, *contacts: int) -> LinkSet:
    links = (
        ContactLink(contact, 10 * place, is_primary=place == 1, role_id=0)
        for place, contact in enumerate(contacts, start=1)
    )
    return LinkSet(Owner("lead", lead), tuple(links))


def changes(rng: random.Random) -> list[Change]:
    """Three contacts each; a third loses all and is saved, a third loses one, a third gets others."""
    made = []
    for lead in range(1, CHANGES + 1):
        before = links_of(lead, *rng.sample(range(1, 100), k=3))
        after = (
            links_of(lead),
            links_of(lead, *before.contact_ids[:2]),
            links_of(lead, *rng.sample(range(100, 200), k=4)),
        )[lead % 3]
        made.append(Change(before, after, ("wanted",), save=not after.links, may_empty=True))
    return made


def put_back(sandbox: Sandbox, made: list[Change]) -> None:
    with sandbox.portal.lock:
        for change in made:
            lead = change.owner.id
            links = tuple(
                Link(link.sort or 0, link.contact_id, link.is_primary) for link in change.before.links
            )
            sandbox.state.place_links("lead", lead, links)
            sandbox.state.tables["lead"].rows[lead]["CONTACT_ID"] = change.before.primary_id
    sandbox.reset_stats()


def written(links: LinkSet) -> tuple[tuple[int, int | None, bool], ...]:
    return tuple((link.contact_id, link.sort, link.is_primary) for link in links.links)


def test_a_killed_apply_is_ended_by_a_retry(
    make_sandbox: Any, worker: Worker, tmp_path: Path, record_property: Any
) -> None:
    rng = random.Random(KILLS)
    sandbox = make_sandbox(contacts=200, plan="self_hosted")
    for _ in range(CHANGES):
        sandbox.state.add("lead", {})
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    made = changes(rng)
    wanted = {change.owner.id: written(change.after) for change in made}
    with PlanWriter(tmp_path / "plan") as plan:
        for change in made:
            plan.add(change)
        about: dict[str, Any] = {"kind": "lead", "portal": sandbox.base_url, "created": "", "rules": ()}
        manifest = plan.finish(read=CHANGES, guards=Guards(), **about)
    task: dict[str, Any] = {"plan": str(tmp_path / "plan"), "plan_hash": manifest.hash, "is_dry_run": False}
    task["connection"] = json.dumps(found)

    # how many writes it makes undisturbed
    writes = sandbox.portal.writes = Writes()
    put_back(sandbox, made)
    worker.start({**task, "artifacts_path": str(tmp_path / "whole")})
    assert worker.wait() == 0
    whole = len(writes)

    killed_within = twice = 0
    for kill in range(KILLS):
        put_back(sandbox, made)
        folder = tmp_path / f"run{kill}"
        writes.after = rng.randrange(whole)
        writes.victim = worker.start({**task, "artifacts_path": str(folder)})
        killed = worker.wait()
        writes.victim = 0
        begun = {write.owner_id for write in writes}
        killed_within += killed == -signal.SIGKILL and 0 < len(begun) < CHANGES

        worker.start({**task, "artifacts_path": str(folder)})
        assert worker.wait() == 0, f"kill {kill}"

        assert {lead: written_now(sandbox, lead) for lead in wanted} == wanted
        values: dict[int, list[Any]] = defaultdict(list)
        for write in writes:
            if ".contact." in write.method:
                values[write.owner_id].append(write.links)
        assert set(values) == set(wanted)
        for lead, each in values.items():
            assert set(each) == {wanted[lead]}
            twice += len(each) > 1
        last = finals(folder)
        assert set(last) == set(wanted)
        assert set(last.values()) <= {"applied", "already"}
    # A request that was on its way when the worker died may arrive while the retry is looking.
    record_property("killed while they wrote", killed_within)
    record_property("owners written twice, to one value", twice)
    assert twice <= KILLS * 5 * 12
    assert killed_within > KILLS / 2


def written_now(sandbox: Sandbox, lead: int) -> tuple[tuple[int, int, bool], ...]:
    return tuple((link.contact_id, link.sort, link.primary) for link in sandbox.state.links("lead", lead))


def finals(folder: Path) -> dict[int, str]:
    """The outcome of each owner; one that got two would be the second try's mistake."""
    seen: Counter[int] = Counter()
    last: dict[int, str] = {}
    for path in sorted((folder / "journal").glob("part-*.jsonl")):
        for line in path.read_text().splitlines():
            about = json.loads(line)
            if "owner" in about:
                seen[about["owner"]] += 1
                last[about["owner"]] = about["outcome"]
    assert set(seen.values()) == {1}
    return last
