"""Snapshots on disk: what is read is what was written, in memory that does not grow with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.differences import differences
from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.files.snapshots import (
    Snapshot,
    SnapshotWriter,
    free_folder,
    read_snapshot,
    why_not_comparable,
)


def written(folder: Path, link_sets: list[LinkSet], **about: Any) -> Snapshot:
    fields: dict[str, Any] = {
        "portal": "https://acme.bitrix24.com",
        "created": "2026-11-21T00:00:00+00:00",
        "detail": "full",
    }
    with SnapshotWriter(folder) as writer:
        for links in link_sets:
            writer.add(links)
        writer.finish(kind="deal", **{**fields, **about})
    return read_snapshot(folder)


def links_of(owner_id: int, contact_id: int) -> LinkSet:
    return LinkSet(Owner("deal", owner_id), (ContactLink(contact_id, 10, is_primary=True, role_id=0),))


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    link_sets = [
        LinkSet(Owner("deal", 1)),
        LinkSet(Owner("deal", 2), (ContactLink(7, 10, is_primary=True, role_id=2), ContactLink(3, 20)), 3),
        LinkSet(Owner("deal", 9), (ContactLink(7),), 0),
    ]
    snapshot = written(tmp_path, link_sets)
    assert list(snapshot.link_sets()) == link_sets
    assert snapshot.owners == 3
    snapshot.check()


def test_lines_that_are_no_links_and_lines_that_were_added_are_refused(tmp_path: Path) -> None:
    snapshot = written(tmp_path, [links_of(1, 2)])
    lines = tmp_path / "links.jsonl"
    good = lines.read_bytes()
    for added, said in (
        (b'{"owner":2}\n', "line 2 is no link set"),
        (b'{"owner":2,"links":[]}\n', "its hash"),
    ):
        lines.write_bytes(good + added)
        with pytest.raises(PlanRefused, match=said):
            list(snapshot.link_sets())
        with pytest.raises(PlanRefused, match="its hash"):
            snapshot.check()


def test_snapshots_of_other_owners_are_not_compared(tmp_path: Path) -> None:
    old = written(tmp_path, [])
    portal = "https://acme.bitrix24.com"
    assert why_not_comparable(old, kind="deal", portal=portal, wanted={}) == ""
    assert (
        why_not_comparable(old, kind="lead", portal=portal, wanted={}) == "the kind was deal, and is lead now"
    )
    moved = why_not_comparable(old, kind="deal", portal="https://other.bitrix24.com", wanted={})
    assert moved == f"the portal was {portal}, and is https://other.bitrix24.com now"
    narrowed = why_not_comparable(old, kind="deal", portal=portal, wanted={"stageId": "NEW"})
    assert narrowed == "the filter was none, and is {'stageId': 'NEW'} now"


def test_a_whole_snapshot_is_never_written_over_and_an_unfinished_one_is(tmp_path: Path) -> None:
    assert free_folder(tmp_path) == tmp_path / "snapshot"
    (tmp_path / "snapshot").mkdir()
    assert free_folder(tmp_path) == tmp_path / "snapshot"
    written(free_folder(tmp_path), [])
    assert free_folder(tmp_path) == tmp_path / "snapshot-2"
    written(free_folder(tmp_path), [])
    assert free_folder(tmp_path) == tmp_path / "snapshot-3"


@pytest.mark.slow
def test_comparing_50_000_owners_holds_one_of_each_side_at_a_time(tmp_path: Path) -> None:
    """Traced, which takes long, it is 42 kB at the peak. Counting blocks takes no time."""
    for name, contact in (("old", 1), ("new", 2)):
        with SnapshotWriter(tmp_path / name) as writer:
            for owner_id in range(1, 50_001):
                writer.add(links_of(owner_id, contact if owner_id % 10 == 0 else 5))
            writer.finish(kind="deal", portal="https://acme.bitrix24.com", created="", detail="full")
    old, new = read_snapshot(tmp_path / "old"), read_snapshot(tmp_path / "new")
    before, found, most = sys.getallocatedblocks(), 0, 0
    for _ in differences(old.link_sets(), new.link_sets()):
        found += 1
        most = max(most, sys.getallocatedblocks() - before)
    assert found == 3 * 5_000  # each tenth: one added, one removed, another primary
    assert most < 5_000  # 50,000 lines alone would be as many blocks
