"""Folders that somebody hands in for a restore: right hashes, and inside whatever they like.

Nothing of it is taken for links that an owner cannot have, and a few bytes do not become gigabytes, or hours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.checks import CHECK, read_check
from airflow_bitrix.files.json_texts import MOST_BYTES, MOST_VALUES
from airflow_bitrix.files.plans import read_changes, read_manifest
from airflow_bitrix.files.restores import JournalSource, SnapshotSource
from airflow_bitrix.files.snapshot_history import SnapshotHistory
from airflow_bitrix.files.snapshots import SnapshotWriter
from airflow_bitrix.files.taken_back import read_taken_back
from tests.files.obstacles import soon
from tests.plugins.runs import PORTAL, change, make_plan, note, outcome, sealed

pytestmark = pytest.mark.attack

DEEP = b"[" * 100_000

ODD_LINKS = {
    "words": [["abc", 10, True, 0]],
    "digits": [["17", 10, True, 0]],
    "a share": [[17.5, 10, True, 0]],
    "a truth": [[True, 10, True, 0]],
    "below": [[-17, 10, True, 0]],
    "none": [[0, 10, True, 0]],
    "a list": [[[17], 10, True, 0]],
    "twice": [[17, 10, True, 0], [17, 20, False, 0]],
    "a sort of words": [[17, "first", True, 0]],
    "a sort of maps": [[17, {"a": 1}, True, 0]],
    "a flag of words": [[17, 10, "no", 0]],
    "a role of maps": [[17, 10, True, {"a": 1}]],
    "a map": {"17": 10},
    "texts": ["17", "18"],
    "a number": 17,
}

ODD_LINES: dict[str, bytes] = {
    **{name: json.dumps({"owner": 5, "links": links}).encode() for name, links in ODD_LINKS.items()},
    "an owner of words": b'{"owner": "=cmd|x", "links": [[17, 10, true, 0]]}',
    "an owner of lists": b'{"owner": [5], "links": []}',
    "no owner": b'{"owner": null, "links": []}',
    "a scalar of words": b'{"owner": 5, "links": [[17, 10, true, 0]], "scalar": "[x](https://e.vil)"}',
    "deep": DEEP,
    "many": b"[" + b"[]," * MOST_VALUES,
}


def snapshot(folder: Path, line: bytes, **other: Any) -> SnapshotSource:
    with SnapshotWriter(folder) as writer:
        about = writer.finish(kind="lead", portal=PORTAL, created="2026-11-21", detail="full")
    (folder / "links.jsonl").write_bytes(line + b"\n")
    told = {**about, "sha256": hashlib.sha256(line + b"\n").hexdigest(), **other}
    (folder / "manifest.json").write_text(json.dumps(told))
    source = SnapshotSource.of(folder)
    source.check()
    return source


@pytest.mark.parametrize("line", ODD_LINES.values(), ids=list(ODD_LINES))
def test_a_snapshot_of_no_links_is_refused(line: bytes, tmp_path: Path) -> None:
    with soon(), pytest.raises(PlanRefused, match="line 1 is no link set"):
        list(snapshot(tmp_path, line).images())


@pytest.mark.parametrize("odd", [{"owners": float("inf")}, {"owners": [1]}, {"filter": [1]}], ids=str)
def test_a_snapshot_whose_manifest_holds_other_things_is_refused(odd: Any, tmp_path: Path) -> None:
    with pytest.raises(PlanRefused, match=r"manifest of the snapshot in .* is damaged"):
        snapshot(tmp_path, b'{"owner": 5, "links": []}', **odd)


@pytest.mark.parametrize(
    "content",
    [DEEP, b"[" + b"[]," * MOST_VALUES, b'{"format": 1, "x": ' + DEEP, b" " * (MOST_BYTES + 1)],
    ids=["deep", "many", "deep within", "large"],
)
@pytest.mark.parametrize("read", [SnapshotSource.of, read_manifest], ids=["snapshot", "plan"])
def test_a_manifest_that_would_fill_the_memory_is_refused(
    read: Callable[[Path], object], content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with soon(), pytest.raises(PlanRefused, match=r"damaged|and is not read"):
        read(tmp_path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two changes that were applied."""
    manifest = make_plan(tmp_path, [change(1), change(2)])
    note(tmp_path, manifest, {0: [outcome(1), outcome(2)]})
    return tmp_path


@pytest.mark.parametrize("line", ODD_LINES.values(), ids=list(ODD_LINES))
def test_a_plan_of_no_changes_is_refused_though_its_hash_fits(line: bytes, run: Path) -> None:
    part = run / "plan" / "part-00000.jsonl"
    about = json.loads(part.read_bytes().splitlines()[0])
    if line.startswith(b"{"):
        odd = json.loads(line)
        line = json.dumps({**about, **odd, "before": odd["links"]}).encode()
    part.write_bytes(line + b"\n")
    sealed(run, parts=[{"name": part.name, "changes": 1, "sha256": hashlib.sha256(line + b"\n").hexdigest()}])
    with soon(), pytest.raises(PlanRefused, match=r"line 1 of part-00000\.jsonl .* is no change"):
        list(read_changes(run / "plan", read_manifest(run / "plan"), 0))


@pytest.mark.parametrize(
    "line",
    [DEEP, b'{"owner": 1e999, "before": []}', b'{"writing": [[1]]}', b'{"writing": [[1, [], 0, 0]]}'],
    ids=["deep", "no number", "too little", "too much"],
)
def test_a_journal_of_no_links_is_refused(line: bytes, run: Path) -> None:
    with (run / "journal" / "part-00000.jsonl").open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(PlanRefused, match=r"line 4 of .*part-00000\.jsonl is damaged"):
        JournalSource.of(run).check()


def test_a_journal_of_many_lines_is_read_at_once(run: Path) -> None:
    with (run / "journal" / "part-00000.jsonl").open("a") as file:
        for _ in range(5):
            file.writelines(f'{{"writing":[[{owner},[]]]}}\n' for owner in range(1, 9_001))
    with soon():
        JournalSource.of(run).check()


def test_a_journal_of_more_owners_than_a_part_has_is_refused(run: Path) -> None:
    with (run / "journal" / "part-00000.jsonl").open("a") as file:
        file.writelines(f'{{"writing":[[{owner},[]]]}}\n' for owner in range(1, 10_005))
    with pytest.raises(PlanRefused, match="more owners or links than a part of a plan can have"):
        JournalSource.of(run).check()


@pytest.mark.slow
def test_a_journal_of_more_links_than_a_part_has_is_refused(run: Path) -> None:
    links = ",".join(f"[{contact},10,true,0]" for contact in range(1, 200_001))
    with (run / "journal" / "part-00000.jsonl").open("a") as file:
        file.writelines(f'{{"writing":[[{owner},[{links}]]]}}\n' for owner in range(1, 5))
    with pytest.raises(PlanRefused, match="more owners or links than a part of a plan can have"):
        JournalSource.of(run).check()


def test_a_note_beside_a_run_that_is_deep_says_nothing(run: Path) -> None:
    (run / "taken-back-0.json").write_bytes(b'{"x": ' + DEEP + b"]" * len(DEEP) + b"}")
    assert read_taken_back(run, read_manifest(run / "plan").hash) == []


def test_a_check_that_is_deep_says_nothing(run: Path) -> None:
    (run / CHECK).write_bytes(b'{"plan": ' + DEEP + b"]" * len(DEEP) + b"}")
    assert read_check(run, read_manifest(run / "plan").hash, 0) is None


def test_a_history_of_snapshots_that_is_deep_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_bytes(b'{"snapshots": ' + DEEP + b"]" * len(DEEP) + b"}")
    with pytest.raises(PlanRefused, match="is damaged; remove it"):
        SnapshotHistory(path)


def test_numbers_that_no_portal_holds_reach_no_apply(tmp_path: Path) -> None:
    """An apply would end at them, with some changes written and others not."""
    odd = ([[2**31, 10, True, 0]], [[17, 2**31, True, 0]], [[17, 10, True, 0]])
    owners = [Owner("lead", number) for number in range(1, 4)]
    manifest = make_plan(
        tmp_path,
        [
            Change(LinkSet.of_ids(owner, (7,), 7), LinkSet.from_json(owner, links), ("why",), ("restore",))
            for owner, links in zip(owners, odd, strict=True)
        ],
    )
    assert manifest.counts["left_out"] == {"numbers too large": 2}
    assert manifest.changes == 1
