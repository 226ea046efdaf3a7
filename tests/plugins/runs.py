"""Plans and journals as runs leave them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.plan import Change, ChangeOutcome, OutcomeName
from airflow_bitrix.files import part_name
from airflow_bitrix.files.journals import JournalPart
from airflow_bitrix.files.plans import MANIFEST, PART_CHANGES, Manifest, PlanWriter

PORTAL = "https://acme.bitrix24.com"


def change(number: int, *contact_ids: int, rules: tuple[str, ...] = ("release_repeat_leads",)) -> Change:
    owner = Owner("lead", number)
    before = LinkSet.of_ids(owner, contact_ids or (7,), (contact_ids or (7,))[0])
    return Change(before, LinkSet(owner), (f"{rules[0]}: because",), rules=rules, may_empty=True)


def make_plan(folder: Path, changes: Iterable[Change]) -> Manifest:
    """Write a plan into ``<folder>/plan``."""
    with PlanWriter(folder / "plan") as plan:
        for one in changes:
            plan.add(one)
        return plan.finish(
            read=99,
            kind="lead",
            portal=PORTAL,
            created="2026-11-21T10:00:00+00:00",
            rules=("release_repeat_leads",),
            guards=Guards(),
        )


def sealed(folder: Path, **other: Any) -> None:
    """Change a manifest and give it the hash that fits: whoever can write it can do that."""
    path = folder / "plan" / MANIFEST
    body = {**json.loads(path.read_text()), **other}
    del body["hash"]
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    path.write_text(json.dumps({**body, "hash": hashlib.sha256(text.encode()).hexdigest()}))


def outcome(number: int, name: OutcomeName = "applied", reason: str = "") -> ChangeOutcome:
    before = LinkSet.of_ids(Owner("lead", number), (9,), 9) if name == "applied" else None
    return ChangeOutcome(Owner("lead", number), name, reason, before)


def note(
    folder: Path,
    manifest: Manifest,
    outcomes: Mapping[int, Iterable[ChangeOutcome]],
    *,
    dry_run: bool = False,
) -> None:
    """Append outcomes to the parts of ``<folder>/journal``."""
    (folder / "journal").mkdir(exist_ok=True)
    for number, some in outcomes.items():
        path = folder / "journal" / part_name(number)
        with JournalPart(path, plan_hash=manifest.hash, dry_run=dry_run) as part:
            for one in some:
                part.note(one)


def for_everybody(folder: Path) -> None:
    """Let other users read all that lies in a folder, as an administrator may."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


@contextmanager
def as_another_user(locked: Path) -> Iterator[None]:
    """Lock a file away and be a user, where the tests are root's, who is refused what is locked."""
    locked.chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        locked.chmod(0o755)


TWO_PARTS = PART_CHANGES + 20
"""Changes of a plan in two parts."""
