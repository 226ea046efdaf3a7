"""A worker killed at any moment of an apply: a retry ends it, and no owner gets two different values.

Nor does any get two comments, or none.

``BITRIX24_KILLS=50`` kills it at fifty moments.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.earlier_runs import journal_parts
from airflow_bitrix.files.journal_lines import journal_lines
from airflow_bitrix.files.plans import PlanWriter
from airflow_bitrix.operators.shared.artifacts import as_folder
from airflow_bitrix.sandbox.links import Link
from airflow_bitrix.sandbox.server import Sandbox
from scripts.killing import Worker, worker_of

SIZES = {True: (400, 5), False: (200, 3)}
"""Changes and kills, on a disk and on an object storage, whose every file takes milliseconds."""


def links_of(lead: int, *contacts: int) -> LinkSet:
    links = (
        ContactLink(contact, 10 * place, is_primary=place == 1, role_id=0)
        for place, contact in enumerate(contacts, start=1)
    )
    return LinkSet(Owner("lead", lead), tuple(links))


def changes(rng: random.Random, count: int) -> list[Change]:
    """Three contacts each; a third loses all and is saved, a third loses one, a third gets others.

    Half of those that are saved lose their company by it.
    """
    made = []
    for lead in range(1, count + 1):
        before = links_of(lead, *rng.sample(range(1, 100), k=3))
        after = (
            links_of(lead),
            links_of(lead, *before.contact_ids[:2]),
            links_of(lead, *rng.sample(range(100, 200), k=4)),
        )[lead % 3]
        change = Change(before, after, ("wanted",), save=not after.links, may_empty=True)
        company = company_of(change)
        made.append(replace(change, company=0, holds={"company_id": company}) if company else change)
    return made


def company_of(change: Change) -> int:
    return 0 if change.owner.id % 6 else 17


def put_back(sandbox: Sandbox, made: list[Change]) -> None:
    with sandbox.portal.lock:
        for change in made:
            lead = change.owner.id
            links = tuple(
                Link(link.sort or 0, link.contact_id, link.is_primary) for link in change.before.links
            )
            sandbox.state.place_links("lead", lead, links)
            row = sandbox.state.tables["lead"].rows[lead]
            row |= {"CONTACT_ID": change.before.primary_id, "COMPANY_ID": company_of(change)}
        sandbox.state.comments.clear()
    sandbox.reset_stats()


def written(links: LinkSet) -> tuple[tuple[int, int | None, bool], ...]:
    return tuple((link.contact_id, link.sort, link.is_primary) for link in links.links)


def test_a_killed_apply_is_ended_by_a_retry(
    place: Path, make_sandbox: Any, tmp_path: Path, record_property: Any
) -> None:
    count, kills = SIZES[is_on_disk(place)]
    kills = int(os.environ.get("BITRIX24_KILLS", str(kills)))
    rng = random.Random(kills)
    sandbox = make_sandbox(contacts=200, plan="self_hosted")
    for _ in range(count):
        sandbox.state.add("lead", {})
    made = changes(rng, count)
    with PlanWriter(place / "plan") as plan:
        for change in made:
            plan.add(change)
        about: dict[str, Any] = {"kind": "lead", "portal": sandbox.base_url, "created": "", "rules": ()}
        manifest = plan.finish(read=count, guards=Guards(), **about)
    task: dict[str, Any] = {
        "plan": str(place / "plan"),
        "plan_hash": manifest.hash,
        "is_dry_run": False,
        "needs_approval": False,
        "comment": True,
    }
    worker = worker_of(sandbox, tmp_path)
    killed_within, twice = killed_and_retried(worker, sandbox, made, task, rng, kills=kills)
    # A request that was on its way when the worker died may arrive while the retry is looking.
    record_property("killed while they wrote", killed_within)
    record_property("owners written twice, to one value", twice)
    assert twice <= kills * 5 * 12
    assert killed_within >= kills // 2  # what is under way when it dies still arrives


def killed_and_retried(
    worker: Worker,
    sandbox: Sandbox,
    made: list[Change],
    task: dict[str, Any],
    rng: random.Random,
    *,
    kills: int,
) -> tuple[int, int]:
    """How many tries died while they wrote, and how many owners were written twice."""
    wanted = {change.owner.id: written(change.after) for change in made}
    folder = as_folder(task["plan"]).parent

    def applied(name: str, **how: Any) -> int:
        given = {**task, "artifacts_path": str(folder / name)}
        return worker.run("apply", "Bitrix24ApplyLinkPlanOperator", **given, **how)

    writes = worker.writes
    put_back(sandbox, made)
    assert applied("whole") == 0
    whole = len(writes)  # undisturbed

    killed_within = twice = 0
    for kill in range(kills):
        put_back(sandbox, made)
        killed = applied(f"run{kill}", dies_after=int((kill + rng.random()) / kills * whole))
        begun = {write.owner_id for write in writes}
        killed_within += killed == -signal.SIGKILL and 0 < len(begun) < len(made)

        assert applied(f"run{kill}") == 0, f"kill {kill}"
        assert worker.result("apply")["counts"]["failed"] == 0

        assert {lead: written_now(sandbox, lead) for lead in wanted} == wanted
        assert not any(row["company_id"] for row in sandbox.links("lead").values())
        assert Counter(one.owner_id for one in sandbox.state.comments.values()) == dict.fromkeys(wanted, 1)
        assert worker.result("apply")["comments"] == {"made": len(made), "refused": 0}
        values: dict[int, list[Any]] = defaultdict(list)
        for write in writes:
            if ".contact." in write.method:
                values[write.owner_id].append(write.links)
        assert set(values) == set(wanted)
        for lead, each in values.items():
            assert set(each) == {wanted[lead]}
            twice += len(each) > 1
        last = finals(folder / f"run{kill}")
        assert set(last) == set(wanted)
        assert set(last.values()) <= {"applied", "already"}
    return killed_within, twice


def written_now(sandbox: Sandbox, lead: int) -> tuple[tuple[int, int, bool], ...]:
    return tuple((link.contact_id, link.sort, link.primary) for link in sandbox.state.links("lead", lead))


def finals(folder: Path) -> dict[int, str]:
    """The outcome of each owner; one that got two would be the second try's mistake."""
    seen: Counter[int] = Counter()
    last: dict[int, str] = {}
    for path in journal_parts(folder / "journal"):
        for about in journal_lines(path):
            if "owner" in about:
                seen[about["owner"]] += 1
                last[about["owner"]] = about["outcome"]
    assert set(seen.values()) == {1}
    return last
