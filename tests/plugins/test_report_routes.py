"""The report's routes: who may see them, what they serve, and that no address leads anywhere else."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from airflow_bitrix.core.plan import ChangeOutcome
from airflow_bitrix.files.apply_costs import Effort
from airflow_bitrix.files.approvals import Approval, write_approval
from airflow_bitrix.files.checks import Check, write_check
from airflow_bitrix.files.journals import write_failed
from airflow_bitrix.files.plans import Manifest, PlanWriter
from tests.plugins.conftest import MakeRun
from tests.plugins.picky import MINE, THEIRS
from tests.plugins.runs import PORTAL, TWO_PARTS, as_another_user, change, make_plan, note, outcome, sealed

RUN = "manual__2026-11-21T10:00:00+00:00"
ROUTES = (
    "",
    "?task=plan",
    "rows?task=plan",
    "outcomes.csv?task=plan",
    "outcomes.jsonl?task=plan",
    "files/failed.csv?task=plan",
)
EVIL = "=HYPERLINK(1) <script>alert(1)</script>"


def at(route: str = "", dag_id: str = MINE, run_id: str = RUN) -> str:
    return f"/bitrix24/report/{dag_id}/{quote(run_id, safe='')}/{route}"


def applied_plan(folder: Path, *, dry_run: bool = False) -> Manifest:
    """A plan of two parts, of which the first is applied but for one change that failed."""
    manifest = make_plan(folder, [change(number) for number in range(1, TWO_PARTS + 1)])
    name = "skipped" if dry_run else "applied"
    outcomes: list[ChangeOutcome] = [outcome(number, name) for number in range(1, 1000)]  # type: ignore[arg-type]
    outcomes.append(outcome(1000, "failed", EVIL))
    note(folder, manifest, {0: outcomes}, dry_run=dry_run)
    write_failed(folder / "failed.csv", outcomes, PORTAL)
    return manifest


@pytest.fixture
def run(make_run: MakeRun) -> Path:
    folder = make_run(MINE, RUN)
    applied_plan(folder / "plan")
    return folder


# -- access ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES)
def test_who_may_read_the_dag_s_xcoms_gets_the_report(reader: TestClient, run: Path, route: str) -> None:
    assert run.exists()
    assert reader.get(at(route)).status_code == 200


@pytest.mark.parametrize("route", ROUTES)
def test_nobody_sees_a_report_without_a_login(
    clients: Callable[[str], TestClient], run: Path, route: str
) -> None:
    assert run.exists()
    answer = clients("").get(at(route))
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})


@pytest.mark.parametrize("route", ROUTES)
def test_who_may_not_read_the_dag_sees_no_report(
    reader: TestClient, clients: Callable[[str], TestClient], make_run: MakeRun, route: str
) -> None:
    applied_plan(make_run(THEIRS, RUN) / "plan")
    answer = reader.get(at(route, dag_id=THEIRS))
    assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"})
    assert clients("admin").get(at(route, dag_id=THEIRS)).status_code == 200


@pytest.mark.parametrize("route", ROUTES)
def test_another_dag_in_the_query_opens_nothing(reader: TestClient, make_run: MakeRun, route: str) -> None:
    applied_plan(make_run(THEIRS, RUN) / "plan")
    both = f"{at(route, dag_id=THEIRS)}{'&' if '?' in route else '?'}dag_id={MINE}"
    assert reader.get(both).status_code == 403


# -- addresses ---------------------------------------------------------------------------------------------


OUTSIDE = "..%2f..%2foutside"


@pytest.mark.parametrize(
    "address",
    [
        "/bitrix24/report/mine/..%2f/",
        "/bitrix24/report/mine/..%2f..%2f..%2fetc%2fpasswd/",
        "/bitrix24/report/..%2f/mine/",
        "/bitrix24/report/mine/%2e%2e/",
        "/bitrix24/report/%2e/run/",
        f"{at()}..%2f..%2ftheirs",
        at("files/..%2ffailed.csv?task=plan"),
        at("files/%2e%2e?task=plan"),
        at("files/manifest.json?task=plan"),
        at("files/failed.csv%00.csv?task=plan"),
        at("files/plan%2fmanifest.json?task=plan"),
        at("files/failed.csv?task=.."),
        at("files/failed.csv?task=plan%2fplan"),
        at(f"rows?task={OUTSIDE}"),
        at("rows?task=plan%00"),
        at("outcomes.csv?task=%2e%2e%2fplan"),
        at("?task=.."),
        at("?task=nothing"),
        at("", run_id="manual__never"),
        at("rows?task=plan", run_id="manual__never"),
        at("", dag_id="~"),
        at("nothing"),
        "/bitrix24/report/mine",
        "/bitrix24/",
        "/bitrix24/docs",
        "/bitrix24/openapi.json",
    ],
)
def test_an_address_of_nothing_is_not_found(
    clients: Callable[[str], TestClient], run: Path, address: str
) -> None:
    (run.parent.parent / "outside" / "plan").mkdir(parents=True)
    assert clients("admin").get(address).status_code == 404
    # Without a login there is no other answer than these either.
    assert clients("").get(address).status_code in (401, 404)


@pytest.mark.parametrize("linked", ["task", "plan", "journal", "file", "dag"])
def test_a_symbolic_link_leads_nowhere(
    clients: Callable[[str], TestClient], make_run: MakeRun, tmp_path: Path, linked: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    applied_plan(elsewhere)
    folder = make_run("linked" if linked == "dag" else MINE, RUN)
    if linked == "dag":
        applied_plan(tmp_path / "run" / "plan")
        folder.rmdir()
        folder.symlink_to(tmp_path / "run")
    elif linked == "task":
        (folder / "plan").symlink_to(elsewhere)
    elif linked == "file":
        applied_plan(folder / "plan")
        (folder / "plan" / "failed.csv").unlink()
        (folder / "plan" / "failed.csv").symlink_to(elsewhere / "failed.csv")
    else:
        applied_plan(folder / "plan")
        (folder / "plan" / linked).rename(tmp_path / "aside")
        (folder / "plan" / linked).symlink_to(elsewhere / linked)
    client = clients("admin")
    dag_id = "linked" if linked == "dag" else MINE
    for route in ROUTES[1:]:
        assert client.get(at(route, dag_id=dag_id)).status_code == 404
    assert "Nothing to show here." in client.get(at("", dag_id=dag_id)).text


@pytest.mark.parametrize(
    "inside", ["plan/part-00001.jsonl", "plan/manifest.json", "journal/part-00000.jsonl"]
)
def test_a_symbolic_link_among_the_parts_leads_nowhere(reader: TestClient, run: Path, inside: str) -> None:
    path = run / "plan" / inside
    path.symlink_to(path.rename(run.parent / "aside"))
    for route in ROUTES[1:]:
        assert reader.get(at(route)).status_code == 404
    assert "Nothing to show here." in reader.get(at()).text


@pytest.mark.parametrize("name", ["plan/manifest.json", "journal/part-00000.jsonl", "failed.csv"])
def test_a_pipe_is_not_opened(reader: TestClient, run: Path, name: str) -> None:
    """Whoever opened it would wait until somebody writes into it, and hold a thread."""
    (run / "plan" / name).unlink()
    os.mkfifo(run / "plan" / name)
    for route in ROUTES[1:]:
        assert reader.get(at(route)).status_code == 404
    assert "Nothing to show here." in reader.get(at()).text


@pytest.mark.parametrize("dag_id", [".mine", "team.sales." + "x" * 239, "отдел"])
def test_every_dag_that_airflow_takes_has_its_report(
    clients: Callable[[str], TestClient], make_run: MakeRun, dag_id: str
) -> None:
    """And that of no other DAG."""
    applied_plan(make_run(dag_id, RUN) / "plan")
    make_run("_mine", RUN)
    client = clients("admin")
    for route in ROUTES:
        assert client.get(at(route, dag_id=dag_id)).status_code == 200
        assert client.get(at(route, dag_id="_mine")).status_code == (404 if route else 200)


@pytest.mark.parametrize("name", ["", "reader", "admin"])
@pytest.mark.parametrize(
    "address",
    [
        "/bitrix24/report/mine/%00/",
        "/bitrix24/report/mine/a%00b/rows?task=plan",
        "/bitrix24/report/%00/run/",
        "/bitrix24/report/mine%00/run/outcomes.csv?task=plan",
    ],
)
def test_no_text_that_a_database_does_not_take_gets_that_far(
    clients: Callable[[str], TestClient], name: str, address: str
) -> None:
    """PostgreSQL takes no NUL, neither from here nor from Airflow's look for the DAG."""
    answer = clients(name).get(address)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize("name", ["", "reader"])
@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "ODD"])
def test_there_is_nothing_but_to_get(
    clients: Callable[[str], TestClient], run: Path, name: str, method: str
) -> None:
    assert run.exists()
    client = clients(name)
    assert {client.request(method, at(route)).status_code for route in ROUTES} == {404}


# -- what is served ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", [*ROUTES, "nothing"])
def test_each_answer_forbids_everything_that_is_not_its_own(
    reader: TestClient, clients: Callable[[str], TestClient], run: Path, route: str
) -> None:
    assert run.exists()
    for answer in (reader.get(at(route)), clients("").get(at(route))):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'self'" in policy
        assert "connect-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_the_page_shows_the_run_and_its_addresses_are_relative(reader: TestClient, run: Path) -> None:
    assert run.exists()
    page = reader.get(at()).text
    for told in ("999 applied", "1 failed", "20 open", "1,020", "A part of the plan was applied."):
        assert told in page
    assert 'data-rows="rows?task=plan"' in page
    assert 'href="/' not in page
    assert 'src="' not in page
    assert "<script>alert" not in page


def rows(client: TestClient, **wanted: Any) -> tuple[int, list[int]]:
    answer = client.get(at("rows"), params={"task": "plan", **wanted})
    assert answer.status_code == 200
    told = answer.json()
    return told["total"], [row[0] for row in told["rows"]]


def test_rows_come_a_page_at_a_time_searched_filtered_and_sorted(reader: TestClient, run: Path) -> None:
    assert run.exists()
    assert rows(reader) == (1020, list(range(1, 51)))
    assert rows(reader, at=990, size=20) == (1020, list(range(991, 1011)))
    assert rows(reader, at=5000) == (1020, [])
    assert rows(reader, outcome="failed") == (1, [1000])
    assert rows(reader, outcome="open", sort="-owner", size=2) == (20, [1020, 1019])
    assert rows(reader, sort="outcome", size=2, at=998) == (1020, [999, 1000])
    assert rows(reader, search="hyperlink") == (1, [1000])
    assert rows(reader, search="15", size=3) == (1, [15])
    assert rows(reader, search="9*, BECAUSE", size=1) == (999, [1])
    assert rows(reader, search="nothing")[0] == 0


def test_a_row_holds_what_the_page_shows(reader: TestClient, run: Path) -> None:
    assert run.exists()
    told = reader.get(at("rows?task=plan&at=998&size=2")).json()["rows"]
    assert told == [
        [999, "applied", "9*", "none", "because", 0],
        [1000, "failed", "7*", "none", EVIL, 0],
    ]


@pytest.mark.parametrize(
    ("odd", "shown"),
    [
        ({"at": -1}, range(1, 51)),
        ({"at": "x"}, range(1, 51)),
        ({"at": 10**30}, ()),
        ({"at": "9" * 5000}, range(1, 51)),
        ({"at": "1.5"}, range(1, 51)),
        ({"size": 0}, [1]),
        ({"size": 10**6}, range(1, 501)),
        ({"size": ""}, range(1, 51)),
        ({"sort": "nonsense"}, range(1, 51)),
        ({"outcome": "nonsense"}, ()),
        ({"search": " " * 200 + "1000"}, range(1, 51)),
        ({"search": "1 " * 101}, [1, 1000]),
        ({"search": "\x00"}, ()),
        ({"task": ["nothing", "plan"]}, range(1, 51)),
    ],
)
def test_an_odd_page_is_the_nearest_that_there_is(
    reader: TestClient, run: Path, odd: dict[str, Any], shown: Iterable[int]
) -> None:
    assert run.exists()
    assert rows(reader, **odd)[1] == list(shown)


@pytest.mark.parametrize("task", ["", "task=", "task=nothing", "task[]=plan", "task=" + "x" * 9000])
def test_a_task_that_there_is_not_is_not_found(
    clients: Callable[[str], TestClient], run: Path, task: str
) -> None:
    """And nobody without a login hears of it."""
    assert run.exists()
    for route in ("rows", "outcomes.csv", "outcomes.jsonl", "files/failed.csv"):
        assert clients("reader").get(at(f"{route}?{task}")).status_code == 404
        assert clients("").get(at(f"{route}?{task}")).status_code == 401


def test_the_table_holds_every_change_and_no_formula(reader: TestClient, run: Path) -> None:
    assert run.exists()
    answer = reader.get(at("outcomes.csv?task=plan"))
    assert answer.headers["content-disposition"] == 'attachment; filename="plan.outcomes.csv"'
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["owner_id"]) for row in table] == list(range(1, TWO_PARTS + 1))
    assert [row["outcome"] for row in table] == ["applied"] * 999 + ["failed"] + ["open"] * 20
    assert table[999]["reason"] == f"'{EVIL}"
    assert table[0] == {
        "owner": "lead",
        "owner_id": "1",
        "outcome": "applied",
        "contacts_before": "9*",
        "wanted": "none",
        "reason": "release_repeat_leads: because",
        "rules": "release_repeat_leads",
        "address": f"{PORTAL}/crm/lead/details/1/",
    }


def test_a_rule_s_name_is_no_formula_either(reader: TestClient, make_run: MakeRun) -> None:
    make_plan(make_run(MINE, RUN) / "plan", [change(1, rules=("=1+1",))])
    (row,) = csv.DictReader(io.StringIO(reader.get(at("outcomes.csv?task=plan")).text))
    assert row["rules"] == "'=1+1"


def test_a_download_of_a_task_with_another_alphabet_keeps_its_name(
    reader: TestClient, make_run: MakeRun
) -> None:
    applied_plan(make_run(MINE, RUN) / "план")
    for route, name in (("outcomes.csv", "outcomes.csv"), ("files/failed.csv", "failed.csv")):
        answer = reader.get(at(f"{route}?task=план"))
        assert answer.headers["content-disposition"] == (
            f"attachment; filename=\"____.{name}\"; filename*=UTF-8''{quote(f'план.{name}')}"
        )


def test_a_file_is_sent_whole_with_its_length(reader: TestClient, run: Path) -> None:
    for content in (b"", b"x" * 200_000):
        (run / "plan" / "failed.csv").write_bytes(content)
        answer = reader.get(at("files/failed.csv?task=plan"))
        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["content-length"] == str(len(content))


def test_the_lines_hold_every_change_as_it_was_planned_and_found(reader: TestClient, run: Path) -> None:
    assert run.exists()
    lines = [json.loads(line) for line in reader.get(at("outcomes.jsonl?task=plan")).text.splitlines()]
    assert [line["owner_id"] for line in lines] == list(range(1, TWO_PARTS + 1))
    assert lines[999]["reason"] == EVIL
    assert lines[999]["found"] is None
    assert lines[0] == {
        "owner": "lead",
        "owner_id": 1,
        "outcome": "applied",
        "reason": "",
        "rules": ["release_repeat_leads"],
        "reasons": ["release_repeat_leads: because"],
        "planned_from": [[7, None, True, None]],
        "wanted": [],
        "found": [[9, None, True, None]],
    }


def test_the_files_of_a_task_are_offered_and_served(reader: TestClient, run: Path) -> None:
    (run / "plan" / "report.html").write_text("<script>alert(1)</script>")
    page = reader.get(at()).text
    for name in ("failed.csv", "left_out.csv", "report.html"):
        assert f'href="files/{name}?task=plan"' in page
        answer = reader.get(at(f"files/{name}?task=plan"))
        kind = name.rpartition(".")[2]
        assert answer.headers["content-type"].startswith(f"text/{kind}")
        assert answer.headers["content-disposition"] == f'attachment; filename="plan.{name}"'
    assert reader.get(at("files/failed.csv?task=plan")).content == (run / "plan" / "failed.csv").read_bytes()


def test_a_run_with_several_tasks_shows_each(reader: TestClient, run: Path) -> None:
    make_plan(run / "second.0", [change(5)])
    (run / "compare").mkdir()
    told = "what,kind,owner_id\nmissing,lead,5\nextra,lead,6\nmissing,lead,<b>7</b>\n"
    (run / "compare" / "reconcile.csv").write_text(told)
    page = reader.get(at()).text
    for task in ("plan", "second.0", "compare"):
        assert f'href="?task={task}"' in page
    assert "1,020" in page, "the first with a plan"
    second = reader.get(at("?task=second.0")).text
    assert "Planned, and not applied." in second
    compared = reader.get(at("?task=compare")).text
    assert "Where links differ from what the migration wants" in compared
    assert '<td class="dim">a contact is not linked that should be</td><td class="n">2</td>' in compared
    assert "&lt;b&gt;7&lt;/b&gt;" in compared


# -- every state of a run ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("queued", "No plan yet."),
        ("running", "No plan yet."),
        ("failed", "The run failed before it had a plan."),
        ("success", "No task of this run has left a plan"),
    ],
)
def test_a_run_without_a_plan_says_so(reader: TestClient, make_run: MakeRun, state: str, told: str) -> None:
    """Whether it had begun to write one, or had not."""
    folder = make_run(MINE, RUN, state)
    for begun in (False, True):
        if begun:
            (folder / "plan" / "plan").mkdir(parents=True)
            (folder / "plan" / "plan" / "part-00000.jsonl").touch()
        page = reader.get(at()).text
        assert told in page
        assert ('data-live="yes"' in page) == (state in ("queued", "running"))


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("running", "Planned, not applied yet."),
        ("failed", "The run failed before anything was written."),
        ("success", "the plan was rejected, or no task of this run applies it"),
    ],
)
def test_a_plan_that_was_not_applied_says_so(
    reader: TestClient, make_run: MakeRun, state: str, told: str
) -> None:
    make_plan(make_run(MINE, RUN, state) / "plan", [change(5)])
    assert told in reader.get(at()).text


@pytest.mark.parametrize(
    ("answer", "state", "told"),
    [
        (
            "waiting",
            "running",
            "Waits for an approval. 1 change, and somebody has to approve first: under Req",
        ),
        ("waiting", "failed", "The run failed before anything was written."),
        ("approved", "running", "1 change, to be written by the task that applies the plan."),
        ("rejected", "success", "Rejected. Rejected by &lt;b&gt;Olga, 2026-11-21 10:00 UTC."),
        ("unanswered", "failed", "Nobody answered until 2026-11-21 10:00 UTC. Nothing was written."),
    ],
)
def test_a_plan_in_question_says_how_the_question_stands(
    reader: TestClient, make_run: MakeRun, answer: Any, state: str, told: str
) -> None:
    folder = make_run(MINE, RUN, state) / "plan"
    manifest = make_plan(folder, [change(5)])
    approval = Approval(manifest.hash, answer, "2026-11-21T10:00:00+00:00", "<b>Olga")
    write_approval(folder, approval)
    page = reader.get(at()).text.replace("</b>", "").replace("<b>", "")
    assert told in page


def test_of_several_plans_the_first_is_shown_and_while_the_run_goes_on_the_last_one_made(
    reader: TestClient, make_run: MakeRun
) -> None:
    """That one waits for somebody, or is being applied."""
    for state, shown in (("success", "deals.plan"), ("running", "leads.plan")):
        folder = make_run(MINE, f"{RUN}{state}", state)
        for number, name in enumerate(("leads.plan", "deals.plan")):
            make_plan(folder / name, [change(5)])
            os.utime(folder / name / "plan" / "manifest.json", ns=(10**18 - number, 10**18 - number))
        page = reader.get(at("", run_id=f"{RUN}{state}")).text
        assert f'href="?task={shown}" aria-current="page"' in page


def test_a_plan_that_is_being_made_again_goes_before_one_of_the_try_before(
    reader: TestClient, make_run: MakeRun
) -> None:
    folder = make_run(MINE, RUN, "running")
    for name in ("leads.plan", "deals.plan"):
        made = make_plan(folder / name, [change(5)])
        note(folder / name, made, {0: [outcome(5)]})
        os.utime(folder / name / "plan" / "manifest.json", ns=(10**18, 10**18))
    with PlanWriter(folder / "leads.plan" / "plan"):
        page = reader.get(at()).text
    assert 'href="?task=leads.plan" aria-current="page"' in page
    assert "No plan yet." in page


def test_a_plan_that_waits_goes_before_one_whose_making_broke_off_earlier(
    reader: TestClient, make_run: MakeRun
) -> None:
    folder = make_run(MINE, RUN, "running")
    with PlanWriter(folder / "leads.plan" / "plan"):
        pass
    os.utime(folder / "leads.plan" / "plan", ns=(10**18, 10**18))
    make_plan(folder / "deals.plan", [change(5)])
    assert 'href="?task=deals.plan" aria-current="page"' in reader.get(at()).text


PLANNED = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
"""When the plans of these tests say that they were made."""


@pytest.mark.parametrize("name", ["applied", "failed", ""])
def test_a_run_that_was_cleared_says_of_what_is_older_that_it_is(
    reader: TestClient, make_run: MakeRun, name: Any
) -> None:
    """It is not done, though every change has its outcome and was checked in the try before."""
    cleared = PLANNED + timedelta(minutes=5)
    folder = make_run(MINE, RUN, "running", cleared=cleared) / "plan"
    manifest = make_plan(folder, [change(5)])
    note(folder, manifest, {0: [outcome(5, name)] if name else []})
    soon = datetime.now(UTC) + timedelta(seconds=1)
    write_check(folder, Check(manifest.hash, soon.isoformat(timespec="seconds"), Effort()))
    page = reader.get(at()).text
    assert "Run again since 2026-11-21 10:05 UTC.</b> The plan is older" in page
    assert "Done." not in page
    assert ("Being applied." in page) == (name == "")
    assert ("1 change failed." in page) == (name == "failed")


@pytest.mark.parametrize(
    ("state", "cleared"),
    [
        ("running", None),
        ("running", PLANNED - timedelta(minutes=5)),
        ("running", PLANNED + timedelta(microseconds=5)),  # a manifest tells seconds
        ("success", PLANNED + timedelta(minutes=5)),
    ],
)
def test_of_a_plan_that_this_try_made_or_of_a_run_that_is_over_nothing_is_said(
    reader: TestClient, make_run: MakeRun, state: str, cleared: datetime | None
) -> None:
    folder = make_run(MINE, RUN, state, cleared=cleared) / "plan"
    applied_plan(folder)
    page = reader.get(at()).text
    assert "Run again since" not in page
    assert "999 applied" in page


def test_a_check_counts_once_it_has_looked_at_all_of_them(reader: TestClient, make_run: MakeRun) -> None:
    """Its requests too; an apply that went on since has not been checked."""
    folder = make_run(MINE, RUN, "running") / "plan"
    manifest = make_plan(folder, [change(5)])
    note(folder, manifest, {0: [outcome(5)]})
    assert "Every change has its outcome.</b> The run is not over yet." in reader.get(at()).text
    soon = datetime.now(UTC) + timedelta(seconds=1)
    write_check(folder, Check(manifest.hash, soon.isoformat(timespec="seconds"), Effort(requests=17)))
    page = reader.get(at()).text
    assert "Done." in page
    assert "<b>17</b><span>requests to apply" in page
    later = (soon + timedelta(minutes=1)).timestamp()
    os.utime(folder / "journal" / "part-00000.jsonl", (later, later))
    assert "Done." not in reader.get(at()).text


def test_a_run_that_is_over_can_be_taken_back(reader: TestClient, make_run: MakeRun) -> None:
    folder = make_run(MINE, RUN) / "plan"
    applied_plan(folder)
    assert f'value="{folder}"' in reader.get(at()).text


@pytest.mark.parametrize(("state", "dry_run"), [("running", False), ("success", True)])
def test_a_run_that_is_not_over_or_wrote_nothing_cannot(
    reader: TestClient, make_run: MakeRun, state: str, *, dry_run: bool
) -> None:
    applied_plan(make_run(MINE, RUN, state) / "plan", dry_run=dry_run)
    assert "Take this run back" not in reader.get(at()).text


def test_links_can_be_brought_back_to_a_snapshot(reader: TestClient, make_run: MakeRun) -> None:
    """To whole ones only: what a scan had begun to write is none."""
    folder = make_run(MINE, RUN) / "leads"
    for name in ("snapshot", "snapshot-2", "begun"):
        (folder / name).mkdir(parents=True)
        (folder / name / "links.jsonl").touch()
    for name in ("snapshot", "snapshot-2"):
        (folder / name / "manifest.json").touch()
    page = reader.get(at("?task=leads")).text
    assert page.count("Bring links back to this snapshot") == 2
    assert f'value="{folder}/snapshot"' in page
    assert f'value="{folder}/snapshot-2"' in page


def test_a_run_under_way_tells_how_far_it_is_and_follows(reader: TestClient, make_run: MakeRun) -> None:
    folder = make_run(MINE, RUN, "running") / "plan"
    manifest = applied_plan(folder)
    page = reader.get(at()).text
    assert "1,000 of 1,020 changes have their outcome" in page
    assert 'data-live="yes"' in page
    note(folder, manifest, {1: [outcome(number) for number in range(1001, 1011)]})
    assert "1,010 of 1,020 changes have their outcome" in reader.get(at()).text


def test_a_dry_run_says_so(reader: TestClient, make_run: MakeRun) -> None:
    applied_plan(make_run(MINE, RUN) / "plan", dry_run=True)
    page = reader.get(at()).text
    assert "<h1>Lead link clean-up, dry run</h1>" in page
    assert "Nothing was written to the portal." in page
    assert "999 skipped" in page


def test_an_empty_plan_says_so(reader: TestClient, make_run: MakeRun) -> None:
    make_plan(make_run(MINE, RUN) / "plan", [])
    page = reader.get(at()).text
    assert "nothing had to be changed." in page
    assert reader.get(at("outcomes.jsonl?task=plan")).text == ""


def test_a_failed_run_says_what_failed_and_why(reader: TestClient, make_run: MakeRun) -> None:
    applied_plan(make_run(MINE, RUN, "failed") / "plan")
    page = reader.get(at()).text
    assert "Not finished." in page
    assert "1 change failed." in page
    assert "=HYPERLINK(1) &lt;script&gt;" in page


def test_an_edited_plan_is_not_shown(reader: TestClient, run: Path) -> None:
    part = run / "plan" / "plan" / "part-00000.jsonl"
    part.write_text(part.read_text().replace("[7,", "[8,", 1))
    assert "does not match its hash: it was edited" in reader.get(at()).text
    assert reader.get(at("rows?task=plan")).status_code == 404


# -- files that somebody touched ---------------------------------------------------------------------------


def test_a_failed_csv_that_a_spreadsheet_saved_changes_nothing(reader: TestClient, run: Path) -> None:
    text = "owner;owner_id;outcome;reason;address\r\nlead;5;drift;applied, and изменён;x\r\n"
    (run / "plan" / "failed.csv").write_bytes(text.encode("cp1251"))
    assert "999 applied" in reader.get(at()).text
    assert {reader.get(at(route)).status_code for route in ROUTES} == {200}


BAD = b'{"owner":5,"outcome":"applied"}\n'
TOUCHED: dict[str, tuple[str, bytes, str]] = {
    "journal": ("journal/part-00000.jsonl", BAD, "journal/part-00000.jsonl is damaged"),
    "effort": ("journal/part-00000.jsonl", b'{"effort":{"requests"\n', "journal/part-00000.jsonl is damaged"),
    "plan": ("plan/part-00001.jsonl", b"[1]\n", "part-00001.jsonl of the plan does not match its hash"),
    "manifest": ("plan/manifest.json", b"\xff", "the manifest of the plan is damaged"),
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", TOUCHED)
def test_a_damaged_file_is_named_in_the_page_and_nothing_else_is_found(
    reader: TestClient, run: Path, name: str, *, first: bool
) -> None:
    """Whether the run was looked at before or not."""
    if first:
        assert {reader.get(at(route)).status_code for route in ROUTES} == {200}
    path, added, told = TOUCHED[name]
    with (run / "plan" / path).open("ab") as file:
        file.write(added)
    page = reader.get(at())
    assert page.status_code == 200
    assert told in page.text
    assert str(run) not in page.text
    for route in ROUTES[2:-1]:
        # What was done is read without what it cost.
        assert reader.get(at(route)).status_code == (200 if name == "effort" else 404)
    assert reader.get(at("files/failed.csv?task=plan")).status_code == 200


@pytest.mark.parametrize("name", TOUCHED)
def test_a_damaged_file_is_named_also_while_the_run_goes_on(
    reader: TestClient, make_run: MakeRun, name: str
) -> None:
    """The run waits for somebody who should know; that there is no plan yet would not be true."""
    folder = make_run(MINE, RUN, "running") / "plan"
    applied_plan(folder)
    path, added, told = TOUCHED[name]
    with (folder / path).open("ab") as file:
        file.write(added)
    page = reader.get(at()).text
    assert told in page
    assert "No plan yet." not in page
    assert 'data-live="yes"' in page


def test_a_manifest_that_a_page_cannot_be_made_of_is_named(reader: TestClient, run: Path) -> None:
    """And not the folder of all runs."""
    sealed(run / "plan", created="0001-01-01T00:00:00+14:00")  # which no calendar has
    page = reader.get(at())
    assert page.status_code == 200
    assert "The plan cannot be shown:</b> plan/manifest.json is damaged" in page.text


def test_what_may_not_be_read_is_named_in_the_page(
    reader: TestClient, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", name)
        folder = make_run(MINE, RUN)
        applied_plan(folder / "plan")
        for locked in ("plan/journal", "plan/plan", "plan", ""):
            with as_another_user(folder / locked):
                page = reader.get(at())
                assert page.status_code == 200
                assert "cannot be read: Permission denied" in page.text
                assert name not in page.text
                assert {reader.get(at(route)).status_code for route in ROUTES[1:]} <= {404, 200}
                assert {reader.get(at(route)).status_code for route in ROUTES[2:]} == {404}


def test_a_comparison_that_cannot_be_read_is_named_in_the_page(reader: TestClient, make_run: MakeRun) -> None:
    folder = make_run(MINE, RUN) / "compare"
    folder.mkdir()
    (folder / "reconcile.csv").write_text("what,kind\nmissing," + "x" * 200_000)
    page = reader.get(at())
    assert page.status_code == 200
    assert "The report cannot be shown:" in page.text


def test_artifacts_that_lie_in_object_storage_are_named(
    reader: TestClient, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.exists()
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", "memory://bitrix24")
    assert "The artifacts lie in memory://bitrix24." in reader.get(at()).text
    assert reader.get(at("rows?task=plan")).status_code == 404


@pytest.mark.parametrize("root", ["wasb://c/x", "nonsense://c/x", "s3://bucket/x"])
def test_artifacts_that_lie_where_nobody_here_can_look_are_named(
    reader: TestClient, run: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    """Whether the scheme is known here, or what reads it is installed, or not."""
    assert run.exists()
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", root)
    page = reader.get(at())
    assert page.status_code == 200
    assert f"The artifacts lie in {root}." in page.text
    for route in ROUTES[1:]:
        assert reader.get(at(route)).status_code == 404


def test_a_task_that_may_not_be_read_hides_no_other(
    reader: TestClient, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", name)
        folder = make_run(MINE, RUN)
        applied_plan(folder / "plan")
        make_plan(folder / "locked", [change(5)])
        with as_another_user(folder / "locked"):
            for route in ROUTES:
                assert reader.get(at(route)).status_code == 200
                wanted = 200 if route in ("", "?task=plan") else 404  # the page says why
                assert reader.get(at(route.replace("plan", "locked"))).status_code == wanted
            page = reader.get(at()).text
            asked = reader.get(at("?task=locked")).text
        assert "999 applied" in page
        refused = f"{folder.name}/locked cannot be read: Permission denied."
        assert f"A task is not shown:</b> {refused}" in page
        assert f"The report cannot be shown:</b> {refused}" in asked
