"""How the question about a plan stands, kept beside it: applies and reports go by that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.files.approvals import APPROVAL, Approval, read_approval, read_decision, write_approval

ASKED = Approval("a" * 64, "waiting", "2026-11-21T10:00:00+00:00")


def test_what_was_written_is_read_again_and_the_last_answer_counts(tmp_path: Path) -> None:
    answered = Approval(
        "a" * 64, "approved", "2026-11-21T10:05:00+00:00", "Ольга", "2026-11-22T10:05:00+00:00"
    )
    for approval in (ASKED, answered):
        write_approval(tmp_path, approval)
        assert read_approval(tmp_path, "a" * 64) == approval


def test_what_was_said_of_another_plan_says_nothing(tmp_path: Path) -> None:
    assert read_approval(tmp_path, "a" * 64) is None
    write_approval(tmp_path, ASKED)
    assert read_approval(tmp_path, "b" * 64) is None


def test_a_file_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert read_decision(tmp_path) is None
    (tmp_path / APPROVAL).mkdir()
    assert read_approval(tmp_path, "a" * 64) is None
    with pytest.raises(PlanRefused, match=r"approval.json, cannot be read"):
        read_decision(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"plan": "a',
        "[]",
        '"approved"',
        json.dumps({"plan": "a" * 64}),
        json.dumps({"plan": "a" * 64, "answer": "maybe", "at": "now"}),
        json.dumps({"plan": "a" * 64, "answer": ["approved"], "at": "now"}),
        json.dumps({"plan": "a" * 64, "answer": "approved", "at": "now", "more": 1}),
        json.dumps({"plan": "a" * 64, "answer": "approved", "at": None}),
        json.dumps({"plan": "a" * 64, "answer": "approved", "at": 5}),
        json.dumps({"plan": "a" * 64, "answer": "approved", "at": "now", "until": 7}),
        json.dumps({"plan": "a" * 64, "answer": "approved", "at": "now", "by": ["Olga"]}),
        json.dumps({"plan": "a" * 64, "answer": "not asked", "at": "now", "reason": None}),
        "\udcff",
    ],
)
def test_a_file_that_says_nothing_clear_is_none(tmp_path: Path, text: str) -> None:
    """Half written, edited, or of another version: a report is not to fail over it."""
    (tmp_path / APPROVAL).write_bytes(text.encode(errors="surrogateescape"))
    assert read_approval(tmp_path, "a" * 64) is None
    with pytest.raises(PlanRefused, match=r"approval.json, cannot be read"):  # and nothing goes by it
        read_decision(tmp_path)
