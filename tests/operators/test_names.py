"""Names from the plan's approval to the report's tables: shown where people read, and needed nowhere."""

from __future__ import annotations

import csv
import json
import math
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.plan import Change, ChangeOutcome
from airflow_bitrix.files.outcome_index import INDEX
from airflow_bitrix.operators.link_plans import Bitrix24ApplyLinkPlanOperator, Bitrix24CheckLinkPlanOperator
from airflow_bitrix.operators.shared.names import _linked
from airflow_bitrix.report.differences import MOST_PIECES
from tests.operators import approvals, releases
from tests.operators.approvals import approval, run

sandbox = approvals.sandbox

CONN = "bitrix24_default"


@pytest.fixture
def made(sandbox: Any, tmp_path: Path) -> Any:
    """A plan for a portal whose first lead to be released has a title and contacts like no other."""
    made = approvals.plan(tmp_path)
    lead = changed(tmp_path)[0]
    tables = sandbox.state.tables
    tables["lead"].rows[lead] |= {"TITLE": '=cmd() "Поставка" <b>&', "STATUS_ID": "IN_PROCESS"}
    tables["lead"].rows[lead]["ASSIGNED_BY_ID"] = 7
    sandbox.state.users[7] = {"ID": 7, "NAME": "Olga", "LAST_NAME": "Petrova"}
    for link in sandbox.state.links("lead", lead):
        tables["contact"].rows[link.contact_id] |= {"NAME": "Анна", "LAST_NAME": "Шмидт"}
    sandbox.reset_stats()
    return made


def changed(folder: Path) -> list[int]:
    """Give the ids of the leads that a plan changes."""
    parts = sorted((folder / "plan").glob("part-*.jsonl"))
    return [json.loads(line)["owner"] for part in parts for line in part.read_text().splitlines()]


def asked(made: Any, **arguments: Any) -> str:
    """Put the question, and give the page that is shown. Who is asked needs a running Airflow."""
    task = approval(made, bitrix24_conn_id=CONN, **arguments)
    with pytest.raises(KeyError):
        task.execute(run())
    return str(task.body)


def apply(made: Any) -> None:
    fields = {"plan": made, "is_dry_run": False, "needs_approval": False, "max_failed": None}
    Bitrix24ApplyLinkPlanOperator(task_id="apply", **fields).execute(run(task="apply"))


def check(made: Any, **arguments: Any) -> Any:
    fields = {"plan": made, "is_dry_run": False, "max_failed": None, **arguments}
    return Bitrix24CheckLinkPlanOperator(task_id="check", **fields).execute(run(task="check"))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def every_text(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file()]
    told = (zlib.decompress(one.read_bytes()) if one.name == INDEX else one.read_bytes() for one in files)
    return b"".join(told).decode(errors="replace")


def test_the_approval_shows_names_in_two_requests(sandbox: Any, made: Any, tmp_path: Path) -> None:
    body = asked(made)
    titles = sandbox.state.tables["lead"].rows
    shown = [lead for lead in changed(tmp_path) if f"/crm/lead/details/{lead}/" in body]
    assert len(shown) > 10
    assert all(f"[{lead} " in body for lead in shown)
    assert sum(str(titles[lead]["TITLE"])[:20] in body for lead in shown) >= len(shown) - 1
    assert "/crm/contact/details/" in body
    assert sandbox.stats()["admitted"] == 2
    kept = (tmp_path / "names" / "part-00000.jsonl").read_text()
    assert kept.count("\n") == len(shown)


def test_the_report_and_its_tables_have_names(sandbox: Any, made: Any, tmp_path: Path, logged: Any) -> None:
    lead = changed(tmp_path)[0]
    sandbox.set_faults(
        command=1.0,
        only_methods=["crm.lead.update"],
        command_error={"error": "", "error_description": "Locked."},
    )
    apply(made)
    sandbox.clear_faults()
    sandbox.reset_stats()
    told = check(made)
    assert told["counts"]["failed"] == made["changes"]
    titles = {one: sandbox.state.tables["lead"].rows[one]["TITLE"] for one in changed(tmp_path)}
    named = tuple(f"warning: failed: lead {one} {title} (" for one, title in titles.items())
    warnings = [line for line in logged() if line.startswith("warning: failed: lead ")]
    assert len(warnings) == 5
    assert all(line.startswith(named) and " · " in line for line in warnings)
    page = Path(told["report"]).read_text()
    assert "=cmd() &#34;Поставка&#34; &lt;b&gt;&amp;" in page
    assert "In progress · Olga Petrova" in page
    assert "Анна Шмидт" in page
    failed = {row["owner_id"]: row for row in table(tmp_path / "failed.csv")}
    row = failed[str(lead)]
    assert row["title"] == '\'=cmd() "Поставка" <b>&'
    assert (row["stage"], row["responsible"]) == ("In progress", "Olga Petrova")
    assert "Анна Шмидт" in row["contact_names"]
    left_out = table(tmp_path / "plan" / "left_out.csv")
    assert len(left_out) == sum(made["left_out"].values())
    assert all(row["title"] and row["stage"] and row["responsible"] for row in left_out)
    records = made["changes"] + len(left_out) + 200
    assert sandbox.stats()["admitted"] <= math.ceil(records / 2500) + 1


def test_a_second_check_gives_the_same_tables(sandbox: Any, made: Any, tmp_path: Path) -> None:
    apply(made)
    check(made)
    first = every_text(tmp_path / "names"), (tmp_path / "plan" / "left_out.csv").read_text()
    check(made)
    assert (every_text(tmp_path / "names"), (tmp_path / "plan" / "left_out.csv").read_text()) == first
    assert sandbox.stats()["writes"] > 0


def test_without_names_none_is_asked_for_and_no_file_holds_one(
    sandbox: Any, made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__BITRIX24__SHOW_NAMES", "False")
    apply(made)
    before = sandbox.stats()["admitted"]
    check(made)
    body = asked(made)
    assert sandbox.stats()["admitted"] == before + 1 + 1  # who sees the portal, and how it is now
    texts = body + every_text(tmp_path)
    titles = [row["TITLE"] for row in sandbox.state.tables["lead"].rows.values()]
    assert not [title for title in titles if title in texts]
    assert "Анна" not in texts
    assert "contact_names" not in texts
    assert not (tmp_path / "names").exists()


def test_names_that_were_shown_before_go_when_they_are_switched_off(
    sandbox: Any, made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(made)
    check(made)
    assert asked(made)
    monkeypatch.setenv("AIRFLOW__BITRIX24__SHOW_NAMES", "false")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "journal", elsewhere / "journal")
    check(made, artifacts_path=str(elsewhere))
    shutil.rmtree(tmp_path / "journal")
    for one in ("failed.csv", "report.html"):  # those of the check before, in another folder
        (tmp_path / one).unlink()
    texts = every_text(tmp_path)
    assert "Анна" not in texts
    assert "contact_names" not in texts
    assert not [row["TITLE"] for row in sandbox.state.tables["lead"].rows.values() if row["TITLE"] in texts]


def test_a_setting_that_is_neither_yes_nor_no_is_refused_by_the_plan(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__BITRIX24__SHOW_NAMES", "perhaps")
    with pytest.raises(InvalidInput, match=r"\[bitrix24\] show_names: 'perhaps'"):
        releases.plan(tmp_path)
    assert sandbox.stats()["admitted"] == 0


REFUSED: dict[str, Callable[[Any, pytest.MonkeyPatch], object]] = {
    "all": lambda sandbox, _: sandbox.set_faults(
        command=1.0,
        only_methods=["crm.item.list", "crm.status.list", "user.get"],
        command_error={"error": "", "error_description": "Not for you."},
    ),
    "the portal": lambda sandbox, _: sandbox.set_faults(html=1.0),
    "no connection": lambda _, patch: patch.delenv("AIRFLOW_CONN_BITRIX24_DEFAULT"),
    "another portal": lambda sandbox, patch: patch.setenv(
        "AIRFLOW_CONN_BITRIX24_DEFAULT",
        json.dumps(
            {
                "conn_type": "bitrix24",
                "password": sandbox.webhook_url.replace("127.0.0.1", "localhost"),
                "extra": {"plan": "self_hosted"},
            }
        ),
    ),
}


@pytest.mark.parametrize("refuse", REFUSED.values(), ids=list(REFUSED))
def test_a_plan_is_asked_about_by_its_ids_where_no_name_can_be_read(
    refuse: Any, sandbox: Any, made: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr("airflow_bitrix.operators.shared.names.PATIENCE", 1.0)
    refuse(sandbox, monkeypatch)
    body = asked(made)
    assert "/crm/lead/details/" in body
    titles = [str(row["TITLE"]) for row in sandbox.state.tables["lead"].rows.values()]
    assert not [title for title in titles if title in body]
    assert "could not be read" in caplog.text
    assert "abcdef123456" not in body


def test_a_check_ends_as_it_would_where_no_name_can_be_read(
    sandbox: Any, made: Any, tmp_path: Path, caplog: Any
) -> None:
    sandbox.set_switches(scope=["crm"])
    apply(made)
    told = check(made)
    assert told["counts"]["applied"] == made["changes"]
    (warning,) = [line for line in caplog.messages if "responsible persons could not be read" in line]
    assert "insufficient_scope" in warning
    (tmp_path / "plan" / "left_out.csv").write_text("a table\nof somebody")
    (tmp_path / "names" / "part-00000.jsonl").unlink()
    (tmp_path / "names" / "part-00000.jsonl").mkdir()
    assert check(made)["counts"] == told["counts"]
    assert [line for line in caplog.messages if line.startswith("Names could not be read")]


@pytest.mark.attack
def test_of_thousands_of_contacts_those_are_named_that_a_page_shows() -> None:
    owner = Owner("lead", 5)
    before = LinkSet.of_ids(owner, range(1, 20_001), 1)
    change = Change(before, LinkSet(owner), ("why",), ("rule",))
    assert _linked(change) == (tuple(range(1, MOST_PIECES + 1)), ())
    found = ChangeOutcome(owner, "applied", "", LinkSet.of_ids(owner, [7], 7), company=18)
    replaced = replace(change, after=LinkSet.of_ids(owner, [8], 8))
    assert _linked(replaced, found) == ((7, 8), ())
    dropped = replace(replaced, company=0, holds={"company_id": 17})
    assert (_linked(dropped)[1], _linked(dropped, found)[1]) == ((17,), (18,))
