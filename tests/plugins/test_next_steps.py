"""The ways from the tab of a run to the pages around it, and the language that it speaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.utils.session import create_session
from fastapi.testclient import TestClient

from airflow_bitrix.files.approvals import Approval, Asker, write_approval
from airflow_bitrix.plugins import run_states
from tests.plugins.applied_run import RUN, applied_plan, at
from tests.plugins.conftest import MakeRun
from tests.plugins.picky import MINE
from tests.plugins.runs import change, make_plan

RESTORE_DAG = "restore_of_next_steps"

HERE = "../../../../dags/mine/runs/manual__2026-11-21T10%3A00%3A00%2B00%3A00"


@pytest.fixture
def restore_dag(_airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagModel]:
    """The DAG that brings links back, as Airflow knows it, under a name of its own.

    Other tests run the sample beside this one, in the same database.
    """
    monkeypatch.setattr(run_states, "RESTORE_DAG", RESTORE_DAG)
    dag = DagModel(dag_id=RESTORE_DAG, bundle_name="dags-folder", is_stale=False)  # type: ignore[no-untyped-call]
    with create_session() as session:
        session.merge(DagBundleModel(name="dags-folder"))
        session.flush()
        session.add(dag)
    yield dag
    with create_session() as session:
        session.delete(session.merge(dag))


def asked(folder: Path, run_id: str, task_id: str = "deals.approve", map_index: int = -1) -> None:
    manifest = make_plan(folder, [change(5)])
    asker = Asker(MINE, run_id, task_id, map_index)
    write_approval(folder, Approval(manifest.hash, "waiting", "2026-11-21T10:00:00+00:00", asked=asker))


def test_a_plan_that_waits_leads_to_its_question(reader: TestClient, make_run: MakeRun) -> None:
    folder = make_run(MINE, RUN, "running") / "plan"
    asked(folder, RUN)
    link = f'<a class="button" href="{HERE}/tasks/deals.approve/required_actions" target="_top">Answer</a>'
    assert link in reader.get(at()).text
    asked(folder, RUN, map_index=2)
    assert f'href="{HERE}/tasks/deals.approve/mapped/2/required_actions"' in reader.get(at()).text
    asked(folder, "another run")  # whose files were copied here
    assert ">Answer<" not in reader.get(at()).text


@pytest.mark.attack
def test_the_name_of_a_task_that_asks_leads_nowhere_else(reader: TestClient, make_run: MakeRun) -> None:
    asked(make_run(MINE, RUN, "running") / "plan", RUN, '../../"><script>alert(1)</script>')
    page = reader.get(at()).text
    assert f"{HERE}/tasks/..%2F..%2F%22%3E%3Cscript%3Ealert%281%29%3C%2Fscript%3E/required_actions" in page


def test_a_run_leads_to_the_dag_that_takes_it_back_where_there_is_one(
    reader: TestClient, make_run: MakeRun, restore_dag: DagModel
) -> None:
    applied_plan(make_run(MINE, RUN) / "plan")
    link = f'href="../../../../dags/{RESTORE_DAG}" target="_top">Open that DAG</a>'
    assert link in reader.get(at()).text
    with create_session() as session:
        session.merge(restore_dag).is_stale = True
    page = reader.get(at()).text
    assert link not in page
    assert "Take this run back" in page


@pytest.mark.parametrize(
    ("asks", "browser", "spoken"),
    [
        ("ru", "", "ru"),
        ("ru-RU", "en-US,en;q=0.9", "ru"),
        ("", "ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("en", "ru", "en"),
        ("zh-CN", "ru", "en"),
        ("", "", "en"),
        ('"><script>', "ru", "en"),
        ("x" * 9000, "x" * 9000, "en"),
    ],
)
def test_the_tab_speaks_the_language_that_is_chosen_in_airflow_or_that_of_the_browser(
    reader: TestClient, run: Path, asks: str, browser: str, spoken: str
) -> None:
    assert run.exists()
    answer = reader.get(at(), params={"lang": asks} if asks else {}, headers={"accept-language": browser})
    assert f'<html lang="{spoken}">' in answer.text
    assert f"rows?task=plan&amp;lang={spoken}" in answer.text
    assert ("Что делать дальше" in answer.text) == (spoken == "ru")
    assert "<script>alert" not in answer.text
