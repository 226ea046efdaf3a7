"""Several plans on one page: each under its heading, all of it in the room that one has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.languages import speaking
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.wording import listed
from airflow_bitrix.report.approval import MOST_BYTES, Digest, ShownPlan, headline, pages, plan_digest
from tests.report.test_approval import written

KINDS = ("lead", "deal", "quote", "company", "smart_invoice", "dynamic_1036", "dynamic_1038", "dynamic_1040")


def shown(folder: Path, kind: str, changes: int, reason: str = "17 -> 23") -> ShownPlan:
    owners = [Owner(kind, number) for number in range(1, changes + 1)]
    made = [
        Change(
            LinkSet.of_ids(owner, [17], None if family_of(kind).is_shared else 17),
            LinkSet.of_ids(owner, [23], None if family_of(kind).is_shared else 23),
            (reason,),
            ("contact_map",),
        )
        for owner in owners
    ]
    manifest = written(folder / kind, made, kind=kind, rules=("contact_map",))
    return ShownPlan(manifest, plan_digest(folder / kind, manifest))


def test_a_headline_counts_each_kind(tmp_path: Path) -> None:
    numbers = {"lead": 500, "deal": 300, "quote": 21}
    manifests = [shown(tmp_path, kind, number).manifest for kind, number in numbers.items()]
    assert headline(*manifests) == (
        "Change the contacts of 500 leads, 300 deals and 21 quotes on acme.bitrix24.com?"
    )
    assert headline(manifests[0]) == "Change the contacts of 500 leads on acme.bitrix24.com?"
    with speaking("ru"):
        assert "500 лидов, 300 сделок и 21 " in headline(*manifests)


@pytest.mark.parametrize(("told", "said"), [("a", "a"), ("ab", "a and b"), ("abc", "a, b and c")])
def test_what_is_told_in_a_row(told: str, said: str) -> None:
    assert listed(list(told)) == said


def test_each_plan_stands_under_a_heading_of_its_kind(tmp_path: Path) -> None:
    page = pages([shown(tmp_path, "lead", 3), shown(tmp_path, "quote", 2)], [("Quiet hours", "none")])
    leads, quotes = page.split("\n\n## Quotes\n\n")
    assert leads.startswith("## Leads\n\n**3 leads to change**")
    assert quotes.startswith("**2 quotes to change**")
    for one in (leads, quotes):
        assert "### All changes" in one
        assert "Quiet hours: **none**" in one


@pytest.mark.parametrize("reason", ["17 -> 23", "\N{CYRILLIC SMALL LETTER ZHE}" * 130], ids=["short", "long"])
def test_however_many_they_are_the_page_stays_small_and_leaves_none_out(reason: str, tmp_path: Path) -> None:
    plans = [shown(tmp_path, kind, 30, reason) for kind in KINDS]
    page = pages(plans)
    assert len(page.encode()) <= MOST_BYTES
    assert page.count("**30 ") == page.count("\n## ") + 1 == len(KINDS)


def test_even_what_is_no_table_is_cut_for_each_alike(tmp_path: Path) -> None:
    plans = []
    for kind in KINDS:
        left_out = {f"{number} {'why ' * 40}": 1 for number in range(14)}
        manifest = shown(tmp_path, kind, 0).manifest
        counts = {**manifest.counts, "left_out": left_out}
        plans.append(ShownPlan(replace(manifest, counts=counts), Digest()))
    page = pages(plans)
    assert len(page.encode()) <= MOST_BYTES
    assert page.count("\n## ") + 1 == len(KINDS)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("lead", ""),
        ("smart_invoice", "**each change saves its invoice**: that starts the portal's automation"),
        ("dynamic_1036", "**each change saves its smart process 1036 item**: that starts"),
    ],
)
def test_whoever_approves_is_told_what_a_save_does(kind: str, said: str, tmp_path: Path) -> None:
    page = pages([shown(tmp_path, kind, 1)])
    assert ("each change saves" in page) == bool(said)
    assert said in page
