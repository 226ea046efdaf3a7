"""The file of parked owners where two runs plan at once."""

from __future__ import annotations

from pathlib import Path

from airflow_bitrix.files.parked_owners import Pairing, ParkedOwner, add_parked, parked_file, read_parked

PAIRING = Pairing("lead", "https://old.bitrix24.com", "https://new.bitrix24.com", "origin", "old")


def parked(*owners: int, why: str = "no contact") -> dict[int, ParkedOwner]:
    return {owner: ParkedOwner(owner, why, "because", "2026-11-21T10:00:00+00:00") for owner in owners}


def test_a_run_keeps_what_another_one_has_parked_meanwhile(tmp_path: Path) -> None:
    """It puts its own in place of what it took up, and of nothing else."""
    path = parked_file(tmp_path / "parked", PAIRING)
    add_parked(path, PAIRING, parked(1, 2, 3), instead_of=())
    taken_up = read_parked(path, PAIRING)  # by both runs
    add_parked(path, PAIRING, parked(2, 7), instead_of=taken_up)
    add_parked(path, PAIRING, parked(2, 3, 8, why="ambiguous"), instead_of=taken_up)
    assert read_parked(path, PAIRING) == {**parked(7), **parked(2, 3, 8, why="ambiguous")}
