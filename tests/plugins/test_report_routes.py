"""What the report's routes serve: the page, its rows and its files, also where somebody touched them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from airflow_bitrix.core.names import OwnerNames
from airflow_bitrix.files.named_tables import COLUMNS
from airflow_bitrix.files.names import write_part_names
from tests.plugins.applied_run import EVIL, ROUTES, RUN, applied_plan, at
from tests.plugins.conftest import MakeRun
from tests.plugins.picky import MINE
from tests.plugins.runs import PORTAL, TWO_PARTS, as_another_user, change, for_everybody, make_plan, sealed

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
    assert 'data-rows="rows?task=plan&amp;lang=en"' in page
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
        [999, "applied", [[9, "-", "is", ""]], [], "because", 0, "", ""],
        [1000, "failed", [[7, "-", "is", ""]], [], EVIL, 0, "", ""],
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
    assert answer.headers["content-disposition"] == (
        f'attachment; filename="{MINE}.manual__2026-11-21T10_00_00_00_00.plan.outcomes.csv"; '
        f"filename*=UTF-8''{MINE}.manual__2026-11-21T10%3A00%3A00%2B00%3A00.plan.outcomes.csv"
    )
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
        **dict.fromkeys(COLUMNS, ""),
    }


@pytest.mark.attack
def test_names_are_found_shown_and_saved_as_texts(reader: TestClient, run: Path) -> None:
    names = OwnerNames(EVIL, "=1+1", "\u202e Ольга", {9: "Анна Шмидт <b>", 7: "=x"})
    write_part_names(run / "plan", 0, [(5, names)])
    ((_, outcome, pieces, _, _, _, title, about),) = reader.get(
        at("rows?task=plan&search=анна+шмидт")
    ).json()["rows"]
    assert (outcome, pieces) == ("applied", [[9, "-", "is", "Анна Шмидт <b>"]])
    assert (title, about) == (EVIL, "=1+1 · \\u202e Ольга")
    assert rows(reader, search="ольга, ШМИДТ") == (1, [5])
    page = reader.get(at("?task=plan")).text
    assert "Анна Шмидт &lt;b&gt;" in page
    assert "Анна Шмидт <b>" not in page
    row = list(csv.DictReader(io.StringIO(reader.get(at("outcomes.csv?task=plan")).text)))[4]
    assert [row[name] for name in COLUMNS] == [f"'{EVIL}", "'=1+1", "\\u202e Ольга", "9 Анна Шмидт <b>; 7 =x"]
    line = json.loads(reader.get(at("outcomes.jsonl?task=plan")).text.splitlines()[4])
    assert line["names"]["contacts"] == {"9": "Анна Шмидт <b>", "7": "=x"}


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
        plain, _, real = answer.headers["content-disposition"].partition("; filename*=UTF-8''")
        assert plain.endswith(f'.____.{name}"')
        assert real.endswith(quote(f".план.{name}"))


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
        assert answer.headers["content-disposition"].endswith(f".plan.{name}")
    assert reader.get(at("files/failed.csv?task=plan")).content == (run / "plan" / "failed.csv").read_bytes()


def test_a_run_with_several_tasks_shows_each(reader: TestClient, run: Path) -> None:
    make_plan(run / "second.0", [change(5)])
    (run / "compare").mkdir()
    told = "what,kind,owner_id\nmissing,lead,5\nextra,lead,6\nmissing,lead,<b>7</b>\n"
    (run / "compare" / "reconcile.csv").write_text(told)
    page = reader.get(at()).text
    for task in ("plan", "second.0", "compare"):
        assert f'href="?task={task}&amp;lang=en"' in page
    assert "1,020" in page, "the first with a plan"
    second = reader.get(at("?task=second.0")).text
    assert "Planned, and not applied." in second
    compared = reader.get(at("?task=compare")).text
    assert "Where links differ from what the migration wants" in compared
    assert '<td class="dim">a contact is not linked that should be</td><td class="n">2</td>' in compared
    assert "&lt;b&gt;7&lt;/b&gt;" in compared


# -- files that somebody touched ---------------------------------------------------------------------------


def test_a_failed_csv_that_a_spreadsheet_saved_changes_nothing(reader: TestClient, run: Path) -> None:
    text = "owner;owner_id;outcome;reason;address\r\nlead;5;drift;applied, and изменён;x\r\n"
    (run / "plan" / "failed.csv").write_bytes(text.encode("cp1251"))
    assert "999 applied" in reader.get(at()).text
    assert {reader.get(at(route)).status_code for route in ROUTES} == {200}


def test_an_edited_plan_is_not_shown(reader: TestClient, run: Path) -> None:
    part = run / "plan" / "plan" / "part-00000.jsonl"
    part.write_text(part.read_text().replace("[7,", "[8,", 1))
    assert "does not match its hash: it was edited" in reader.get(at()).text
    assert reader.get(at("rows?task=plan")).status_code == 404


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
    assert "0001-01-01T00:00:00+14:00" in reader.get(at()).text
    sealed(run / "plan", created=5)
    page = reader.get(at())
    assert page.status_code == 200
    assert "The plan cannot be shown:</b> the manifest of the plan is damaged or was edited" in page.text


def test_what_may_not_be_read_is_named_in_the_page(
    reader: TestClient, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", name)
        folder = make_run(MINE, RUN)
        applied_plan(folder / "plan")
        for_everybody(Path(name))
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


@pytest.mark.parametrize("root", ["wasb://c/x", "nonsense://c/x", "abfs://bucket/x"])
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
        for_everybody(Path(name))
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
