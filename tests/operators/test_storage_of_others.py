"""An object storage that others write to as well, that is away, or whose bucket is not there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput, RetryLater
from airflow_bitrix.core.guards import Guards
from airflow_bitrix.files.approvals import read_decision
from airflow_bitrix.files.atomic_writes import atomic_write
from airflow_bitrix.files.object_files import contents, create
from airflow_bitrix.files.plain_files import read_plain
from airflow_bitrix.files.plans import Manifest, PlanWriter
from airflow_bitrix.files.writers import Occupied, Writer
from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkRestoreOperator
from airflow_bitrix.operators.shared.apply_parts import ApplyTask, Orders
from airflow_bitrix.operators.shared.artifacts import as_folder
from airflow_bitrix.operators.shared.row_policy import RowPolicy
from airflow_bitrix.operators.shared.turns import SHORTEST, Patience, told_to_wait
from tests.moved import BEFORE_32


@pytest.fixture
def folder(object_storage: Any, tmp_path: Path) -> Path:
    place: Path = object_storage.folder(tmp_path.name)
    return place


@pytest.fixture
def missing(folder: Path) -> Path:
    """Give a folder in a bucket that is not there."""
    return as_folder(str(folder).replace("@artifacts", "@no-such-bucket"))


@pytest.fixture
def away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder on a storage that nobody reaches."""
    extra = {
        "endpoint_url": "http://127.0.0.1:9",
        "region_name": "us-east-1",
        "config_kwargs": {"retries": {"total_max_attempts": 1}},
    }
    connection = {"conn_type": "aws", "login": "key", "password": "secret", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", json.dumps(connection))
    return as_folder(str(folder).replace("aws_default@", "away@"))


def test_what_other_hosts_write_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER_HOST", os.environ["AIRFLOW_CONN_AWS_DEFAULT"])
    theirs = as_folder(str(folder).replace("aws_default@", "other_host@"))
    (theirs / "1.txt").write_text("one")
    assert [path.name for path in folder.iterdir()] == ["1.txt"]
    assert (folder / "1.txt").stat().st_size == len("one")
    (theirs / "1.txt").write_text("longer")
    (theirs / "2.txt").write_text("two")
    assert sorted(path.name for path in folder.glob("*.txt")) == ["1.txt", "2.txt"]
    assert read_plain(folder / "1.txt") == b"longer"
    (theirs / "1.txt").unlink()
    assert not (folder / "1.txt").exists()


def test_an_empty_file_is_read_and_a_missing_one_is_missed(place: Path) -> None:
    create(place / "empty", b"")
    create(place / "full", b"1")
    assert contents([place / "empty", place / "full"]) == [b"", b"1"]
    with pytest.raises(FileNotFoundError):
        contents([place / "full", place / "none"])


def test_a_file_whose_writing_goes_wrong_stays_as_it_was(place: Path) -> None:
    create(place / "any", b"before")

    def lines() -> Iterator[str]:
        yield "now"
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"), atomic_write(place / "any") as file:
        file.writelines(lines())
    assert read_plain(place / "any") == b"before"
    with atomic_write(place / "any") as file:
        file.write("Grüße\r\n")
    assert read_plain(place / "any").decode() == "Grüße\r\n"


def test_a_bucket_is_never_made(missing: Path) -> None:
    with (
        pytest.raises(
            RetryLater, match=r"no-such-bucket/.* cannot be written now: The .*bucket does not exist"
        ),
        PlanWriter(missing / "plan"),
    ):
        pass
    assert not missing.exists()
    error: type[Exception] = InvalidInput
    said = r"no-such-bucket.* accepted: a folder that can be read \(The specified"
    if BEFORE_32:  # its universal-pathlib takes the bucket for an empty one
        error, said = Bitrix24Error, r"there is no journal in s3://.*no-such-bucket"
    with pytest.raises(error, match=said):
        Bitrix24PlanLinkRestoreOperator(task_id="restore", journal=str(missing)).execute({})


def test_a_storage_that_is_away_is_asked_again_later(away: Path) -> None:
    """A decision that cannot be read now is not one that is damaged."""
    with pytest.raises(
        RetryLater, match=r"^s3://away@\S+/approval.json cannot be read now: Could not connect"
    ):
        read_decision(away)


def test_who_waits_for_another_run_does_so_where_the_report_cannot_be_told(missing: Path) -> None:
    manifest = Manifest("lead", "https://acme.bitrix24.com", "", (), {}, Guards())
    policy = RowPolicy(None, None)
    orders = Orders(dry_run=False, first=None, canary=0, policy=policy, quiet=None, wait=timedelta(hours=1))
    task = ApplyTask(missing / "plan", manifest, None, missing, orders)
    other = Occupied(Writer("clean_up", "manual__1", "2026-11-21T10:00:00+00:00"), "lead", manifest.portal)
    assert told_to_wait(task, other, Patience(orders.wait, 1000.0), 1000.0) == 1000.0 + SHORTEST
