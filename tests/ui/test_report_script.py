"""The page's script against answers as they come: in a browser, without Airflow and without a server."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.names import OwnerNames
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.names import write_part_names
from airflow_bitrix.files.outcome_index import read_index
from airflow_bitrix.plugins.run_pages import run_page
from airflow_bitrix.plugins.run_states import RunState
from airflow_bitrix.report.indexed import search_for, shown_rows, summary_of
from airflow_bitrix.report.page import as_html, row_json
from tests.plugins.runs import PORTAL, change, make_plan, note, outcome
from tests.ui.conftest import PATIENCE, SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page, Route

HOST = "http://127.0.0.1:1"
"""Nothing listens there; what is asked of it is answered here."""

REFRESH = 6_000
"""Milliseconds after which a page that follows a run has looked again."""

LOGIN = "<!doctype html><title>Log in</title><main><h1>Who are you?</h1></main>"


@dataclass
class Server:
    """Answers as the tab's routes do, from the files of a run under way.

    :param folder: The folder of the run.
    :param status: What it answers the page with.
    :param instead: Another page, that it answers with in the place of the report.
    """

    folder: Path
    status: int = 200
    instead: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, route: Route) -> None:
        """Answer a request for the page, or for rows."""
        address = urlsplit(route.request.url)
        self.asked.append(address.path)
        if address.path != "/rows":
            route.fulfill(status=self.status, content_type="text/html", body=self.instead or self.page())
            return
        wanted = {name: values[0] for name, values in parse_qs(address.query).items()}
        index = read_index(self.folder / "plan")
        search = search_for(wanted.get("search", ""))
        matches = search.matches if search.words else None
        found = index.rows([wanted["outcome"]] if "outcome" in wanted else (), "plan", matches, search.hints)
        at = int(wanted["at"])
        rows = shown_rows(index, found[at : at + int(wanted["size"])])
        route.fulfill(json={"total": len(found), "rows": [row_json(row) for row in rows]})

    def page(self) -> str:
        """Make the page anew."""
        tasks: Any = {path.name: path for path in self.folder.iterdir()}
        return run_page(RunState("running"), tasks, "", read_index)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """Of a run that has left nothing yet."""
    return Server(tmp_path)


@pytest.fixture
def shown(browser: Browser, server: Server) -> Iterator[Page]:
    """A browser whose clock is the test's."""
    with closing(browser.new_context(viewport=SIZE)) as context:
        context.set_default_timeout(PATIENCE)
        context.route(f"{HOST}/**", server.answer)
        errors: list[str] = []
        context.on("weberror", lambda error: errors.append(str(error.error)))
        page = context.new_page()
        page.clock.install(time="2026-11-21T10:00:00Z")
        yield page
        assert errors == []


def look_again(page: Page) -> None:
    """Let the time pass after which the page looks again, and wait for its answer."""
    with page.expect_response(f"{HOST}/"):
        page.clock.run_for(REFRESH)


def changes(page: Page) -> tuple[Locator, Locator]:
    """Give the rows of the table of changes, and the line that counts them."""
    section = page.locator("#changes")
    return section.locator("tbody tr"), section.get_by_role("status").first


def test_a_page_that_there_is_no_more_gives_way_to_the_last_one(
    shown: Page, server: Server, shoot: Callable[[Page, str], None]
) -> None:
    """Whoever looks at what is open, while it is applied, sees it become less."""
    folder = server.folder / "plan"
    manifest = make_plan(folder, [change(number) for number in range(1, 201)])
    note(folder, manifest, {0: []})
    shown.goto(f"{HOST}/")
    rows, status = changes(shown)
    shown.get_by_label("Outcome").select_option("open")
    for end in (100, 150, 200):
        shown.get_by_role("button", name="Next").click()
        expect(status).to_have_text(f"{end - 49} to {end} of 200")
    note(folder, manifest, {0: [outcome(number) for number in range(1, 121)]})
    look_again(shown)
    expect(status).to_have_text("51 to 80 of 80")
    expect(rows).to_have_count(30)
    shoot(shown, "report-fewer-open")
    note(folder, manifest, {0: [outcome(number) for number in range(121, 201)]})
    look_again(shown)
    expect(status).to_have_text("none")
    expect(shown.get_by_role("button", name="Back")).to_be_disabled()


def named_run(folder: Path) -> Change:
    """Leave a run with names, and give its last change: one of everything that may become of a contact."""
    before = LinkSet.of_ids(Owner("lead", 61), [377, 277, 5, 8], 377)
    links = (ContactLink(277, is_primary=True), ContactLink(5), ContactLink(12))
    last = Change(before, LinkSet(before.owner, links), ("fix_primary: two are one person",))
    make_plan(folder, [*(change(number, 7, 8) for number in range(1, 61)), last])
    told = OwnerNames(
        "Поставка «Север», 3 вагона", "In progress", "Olga Petrova", {377: "Анна Шмидт", 12: "<b>Ivan</b>"}
    )
    others = (
        (number, OwnerNames(f"Lead of {number}", "New", "Olga", {7: "Ivan"})) for number in range(1, 61)
    )
    write_part_names(folder, 0, [*others, (61, told)])
    return last


def look_of_contacts(page: Page) -> list[str]:
    """Tell how the contacts of the only row that is there look: what is read aloud, and how it is drawn."""
    told: list[str] = page.locator("#changes tbody tr td:nth-child(3) li").evaluate_all(
        """items => items.map((item) => {
          const mark = item.querySelector(":scope > del, :scope > ins");
          const line = mark ? getComputedStyle(mark).textDecorationLine : "plain";
          return `${item.innerText.replace(/\\s+/g, " ").trim()} | ${line}`;
        })"""
    )
    return told


WHAT_BECOMES = [
    "removed: 377 Анна Шмидт primary | line-through",
    "277 now primary | plain",
    "5 | plain",
    "removed: 8 | line-through",
    "added: 12 <b>Ivan</b> | underline",
]

CONTRAST = 4.5


def contrasts(page: Page) -> list[float]:
    """Give the contrast of each piece of text in the table with what is behind it."""
    found: list[float] = page.locator("#changes td :is(a, del, ins, small, span.first)").evaluate_all(
        """parts => {
          const channels = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((one) => {
            const share = one / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
          });
          const light = (colour) => channels(colour).reduce(
            (sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
          const behind = light(getComputedStyle(document.getElementById("changes")).backgroundColor);
          return parts.map((part) => light(getComputedStyle(part).color)).map((one) =>
            (Math.max(one, behind) + 0.05) / (Math.min(one, behind) + 0.05));
        }"""
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_becomes_of_contacts_is_seen_heard_and_found(
    shown: Page, server: Server, scheme: Any, shoot: Callable[[Page, str], None]
) -> None:
    """The same in the rows that come with the page and in those that its script draws."""
    last = named_run(server.folder / "plan")
    shown.emulate_media(color_scheme=scheme)
    shown.goto(f"{HOST}/")
    rows, status = changes(shown)
    expect(status).to_have_text("1 to 50 of 61")
    shoot(shown, f"report-names-{scheme}")
    search = shown.get_by_role("searchbox")
    for words in ("шмидт север", "ivan 377", "petrova"):
        with shown.expect_response(f"{HOST}/rows*"):
            search.fill(words)
            shown.clock.run_for(1_000)
        expect(status).to_have_text("1 to 1 of 1")
        assert look_of_contacts(shown) == WHAT_BECOMES
    expect(rows.first.get_by_role("link").first).to_have_text("61 Поставка «Север», 3 вагона")
    links = rows.first.get_by_role("link").evaluate_all("links => links.map((one) => one.href)")
    cards = [f"lead/details/{last.owner.id}", *(f"contact/details/{one}" for one in (377, 277, 5, 8, 12))]
    assert links == [f"{PORTAL}/crm/{card}/" for card in cards]
    assert min(contrasts(shown)) >= CONTRAST
    shoot(shown, f"report-difference-{scheme}")
    page = as_html(summary_of(read_index(server.folder / "plan")), folder="/runs/1")
    shown.set_viewport_size({"width": 360, "height": 800})
    shown.set_content(page)
    expect(changes(shown)[1]).to_have_text("1 to 50 of 50 of the first 50")
    search.fill("шмидт")
    shown.clock.run_for(1_000)
    expect(changes(shown)[1]).to_have_text("none of the first 50")
    search.fill("ivan olga 15")
    shown.clock.run_for(1_000)
    assert look_of_contacts(shown) == ["removed: 7 Ivan primary | line-through", "removed: 8 | line-through"]
    assert min(contrasts(shown)) >= CONTRAST
    ends = "cells => cells.map((one) => one.getBoundingClientRect().right)"
    assert max(shown.locator("#changes td").evaluate_all(ends)) <= 360, "a cell is out of sight"
    shoot(shown, f"report-names-narrow-{scheme}")


@pytest.mark.parametrize("kept", ["ru", ""])
def test_the_tab_speaks_the_language_that_airflow_keeps(shown: Page, server: Server, kept: str) -> None:
    """Its page may go on naming the one that it came with; where nothing is kept, that one counts."""
    manifest = make_plan(server.folder / "plan", [change(1)])
    note(server.folder / "plan", manifest, {0: [outcome(1)]})
    keeps = f'<script>localStorage.setItem("i18nextLng", "{kept}")</script>'
    airflow = f'<html lang="de">{keeps}<iframe src="{HOST}/"></iframe>'
    shown.route(f"{HOST}/airflow", lambda route: route.fulfill(content_type="text/html", body=airflow))
    shown.goto(f"{HOST}/airflow")
    shown.frames[1].wait_for_url(f"{HOST}/?lang={kept or 'de'}")


@pytest.mark.parametrize("fails", [503, 500, 0])
def test_a_page_says_since_when_it_is_not_up_to_date(
    shown: Page, server: Server, fails: int, shoot: Callable[[Page, str], None]
) -> None:
    """Until it is again, whether the server refuses or cannot be reached."""
    folder = server.folder / "plan"
    manifest = make_plan(folder, [change(1), change(2)])
    note(folder, manifest, {0: [outcome(1)]})
    shown.goto(f"{HOST}/")
    shown.clock.run_for(2 * 60_000)
    expect(shown.get_by_text("Being applied.")).to_be_visible()
    old = shown.get_by_text("Not up to date since 10:02 UTC")
    expect(old).to_have_count(0)
    if fails:
        server.status, server.instead = fails, "Not now."
    else:
        shown.context.route(f"{HOST}/", lambda route: route.abort())
    for _ in range(20):
        shown.clock.run_for(REFRESH)
    expect(old).to_be_visible()
    expect(old).to_have_count(1)
    expect(shown.get_by_text("Being applied.")).to_be_visible()
    shoot(shown, f"report-not-up-to-date-{fails}")
    server.status, server.instead = 200, ""
    if not fails:
        shown.context.unroute(f"{HOST}/")
    look_again(shown)
    expect(old).to_have_count(0)


@pytest.mark.parametrize("has_plan", [True, False])
def test_another_page_in_its_place_ends_it(
    shown: Page, server: Server, *, has_plan: bool, shoot: Callable[[Page, str], None]
) -> None:
    """As the login of a proxy before Airflow, which comes with 200."""
    if has_plan:
        make_plan(server.folder / "plan", [change(1)])
    shown.goto(f"{HOST}/")
    expect(shown.get_by_text("Planned, not applied yet." if has_plan else "No plan yet.")).to_be_visible()
    server.instead = LOGIN
    look_again(shown)
    expect(shown.get_by_text(re.compile("^Your session has ended: log in again"))).to_be_visible()
    shoot(shown, f"report-another-page-{has_plan}")
    server.asked.clear()
    shown.clock.run_for(3 * REFRESH)
    assert server.asked == [], "it asks no more"
