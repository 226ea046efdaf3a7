"""The report: its figures, its tables, and that a text of the portal stays a text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.migrations import MIGRATIONS
from airflow_bitrix.core.plan import OUTCOMES, Change, ChangeOutcome, OutcomeName, shown_contacts
from airflow_bitrix.files.apply_costs import Effort
from airflow_bitrix.files.approvals import Approval
from airflow_bitrix.files.plans import Manifest
from airflow_bitrix.report import page
from airflow_bitrix.report.notices import notices
from airflow_bitrix.report.summary import (
    MOST_CHANGES,
    MOST_ROWS,
    Summary,
    as_json,
    row_of,
    summarise,
)
from airflow_bitrix.report.texts import as_line, as_markdown, outcome_lines, rule_titles

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


FOLDER = "/artifacts/clean_up/run/plan"


def as_html(made: Summary) -> str:
    return page.as_html(made, folder=FOLDER)


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
        self.code: list[str] = []
        self.is_code = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.is_code = tag in ("script", "style")
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self.is_code = self.is_code and tag not in ("script", "style")

    def handle_data(self, data: str) -> None:
        (self.code if self.is_code else self.words).append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


OWN_SCRIPTS = 2
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
    assert (first.before, first.after, first.reason) == ("9*, 7", "none", "Access denied!")
    assert (second.before, second.after, second.reason) == ("7*, 8", "none", "release: unlink 2 contacts")
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
    shown = row_of(PORTAL, planned, outcome(1, "applied", before=flags)).before
    assert shown == "7, 8 (CONTACT_ID 7)"


def test_a_failure_beyond_the_shown_changes_is_shown_among_the_failures() -> None:
    many = MOST_CHANGES + 100
    made = summary([outcome(many, "failed", "busy", before=links(many, 7))], planned=many)
    assert [(row.owner.id, row.before, row.reason) for row in made.troubles] == [(many, "7*", "busy")]
    assert [row.owner.id for row in made.changes] == list(range(1, MOST_CHANGES + 1))
    assert {row.outcome for row in made.changes} == {"open"}
    assert f"{MOST_CHANGES:,} of {many:,}; all of them stand in plan/" in Page(as_html(made)).text


def test_of_many_failures_the_page_shows_the_first_and_counts_all() -> None:
    many = MOST_ROWS + 100
    made = summary([outcome(number, "failed", "x") for number in range(1, many + 1)], planned=many)
    assert made.counts["failed"] == many
    assert len(made.troubles) == MOST_ROWS
    text = Page(as_html(made)).text
    assert f"The first {MOST_ROWS} of {many}; all of them stand in failed.csv ." in text


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
        (replace(APPROVED, until=""), "Approved by Olga, 2026-11-21 10:00 UTC"),
        (replace(APPROVED, answer="rejected", until=""), "Rejected by Olga, 2026-11-21 10:00 UTC"),
        (replace(APPROVED, answer="waiting", by=""), "Waits for an approval since 2026-11-21 10:00 UTC"),
        (replace(APPROVED, answer="unanswered"), "Nobody answered until 2026-11-21 10:00 UTC"),
        (
            replace(APPROVED, answer="not asked", reason="a dry run writes nothing"),
            "Nobody was asked to approve: a dry run writes nothing",
        ),
        (replace(APPROVED, by=EVIL, until=""), f"Approved by {EVIL}, 2026-11-21 10:00 UTC"),
    ],
)
def test_every_form_of_the_report_says_who_approved_it(approval: Approval, said: str) -> None:
    made = replace(summary(ALL), approval=approval)
    assert f"{said}." in as_markdown(made).splitlines()
    assert f"· {said[0].lower()}{said[1:]} ·" in Page(as_html(made)).text
    assert "pprove" not in as_markdown(summary(ALL)) + Page(as_html(summary(ALL))).text


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
    assert not {"link", "img", "iframe", "object", "embed", "base", "image", "use"} & {*page.tags}
    assert not re.search(r"@import|url\(|expression\(|https?:", "".join(page.code).replace(PORTAL, ""))
    named = dict(page.attributes)
    assert not {"src", "srcset", "background", "action", "data"} & {*named}
    assert not [name for name in named if name.startswith("on")]
    addresses = [value for name, value in page.attributes if name == "href"]
    own = ("#changes", f"{PORTAL}/crm/lead/details/")
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
        (Guards(), "none"),
        (Guards(max_changes=5000), "at most 5,000 changes"),
        (Guards(max_share=0.25), "at most 25.0% of the leads read"),
        (Guards(max_share=0.25, population=9000), "at most 25.0% of the leads on the portal"),
        (Guards(max_changes=7, portals=(PORTAL,)), f"at most 7 changes; only {PORTAL}"),
    ],
)
def test_the_limits_of_a_plan_stand_at_its_end(guards: Guards, told: str) -> None:
    assert f"Limits that were set: {told}. Plan" in Page(as_html(summary(ALL, guards=guards))).text


def test_a_task_that_is_tried_again_is_named() -> None:
    (told,) = [one for one in notices(summary(ALL[:2]), "running", retrying=["apply"]) if one.tone == "odd"]
    assert (told.headline, told.text) == (
        "A task has failed, and Airflow will try it again:",
        "apply. The log says why.",
    )


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
    counts = {"read": 0, "changes": 0, "emptied": 0, "by_rule": {}, "left_out": {}}
    text = Page(as_html(summary([], planned=0, counts=counts))).text
    assert "The plan is empty: nothing had to be changed." in text


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


@each_page
def test_no_bar_is_wider_than_its_track(made: Summary) -> None:
    bars = [attrs for tag, attrs in rects(as_html(made)) if tag == "rect"]
    assert len(bars) >= len(OUTCOMES) * bool(made.manifest.changes)
    for bar in bars:
        assert bar["height"] == "100%"
        begin, width = (float(bar.get(name, "0%").removesuffix("%")) for name in ("x", "width"))
        assert 0 <= begin <= begin + width <= 100.01


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
