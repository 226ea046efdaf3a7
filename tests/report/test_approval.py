"""The page of a plan: what it counts, which changes it shows, and that a text stays a text."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.languages import speaking
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.plans import Manifest, PlanWriter
from airflow_bitrix.report.approval import (
    MOST_BYTES,
    as_markdown,
    digest,
    headline,
    plan_digest,
    plan_markdown,
)
from airflow_bitrix.report.markdown_cells import cell
from tests.growth import traced

PORTAL = "https://acme.bitrix24.com"
EVIL = (
    "<script>alert(1)</script> | `code` **bold** [a](javascript:1) ![i](x)\n\n"
    "# Approved\r\n| a | b | \\| &lt; $x$"
)


def links(number: int, *contact_ids: int, sorts: Sequence[int] = ()) -> LinkSet:
    places = sorts or [10 * place for place in range(1, len(contact_ids) + 1)]
    made = (
        ContactLink(one, sort, is_primary=place == 0, role_id=0)
        for place, (one, sort) in enumerate(zip(contact_ids, places, strict=True))
    )
    return LinkSet(Owner("lead", number), tuple(made))


def clears(number: int, contacts: int = 2, reason: str = "release_repeat_leads: repeat lead") -> Change:
    return Change(
        links(number, *range(1, contacts + 1)),
        links(number),
        (reason,),
        ("release_repeat_leads",),
        save=True,
        ends_repeat=True,
        may_empty=True,
    )


def page(
    folder: Path, changes: Iterable[Change], left_out: Iterable[tuple[int, str]] = (), **about: Any
) -> str:
    return plan_markdown(folder, written(folder, changes, left_out, **about))


def written(
    folder: Path, changes: Iterable[Change], left_out: Iterable[tuple[int, str]] = (), **about: Any
) -> Manifest:
    told = {
        "read": 20_000,
        "kind": "lead",
        "portal": PORTAL,
        "created": "2026-11-21T10:00:00+00:00",
        "rules": ("release_repeat_leads",),
        "guards": Guards(),
        **about,
    }
    with PlanWriter(folder) as plan:
        for change in changes:
            plan.add(change)
        for number, why in left_out:
            plan.leave_out(Owner("lead", number), why, why)
        return plan.finish(**told)


def tables(markdown: str) -> list[list[list[str]]]:
    """The tables of a page as a reader of Markdown sees them: texts of cells, heading first."""
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)
    return [
        [
            re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
            for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
        ]
        for table in re.findall(r"<table>(.*?)</table>", html, re.DOTALL)
    ]


def contact(contact_id: int, name: str = "") -> str:
    return f'<a href="{PORTAL}/crm/contact/details/{contact_id}/">{contact_id}{name and f" {name}"}</a>'


def owner_ids(table: list[list[str]]) -> list[int]:
    return [int(re.sub(r"<.*?>", "", row[0])) for row in table[1:]]


def test_the_page_tells_what_the_plan_comes_to(tmp_path: Path) -> None:
    """Counts first: owners, links, owners left without contacts, rules, who is left out."""
    kept = Change(links(50, 1, 2, 3), links(50, 3, 4), ("why",), ("trim",))
    plan = [*(clears(number) for number in range(1, 13)), kept]
    left_out = [(number, "converted") for number in range(100, 130)] + [(7, "held by a company")]
    text = page(tmp_path, plan, left_out, rules=("release_repeat_leads", "trim"))
    assert text.startswith(
        "**13 leads to change**, of 20,000 read on "
        "[acme.bitrix24.com](https://acme.bitrix24.com) at 2026-11-21 10:00 UTC."
    )
    assert "- links: **26** taken away, **1** added, **1** re-ordered or altered" in text
    assert "- **12 leads** left without contacts" in text
    assert "- **12 leads** saved, which starts the portal's automation" in text
    rules, out, largest, samples = tables(text)
    title = "Release repeat leads: unlink their contacts, so that they can be converted again"
    assert rules == [["rule", "leads"], [title, "12"], ["trim", "1"]]
    assert out == [["left out, not touched", "leads"], ["converted", "30"], ["held by a company", "1"]]
    assert largest[0] == samples[0] == ["lead", "contacts", "reason"]
    address = f'<a href="{PORTAL}/crm/lead/details/50/">50</a>'
    contacts = (
        f"<s>{contact(1)} (primary)</s>, <s>{contact(2)}</s>, {contact(3)} <strong>(primary)</strong>, "
        f"<strong>+</strong> {contact(4)}"
    )
    assert largest[1] == [address, contacts, "why"]


@pytest.mark.parametrize(
    ("number", "pace", "said"),
    [
        (1, (2.0, 49.0), "about 3 requests to the portal, which takes less than a minute"),
        (2000, (2.0, 49.0), "about 127 requests to the portal, which takes less than a minute"),
        (4000, (2.0, 49.0), "takes **about 2 minutes** at its pace, where nobody else asks"),
        (4000, (0.02, 1.0), "takes **about 4 hours** at its pace, where nobody else asks"),
        (4000, None, "- about 254 requests to the portal\n"),
    ],
)
def test_the_page_says_what_applying_costs(number: int, pace: Any, said: str, tmp_path: Path) -> None:
    assert said in page(tmp_path, map(clears, range(1, number + 1)), pace=pace)


@pytest.mark.parametrize(
    ("number", "pace", "said"),
    [
        (1, None, "около 3 запросов\n"),
        (4000, (2.0, 49.0), "около 254 запросов"),
        (4000, (2.0, 49.0), ": примерно 2 минуты"),
        (4000, (0.02, 1.0), ": примерно 4 часа"),
    ],
)
def test_what_applying_costs_is_said_in_russian_as_it_is_spoken(
    number: int, pace: Any, said: str, tmp_path: Path
) -> None:
    with speaking("ru"):
        text = page(tmp_path, map(clears, range(1, number + 1)), pace=pace).replace("**", "")
    assert said in text


def test_leads_that_are_only_saved_are_counted(tmp_path: Path) -> None:
    saved = [
        Change(links(number), links(number), ("why",), save=True, ends_repeat=True) for number in (21, 22)
    ]
    text = page(tmp_path, [clears(1), *saved])
    assert "- **3 leads** saved, **2** of them without another change, which starts" in text


def test_leads_that_lose_their_company_or_get_it_back_are_counted(tmp_path: Path) -> None:
    def given(number: int, was: int, company: int) -> Change:
        about: dict[str, Any] = {"holds": {"company_id": was}, "company": company, "save": True}
        return Change(links(number), links(number), ("why",), **about)

    plan = [replace(clears(1), holds={"company_id": 17}, company=0), given(2, 18, 0), given(3, 0, 19)]
    manifest = written(tmp_path, [*plan, clears(4)])
    assert manifest.counts["companies"] == 3
    text = plan_markdown(tmp_path, manifest)
    assert "- company taken off **2 leads**" in text
    assert "- company given back to **1 lead**" in text
    assert "- **4 leads** saved, which starts the portal's automation" in text  # none of them for nothing
    cells = [row[1] for row in tables(text)[-1][1:]]
    assert [one.rpartition(", ")[2] for one in cells[:3]] == [f"company: {told}" for told in _COMPANIES]
    assert cells[1].startswith("none, ")
    assert "company" not in cells[3]
    with speaking("ru"):
        assert "компания снимается: **2 лида**" in plan_markdown(tmp_path, manifest)


_COMPANIES = ("17 → none", "18 → none", "none → 19")


def test_the_largest_changes_come_first_and_samples_are_spread_over_the_plan(tmp_path: Path) -> None:
    sizes = list(range(1, 201))
    random.Random(5).shuffle(sizes)
    manifest = written(tmp_path, [clears(number, size) for number, size in enumerate(sizes, start=1)])
    _, largest, samples = tables(plan_markdown(tmp_path, manifest))
    biggest = sorted(range(1, 201), key=lambda number: -sizes[number - 1])[:10]
    assert owner_ids(largest) == biggest
    tenths = [(number - 1) // 20 for number in owner_ids(samples)]
    assert tenths == list(range(10))


def test_one_plan_gives_one_page_and_another_plan_other_samples(tmp_path: Path) -> None:
    plan = [clears(number) for number in range(1, 2001)]
    assert page(tmp_path / "one", plan) == page(tmp_path / "two", plan)
    first = owner_ids(tables(page(tmp_path / "one", plan))[-1])
    other = owner_ids(tables(page(tmp_path / "two", plan, created="2026-11-22T10:00:00+00:00"))[-1])
    assert first != other


@pytest.mark.parametrize("number", [1, 9, 10])
def test_a_small_plan_is_shown_whole_and_once(number: int, tmp_path: Path) -> None:
    text = page(tmp_path, [clears(one) for one in range(1, number + 1)])
    assert "### All changes" in text
    assert owner_ids(tables(text)[-1]) == list(range(1, number + 1))
    assert len(tables(text)) == 2


def test_an_empty_plan_says_so(tmp_path: Path) -> None:
    text = page(tmp_path, [])
    assert text.startswith("**0 leads to change**")
    assert tables(text) == []
    assert headline(written(tmp_path, [clears(1)])) == "Change the contacts of 1 lead on acme.bitrix24.com?"


def test_broken_guards_stand_above_all_else(tmp_path: Path) -> None:
    guards = Guards(max_changes=1, max_share=0.5, portals=("https://other.bitrix24.com",))
    text = page(tmp_path, [clears(1), clears(2)], read=3, guards=guards)
    first = text.split("\n\n")[1]
    assert first.splitlines() == [
        "**A real run would be refused:**",
        r"- it has 2 changes, and max\_changes allows 1",
        r"- it changes 66.7% of the 3 owners read, and max\_share allows 50.0%",
        "- it is for https`://`acme.bitrix24.com, and portals allows https`://`other.bitrix24.com",
    ]
    assert (
        "Limits as they stand: Most changes allowed: **1**; "
        "Largest share changed: **50% of the leads read**; Portals: **https`://`other.bitrix24.com**."
    ) in text


def test_each_limit_is_shown_as_it_stands_those_that_are_switched_off_too(tmp_path: Path) -> None:
    manifest = written(tmp_path, [clears(1)])
    text = as_markdown(manifest, plan_digest(tmp_path, manifest), [("Quiet hours", "none")])
    assert (
        "Limits as they stand: Most changes allowed: **no limit**; Largest share changed: **no limit**; "
        "Portals: **any**; Quiet hours: **none**."
    ) in text


def test_a_change_of_sorts_alone_shows_them(tmp_path: Path) -> None:
    change = Change(links(1, 5, 6), links(1, 5, 6, sorts=[20, 40]), ("why",), ("order",))
    row = tables(page(tmp_path, [change]))[-1][1]
    assert row[1] == f"{contact(5)} (primary), {contact(6)}, sorts: 10, 20 → 20, 40"


def test_a_text_of_the_portal_stays_a_text(tmp_path: Path) -> None:
    """It adds no row, no heading, no link, no tag: whoever reads the page sees it as it is."""
    text = page(tmp_path, [clears(1, reason=EVIL)], [(2, EVIL)], rules=(EVIL,))
    html = MarkdownIt("commonmark").enable("table").render(text)
    assert "<script" not in html
    assert "<img" not in html
    assert "javascript:" not in "".join(re.findall(r'href="(.*?)"', html))
    assert set(re.findall(r"<h\d>(.*?)</h\d>", html)) == {"All changes"}
    _, out, changes = tables(text)
    shown = (
        "&lt;script&gt;alert(1)&lt;/script&gt; | `code` **bold** [a](javascript:1) ![i](x)\\n\\n# Approved"
    )
    assert [len(row) for row in (*out, *changes)] == [2, 2, 3, 3]
    assert out[1][0].startswith(shown)
    assert changes[1][2].startswith(shown)


@pytest.mark.attack
@pytest.mark.parametrize(
    "text",
    [
        "see https://evil.example/approve, or http://evil.example",
        "WWW.evil.example and www.evil.example",
        "write to boss@evil.example or mailto:boss@evil.example",
        "``@`https://a@www.evil.example`",
        "<https://evil.example> [x](https://evil.example) ![](https://evil.example)",
        "[x]: https://evil.example\n\n[x]",
        "\n\n---\n\n# Approved\n\n| a |\n|---|\n| b |\n\n<b>x</b>\u2028\n> quoted\n\n1. one\n\n- two\n~~x~~",
    ],
)
def test_no_text_of_the_portal_makes_a_link_or_a_block_of_its_own(text: str) -> None:
    """Airflow's page makes links of addresses without marks around them, and even of escaped ones."""
    (paragraph, inline, end) = MarkdownIt("gfm-like").parse(f"| {cell(text, 500)}")
    assert (paragraph.type, end.type) == ("paragraph_open", "paragraph_close")
    found = inline.children or []
    assert {one.type for one in found} <= {"text", "text_special", "code_inline"}
    texts = "\n".join(one.content for one in found if one.type != "code_inline")
    assert not re.search(r"https?://|www\.|[-.\w+]+@[-\w]+", texts, re.IGNORECASE)


@pytest.mark.parametrize("text", ["", "a", "|" * 500, "\\" * 500, "й" * 500, EVIL * 9, "\x00\x1b[2J\u202e"])
def test_a_cell_keeps_to_its_size_and_to_its_line(text: str) -> None:
    shown = cell(text, 60)
    assert len(shown) <= 60
    assert re.search(r"[\x00-\x1f\u202e]|(?<!\\)[|`*<>]", shown) is None


def evil_plan() -> Iterator[Change]:
    for number in range(1, 1501):
        change = clears(number, 1 + number % 150, reason="й" + EVIL * 20)
        yield Change(change.before, links(number, *range(900, 990)), change.reasons * 5, change.rules)


@pytest.mark.slow
def test_the_page_stays_small_whatever_the_plan(tmp_path: Path) -> None:
    """1,500 changes, each with many contacts and long texts, and a reason of its own for each left out."""
    left_out = [(number, f"{EVIL}{number}" * 9) for number in range(300)]
    host = "https://" + "a" * 63 + ".bitrix24.com"
    text = page(tmp_path, evil_plan(), left_out, rules=("x" * 500,) * 40, portal=host)
    assert 6_000 < len(text.encode()) <= MOST_BYTES
    assert "and 288 more | 288 |" in text
    _, _, largest, samples = tables(text)
    assert len(largest) == len(samples) == 11


@pytest.mark.slow
def test_memory_does_not_grow_with_the_plan(tmp_path: Path) -> None:
    manifest = written(tmp_path, [])
    peaks = []
    for number in (2_000, 12_000):
        with traced() as memory:
            digest(manifest, (clears(one) for one in range(1, number)))
            peaks.append(memory()[1])
    assert peaks[1] < peaks[0] + 100_000


def test_a_plan_that_was_edited_has_no_page(tmp_path: Path) -> None:
    manifest = written(tmp_path, [clears(1)])
    part = tmp_path / "part-00000.jsonl"
    part.write_text(part.read_text().replace('"owner":1', '"owner":2'))
    with pytest.raises(PlanRefused, match="was edited"):
        plan_markdown(tmp_path, manifest)
