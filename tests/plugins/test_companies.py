"""Companies that a plan takes off, in the tab of its run and in the tables that are downloaded."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

from fastapi.testclient import TestClient

from airflow_bitrix.core.names import OwnerNames
from airflow_bitrix.files.names import write_part_names
from tests.plugins.applied_run import RUN, at
from tests.plugins.conftest import MakeRun
from tests.plugins.picky import MINE
from tests.plugins.runs import change, make_plan, note, outcome


def test_companies_stand_in_tab_and_tables_where_a_plan_changes_any(
    reader: TestClient, make_run: MakeRun
) -> None:
    folder = make_run(MINE, RUN) / "plan"
    about: dict[str, Any] = {"holds": {"company_id": 17}, "company": 0}
    manifest = make_plan(folder, [replace(change(1), **about), replace(change(2), **about), change(3)])
    note(folder, manifest, {0: [replace(outcome(2), company=18)]})
    names = OwnerNames("Lead", companies={17: "Acme <b>", 18: "Other"})
    write_part_names(folder, 0, [(1, names)])
    notes = [row[3] for row in reader.get(at("rows?task=plan")).json()["rows"]]
    assert notes == [["company: 17 Acme <b> → none"], ["company: 18 → none"], []]
    found = reader.get(at("rows?task=plan&search=acme")).json()["rows"]
    assert [row[0] for row in found] == [1]
    assert "Acme &lt;b&gt;" in reader.get(at("?task=plan")).text
    table = list(csv.DictReader(io.StringIO(reader.get(at("outcomes.csv?task=plan")).text)))
    told = [(row["company_before"], row["company_wanted"]) for row in table]
    assert told == [("17", "0"), ("18", "0"), ("", "")]
    lines = map(json.loads, reader.get(at("outcomes.jsonl?task=plan")).text.splitlines())
    told_lines = list(lines)
    assert [line.get("companies") for line in told_lines] == [[17, 0], [18, 0], None]
    assert told_lines[0]["names"]["companies"] == {"17": "Acme <b>", "18": "Other"}
