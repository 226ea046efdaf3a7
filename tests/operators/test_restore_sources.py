"""What a restore goes by: journals, snapshots and runs are found, and refused where they are not whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_bitrix.core.errors import InvalidInput, PlanRefused, RetryLater
from airflow_bitrix.files.journals import JournalPart
from airflow_bitrix.files.plans import read_manifest
from airflow_bitrix.operators.link_plans import Bitrix24CheckLinkPlanOperator, Bitrix24PlanLinkCleanupOperator
from airflow_bitrix.operators.shared.artifacts import artifacts_root, folder_names
from airflow_bitrix.operators.shared.restore_sources import kinds_of
from tests.operators import restores
from tests.operators.restores import apply, clean_up, export, remove_dangling, restore

sandbox = restores.sandbox


@pytest.mark.parametrize("form", ["what apply returned", "run folder", "journal folder"])
def test_a_journal_is_found_in_each_form(form: str, sandbox: Any, tmp_path: Path) -> None:
    applied = clean_up(tmp_path / "run")
    given = {
        "what apply returned": applied,
        "run folder": str(tmp_path / "run"),
        "journal folder": applied["journal"],
    }[form]
    sandbox.reset_stats()
    made = restore(tmp_path, journal=given)
    assert made["by_rule"] == {"restore": made["changes"]}
    assert made["changes"] > 100
    assert sandbox.stats()["writes"] == 0


RUN = ("some_dag", "manual__2026-11-25T08:56:20+00:00")


@pytest.fixture
def run_folder() -> Iterator[Path]:
    """The folder of a DAG run under the artifacts root."""
    folder = artifacts_root().joinpath(*folder_names(*RUN))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("task", ["plan", "leads.plan"])
@pytest.mark.parametrize(
    "given",
    [
        "{folder}",
        "https://airflow.example.com/prefix/dags/some_dag/runs/manual__2026-11-25T08%3A56%3A20%2B00%3A00",
        "http://127.0.0.1:8080/dags/some_dag/runs/manual__2026-11-25T08:56:20+00:00/tasks/check?try_number=1",
    ],
    ids=["folder", "page", "page of a task"],
)
def test_a_run_is_enough_where_one_of_its_tasks_was_applied(
    given: str, task: str, run_folder: Path, tmp_path: Path
) -> None:
    applied = clean_up(run_folder / task)
    (run_folder / "deals.plan" / "plan").mkdir(parents=True)  # of a task that applied nothing
    made = restore(tmp_path, journal=given.format(folder=run_folder))
    assert made["changes"] == restore(tmp_path / "told", journal=applied)["changes"] > 100


@pytest.mark.usefixtures("sandbox")
def test_of_a_run_with_several_journals_or_snapshots_one_has_to_be_named(
    run_folder: Path, tmp_path: Path
) -> None:
    for task in ("leads.plan", "deals.plan"):
        for name in ("plan/manifest.json", "journal/part-00000.jsonl", "snapshot/links.jsonl"):
            (run_folder / task / name).parent.mkdir(parents=True, exist_ok=True)
            (run_folder / task / name).touch()
    for argument, below in (("journal", ""), ("snapshot", "/snapshot")):
        with pytest.raises(InvalidInput) as refused:
            restore(tmp_path, **{argument: str(run_folder)})
        assert str(refused.value) == (
            f"{argument}: the run in {run_folder} has several {argument}s; accepted: "
            f"the folder of one of them: {run_folder}/deals.plan{below}, {run_folder}/leads.plan{below}"
        )


@pytest.fixture
def of_two_kinds(sandbox: Any, run_folder: Path) -> Path:
    """A run over leads and deals, and over quotes, of which nothing was to be changed."""
    for contacts in ([1, 7777], [8888]):
        sandbox.state.add("deal", {"CONTACT_IDS": contacts})
    for task, kind in (("leads.plan", "lead"), ("deals.plan", "deal"), ("quotes.plan", "quote")):
        folder = run_folder / task
        made = Bitrix24PlanLinkCleanupOperator(
            task_id="plan", kind=kind, rules=["remove_dangling"], artifacts_path=str(folder)
        ).execute({})
        if made["changes"]:
            apply(folder, made)
    return run_folder


def test_of_a_run_over_several_kinds_each_is_a_plan_of_its_own(of_two_kinds: Path, tmp_path: Path) -> None:
    assert kinds_of(str(of_two_kinds), None) == {"lead", "deal"}
    assert kinds_of(str(of_two_kinds / "deals.plan"), None) == {"deal"}
    for kind in ("lead", "deal"):
        made = restore(tmp_path / kind, journal=str(of_two_kinds), kind=kind, link_missing=True)
        assert read_manifest(Path(made["plan"])).kind == kind
        assert (
            made["changes"]
            == restore(
                tmp_path / f"{kind} alone", journal=str(of_two_kinds / f"{kind}s.plan"), link_missing=True
            )["changes"]
        )
    for given, kind in (
        (of_two_kinds, "quote"),
        (of_two_kinds, "contact"),
        (of_two_kinds, "dynamic"),
        (of_two_kinds / "deals.plan", "lead"),
    ):
        with pytest.raises(AirflowSkipException, match=f"nothing about such owners to bring back: {kind}"):
            restore(tmp_path, journal=str(given), kind=kind)
    with pytest.raises(InvalidInput, match=r"^kind: 'leads' is not accepted; accepted: .lead., .*; or None"):
        restore(tmp_path, journal=str(of_two_kinds), kind="leads")


def test_ids_are_those_of_one_kind(of_two_kinds: Path, sandbox: Any, tmp_path: Path) -> None:
    ids = tmp_path / "ids.csv"
    ids.write_text("1\n")
    sandbox.reset_stats()
    for arguments in ({"owners": [1]}, {"owners_file": str(ids)}):
        (name,) = arguments
        with pytest.raises(
            InvalidInput, match=f"^{name}: .* accepted: nothing, as the run was about several"
        ):
            restore(tmp_path, journal=str(of_two_kinds), kind="deal", **arguments)
    assert sandbox.stats()["admitted"] == 0
    made = restore(tmp_path, journal=str(of_two_kinds / "deals.plan"), kind="deal", owners=[1])
    assert made["changes"] <= 1


@pytest.mark.usefixtures("sandbox")
def test_a_run_whose_tasks_were_moved_aside_in_part_takes_more_than_its_name(
    run_folder: Path, tmp_path: Path
) -> None:
    """A restore of what is left in place would take back a part of the run without a word."""
    clean_up(run_folder / "leads.plan")
    remove_dangling(run_folder / "leads.plan")
    apply(run_folder / "deals.plan", remove_dangling(run_folder / "deals.plan"))
    with pytest.raises(InvalidInput, match=r"has several journals; .*/deals\.plan, .*/leads\.plan$"):
        restore(tmp_path, journal=str(run_folder))
    shutil.rmtree(run_folder / "deals.plan")
    with pytest.raises(PlanRefused, match=r"earlier runs are kept, .*/leads\.plan/earlier-\w+$"):
        restore(tmp_path, journal=str(run_folder))


@pytest.mark.usefixtures("sandbox")
def test_the_only_snapshot_of_a_run_is_found(run_folder: Path, tmp_path: Path) -> None:
    export(run_folder / "leads")
    address = f"http://127.0.0.1:8080/dags/{RUN[0]}/runs/{RUN[1]}"
    assert restore(tmp_path, snapshot=address)["changes"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {},
            r"journal, snapshot: none of the two is given; accepted: one .*: Journal \(the.* or Snapshot \(",
        ),
        ({"journal": "/a", "snapshot": "/b"}, "journal, snapshot: both are given; accepted: one of"),
        (
            {"journal": "/nowhere"},
            "there is no journal in /nowhere; the tab Bitrix24 report of the run to take",
        ),
        ({"snapshot": "/nowhere"}, "there is no snapshot in /nowhere .*; the tab Bitrix24 report of the run"),
        (
            {"journal": "http://127.0.0.1:8080/dags/some_dag/runs/none"},
            "there is no journal in .*/some_dag/none; the tab Bitrix24 report",
        ),
        ({"journal": "http://127.0.0.1:8080/dags"}, r"a folder, or the address of a run's page .*<run id>$"),
    ],
)
def test_what_is_no_run_is_refused_with_where_to_find_one(
    arguments: dict[str, Any], said: str, sandbox: Any, tmp_path: Path
) -> None:
    with pytest.raises((InvalidInput, PlanRefused), match=said):
        restore(tmp_path, **arguments)
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.usefixtures("sandbox")
def test_the_folder_of_a_plan_is_not_taken_for_a_journal(tmp_path: Path) -> None:
    made = remove_dangling(tmp_path)
    apply(tmp_path, made)
    with pytest.raises(PlanRefused, match=r"part-00000\.jsonl is no part of a journal"):
        restore(tmp_path, journal=made["plan"])


def damage_lines(folder: Path) -> None:
    lines = folder / "links.jsonl"
    lines.write_text(lines.read_text().replace("true", "false", 1))


def cut_lines(folder: Path) -> None:
    lines = folder / "links.jsonl"
    lines.write_text("".join(lines.read_text().splitlines(keepends=True)[:-1]))


def remove_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def other_format(folder: Path) -> None:
    about = folder / "manifest.json"
    about.write_text(about.read_text().replace('"format": 2', '"format": 7'))


def cut_manifest(folder: Path) -> None:
    about = folder / "manifest.json"
    about.write_text(about.read_text()[:40])


def remove_lines(folder: Path) -> None:
    (folder / "links.jsonl").unlink()


@pytest.mark.parametrize(
    ("meddle", "said"),
    [
        (damage_lines, "does not match its hash"),
        (cut_lines, "does not match its hash"),
        (remove_lines, "links.jsonl is missing"),
        (remove_manifest, "the export did not end"),
        (other_format, "has format 7, this version reads 2"),
        (cut_manifest, "manifest of the snapshot .* is damaged"),
    ],
)
def test_a_snapshot_that_is_not_whole_is_refused_before_anything_is_sent(
    meddle: Any, said: str, sandbox: Any, tmp_path: Path
) -> None:
    taken = export(tmp_path)
    meddle(Path(taken["snapshot"]))
    sandbox.reset_stats()
    with pytest.raises(PlanRefused, match=said):
        restore(tmp_path, snapshot=taken)
    assert sandbox.stats()["admitted"] == 0
    assert not (tmp_path / "restore" / "plan").exists()


def damage_journal(folder: Path) -> None:
    part = folder / "journal" / "part-00000.jsonl"
    part.write_text(part.read_text().replace('"before":[', '"before":{', 1))


def replace_plan(folder: Path) -> None:
    Bitrix24PlanLinkCleanupOperator(
        task_id="plan", rules=["release_repeat_leads"], artifacts_path=str(folder / "other")
    ).execute({})
    shutil.rmtree(folder / "plan")
    (folder / "other" / "plan").rename(folder / "plan")


def edit_plan(folder: Path) -> None:
    part = folder / "plan" / "part-00000.jsonl"
    part.write_text(part.read_text().replace("true", "false", 1))


def remove_journal(folder: Path) -> None:
    for part in (folder / "journal").iterdir():
        part.unlink()


@pytest.mark.parametrize(
    ("meddle", "said"),
    [
        (damage_journal, "line .* is damaged"),
        (replace_plan, "is not that of the plan in"),
        (edit_plan, "part-00000.jsonl .* was edited"),
        (remove_journal, "there is no journal in"),
    ],
)
def test_a_journal_that_cannot_be_trusted_is_refused(
    meddle: Any, said: str, sandbox: Any, tmp_path: Path
) -> None:
    clean_up(tmp_path / "run")
    meddle(tmp_path / "run")
    sandbox.reset_stats()
    with pytest.raises(PlanRefused, match=said):
        restore(tmp_path, journal=str(tmp_path / "run"))
    assert sandbox.stats()["admitted"] == 0


def test_a_journal_that_is_still_being_written_is_read_later(sandbox: Any, tmp_path: Path) -> None:
    applied = clean_up(tmp_path)
    sandbox.reset_stats()
    plan_hash = read_manifest(tmp_path / "plan").hash
    with (
        JournalPart(tmp_path / "journal" / "part-00000.jsonl", plan_hash=plan_hash, dry_run=False),
        pytest.raises(RetryLater, match=r"an apply writes .* now"),
    ):
        restore(tmp_path, journal=applied)
    assert sandbox.stats()["admitted"] == 0


def test_a_journal_of_another_portal_is_refused(
    sandbox: Any, make_sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied = clean_up(tmp_path)
    other = make_sandbox(leads=700, contacts=300, plan="self_hosted")
    monkeypatch.setenv(
        "AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps({"conn_type": "bitrix24", "password": other.webhook_url})
    )
    said = f"the journal is of {sandbox.base_url}, the connection leads to {other.base_url}"
    with pytest.raises(PlanRefused, match=said):
        restore(tmp_path, journal=applied)
    assert other.stats()["admitted"] == 0


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({}, "journal, snapshot"),
        ({"journal": "a", "snapshot": "b"}, "journal, snapshot"),
        ({"snapshot": {"journal": "a"}}, "snapshot"),
        ({"owners": "5"}, "owners"),
        ({"owners": [0]}, "owners"),
        ({"owners": [5], "owners_file": "failed.csv"}, "owners"),
        ({"owners_file": 17}, "owners_file"),
        ({"owners_file": "ftpx://host/failed.csv"}, "owners_file"),
        ({"owners_file": "/nowhere/failed.csv"}, "owners_file"),
        ({"overwrite": "perhaps"}, "overwrite"),
        ({"save": 1}, "save"),
    ],
)
def test_a_parameter_that_cannot_be_right_is_refused(
    arguments: dict[str, Any], argument: str, sandbox: Any, tmp_path: Path
) -> None:
    taken = export(tmp_path)
    sandbox.reset_stats()
    given = arguments if "snapshot" in argument else {"snapshot": taken, **arguments}
    with pytest.raises(InvalidInput, match=rf"^{argument}: "):
        restore(tmp_path, **given)
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.usefixtures("sandbox")
def test_a_restore_does_not_write_over_the_plan_that_it_takes_back(tmp_path: Path) -> None:
    applied = clean_up(tmp_path)
    hash_before = read_manifest(tmp_path / "plan").hash
    with pytest.raises(InvalidInput, match=r"^artifacts_path: "):
        restore(tmp_path, journal=applied, artifacts_path=str(tmp_path))
    assert read_manifest(tmp_path / "plan").hash == hash_before


@pytest.mark.parametrize("is_told", [True, False], ids=["told by the check", "given"])
@pytest.mark.usefixtures("sandbox")
def test_the_plan_of_a_run_that_was_checked_elsewhere_is_found(tmp_path: Path, *, is_told: bool) -> None:
    made = remove_dangling(tmp_path / "a")
    apply(tmp_path / "b", made)
    checked = Bitrix24CheckLinkPlanOperator(
        task_id="check", plan=made, is_dry_run=False, artifacts_path=str(tmp_path / "b")
    ).execute({})
    if is_told:
        arguments = {"journal": checked}
    else:
        arguments = {"journal": {"journal": checked["journal"]}, "plan": made["plan"]}
    assert restore(tmp_path, link_missing=True, **arguments)["changes"] == made["changes"] > 0
