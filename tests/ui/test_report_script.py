"""The page's script against answers as they come: in a browser, without Airflow and without a server."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from airflow_bitrix.files.outcome_index import read_index
from airflow_bitrix.plugins.run_pages import run_page
from airflow_bitrix.plugins.run_states import RunState
from airflow_bitrix.report.indexed import shown_rows
from airflow_bitrix.report.page import row_json
from tests.plugins.runs import change, make_plan, note, outcome
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
        found = index.rows([wanted["outcome"]] if "outcome" in wanted else ())
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
