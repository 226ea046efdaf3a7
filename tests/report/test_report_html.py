"""The page of the report: whole by itself, what it says first, and that a text of the portal stays a text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.languages import speaking
from airflow_bitrix.core.migrations import MIGRATIONS
from airflow_bitrix.core.plan import OUTCOMES
from airflow_bitrix.core.rule_notes import RuleNote, note_of
from airflow_bitrix.report.approval import Digest
from airflow_bitrix.report.approval import as_markdown as approval_markdown
from airflow_bitrix.report.notices import Notice, failed, notices
from airflow_bitrix.report.summary import Summary
from airflow_bitrix.report.texts import as_line, outcome_lines, rule_titles
from airflow_bitrix.report.texts import as_markdown as report_markdown
from airflow_bitrix.rules.company_cards import CompanyCardPrimary
from tests.report.summaries import ALL, EVIL, FOLDER, PORTAL, Page, as_html, outcome, summary

OWN_SCRIPTS = 3
"""The script, and the rows that it searches."""


def rects(html: str) -> list[tuple[str, dict[str, str]]]:
    return [
        (tag, dict(re.findall(r'(\w+)="([^"]*)"', attrs)))
        for tag, attrs in re.findall(r"<(rect)\b([^>]*)>", html)
    ]


def embedded(html: str) -> list[list[Any]]:
    (rows,) = re.findall(r'<script type="application/json" id="rows">(.*?)</script>', html)
    found: list[list[Any]] = json.loads(rows)
    return found


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
    assert not {"link", "img", "iframe", "object", "embed", "base", "image", "use"} & {*page.tags}
    assert not re.search(r"@import|url\(|expression\(|https?:", "".join(page.code).replace(PORTAL, ""))
    named = dict(page.attributes)
    assert not {"src", "srcset", "background", "action", "data"} & {*named}
    assert not [name for name in named if name.startswith("on")]
    addresses = [value for name, value in page.attributes if name == "href"]
    own = ("#changes", f"{PORTAL}/crm/lead/details/", f"{PORTAL}/crm/contact/details/")
    assert all(address.startswith(own) for address in addresses)
    assert html.count("://") == html.count(PORTAL)


@each_page
def test_a_browser_runs_the_page_s_own_script_and_no_other(made: Summary) -> None:
    """The page carries a policy that names its style and its script by what they hold."""
    page = Page(as_html(made))
    (policy,) = [value for name, value in page.attributes if value.startswith("default-src 'none'")]
    for kind in ("style", "script"):
        (code,) = re.findall(rf"<{kind}>(.*?)</{kind}>", as_html(made), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "connect-src 'none'" in policy
    assert not [value for name, value in page.attributes if name == "style"]


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
    assert f"Plan {summary(ALL).manifest.hash[:12]}" in text
    for name, count, meaning in outcome_lines(summary(ALL)):
        assert f"{name} {count} {meaning}" in text


def test_a_text_of_the_portal_stays_a_text() -> None:
    html = as_html(PAGES["evil"])
    assert html.count("<script") == OWN_SCRIPTS
    assert embedded(html)[0][4] == EVIL
    assert Page(html).text.count(EVIL) == 5, "two failures, two changes, and the rule's name"


@pytest.mark.parametrize("place", ["why", "outcome", "portal"])
def test_nothing_from_a_file_becomes_a_tag(place: str) -> None:
    about: dict[str, Any] = {"portal": PORTAL + EVIL} if place == "portal" else {}
    if place == "why":
        about["counts"] = {"read": 1, "changes": 1, "emptied": 0, "left_out": {EVIL: 1}}
    reason = EVIL if place == "outcome" else ""
    html = as_html(summary([outcome(1, "failed", reason)], planned=1, **about))
    assert html.count("<script") == OWN_SCRIPTS
    assert EVIL in Page(html).text


def test_the_page_of_a_dry_run_says_so_above_everything_else() -> None:
    text = Page(as_html(PAGES["dry run"])).text
    assert "Lead link clean-up, dry run" in text
    assert text.index("Nothing was written to the portal.") < text.index("What became of the changes")
    assert "Nothing was written" not in Page(as_html(PAGES["all outcomes"])).text


def test_a_dry_run_tells_first_what_would_be_written_and_what_to_do_then() -> None:
    text = Page(as_html(PAGES["dry run"])).text
    assert text.index("skipped 1 dry run: would be written") < text.index("applied 0")
    assert "run it again with the dry run turned off" in text


@pytest.mark.parametrize(
    ("guards", "title"),
    [
        (Guards(max_changes=1), "Allow more under “Most changes allowed” in the trigger form"),
        (Guards(max_share=0.0001), "Allow more under “Largest share changed” in the trigger form"),
        (Guards(portals=("https://other.example",)), ""),
    ],
)
def test_a_plan_that_may_not_run_says_what_the_form_calls_the_limit(guards: Guards, title: str) -> None:
    text = Page(as_html(summary([], guards=guards))).text
    assert "A real run of this plan is refused:" in text
    assert title in text
    assert ("Allow more" in text) is bool(title)


@pytest.mark.parametrize(
    ("guards", "told"),
    [
        (Guards(), "Most changes allowed: no limit; Largest share changed: no limit; Portals: any"),
        (Guards(max_changes=5000), "Most changes allowed: 5,000; Largest share changed: no limit; "),
        (Guards(max_share=0.25), "Largest share changed: 25% of the leads read; "),
        (Guards(max_share=0.0001, population=9000), "changed: 0.01% of the leads on the portal; "),
        (Guards(max_changes=7, portals=(PORTAL,)), f"Portals: {PORTAL}"),
    ],
)
def test_each_limit_of_a_plan_stands_at_the_end_as_it_is(guards: Guards, told: str) -> None:
    assert told in Page(as_html(summary(ALL, guards=guards))).text


def test_a_task_that_is_tried_again_is_named() -> None:
    (told,) = [one for one in notices(summary(ALL[:2]), "running", retrying=["apply"]) if one.tone == "odd"]
    assert (told.headline, told.text) == (
        "A task has failed, and Airflow will try it again:",
        "apply.",
    )


def test_a_task_that_has_failed_is_named_with_its_sentence() -> None:
    assert list(failed({"plan": "stages: 'NOPE' is not accepted"})) == [
        Notice("bad", "The task plan failed:", "stages: 'NOPE' is not accepted.")
    ]


def test_the_page_of_an_unfinished_apply_says_so_and_how_much_is_open() -> None:
    text = Page(as_html(PAGES["unfinished"])).text
    assert "Not finished. 3 changes have no outcome yet" in text
    assert "Not finished." not in Page(as_html(PAGES["all outcomes"])).text


def test_the_page_of_an_empty_plan_says_that_nothing_had_to_be_changed() -> None:
    """And shows no bars, no figures and no table of nothing."""
    text = Page(as_html(PAGES["empty"])).text
    left = "nothing is to be changed. Of 2,000 leads read, 1,203 were left out on purpose."
    assert f"The plan is empty: {left}" in text
    assert "held by a company 3" in text
    for absent in ("Not finished.", "What became of the changes", "Search id", "requests to apply"):
        assert absent not in text
    counts = {"read": 5, "changes": 0, "emptied": 0, "by_rule": {}, "left_out": {}}
    text = Page(as_html(summary([], planned=0, counts=counts))).text
    assert "The plan is empty: nothing had to be changed." in text


def test_a_plan_whose_filter_matches_nothing_says_so_in_every_form_and_not_that_all_is_well() -> None:
    counts = {"read": 0, "changes": 0, "emptied": 0, "by_rule": {}, "left_out": {}}
    made = summary([], planned=0, counts=counts, kind="deal")
    said = "no deal matches what the plan is about: its rules, filter, stages, days or list"
    page = Page(as_html(made)).text
    assert f"The plan is empty: {said}." in page
    assert "nothing had to be changed" not in page
    assert as_line(made) == f"Outcomes of 0 deals: {said}"
    assert f"N{said[1:]}." in report_markdown(made)
    assert f"**The plan is empty:** {said}." in approval_markdown(made.manifest, Digest())


def test_the_page_of_an_apply_that_never_began_does_not_call_its_plan_empty() -> None:
    text = Page(as_html(PAGES["not begun"])).text
    assert "Not finished. 5 changes have no outcome yet" in text
    assert "The plan is empty" not in text


def test_a_run_that_may_have_written_can_be_taken_back_by_its_folder() -> None:
    taken = "Take this run back"
    for made in (summary(ALL), summary([outcome(1, "failed", "x")]), PAGES["evil"]):
        found = Page(as_html(made))
        assert taken in found.text
        assert ("value", FOLDER) in found.attributes
    idle = (*(PAGES[name] for name in ("dry run", "not begun", "empty")), summary([outcome(1, "already")]))
    for made in idle:
        assert taken not in Page(as_html(made)).text


@pytest.mark.parametrize(
    ("rules", "title"),
    [
        (("restore",), "Lead link restore"),
        (("release_repeat_leads", "fix_primary"), "Lead link clean-up"),
        (("contact_map",), "Lead link migration"),
        (("lead_to_deal",), "Lead link migration"),
        (("my_own",), "Lead link plan"),
    ],
)
def test_a_page_is_called_by_what_its_plan_is_about(rules: tuple[str, ...], title: str) -> None:
    made = summary(ALL, rules=rules)
    assert made.title == title
    assert (rules[0] in Page(as_html(made)).text) is True
    named = dict(rule_titles(made.manifest))
    assert (named[rules[0]] != rules[0]) is (rules[0] != "my_own")


def test_every_migration_has_a_title() -> None:
    named = rule_titles(summary(ALL, rules=MIGRATIONS).manifest)
    assert all(title != name for name, title in named)


def test_a_rule_that_is_no_part_of_the_table_is_called_by_the_title_that_the_plan_notes() -> None:
    """Those of the sample rules in the language that is spoken; an author's as it is."""
    notes = (note_of(CompanyCardPrimary(), ""), RuleNote("my_own", "Mine {x}: of {} us"))
    made = summary(ALL, rules=tuple(note.name for note in notes), rule_notes=notes)
    assert rule_titles(made.manifest) == [(note.name, note.title) for note in notes]
    with speaking("ru"):
        assert [title.partition(":")[0] for _, title in rule_titles(made.manifest)] == [
            "Первый в компании",
            "Mine {x}",
        ]


@each_page
def test_no_bar_is_wider_than_its_track(made: Summary) -> None:
    bars = [attrs for tag, attrs in rects(as_html(made)) if tag == "rect"]
    assert len(bars) >= len(OUTCOMES) * bool(made.manifest.changes)
    for bar in bars:
        assert bar["height"] == "100%"
        begin, width = (float(bar.get(name, "0%").removesuffix("%")) for name in ("x", "width"))
        assert 0 <= begin <= begin + width <= 100.01
