"""The report: its figures, its Markdown, and what every form of it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.plan import OUTCOMES, Change, ChangeOutcome, shown_contacts
from airflow_bitrix.files.approvals import Approval
from airflow_bitrix.report.differences import Piece
from airflow_bitrix.report.summary import MOST_CHANGES, MOST_ROWS, Summary, as_json, row_of, summarise
from airflow_bitrix.report.texts import as_line, as_markdown, outcome_lines
from tests.report.summaries import ALL, EFFORT, EVIL, PORTAL, Page, as_html, links, outcome, summary

# -- figures -----------------------------------------------------------------------------------------------


def test_a_summary_counts_every_outcome_once() -> None:
    made = summary(ALL)
    assert made.counts == dict.fromkeys(OUTCOMES, 1)
    assert made.complete
    assert made.open == 0
    assert [row.outcome for row in made.troubles] == ["drift", "failed"]
    assert [row.owner.id for row in made.changes] == [1, 2, 3, 4, 5]


def test_a_change_without_an_outcome_is_open() -> None:
    made = summary(ALL[:2], planned=5)
    assert not made.complete
    assert made.open == 3
    assert outcome_lines(made)[-1][:2] == ("open", 3)


def test_a_row_shows_what_was_really_there_what_is_wanted_and_the_portals_reason() -> None:
    made = summary([outcome(1, "failed", "Access denied!", before=links(1, 9, 7)), outcome(2)])
    first, second, *others = made.changes
    assert [row.outcome for row in others] == ["open"] * 3
    assert [first.contacts.pieces, first.reason] == [[Piece(9, "-", "is"), Piece(7, "-")], "Access denied!"]
    assert second.contacts.pieces == [Piece(7, "-", "is"), Piece(8, "-")]
    assert second.reason == "release: unlink 2 contacts"
    assert first.address == f"{PORTAL}/crm/lead/details/1/"


def test_a_reason_is_shown_without_what_is_said_elsewhere() -> None:
    """A rule is called by its title, where there are several; the file keeps the whole text."""
    several = ("release_repeat_leads", "fix_primary")
    told = ("release_repeat_leads: repeat lead", "fix_primary: none is flagged")
    both = Change(links(1, 7), links(1), told, rules=several)
    one = replace(both, reasons=told[:1], rules=several[:1])
    outcomes = [outcome(1, "skipped", f"dry run: {'; '.join(told)}")]
    assert [row_of(PORTAL, both, each).reason for each in (None, *outcomes)] == [
        "Release repeat leads: repeat lead; Fix primary: none is flagged"
    ] * 2
    assert row_of(PORTAL, one, None).reason == "repeat lead"


def test_the_contacts_before_a_write_tell_the_one_that_the_portal_showed() -> None:
    """``items.get`` tells flags only; the plan knows the scalar contact."""
    planned = Change(links(1, 7, 8), links(1), ("x",))
    flags = LinkSet(Owner("lead", 1), tuple(replace(one, is_primary=False) for one in links(1, 7, 8).links))
    shown = row_of(PORTAL, planned, outcome(1, "applied", before=flags)).contacts
    assert shown.pieces == [Piece(7, "-"), Piece(8, "-")]
    assert shown.notes == ["its card shows contact 7 first, whatever the links say"]


def test_a_failure_beyond_the_shown_changes_is_shown_among_the_failures() -> None:
    many = MOST_CHANGES + 100
    made = summary([outcome(many, "failed", "busy", before=links(many, 7))], planned=many)
    (row,) = made.troubles
    assert (row.owner.id, row.contacts.pieces, row.reason) == (many, [Piece(7, "-", "is")], "busy")
    assert [row.owner.id for row in made.changes] == list(range(1, MOST_CHANGES + 1))
    assert {row.outcome for row in made.changes} == {"open"}
    assert f"{MOST_CHANGES:,} of {many:,}; all of them stand in plan/" in Page(as_html(made)).text


def test_of_many_failures_the_page_shows_the_first_and_counts_all() -> None:
    many = MOST_ROWS + 100
    made = summary([outcome(number, "failed", "x") for number in range(1, many + 1)], planned=many)
    assert made.counts["failed"] == many
    assert len(made.troubles) == MOST_ROWS
    text = Page(as_html(made)).text
    assert f"The first {MOST_ROWS} of {many}; all of them stand in failed.csv." in text


@pytest.mark.parametrize(
    ("shown", "words"), [(links(1), "none"), (links(1, 7), "7*"), (links(1, 8, 7), "8*, 7")]
)
def test_links_are_shown_in_order_with_a_star_at_the_primary(shown: LinkSet, words: str) -> None:
    assert shown_contacts(shown) == words


def test_the_figures_for_xcom_are_small_and_plain() -> None:
    assert as_json(summary(ALL, dry_run=True)) == {
        "dry_run": True,
        "complete": True,
        "counts": dict.fromkeys(OUTCOMES, 1),
        "overwritten": 0,
        "left_out": {"converted": 1200, "held by a company": 3},
        "requests": 1234,
        "refused": 5,
        "partial": [],
        "hidden_links": 0,
        "seconds": 65.4,
        "comments": {"made": 0, "refused": 0},
    }


def change_of(number: int, contacts: int, *rules: str) -> Change:
    return Change(links(number, *range(7, 7 + contacts)), links(number), ("because",), rules=rules)


def joined(changes: list[Change], outcomes: list[ChangeOutcome]) -> Summary:
    manifest = replace(summary([]).manifest, rules=("one", "two"))
    return summarise(manifest, changes, outcomes, EFFORT, dry_run=False, finished="", planned=len(changes))


def test_a_change_counts_for_each_of_its_rules_with_what_became_of_it() -> None:
    changes = [change_of(1, 1, "one"), change_of(2, 1, "one", "two"), change_of(3, 1, "two")]
    made = joined(changes, [outcome(2, "failed", "x"), outcome(1)])
    counts = {rule: {name: n for name, n in told.items() if n} for rule, told in made.by_rule.items()}
    assert counts == {"one": {"applied": 1, "failed": 1}, "two": {"failed": 1, "open": 1}}
    text = Page(as_html(made)).text
    assert "2 planned · 1 applied · 1 failed" in text
    assert "2 planned · 1 failed · 1 open" in text


def test_the_biggest_changes_come_first_and_among_equals_the_first_of_the_plan() -> None:
    sizes = [1, 5, 2, 2, 9, *[1] * 10]
    changes = [change_of(number, size, "one") for number, size in enumerate(sizes, start=1)]
    made = joined(changes, [outcome(number) for number in range(len(sizes), 0, -1)])
    assert [row.owner.id for row in made.biggest] == [5, 2, 3, 4, 1, 6, 7, 8, 9, 10]
    assert [row.owner.id for row in made.changes] == list(range(1, 16)), "in the order of the plan"


# -- Markdown ----------------------------------------------------------------------------------------------


def test_the_markdown_holds_the_whole_story() -> None:
    assert as_markdown(summary(ALL)).splitlines() == [
        "### Lead link clean-up",
        "",
        "| outcome | leads | what it means                                           |",
        "|:--------|------:|:--------------------------------------------------------|",
        "| applied |     1 | written and read back                                   |",
        "| already |     1 | was right before anything was written                   |",
        "| drift   |     1 | somebody changed it since the plan was made; left alone |",
        "| failed  |     1 | not confirmed; the reason stands in failed.csv          |",
        "| skipped |     1 | dry run: would be written                               |",
        "",
        "| left out because  | leads |",
        "|:------------------|------:|",
        "| converted         | 1,200 |",
        "| held by a company |     3 |",
        "",
        "2,000 leads read, 5 changes planned.",
        "1,234 requests in 65.4 s, 5 refused by the portal.",
    ]


def test_an_applied_change_that_overwrote_somebody_s_work_is_told_apart() -> None:
    made = summary([outcome(1), outcome(2, "applied", "somebody changed it; overwritten: contacts 9*")])
    assert made.overwritten == 1
    assert [row.owner.id for row in made.troubles] == [2]
    told = "1 of the applied overwrote what somebody had changed meanwhile."
    assert told in as_markdown(made).splitlines()
    assert "1 of the applied changes overwrote what somebody had changed" in Page(as_html(made)).text


def test_the_markdown_of_a_dry_run_says_so_in_its_headline() -> None:
    assert as_markdown(summary(ALL, dry_run=True)).startswith("### Lead link clean-up, dry run\n")


def test_the_markdown_of_an_unfinished_apply_counts_what_is_open() -> None:
    expected = "| open    |     3 | the apply ended before its turn; run it again           |"
    assert expected in as_markdown(summary(ALL[:2])).splitlines()


def test_the_markdown_of_an_empty_plan_is_all_zeros() -> None:
    told = as_markdown(summary([], planned=0, counts={"read": 0, "changes": 0, "emptied": 0, "left_out": {}}))
    assert "| applied |     0 | written and read back " in told
    assert "0 leads read, 0 changes planned." in told
    assert "left out" not in told
    assert "open" not in told


APPROVED = Approval("0" * 64, "approved", "2026-11-21T10:00:30+00:00", "Olga", "2026-11-22T10:00:30+00:00")


@pytest.mark.parametrize(
    ("approval", "said"),
    [
        (APPROVED, "Approved by Olga, 2026-11-21 10:00 UTC, to be used until 2026-11-22 10:00 UTC"),
        (structs.replace(APPROVED, until=""), "Approved by Olga, 2026-11-21 10:00 UTC"),
        (structs.replace(APPROVED, answer="rejected", until=""), "Rejected by Olga, 2026-11-21 10:00 UTC"),
        (
            structs.replace(APPROVED, answer="waiting", by=""),
            "Waits for an approval since 2026-11-21 10:00 UTC, until 2026-11-22 10:00 UTC",
        ),
        (structs.replace(APPROVED, answer="unanswered"), "Nobody answered until 2026-11-21 10:00 UTC"),
        (
            structs.replace(APPROVED, answer="not asked", reason="a dry run writes nothing"),
            "Nobody was asked to approve: a dry run writes nothing",
        ),
        (structs.replace(APPROVED, by=EVIL, until=""), f"Approved by {EVIL}, 2026-11-21 10:00 UTC"),
    ],
)
def test_the_report_in_the_log_says_who_approved_it(approval: Approval, said: str) -> None:
    made = replace(summary(ALL), approval=approval)
    assert f"{said}." in as_markdown(made).splitlines()
    assert "pprove" not in as_markdown(summary(ALL)) + Page(as_html(summary(ALL))).text
    if approval.answer in ("approved", "rejected"):
        assert as_plain_text(approval.by) in Page(as_html(made)).text


# -- every form --------------------------------------------------------------------------------------------


def test_a_portal_that_hides_links_is_named_in_every_form_of_the_report() -> None:
    plain = summary([outcome(1)])
    hiding = replace(plain, effort=replace(EFFORT, hidden_links=7))
    said = "leaves links out of crm.item.list: they were read by items.get, 7 times"
    for form in (as_markdown, as_html):
        assert said in form(hiding)
        assert "items.get" not in form(plain)
    assert as_json(hiding)["hidden_links"] == 7


def test_a_line_tells_the_outcomes_that_there_are() -> None:
    found = summary([outcome(1), outcome(2), outcome(3, "drift")], planned=5)
    assert as_line(found) == "Outcomes of 5 leads: 2 applied, 1 drift, 2 open"
    assert as_line(summary([], planned=0)) == "Outcomes of 0 leads: nothing to change"
