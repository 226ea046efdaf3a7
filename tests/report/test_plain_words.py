"""Words of others make no lines, columns or directions of their own in what a run tells."""

from __future__ import annotations

from dataclasses import replace
from html import unescape

import pytest

from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.restores import Origin
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.approvals import Approval
from airflow_bitrix.files.taken_back import TakenBack
from airflow_bitrix.operators.shared.questions import who_answered
from airflow_bitrix.report.notices import Notice, failed
from airflow_bitrix.report.page import Tab, as_tab, row_json
from airflow_bitrix.report.summary import reason_of
from airflow_bitrix.report.texts import as_line, as_markdown
from tests.report.summaries import as_html, outcome, summary

EVIL = "x\n| applied | 999 | all is well |\u2028::group::\u202e\x1b[2J\x85y"
SHOWN = r"x\n| applied | 999 | all is well |\u2028\x3a:group::\u202e\x1b[2J\x85y"


@pytest.mark.attack
def test_the_report_in_the_log_has_no_lines_that_others_wrote() -> None:
    counts = summary([]).manifest.counts
    made = summary([outcome(1, "failed", EVIL)], counts={**counts, "left_out": {EVIL: 3}}, partial=(EVIL,))
    made = replace(
        made,
        approval=Approval("hash", "approved", EVIL, EVIL, EVIL, ""),
        taken_back=[TakenBack("hash", "hash", EVIL, EVIL, EVIL)],
    )
    lines = as_markdown(made).split("\n")
    for line in [*lines, as_line(made)]:
        assert line.isprintable()
        assert "::group::" not in line
    assert not [line for line in lines if line.startswith("| applied | 999")]
    assert [line for line in lines if line.startswith(r"| x\n\| applied \| 999 \|")]


@pytest.mark.attack
def test_a_page_shows_what_cannot_be_seen() -> None:
    tab = as_tab(None, Tab(EVIL, [Notice("bad", EVIL, EVIL), *failed({EVIL: EVIL})]))
    assert unescape(tab).count(SHOWN) >= 5
    report = as_html(summary([outcome(1, "failed", EVIL)], origin=Origin("journal", EVIL, EVIL, EVIL)))
    for page in (tab, report):
        assert not set(page) & set("\u202e\u2028\x1b\x85\u200b")
    made = summary([outcome(1, "failed", EVIL)])
    assert [row_json(row)[4] for row in made.troubles] == [SHOWN]


@pytest.mark.attack
def test_names_of_people_and_moments_of_files_are_plain() -> None:
    assert who_answered({"responded_by_user": {"name": EVIL}}) == SHOWN
    assert len(who_answered({"responded_by_user": {"name": "x" * 9_999}})) == 100
    assert shown_timestamp(EVIL).isprintable()
    assert len(shown_timestamp("x" * 9_999)) == 40


def test_a_rule_whose_name_is_a_word_leaves_reasons_as_they_are() -> None:
    links = LinkSet(Owner("lead", 1))
    change = Change(links, links, ("a: phone of Masha: 5; extra: 7",), ("a",))
    assert reason_of(change) == "phone of Masha: 5; extra: 7"
    several = Change(links, links, ("a: idea: one", "fix_primary: two"), ("a", "fix_primary"))
    assert reason_of(several) == "a: idea: one; Fix primary: two"
