"""What another host wrote onto a disk of its own: it is named, with the host, and looked for again."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.compat import AirflowFailException
from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.plan_locks import TAKEN
from airflow_bitrix.operators.link_check import Bitrix24CheckLinkPlanOperator
from tests.operators.restores import apply, exact, linked, plan_of, restore, sandbox

__all__ = ["sandbox"]

HERE = socket.gethostname()


@pytest.fixture
def made(sandbox: Any, tmp_path: Path) -> Any:
    """Give a plan of one change, as its task hands it on."""
    lead = linked(sandbox, "lead", (7, 10, True))
    after = LinkSet(Owner("lead", lead), (ContactLink(8, 10, is_primary=True, role_id=0),))
    change = Change(exact(sandbox, "lead", lead), after, ("by hand",))
    return plan_of(tmp_path / "shared", sandbox, "lead", [change]) | {"changes": 1}


def by_worker_1(plan: str) -> None:
    """Let another host have applied a plan, and this one not see the disk that it wrote to."""
    taken = Path(plan) / TAKEN
    text = taken.read_text()
    assert f'"{HERE}"' in text
    taken.write_text(text.replace(f'"{HERE}"', '"worker-1"'))


def refused(what: str, folder: Path, error: RetryLater) -> bool:
    assert not isinstance(error, AirflowFailException)
    return str(error) == (
        f"there is no {what} in {folder} as this host, {HERE}, sees it: it was written by host worker-1. "
        "[bitrix24] artifacts_path has to name a folder that all hosts share, or an object storage, such as "
        "s3://aws_default@bucket/bitrix24. The next try looks again"
    )


def test_apply_and_check_miss_the_journal_that_another_host_wrote(
    sandbox: Any, made: Any, tmp_path: Path
) -> None:
    own, written = tmp_path / "own", tmp_path / "written"
    check = Bitrix24CheckLinkPlanOperator(
        task_id="check", plan=made, is_dry_run=False, artifacts_path=str(own)
    )
    apply(own, made, is_dry_run=True)
    assert apply(own, made)["host"] == HERE
    assert check.execute({})["host"] == HERE
    by_worker_1(made["plan"])
    check.execute({})
    own.rename(written)
    sandbox.reset_stats()
    tasks: list[Callable[[], Any]] = [lambda: check.execute({}), lambda: apply(own, made)]
    for task in tasks:
        with pytest.raises(RetryLater) as raised:
            task()
        assert refused("journal", own, raised.value)
    assert not own.exists()
    assert sandbox.stats()["admitted"] == 0
    written.rename(own)
    check.execute({})


def test_a_dry_run_of_another_host_keeps_nobody_from_applying(made: Any, tmp_path: Path) -> None:
    own = tmp_path / "own"
    apply(own, made, is_dry_run=True)
    by_worker_1(made["plan"])
    own.rename(tmp_path / "elsewhere")
    assert apply(own, made)["counts"]["applied"] == 1


def test_what_lies_beside_a_plan_that_is_seen_is_seen_too(made: Any, tmp_path: Path) -> None:
    """A task of another host that died before it wrote anything leaves no journal for anybody."""
    run = tmp_path / "shared"
    apply(run, made)
    by_worker_1(made["plan"])
    (run / "journal").rename(tmp_path / "elsewhere")
    assert apply(run, made)["counts"]["already"] == 1


@pytest.mark.parametrize("what", ["journal", "snapshot"])
def test_a_restore_misses_what_another_host_wrote(what: str, sandbox: Any, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    told = {what: str(gone / what), "host": "worker-1"}
    with pytest.raises(RetryLater) as raised:
        restore(tmp_path, **{what: told})
    assert refused(what, gone / what, raised.value)
    for given in (told | {"host": HERE}, str(gone / what)):
        with pytest.raises(AirflowFailException) as final:
            restore(tmp_path, **{what: given})
        assert str(final.value).startswith(f"there is no {what} in {gone / what}")
        assert f"This host, {HERE}, has no such folder: if another one wrote it, [bitrix24]" in str(
            final.value
        )
    assert sandbox.stats()["admitted"] == 0
