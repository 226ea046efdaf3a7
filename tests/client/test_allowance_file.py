"""The file of an allowance: whatever it holds, whoever put something in its place, the work goes on."""

from __future__ import annotations

import logging
import math
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_bitrix.client.allowance import FileAllowance, MemoryAllowance, shared_allowance
from airflow_bitrix.client.pacing import LONGEST
from tests.client.allowances import BUCKET, NOON, admitted

ALONE = (math.inf, -math.inf, 0.0, 0.0, -math.inf)


def kept(
    empty_at: float,
    opened_at: float = 0.0,
    quiet_until: float = -math.inf,
    refusals: float = 0,
    share: tuple[float, float, float, float, float] = ALONE,
) -> bytes:
    return struct.pack("<9d", empty_at, opened_at, quiet_until, refusals, *share)


NUMBERS: list[tuple[str, bytes, int]] = [
    ("empty", b"", 5),
    ("cut", b"\0\0\0", 5),
    ("of an older version", struct.pack("<4d", NOON + 2.5, 0, NOON, 1), 5),
    ("not a number", kept(math.nan), 5),
    ("nothing but no numbers", struct.pack("<9d", *[math.nan] * 9), 5),
    ("long past", kept(-1e300), 5),
    ("minus infinity", kept(-math.inf), 5),
    ("now", kept(NOON), 5),
    ("too long", kept(NOON) + b"more", 5),
    ("opened in the future", kept(NOON + 0.5, 1e300), 4),
    ("refused in the future", kept(NOON, 0, 1e300, 3), 5),
    ("refused uncountably often", kept(NOON, 0, NOON - 1, math.inf), 5),
    ("shared since the future", kept(NOON, 0, NOON, 1, (1.0, 1e300, 33, 5, NOON + 1)), 5),
    ("at no pace", kept(NOON, 0, NOON, 1, (0.0, NOON, 33, 5, NOON + 1)), 5),
    ("for ever", kept(NOON, 0, NOON, 1, (1.0, NOON, math.inf, 5, NOON + 1)), 5),
    ("due in the far future", kept(NOON, 0, NOON, 1, (1.0, NOON, 33, 5, 1e300)), 5),
    ("sent uncountably often", kept(NOON, 0, NOON, 1, (1.0, NOON, 33, math.inf, NOON + 1)), 5),
    ("a share", kept(NOON, 0, NOON, 1, (1.0, NOON, 33, 5, NOON + 1)), 0),
    ("refused now", kept(NOON + 2.5, 0, NOON, 1), 0),
    ("full", kept(NOON + 2.5), 0),
    ("far future", kept(1e300), 0),
    ("infinity", kept(math.inf), 0),
]


@pytest.mark.parametrize(("content", "free"), [row[1:] for row in NUMBERS], ids=[row[0] for row in NUMBERS])
def test_whatever_the_file_holds_the_allowance_is_between_none_and_the_burst(
    content: bytes, free: int, path: Path, allowance: FileAllowance
) -> None:
    path.write_bytes(content)
    assert admitted(allowance) == free


@pytest.mark.parametrize("content", [row[1] for row in NUMBERS], ids=[row[0] for row in NUMBERS])
def test_whatever_the_file_holds_nobody_waits_longer_than_the_fullest_bucket_needs(
    content: bytes, path: Path
) -> None:
    path.write_bytes(content)
    now = [NOON]
    allowance = FileAllowance(BUCKET, path, clock=lambda: now[0])
    allowance.tell_full()
    wait = allowance.ask()
    assert 0 < wait <= LONGEST
    now[0] += wait
    assert allowance.ask() < 1e-6


def test_the_file_holds_nine_numbers_that_only_its_user_may_read(path: Path) -> None:
    before = os.umask(0)
    try:
        allowance = FileAllowance(BUCKET, path, clock=lambda: NOON)
    finally:
        os.umask(before)
    allowance.ask()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size == 72


def test_a_file_of_an_earlier_start_or_of_another_host_is_another_file(tmp_path: Path) -> None:
    """Its times are of another clock. Two hosts may keep theirs in one folder on a shared disk."""
    found = []
    for start in ("monday", "monday", "tuesday", "monday"):
        boot = tmp_path / start
        boot.write_text(start)
        allowance = shared_allowance(BUCKET, "https://boot.bitrix24.com", tmp_path / "pacing", boot)
        found.append(admitted(allowance, 4))
    assert found == [4, 1, 4, 0]


def test_what_earlier_starts_left_is_removed_after_a_day(tmp_path: Path) -> None:
    shared_allowance(BUCKET, "https://old.bitrix24.com", tmp_path)
    (mine,) = tmp_path.iterdir()
    old, other = (mine.with_name(f"{mine.name.rsplit('-', 1)[0]}-{end}.bucket") for end in ("old", "other"))
    for place, age in ((old, 90_000), (other, 80_000)):
        place.touch()
        os.utime(place, (time.time() - age,) * 2)
    shared_allowance(BUCKET, "https://old.bitrix24.com", tmp_path)
    assert {place.name for place in tmp_path.iterdir()} == {mine.name, other.name}


def symlink(path: Path) -> None:
    path.with_name("target").write_bytes(b"somebody's data")
    path.symlink_to(path.with_name("target"))


def folder(path: Path) -> None:
    path.mkdir()


def foreign(path: Path) -> None:
    """A file of another user; without the right to make one, one that is nobody's to make."""
    if os.geteuid() == 0:
        path.touch()
        os.chown(path, 12345, 12345)
    else:
        path.touch(mode=0o000)


def pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize("obstacle", [symlink, folder, foreign, pipe], ids=lambda make: make.__name__)
def test_a_file_that_is_not_ours_to_write_is_not_used(obstacle: Callable[[Path], None], path: Path) -> None:
    obstacle(path)
    with pytest.raises(OSError, match=r"."):
        FileAllowance(BUCKET, path, clock=lambda: NOON)


def test_a_symlink_in_the_files_place_leaves_its_target_as_it_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In a folder that others may write, a link must not lead us to somebody's data."""
    shared_allowance(BUCKET, "https://link.bitrix24.com", tmp_path)
    (place,) = tmp_path.glob("*.bucket")
    place.unlink()
    symlink(place)
    with caplog.at_level(logging.WARNING):
        allowance = shared_allowance(BUCKET, "https://link.bitrix24.com", tmp_path)
    assert admitted(allowance) == 5
    assert place.with_name("target").read_bytes() == b"somebody's data"
    assert "Cannot share the request allowance" in caplog.text


def test_where_no_file_can_be_made_all_clients_of_a_process_share_one_allowance_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        several = [
            shared_allowance(BUCKET, f"https://{name}.bitrix24.com", tmp_path / "file" / "folder")
            for name in ("memory", "MEMORY", "memory", "other")
        ]
    assert all(isinstance(allowance, MemoryAllowance) for allowance in several)
    assert [admitted(allowance, 2) for allowance in several] == [2, 2, 1, 2]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "other processes" in caplog.text


def as_folder(place: Path) -> None:
    place.unlink()
    place.mkdir()


def as_pipe(place: Path) -> None:
    place.unlink()
    os.mkfifo(place)


def as_link(place: Path) -> None:
    place.unlink()
    place.symlink_to("/dev/full")


def behind_a_file(place: Path) -> None:
    place.unlink()
    place.parent.rmdir()
    place.parent.touch()


@pytest.mark.parametrize(
    "become", [as_folder, as_pipe, as_link, behind_a_file], ids=lambda become: become.__name__
)
@pytest.mark.parametrize("first", ["ask", "tell_full"])
def test_a_file_that_goes_bad_while_it_is_in_use_does_not_stop_the_work(
    first: str, become: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shared = tmp_path / "pacing"
    portal = f"https://{first}.{become.__name__}.example"
    allowance = shared_allowance(BUCKET, portal, shared)
    assert allowance.ask() == 0
    become(next(shared.iterdir()))
    with caplog.at_level(logging.WARNING):
        getattr(allowance, first)()
        allowance.ask()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(shared) in caplog.text
    assert admitted(shared_allowance(BUCKET, portal, shared)) == (3 if first == "ask" else 0)


def test_a_folder_that_vanishes_while_it_is_in_use_does_not_stop_the_work(tmp_path: Path) -> None:
    """Cleaners of temporary folders do not ask whether a DAG is running."""
    shared = tmp_path / "pacing"
    allowance = shared_allowance(BUCKET, "https://acme.bitrix24.com", shared)
    assert allowance.ask() == 0
    for file in shared.iterdir():
        file.unlink()
    shared.rmdir()
    allowance.tell_full()
    assert allowance.ask() >= 0


def test_the_folder_is_made_for_this_user_only(tmp_path: Path) -> None:
    shared_allowance(BUCKET, "https://acme.bitrix24.com", tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://acme.bitrix24.com", "https://ACME.bitrix24.com", True),
        ("https://acme.bitrix24.com", "https://acne.bitrix24.com", False),
        ("https://a_b.example", "https://a:b.example", False),
        ("https://acme.example:8443", "https://acme.example", False),
    ],
)
def test_each_portal_has_a_file_of_its_own(one: str, other: str, same: bool, tmp_path: Path) -> None:  # noqa: FBT001
    for portal in (one, other):
        shared_allowance(BUCKET, portal, tmp_path)
    assert (len(list(tmp_path.iterdir())) == 1) is same


def test_the_files_name_tells_the_portal_and_stays_in_the_folder(tmp_path: Path) -> None:
    shared_allowance(BUCKET, "http://../..//evil/127.0.0.1:8900", tmp_path)
    (file,) = tmp_path.iterdir()
    assert "127.0.0.1" in file.name


THEM = 12345


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make somebody else the owner of a folder or link; who may not do that becomes somebody else instead."""

    def give(path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, THEM, THEM, follow_symlinks=False)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: THEM)

    return give


@pytest.mark.attack
@pytest.mark.parametrize("kind", ["folder", "link to ours", "link to theirs"])
def test_a_folder_that_somebody_else_made_first_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, give_away: Callable[[Path], None], kind: str
) -> None:
    """Its name is known, and in ``/tmp`` anybody may be there before us."""
    folder = tmp_path / "airflow-bitrix-0"
    target = folder.with_name("target") if "link" in kind else folder
    target.mkdir()
    if target is not folder:
        folder.symlink_to(target)
    give_away(folder if kind == "link to ours" else target)
    with caplog.at_level(logging.WARNING):
        allowance = shared_allowance(BUCKET, f"https://{kind[-6:].strip()}.example.com", folder)
    assert "it is a folder of another user" in caplog.text
    assert allowance.ask() == 0
    assert not list(target.iterdir())


@pytest.mark.attack
def test_another_file_of_ours_is_not_written_where_everybody_may_put_its_name(tmp_path: Path) -> None:
    """A volume of a container is open to everybody, and is used all the same."""
    tmp_path.chmod(0o777)
    assert FileAllowance(BUCKET, tmp_path / "file").ask() == 0
    (tmp_path / "ours").write_bytes(b"what we need")
    (tmp_path / "laid").hardlink_to(tmp_path / "ours")
    with pytest.raises(PermissionError, match="it is no file of this user"):
        FileAllowance(BUCKET, tmp_path / "laid")
    assert (tmp_path / "ours").read_bytes() == b"what we need"


@pytest.mark.attack
def test_a_folder_that_becomes_somebody_else_s_is_used_no_more(
    tmp_path: Path, give_away: Callable[[Path], None]
) -> None:
    folder = tmp_path / "shared"
    allowance = shared_allowance(BUCKET, "https://taken.example.com", folder)
    assert allowance.ask() == 0
    (file,) = folder.iterdir()
    before = file.read_bytes()
    give_away(folder)
    assert allowance.ask() == 0
    assert file.read_bytes() == before
