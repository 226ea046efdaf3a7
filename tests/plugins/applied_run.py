"""A run whose plan was applied, and the addresses of its report."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from airflow_bitrix.core.plan import ChangeOutcome
from airflow_bitrix.files.journals import write_failed
from airflow_bitrix.files.plans import Manifest
from tests.plugins.picky import MINE
from tests.plugins.runs import PORTAL, TWO_PARTS, change, make_plan, note, outcome

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
