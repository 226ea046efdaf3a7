"""The report: its figures, its tables, and that a text of the portal stays a text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.plan import OUTCOMES, Change, ChangeOutcome, OutcomeName, shown_contacts
from airflow_bitrix.files.efforts import Effort
from airflow_bitrix.files.plans import Manifest
from airflow_bitrix.report.page import as_html
from airflow_bitrix.report.summary import (
    MOST_ROWS,
    Summary,
    as_json,
    as_markdown,
    outcome_lines,
    summarise,
)

PORTAL = "https://acme.bitrix24.com"
EFFORT = Effort(requests=1234, refused=5, repeats=6, waited=7.5, seconds=65.43)
EVIL = """<script>alert("x")</script> & 'y' | z"""


def links(number: int, *contact_ids: int) -> LinkSet:
    return LinkSet.of_ids(Owner("lead", number), contact_ids, next(iter(contact_ids), None))


def change(number: int) -> Change:
    return Change(
        links(number, 7, 8), links(number), ("release: unlink 2 contacts",), save=True, ends_repeat=True
    )


def outcome(number: int, name: OutcomeName = "applied", reason: str = "", **more: Any) -> ChangeOutcome:
    return ChangeOutcome(Owner("lead", number), name, reason, **more)


def summary(
    outcomes: Iterable[ChangeOutcome], *, planned: int = 5, dry_run: bool = False, **about: Any
) -> Summary:
    manifest = Manifest(
        **{
            "kind": "lead",
            "portal": PORTAL,
            "created": "2026-11-21T10:00:00+00:00",
            "rules": ("release_repeat_leads",),
            "counts": {
                "read": 2000,
                "changes": planned,
                "emptied": 0,
                "by_rule": {"release_repeat_leads": planned},
                "left_out": {"converted": 1200, "held by a company": 3},
            },
            "guards": Guards(),
            "parts": ({"name": "part-00000.jsonl", "changes": planned, "sha256": "0" * 64},)
            if planned
            else (),
            **about,
        }
    )
    changes = [change(number) for number in range(1, planned + 1)]
    return summarise(
        manifest, changes, outcomes, EFFORT, dry_run=dry_run, finished="2026-11-21T10:01:05+00:00"
    )


ALL = [
    outcome(number, name, "" if name == "applied" else f"why {name}")
    for number, name in enumerate(OUTCOMES, start=1)
]


class Page(HTMLParser):
    """What a browser makes of a page: its tags, its addresses, its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


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
    first, second = made.changes
    assert (first.before, first.after, first.reason) == ("9*, 7", "none", "Access denied!")
    assert (second.before, second.after, second.reason) == ("7*, 8", "none", "release: unlink 2 contacts")
    assert first.address == f"{PORTAL}/crm/lead/details/1/"


def test_a_failure_beyond_the_shown_changes_is_shown_among_the_failures() -> None:
    many = MOST_ROWS + 100
    made = summary([outcome(many, "failed", "busy", before=links(many, 7))], planned=many)
    assert [(row.owner.id, row.before, row.reason) for row in made.troubles] == [(many, "7*", "busy")]
    assert made.changes == []


def test_of_many_failures_the_page_shows_the_first_and_counts_all() -> None:
    many = MOST_ROWS + 100
    made = summary([outcome(number, "failed", "x") for number in range(1, many + 1)], planned=many)
    assert made.counts["failed"] == many
    assert len(made.troubles) == len(made.changes) == MOST_ROWS
    text = Page(as_html(made)).text
    assert f"The first {MOST_ROWS}; all of them stand in failed.csv ." in text
    assert f"{MOST_ROWS} of {many};" in text


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
        "hidden_links": 0,
        "seconds": 65.4,
    }


# -- Markdown ----------------------------------------------------------------------------------------------


def test_the_markdown_holds_the_whole_story() -> None:
    assert as_markdown(summary(ALL)).splitlines() == [
        "### Lead link clean-up",
        "",
        "| outcome | leads | what it means |",
        "|:---|---:|:---|",
        "| applied | 1 | written and read back |",
        "| already | 1 | was right before anything was written |",
        "| drift | 1 | somebody changed it since the plan was made; left alone |",
        "| failed | 1 | not confirmed; the reason stands in failed.csv |",
        "| skipped | 1 | dry run: would be written |",
        "",
        "| left out because | leads |",
        "|:---|---:|",
        "| converted | 1,200 |",
        "| held by a company | 3 |",
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
    expected = "| open | 3 | the apply ended before its turn; run it again |"
    assert expected in as_markdown(summary(ALL[:2])).splitlines()


def test_the_markdown_of_an_empty_plan_is_all_zeros() -> None:
    told = as_markdown(summary([], planned=0, counts={"read": 0, "changes": 0, "emptied": 0, "left_out": {}}))
    assert "| applied | 0 | written and read back |" in told
    assert "0 leads read, 0 changes planned." in told
    assert "left out" not in told
    assert "open" not in told


# -- HTML --------------------------------------------------------------------------------------------------

PAGES: dict[str, Summary] = {
    "all outcomes": summary(ALL),
    "dry run": summary([outcome(1, "skipped", "dry run: x")], planned=1, dry_run=True),
    "unfinished": summary(ALL[:2]),
    "not begun": summary([]),
    "empty": summary([], planned=0),
    "evil": summary([outcome(1, "failed", EVIL), outcome(2, "drift", EVIL)], planned=2, rules=(EVIL,)),
}
each_page = pytest.mark.parametrize("made", list(PAGES.values()), ids=list(PAGES))


@each_page
def test_a_page_needs_nothing_from_anywhere_else(made: Summary) -> None:
    """It is opened from a mail or an archive: no script, style, font or picture is fetched."""
    html = as_html(made)
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form", "svg"} & {*page.tags}
    assert not re.search(r"@import|url\(|expression\(", "".join(page.words))
    named = dict(page.attributes)
    assert not {"src", "srcset", "background", "action", "data"} & {*named}
    assert not [name for name in named if name.startswith("on")]
    addresses = [value for name, value in page.attributes if name == "href"]
    assert all(address.startswith(f"{PORTAL}/crm/lead/details/") for address in addresses)
    assert html.count("://") == html.count(PORTAL)


@each_page
def test_a_page_is_whole(made: Summary) -> None:
    html = as_html(made)
    assert html.startswith("<!doctype html>")
    assert html.rstrip().endswith("</html>")
    assert "{{" not in html
    assert "None" not in Page(html).text.replace("None.", "")
    for tag in ("html", "head", "body", "main", "section", "table", "tbody", "tr", "td", "div"):
        assert len(re.findall(rf"<{tag}[ >]", html)) == html.count(f"</{tag}>")


def test_a_page_shows_the_same_numbers_as_the_summary() -> None:
    text = Page(as_html(summary(ALL))).text
    for figure in ("2,000 leads read", "5 changes planned", "1,234 requests to apply", "65.4 s"):
        assert figure in text
    assert "5 refused by the portal" in text
    assert "converted 1,200" in text
    assert "held by a company 3" in text
    assert summary(ALL).manifest.hash in text
    for name, count, meaning in outcome_lines(summary(ALL)):
        assert f"{name} {count} {meaning}" in text


def test_a_text_of_the_portal_stays_a_text() -> None:
    html = as_html(PAGES["evil"])
    assert "<script" not in html
    assert Page(html).text.count(EVIL) == 6, "two failures, two changes, the rule's name and its title"


@pytest.mark.parametrize("place", ["why", "outcome", "portal"])
def test_nothing_from_a_file_becomes_a_tag(place: str) -> None:
    about: dict[str, Any] = {"portal": PORTAL + EVIL} if place == "portal" else {}
    if place == "why":
        about["counts"] = {"read": 1, "changes": 1, "emptied": 0, "left_out": {EVIL: 1}}
    reason = EVIL if place == "outcome" else ""
    html = as_html(summary([outcome(1, "failed", reason)], planned=1, **about))
    assert "<script" not in html
    assert EVIL in Page(html).text


def test_the_page_of_a_dry_run_says_so_above_everything_else() -> None:
    text = Page(as_html(PAGES["dry run"])).text
    assert "Lead link clean-up, dry run" in text
    assert text.index("Nothing was written to the portal.") < text.index("What became of the changes")
    assert "Nothing was written" not in Page(as_html(PAGES["all outcomes"])).text


def test_the_page_of_an_unfinished_apply_says_so_and_how_much_is_open() -> None:
    text = Page(as_html(PAGES["unfinished"])).text
    assert "Not finished. 3 changes have no outcome yet" in text
    assert "Not finished." not in Page(as_html(PAGES["all outcomes"])).text


def test_the_page_of_an_empty_plan_says_that_nothing_had_to_be_changed() -> None:
    text = Page(as_html(PAGES["empty"])).text
    assert "The plan is empty: nothing had to be changed." in text
    assert "Not finished." not in text


def test_the_page_of_an_apply_that_never_began_does_not_call_its_plan_empty() -> None:
    text = Page(as_html(PAGES["not begun"])).text
    assert "Not finished. 5 changes have no outcome yet" in text
    assert "The plan is empty" not in text


@each_page
def test_no_bar_is_wider_than_its_track(made: Summary) -> None:
    widths = [float(width) for width in re.findall(r"width:([0-9.]+)%", as_html(made)) if width != "100"]
    assert len(widths) >= len(OUTCOMES)
    assert all(0 <= width <= 100 for width in widths)


def test_a_portal_that_hides_links_is_named_in_every_form_of_the_report() -> None:
    plain = summary([outcome(1)])
    hiding = replace(plain, effort=replace(EFFORT, hidden_links=7))
    said = "leaves links out of crm.item.list: they were read by items.get, 7 times"
    for form in (as_markdown, as_html):
        assert said in form(hiding)
        assert "items.get" not in form(plain)
    assert as_json(hiding)["hidden_links"] == 7
