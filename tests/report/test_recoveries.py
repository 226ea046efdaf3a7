"""What a restore says before it is approved: one table of what comes back, what cannot, and what is lost."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_bitrix.core.languages import speaking
from airflow_bitrix.core.restores import Origin
from airflow_bitrix.report.approval import Digest, as_markdown, headline
from airflow_bitrix.report.recoveries import recovery_lines
from tests.report.summaries import EVIL, Page, as_html, summary
from tests.report.test_approval import tables

COUNTS: dict[str, Any] = {
    "read": 700,
    "changes": 655,
    "emptied": 0,
    "by_rule": {"restore": 655},
    "left_out": {"as it was already": 5, "changed since": 30, "cannot be brought nearer": 10},
    "restore": {
        "taken": 1436,
        "back": 1414,
        "away": 22,
        "whole": 640,
        "gone": 11,
        "gone_links": 22,
        "roles": 6,
        "with_roles": 9,
    },
}
RUN: dict[str, Any] = {
    "rules": ("restore",),
    "origin": Origin("journal", "/runs/a", "2026-11-20T10:00:00+00:00"),
}
ROWS = [
    ["links that the run took away", "", "1,436"],
    ["links that are added back", "", "1,414"],
    ["links that do not come back", "", "22"],
    ["come back as they were", "640", ""],
    ["come back without the contacts that no longer exist", "11", "22"],
    ["come back, and the roles of their contacts are lost: the portal takes none", "6", "9"],
    ["stay as they are: somebody changed them since (see Overwrite in the form)", "30", ""],
    ["hold already all of it that the portal can hold: what is still missing cannot be written", "10", ""],
    ["are as they were already: nothing to do", "5", ""],
]


def test_the_approval_of_a_restore_has_one_table_of_what_comes_back() -> None:
    manifest = summary([], planned=655, counts=COUNTS, **RUN).manifest
    page = as_markdown(manifest, Digest(added=1414))
    first, *_ = tables(page)
    assert first == [["what comes back, and what does not", "leads", "links"], *ROWS]
    assert "**655 leads to bring back**, of 700 read" in page
    assert headline(manifest) == "Bring the contacts of 655 leads on acme.bitrix24.com back?"
    for words in ("to change", "left out, not touched", "| rule |", "cannot be brought nearer"):
        assert words not in page


def test_the_report_of_a_restore_has_it_too() -> None:
    text = Page(as_html(summary([], planned=655, counts=COUNTS, **RUN))).text
    assert "What comes back, and what does not" in text
    for what, owners, links in ROWS:
        assert " ".join(filter(None, (what, owners, links))) in text
    assert "Left out on purpose" not in text


def test_companies_that_come_back_are_counted_beside_the_links() -> None:
    counts = {
        **COUNTS,
        "left_out": {"company not seen": 3},
        "restore": {"taken": 2, "back": 2, "companies": 7, "whole": 7, "company": 4},
    }
    told = [line[:2] for line in recovery_lines(summary([], counts=counts, **RUN).manifest)][3:]
    assert told == [
        ("get their company back, and are saved for it", 7),
        ("come back as they were", 7),
        ("come back without their company, which no longer exists", 4),
        ("stay as they are: their company may be gone, or not be seen by the webhook's user", 3),
    ]


def test_a_restore_of_companies_of_contacts_speaks_of_companies() -> None:
    left = {"companies no longer exist": 2, "companies not seen": 1}
    back = {"taken": 2, "gone": 1, "gone_links": 1, "roles": 1, "primary": 1, "scalar": 1}
    counts = {**COUNTS, "left_out": left, "restore": back}
    manifest = summary([], kind="contact", counts=counts, **RUN).manifest
    told = [line.what for line in recovery_lines(manifest)][3:]
    assert told == [
        "come back without the companies that no longer exist",
        "come back, and the roles of their companies are lost: the portal takes none",
        "come back with one primary company, as the portal always flags one",
        "come back, and their card shows another company first",
        "stay as they are: their companies no longer exist",
        "stay as they are: their companies may be gone, or not be seen by the webhook's user",
    ]
    with speaking("ru"):
        said = " ".join(line.what for line in recovery_lines(manifest))
    assert "компани" in said
    assert "контакт" not in said


def test_a_snapshot_took_nothing_and_a_plan_without_the_figures_has_the_old_tables() -> None:
    snapshot = summary([], counts=COUNTS, rules=("restore",), origin=Origin("snapshot", "/s", "")).manifest
    assert recovery_lines(snapshot)[0].what == "links that are missing now"
    older = {name: told for name, told in COUNTS.items() if name != "restore"}
    assert recovery_lines(summary([], counts=older, **RUN).manifest) == []
    assert "left out, not touched" in as_markdown(summary([], counts=older, **RUN).manifest, Digest())


@pytest.mark.attack
def test_a_group_that_nobody_knows_stays_a_text() -> None:
    counts = {**COUNTS, "left_out": {f"{EVIL}{{0}}": 1}}
    manifest = summary([], counts=counts, **RUN).manifest
    with speaking("ru"):
        assert recovery_lines(manifest)[-1].what == f"{EVIL}{{0}}"
    assert "<script>" not in as_markdown(manifest, Digest())
