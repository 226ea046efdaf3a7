"""The report tab as a person uses it: search, sort, turn pages, save files; behind a prefix too."""

from __future__ import annotations

import csv
import json
import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from scripts.big_run import FAILED_EVERY, REASON, plant
from tests.ui.conftest import OTHER, log_in
from tests.ui.screens import report_of, tab_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, FrameLocator, Locator, Page

    from tests.ui.conftest import Stage, Watch

HOST, TOUR = "bitrix24_link_snapshot", "bitrix24_link_methods_tour"
MANY = 100_000


@pytest.fixture(scope="module")
def tour(stage: Stage) -> str:
    """A run of twelve link operators, which goes on while the other tests look around."""
    links = stage.other.owners("deal")["5"]["links"] + stage.other.owners("lead")["5"]["links"]
    guest = next(number for number in range(1, 300) if number not in {link[0] for link in links})
    ids = {"lead_id": 5, "deal_id": 5, "contact_id": guest}
    return stage.airflow.trigger(TOUR, {"bitrix24_conn_id": OTHER, **ids})


@pytest.fixture(scope="module")
def address(stage: Stage, tour: str) -> str:
    """A run one of whose tasks, it seems, has left a plan of 100,000 changes and its journal."""
    assert tour
    host = stage.run(HOST, "success", bitrix24_conn_id=OTHER)
    folder = stage.left_by(host, "plan")
    plant(folder, MANY)
    return host


def changes_of(shown: FrameLocator) -> tuple[Locator, Locator]:
    """Give the rows of the table of changes, and the line that counts them."""
    section = shown.locator("#changes")
    return section.locator("tbody tr"), section.get_by_role("status")


def leads(rows: Locator) -> list[str]:
    """Give the ids of rows; behind each stands its title."""
    return [cell.partition(" ")[0] for cell in rows.locator("td:first-child").all_inner_texts()]


def test_100_000_changes_are_searched_filtered_sorted_and_turned_over(
    page: Page, address: str, shoot: Callable[[Page, str], None]
) -> None:
    shown = report_of(page, address)
    rows, status = changes_of(shown)
    expect(status).to_have_text("1 to 50 of 100,000")
    assert leads(rows)[:2] == ["1", "2"]
    shoot(page, "report-100000")

    shown.get_by_label("Outcome").select_option("failed")
    expect(status).to_have_text("1 to 50 of 100")
    assert leads(rows)[:2] == ["1000", "2000"]
    shown.get_by_role("button", name="Next").click()
    expect(status).to_have_text("51 to 100 of 100")
    expect(shown.get_by_role("button", name="Next")).to_be_disabled()
    shown.get_by_label("Search id, name or reason").fill("locked 77000")
    expect(status).to_have_text("1 to 1 of 1")
    assert leads(rows) == ["77000"]
    assert rows.locator("td:last-child").all_inner_texts() == [REASON], "a text, and no tag"
    rows.first.scroll_into_view_if_needed()
    shoot(page, "report-100000-searched")

    shown.get_by_label("Search id, name or reason").fill("nothing like it")
    expect(status).to_have_text("none")
    shown.get_by_label("Search id, name or reason").fill("")
    shown.get_by_label("Outcome").select_option("")
    owner = shown.locator("#changes th").first
    owner.get_by_role("button").click()
    expect(owner).to_have_attribute("aria-sort", "ascending")
    owner.get_by_role("button").click()
    expect(owner).to_have_attribute("aria-sort", "descending")
    expect(rows.first.locator("td").first).to_contain_text(re.compile("^100000 "))


def test_the_files_can_be_saved_from_the_tab(page: Page, address: str, tmp_path: Path) -> None:
    shown = report_of(page, address)
    for name in ("outcomes.csv", "outcomes.jsonl"):
        with page.expect_download() as saved:
            shown.get_by_role("link", name=name, exact=True).click()
        assert saved.value.suggested_filename.endswith(f".plan.{name}")
        saved.value.save_as(tmp_path / name)
    with (tmp_path / "outcomes.csv").open(newline="") as table:
        failed = [int(row["owner_id"]) for row in csv.DictReader(table) if row["outcome"] == "failed"]
    assert failed == list(range(FAILED_EVERY, MANY + 1, FAILED_EVERY))
    lines = (tmp_path / "outcomes.jsonl").read_text().splitlines()
    assert len(lines) == MANY
    assert json.loads(lines[-1])["owner_id"] == MANY


def test_the_folder_that_takes_the_run_back_is_copied(page: Page, address: str, stage: Stage) -> None:
    """Into another field of Airflow, as a person would."""
    shown = report_of(page, address)
    folder = shown.get_by_label("Folder").input_value()
    assert Path(folder, "plan").is_dir()
    shown.get_by_role("button", name="Copy").click()
    expect(shown.get_by_text("copied", exact=True)).to_be_visible()
    page.goto(f"{stage.airflow.url}/dags")
    field = page.get_by_placeholder("Search Dags").first
    field.click()
    page.keyboard.press("Control+V")
    expect(field).to_have_value(folder)


def test_the_tab_is_used_without_a_mouse(page: Page, address: str) -> None:
    """The tabulator reaches the fields, the heads of the table and the files, inside the frame."""
    shown = report_of(page, address)
    rows, status = changes_of(shown)
    expect(status).to_have_text("1 to 50 of 100,000")
    skip = shown.get_by_role("link", name="Skip to the table of changes")
    tab_to(page, skip)
    tab_to(page, shown.get_by_label("Folder"))
    skip.press("Enter")
    search = shown.get_by_label("Search id, name or reason")
    tab_to(page, search, most=1)
    page.keyboard.type("77000 locked")
    expect(status).to_have_text("1 to 1 of 1")
    tab_to(page, shown.locator("#changes th").first.get_by_role("button"))
    page.keyboard.press("Enter")
    expect(shown.locator("#changes th").first).to_have_attribute("aria-sort", "ascending")
    tab_to(page, rows.first.get_by_role("link").first)
    tab_to(page, shown.get_by_role("link", name="outcomes.csv"))


def test_behind_a_path_prefix_everything_is_found(
    browser: Browser, stage: Stage, address: str, watch: Watch, shoot: Callable[[Page, str], None]
) -> None:
    """As behind a proxy that gives Airflow a path of its own: page, rows, files and links."""
    url = stage.airflow.behind("/airflow")
    watch.homes += (f"{url}/",)
    with closing(browser.new_context(viewport={"width": 1200, "height": 1000})) as context:
        watch.over(context)
        page = context.new_page()
        log_in(page, url, stage.airflow.password)
        shown = report_of(page, address.replace(stage.airflow.url, url))
        _, status = changes_of(shown)
        shown.get_by_label("Outcome").select_option("failed")
        expect(status).to_have_text("1 to 50 of 100")
        with page.expect_download() as saved:
            shown.get_by_role("link", name="outcomes.csv", exact=True).click()
        assert saved.value.url.startswith(f"{url}/bitrix24/report/")
        assert saved.value.failure() is None
        shoot(page, "report-behind-a-prefix")


def test_tasks_lead_to_the_report_and_to_the_lead_or_deal(
    page: Page, stage: Stage, tour: str, address: str, shoot: Callable[[Page, str], None]
) -> None:
    """*Report* on what makes and carries out plans, *Open in Bitrix24* on link operators."""
    page.goto(f"{address}/tasks/deals/details")
    page.get_by_role("link", name="Report", exact=True).click()
    shown = page.frame_locator("iframe")
    expect(shown.get_by_role("heading", name="Changed since the snapshot before")).to_be_visible()
    expect(shown.get_by_role("link", name="deals", exact=True)).to_have_attribute("aria-current", "page")
    assert stage.airflow.wait_for_run(TOUR, tour) == "success"
    for task, kind in (("lead.add", "lead"), ("deal.items_set", "deal")):
        page.goto(f"{stage.dag(TOUR)}/runs/{tour}/tasks/{task}/details")
        shoot(page, f"link-{task}")
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Open in Bitrix24", exact=True).click()
        expect(opened.value).to_have_url(f"{stage.other.url}/crm/{kind}/details/5/")
        expect(opened.value.get_by_text("Contacts").first).to_be_visible()
