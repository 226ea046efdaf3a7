"""Summaries of applies, and what a browser makes of the pages that tell of them."""

from __future__ import annotations

from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.plan import OUTCOMES, Change, ChangeOutcome, OutcomeName
from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.plans import Manifest
from airflow_bitrix.report import page
from airflow_bitrix.report.summary import Summary, summarise

PORTAL = "https://acme.bitrix24.com"
EFFORT = ApplyCost(requests=1234, refused=5, repeats=6, waited=7.5, seconds=65.43)
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
