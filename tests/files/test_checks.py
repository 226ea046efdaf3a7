"""What a check cost and when it ended, kept for the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.checks import CHECK, Check, read_check, write_check

ENDED = Check("a" * 64, "2026-11-21T10:00:00+00:00", ApplyCost(requests=3, seconds=1.5))
AT = 1795255200.0
"""The same moment, in unix time."""


def test_a_check_is_read_again_until_an_apply_goes_on(tmp_path: Path) -> None:
    write_check(tmp_path, ENDED)
    for noted in (AT - 60, AT, AT + 0.9):
        assert read_check(tmp_path, "a" * 64, noted) == ENDED
    assert read_check(tmp_path, "a" * 64, AT + 60) is None
    assert read_check(tmp_path, "b" * 64, AT) is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "5", '{"plan": 1', '{"plan": "x"}', '{"plan": "x", "finished": "soon", "effort": {}}'],
)
def test_a_file_that_says_nothing_clear_is_no_check(tmp_path: Path, text: str) -> None:
    assert read_check(tmp_path, "x", AT) is None
    (tmp_path / CHECK).write_text(text)
    assert read_check(tmp_path, "x", AT) is None
