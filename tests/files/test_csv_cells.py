"""CSV files: the portal's words are no formulas in them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_bitrix.core.links import Owner
from airflow_bitrix.core.migrations import Left
from airflow_bitrix.files.journals import write_failed
from airflow_bitrix.files.plans import PlanWriter
from airflow_bitrix.files.reconciliations import ReconciliationWriter
from tests.plugins.runs import PORTAL, outcome

FORMULA = '=HYPERLINK("https://evil.example.com","open")'


def failed(folder: Path) -> Path:
    path = folder / "failed.csv"
    write_failed(path, [outcome(1, "failed", FORMULA)], PORTAL)
    return path


def left_out(folder: Path) -> Path:
    with PlanWriter(folder) as plan:
        plan.leave_out(Owner("lead", 1), "refused", FORMULA)
    return folder / "left_out.csv"


def compared(folder: Path) -> Path:
    path = folder / "reconcile.csv"
    with ReconciliationWriter(path, "deal") as file:
        file.leave(Left(Owner("deal", 1), FORMULA, "the source has it so", is_parked=True))
    return path


@pytest.mark.parametrize("write", [failed, left_out, compared])
def test_a_reason_that_looks_like_a_formula_is_marked_as_text(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    with write(tmp_path).open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert f"'{FORMULA}" in (row.get("reason") or row["detail"])
