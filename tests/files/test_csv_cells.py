"""CSV files: the portal's words are no formulas in them, and come back as they were."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.links import Owner
from airflow_bitrix.core.migrations import Left
from airflow_bitrix.files.csv_cells import LONGEST, as_cell, text_of_cell
from airflow_bitrix.files.journals import write_failed
from airflow_bitrix.files.outcome_index import SINCE, _changed_since
from airflow_bitrix.files.owner_lists import read_owner_ids
from airflow_bitrix.files.plans import PlanWriter
from airflow_bitrix.files.reconciliations import ReconciliationWriter
from airflow_bitrix.plugins.differences import found_in
from tests.plugins.runs import PORTAL, outcome

FORMULA = '=HYPERLINK("https://evil.example.com","open")'

SIGNS = "=+-@|＝＋－＠｜﹦﹢﹣﹫⁼⁺⁻₌₊₋−﬩"  # noqa: RUF001 (they are what this is about)
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\0\u00ad\u034f\u061c\u115f\u180e\u202e\u2066\u3164\ufe00\U000e0020"
BEFORE = ["", " ", "\u00a0", "\u3000", '"', "\t", "\r", "\n", "\u2028", "\x85", "\x1c", *INVISIBLE]


def failed(folder: Path) -> Path:
    path = folder / "failed.csv"
    write_failed(path, [outcome(1, "failed", FORMULA)], PORTAL)
    return path


def left_out(folder: Path) -> Path:
    with PlanWriter(folder) as plan:
        plan.leave_out(Owner("lead", 1), FORMULA, FORMULA)
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
    assert not [cell for cell in row.values() if cell.startswith("=")]


@pytest.mark.attack
@pytest.mark.parametrize("sign", SIGNS)
def test_no_cell_begins_with_a_sign_of_formulas_whatever_stands_before_it(sign: str) -> None:
    """Neither the cell itself nor one that a spreadsheet makes of its middle."""
    for before in BEFORE:
        for starts in ("", ";", "a;", "|", "a ;  "):
            cell = as_cell(f"{starts}{before}{sign}1+1")
            assert cell.isprintable()
            for mark in ";|,":
                firsts = [part.lstrip(' "')[:1] for part in cell.split(mark)[bool(starts) :]]
                assert not [first for first in firsts if first and first in SIGNS], (starts, before, mark)


@pytest.mark.parametrize("text", ["50 %", "%APPDATA%", "stage=WON; sort 10-20", "a@b.c", "5 - 6", "'tis", ""])
def test_what_no_spreadsheet_takes_for_a_formula_stays_as_it_is(text: str) -> None:
    assert as_cell(text) == text


def test_a_cell_fits_into_a_spreadsheet() -> None:
    assert len(as_cell("=" * 10**6)) <= LONGEST + 1 < 32_767


TEXTS = st.text(";|, \t\r\n\"'=+-@＝a1\u200b", max_size=12) | st.text(max_size=30)  # noqa: RUF001


@pytest.mark.attack
@pytest.mark.drawn
@given(TEXTS)
@example("a;=1")
@example("'=1")
@example("||'|=")
@example('a;"=1')
@example("denied,\n=1+1")
@example("Access denied;=1+1|cmd")
def test_a_text_comes_back_from_its_cell_and_is_no_formula_there(text: str) -> None:
    """In a file that separates by commas, opened by what separates by something else."""
    assert text_of_cell(as_cell(text)) == as_plain_text(text)
    file = io.StringIO(newline="")
    csv.writer(file).writerow(["lead", 7, as_cell(text), "https://acme.bitrix24.com"])
    assert file.getvalue().count("\n") == 1
    for separator in ";\t,|":
        (cells,) = csv.reader(io.StringIO(file.getvalue(), newline=""), delimiter=separator)
        assert not [cell for cell in cells if cell.lstrip(' "')[:1] in [*SIGNS]]


@pytest.mark.parametrize("text", ["a;=1", "'=1", '\ud83d"=1\0\n', "\u2028=1|cmd", "x" * 99_999])
def test_failed_csv_can_be_read_again_whatever_a_reason_says(text: str, tmp_path: Path) -> None:
    path = tmp_path / "failed.csv"
    write_failed(path, [outcome(7, "failed", text), outcome(8, "drift", text)], PORTAL)
    assert path.read_text(encoding="utf-8").count("\n") == 3
    with path.open(newline="", encoding="utf-8") as file:
        told = [text_of_cell(row["reason"]) for row in csv.DictReader(file)]
    assert told == [as_plain_text(text, LONGEST)] * 2
    assert read_owner_ids(path, "lead") == [7, 8]


def test_the_tab_shows_texts_without_the_marks_of_their_cells(tmp_path: Path) -> None:
    compared(tmp_path)
    found = found_in(tmp_path)
    assert found
    (cells,) = found.rows
    assert cells[-1].startswith(FORMULA)


def test_what_a_check_found_is_read_without_the_marks_of_cells(tmp_path: Path) -> None:
    reason = f"{SINCE}changed since; -1"
    path = tmp_path / "failed.csv"
    write_failed(path, [outcome(1, "drift", reason)], PORTAL)
    assert "; '-1" in path.read_text()
    assert _changed_since(path, 9) == {1: reason}
