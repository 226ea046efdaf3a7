"""The report can be read: on a telephone, enlarged, printed, by who hears it, in light and in dark."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from airflow_bitrix.core.differences import Difference
from airflow_bitrix.core.languages import LANGUAGES, speaking
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.files.apply_times import ApplyTimes
from airflow_bitrix.files.approvals import Approval
from airflow_bitrix.files.snapshots import Snapshot
from airflow_bitrix.report import changes, page
from airflow_bitrix.report.notices import failed, notices
from airflow_bitrix.report.offers import Places, next_steps
from airflow_bitrix.report.opening import opening
from airflow_bitrix.report.page import Download, Found, Tab, as_tab
from tests.report.summaries import FOLDER, PORTAL, outcome, summary
from tests.report.test_recoveries import COUNTS, RUN
from tests.ui.accessibility import faults
from tests.ui.conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from playwright.sync_api import Browser, Page, ViewportSize

    from airflow_bitrix.core.plan import OutcomeName
    from airflow_bitrix.report.summary import Summary

PHONE: ViewportSize = {"width": 360, "height": 740}
TWICE: ViewportSize = {"width": 600, "height": 500}
"""What a window of 1200 pixels holds at a zoom of 200 %."""

WIDE: ViewportSize = {"width": 1200, "height": 1000}

BEGIN = 1_795_255_260
PLACES = Places("#dag", "#run", "#question", "#asker", "#restore")
ASKED = Approval("0" * 64, "waiting", "2026-11-21T10:00:10+00:00", until="2999-11-22T10:00:30+00:00")
APPROVED = structs.replace(ASKED, answer="approved", by="Olga", put=ASKED.at)


def applied() -> Summary:
    """A run of all that there may be: outcomes of each kind, a pace, an approval, a check."""
    names: tuple[OutcomeName, ...] = ("applied", "failed", "drift", "already", "applied", "applied")
    told = [
        outcome(number, names[number % 6], "The lead is locked." * (number % 6 in (1, 2)))
        for number in range(1, 13)
    ]
    counts = Counter({BEGIN + at: 200 + at % 170 for at in range(0, 700, 5)})
    return replace(
        summary(told, planned=20),
        approval=APPROVED,
        times=ApplyTimes(BEGIN, BEGIN + 700, counts),
        checked="2026-11-21T10:20:00+00:00",
    )


def tab_of(made: Summary, run: str, *, is_begun: bool) -> str:
    """Give the tab of a run, with all that stands around a summary."""
    told = [*failed({"apply": "the portal refused: access denied"}, {"apply": "#log"})]
    tab = Tab(
        made.title,
        [*told, *notices(made, run, is_begun=is_begun)],
        opening(made, run, is_begun=is_begun),
        run == "running",
        ["plan", "deals.plan"],
        "plan",
        "rows?task=plan",
        [Download("#", "failed.csv", "what failed, and why")],
        offers=next_steps(made, FOLDER, PLACES, run, is_begun=is_begun),
    )
    return as_tab(made, tab)


def comparison() -> str:
    """Give the page of a comparison of two snapshots."""
    old, new = (
        Snapshot(Path(FOLDER), "lead", PORTAL, f"2026-11-2{day}T02:00:00+00:00", "ids", 9, "0" * 64)
        for day in (1, 2)
    )
    before, after = LinkSet.of_ids(Owner("lead", 7), [1, 2], 1), LinkSet.of_ids(Owner("lead", 7), [2], 2)
    found = changes.gather(
        old, new, [Difference(Owner("lead", 7), "removed", before, after, (1,))], lambda _: None
    )
    return changes.as_page(found, requests=3)


def pages() -> Mapping[str, str]:
    """Give the pages in the language that is spoken, by name."""
    waiting = replace(summary([], planned=5), approval=ASKED)
    found = Found(
        "Changed since the snapshot before",
        ["id", "what"],
        {"gone": 1},
        {"gone": "no longer there"},
        [["5", "gone"]],
        counted="leads",
    )
    return {
        "file": page.as_html(applied(), folder=FOLDER),
        "done": tab_of(applied(), "success", is_begun=True),
        "waiting": tab_of(waiting, "running", is_begun=False),
        "restore": tab_of(
            replace(summary([], planned=5, counts=COUNTS, **RUN), dry_run=True), "success", is_begun=True
        ),
        "found": as_tab(None, Tab(found.title, found=found)),
        "comparison": comparison(),
    }


@pytest.fixture
def opened(browser: Browser) -> Iterator[Page]:
    """A window in which a page is opened by its text, see :func:`show`."""
    with closing(browser.new_context(viewport=WIDE)) as context:
        context.set_default_timeout(PATIENCE)
        yield context.new_page()


def show(opened: Page, html: str) -> None:
    """Open a page by its text."""
    opened.unroute_all()
    opened.route("http://127.0.0.1:1/**", lambda route: route.fulfill(content_type="text/html", body=html))
    opened.goto("http://127.0.0.1:1/")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_can_be_read_by_everybody(opened: Page, pictures: Path, language: str) -> None:
    """Axe finds nothing, in light and in dark, and nobody has to scroll sideways but in a table."""
    with speaking(language):
        made = pages()
    wrong: list[str] = []
    for name, html in made.items():
        show(opened, html)
        for size, scheme in ((TWICE, "light"), (PHONE, "light"), (WIDE, "dark")):
            at = f"{name}-{size['width']}-{scheme}-{language}"
            opened.set_viewport_size(size)
            opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            wide = opened.evaluate("document.documentElement.scrollWidth")
            wrong += [f"{at}: {wide} pixels wide"] * (wide > size["width"])
            if size is not TWICE:
                wrong += [f"{at}: {one}" for one in faults(opened)]
            opened.screenshot(path=pictures / f"read-{at}.png", animations="disabled")
    assert wrong == []


def test_a_printed_report_has_no_controls_and_keeps_its_bars(opened: Page, pictures: Path) -> None:
    opened.emulate_media(color_scheme="dark", media="print")
    show(opened, page.as_html(applied(), folder=FOLDER))
    for control in opened.locator(".copy button, .tools button, input[type=search], select, a.button").all():
        assert not control.is_visible()
    bar, body = opened.locator(".bar.applied rect"), opened.locator("body")
    assert bar.evaluate("one => getComputedStyle(one).printColorAdjust") == "exact"
    assert body.evaluate("one => getComputedStyle(one).backgroundColor") == "rgb(255, 255, 255)"
    opened.screenshot(path=pictures / "read-printed.png")
