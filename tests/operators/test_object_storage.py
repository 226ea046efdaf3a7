"""Applying a plan whose files lie on an object storage: few requests, and nothing is written unannounced."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.compat import AirflowFailException
from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.earlier_runs import journal_parts
from airflow_bitrix.files.journal_lines import journal_lines
from airflow_bitrix.files.object_files import create, listed
from airflow_bitrix.files.plans import Manifest, PlanWriter, read_manifest
from airflow_bitrix.operators.link_apply import Bitrix24ApplyLinkPlanOperator
from airflow_bitrix.operators.link_approval import Bitrix24ApproveLinkPlanOperator
from airflow_bitrix.operators.link_check import Bitrix24CheckLinkPlanOperator
from airflow_bitrix.operators.link_restore import Bitrix24PlanLinkRestoreOperator
from airflow_bitrix.sandbox.links import Link
from tests.moved import BEFORE_32
from tests.operators.stops import Writes

LEADS = 1000


def a_plan(sandbox: Any, folder: Path) -> Any:
    """Every lead loses its only contact."""
    with PlanWriter(folder / "plan") as plan:
        for _ in range(LEADS):
            lead = sandbox.state.add("lead", {"CONTACT_ID": 7})
            sandbox.state.place_links("lead", lead, (Link(10, 7, primary=True),))
            before = LinkSet(Owner("lead", lead), (ContactLink(7, 10, is_primary=True, role_id=0),), 7)
            plan.add(Change(before, LinkSet(Owner("lead", lead)), ("r",), save=True, may_empty=True))
        about: dict[str, Any] = {"kind": "lead", "portal": sandbox.base_url, "created": "", "rules": ()}
        return plan.finish(read=LEADS, guards=Guards(), **about)


def apply_of(folder: Path, made: Manifest) -> Any:
    told: dict[str, Any] = {"plan": str(folder / "plan"), "plan_hash": made.hash}
    return Bitrix24ApplyLinkPlanOperator(task_id="apply", is_dry_run=False, needs_approval=False, **told)


@pytest.fixture
def portal(make_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    sandbox = make_sandbox(contacts=10, plan="self_hosted")
    found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": {"plan": "self_hosted"}}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
    return sandbox


def test_the_storage_is_asked_no_more_often_than_the_portal(
    portal: Any, object_storage: Any, tmp_path: Path, record_property: Any
) -> None:
    folder = object_storage.folder(tmp_path.name)
    made = a_plan(portal, folder)
    asked = len(object_storage.requests.seen)
    apply = apply_of(folder, made)
    counts = apply.execute({})["counts"]
    sent = portal.stats()["admitted"]
    new = object_storage.requests.seen[asked:]
    saves = [one for one in new if one.startswith("PUT") and ".jsonl.d/" in one]
    record_property("requests to the portal, to the storage, saves", (sent, len(new), len(saves)))
    assert counts["applied"] == LEADS
    assert 0 < len(saves) <= sent
    # What each task asks, whatever it writes; with the s3fs of Airflow 3.1, more.
    assert len(new) <= sent + (70 if BEFORE_32 else 60)


def loses_its_journal(portal: Any, folder: Path, made: Manifest) -> Writes:
    """Apply a plan whose journal is lost in the middle, and give what was written until then."""
    objects = folder / "journal" / "part-00000.jsonl.d"

    def lost() -> None:
        """Somebody else's file stands where the next is to be."""
        for number in range(len(listed(objects)) + 1, LEADS):
            with suppress(FileExistsError):
                create(objects / f"{number:06d}", b"{}\n")
                return

    writes = Writes(lost, after=200)
    with portal.portal.lock:
        portal.portal.writes = writes
    with pytest.raises(RetryLater, match=r"another task writes .* now, and this one writes no more"):
        apply_of(folder, made).execute({})
    return writes


def test_a_journal_that_cannot_be_written_stops_the_writing(
    portal: Any, object_storage: Any, tmp_path: Path
) -> None:
    folder = object_storage.folder(tmp_path.name)
    writes = loses_its_journal(portal, folder, a_plan(portal, folder))
    announced = {
        owner
        for path in journal_parts(folder / "journal")
        for line in journal_lines(path)
        if "writing" in line
        for owner, *_ in line["writing"]
    }
    assert {write.owner_id for write in writes} <= announced
    assert len(announced) < LEADS


def test_what_an_apply_wrote_that_broke_off_is_taken_back_also_where_its_plan_was_made_again(
    portal: Any, object_storage: Any, tmp_path: Path
) -> None:
    folder = object_storage.folder(tmp_path.name)
    first = a_plan(portal, folder)
    writes = loses_its_journal(portal, folder, first)
    written = {write.owner_id for write in writes}
    assert len(written) > 100
    second = a_plan(portal, folder)
    earlier = str(folder / f"earlier-{first.hash[:12]}")
    restore = Bitrix24PlanLinkRestoreOperator(
        task_id="restore", journal=earlier, artifacts_path=str(folder / "back"), overwrite=True
    )
    assert restore.execute({})["changes"] == len(written)
    assert apply_of(folder, second).execute({})["counts"]["applied"] == LEADS
    assert (
        apply_of(folder / "back", read_manifest(folder / "back" / "plan")).execute({})["counts"]["failed"]
        == 0
    )
    assert all(portal.state.links("lead", lead) == (Link(10, 7, primary=True),) for lead in written)


@pytest.mark.parametrize(
    ("operator", "told"),
    [
        (Bitrix24ApplyLinkPlanOperator, {}),
        (Bitrix24CheckLinkPlanOperator, {}),
        (Bitrix24ApproveLinkPlanOperator, {"mode": "always"}),
    ],
)
def test_a_plan_that_this_host_does_not_see_names_host_folder_and_remedy_and_is_looked_for_again(
    operator: Any, told: dict[str, Any], portal: Any, tmp_path: Path
) -> None:
    plan = {"plan": str(tmp_path / "plan"), "hash": "1" * 64, "changes": 1, "host": "worker-1"}
    with pytest.raises(RetryLater) as raised:
        operator(task_id="any", plan=plan, **told).execute({})
    assert not isinstance(raised.value, AirflowFailException)
    said = str(raised.value)
    assert said.startswith(f"there is no plan in {tmp_path / 'plan'} as this host, ")
    for told_of in (socket.gethostname(), "written by host worker-1", "[bitrix24] artifacts_path"):
        assert told_of in said
    assert portal.stats()["admitted"] == 0
