"""The whole way of a person: connect, plan, approve, watch, read, look at a lead, and take it all back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from scripts.airflow_api import READING
from tests.ui.accessibility import faults
from tests.ui.screens import RUN_OVER, Form, report_of, tab_to, told, trigger_form

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.ui.conftest import Stage

CLEAN_UP, RESTORE = "bitrix24_lead_link_cleanup", "bitrix24_link_restore"


def connect(page: Page, stage: Stage) -> None:
    """Create the connection that the DAGs use, and test it."""
    given = stage.sandbox.connection()
    page.goto(f"{stage.airflow.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = Form(page)
    form.choose("Connection Type", "Bitrix24")
    form.input("Connection ID").fill("bitrix24_default")
    for label, value in {
        "Portal address": given["host"],
        "Port": given["port"],
        "Webhook user id": given["login"],
        "Webhook code": given["password"],
    }.items():
        form.input(label).fill(str(value))
    form.button("Save").click()
    row = page.get_by_role("row").filter(has=page.get_by_text("bitrix24_default", exact=True))
    row.get_by_role("button", name="Test Connection").click()
    expect(told(page, "Test Connection Successful")).to_be_visible()


def start(page: Page, form: Form) -> str:
    """Trigger what the form says, and give the id of the run whose page follows."""
    form.button("Trigger").click()
    page.wait_for_url("**/runs/*")
    return page.url.rpartition("/runs/")[2]


def open_question(page: Page, stage: Stage, dag_id: str, run_id: str) -> None:
    """Wait until the run asks, and go to what it asks as its page offers it."""
    stage.airflow.wait_for_question(dag_id, run_id)
    page.get_by_role("table").get_by_role("link", name="Ask for approval", exact=True).click()
    page.get_by_role("link", name="Required Action").click()
    expect(page.get_by_role("button", name="Approve")).to_be_enabled()
    time.sleep(READING)  # an answer that comes at once may be lost; nobody reads faster


def watch_it_finish(page: Page, stage: Stage, dag_id: str, run_id: str, *, tasks: int = 5) -> None:
    """Look at the run's page until all tasks that are not skipped have succeeded, and so the run."""
    page.goto(f"{stage.dag(dag_id)}/runs/{run_id}")
    expect(page.get_by_text("Success", exact=True)).to_have_count(tasks + 1, timeout=RUN_OVER)


def open_first_lead(page: Page, stage: Stage) -> Page:
    """Follow the first link to a lead; it opens a page of its own."""
    with page.context.expect_page() as opened:
        page.locator(f"a[href^='{stage.sandbox.url}/crm/lead/details/']").first.click()
    return opened.value


def contacts_on(page: Page) -> list[str]:
    """Tell the contacts on the portal's page of a lead, in order."""
    page.reload()
    section = page.locator("section", has_text="Contacts").first
    expect(section).to_be_visible()
    return section.locator("tr:has(td)").all_inner_texts()


def log_of(page: Page, stage: Stage, dag_id: str, run_id: str, task: str) -> None:
    """Open the log of a task."""
    page.goto(f"{stage.dag(dag_id)}/runs/{run_id}/tasks/{task}")
    expect(page.get_by_role("link", name="Logs")).to_be_visible()


def read_the_logs(
    page: Page, stage: Stage, run: str, released: int, shoot: Callable[[Page, str], None]
) -> None:
    """The check tells the whole of it in a group that opens, a part one line of figures."""
    log_of(page, stage, CLEAN_UP, run, "check")
    expect(page.get_by_text(f"Outcomes of {released} leads: {released} applied")).to_be_visible()
    page.get_by_text("▶ Report", exact=True).click()
    expect(page.get_by_text("written and read back")).to_be_visible()
    shoot(page, "way-08-log-of-the-check")
    log_of(page, stage, CLEAN_UP, run, "apply/mapped/0")
    expect(page.get_by_role("heading", name="Apply the plan [part 0]")).to_be_visible()
    expect(page.get_by_text(f"{released} of {released} changes")).to_be_visible()
    expect(page.get_by_text("▶ Report", exact=True)).to_have_count(0)
    shoot(page, "way-09-log-of-a-part")


def read_the_report(page: Page, run_address: str, lead: Page, shoot: Callable[[Page, str], None]) -> None:
    """The tab of the run tells that it is done, and leads to the leads."""
    shown = report_of(page, run_address)
    expect(shown.get_by_text("Done. Every change has its outcome.")).to_be_visible()
    shoot(page, "way-07-report")
    lead_id = lead.url.rstrip("/").rpartition("/")[2]
    with page.context.expect_page() as opened:
        shown.locator(f"a[href$='/crm/lead/details/{lead_id}/']").first.click()
    assert contacts_on(opened.value) == []


def clean_up(page: Page, stage: Stage, shoot: Callable[[Page, str], None]) -> tuple[str, Page, list[str]]:
    """Plan, read, approve and watch; give the run, the page of a lead and the contacts it had."""
    form = trigger_form(page, stage.dag(CLEAN_UP))
    form.switch("Dry run", on=False)
    shoot(page, "way-02-trigger")
    run = start(page, form)
    open_question(page, stage, CLEAN_UP, run)
    expect(page.get_by_text(f"{len(stage.sandbox.released_leads())} leads to change")).to_be_visible()
    expect(page.get_by_text("left without contacts")).to_be_visible()
    largest = page.get_by_role("heading", name="The largest changes")
    expect(largest).to_be_visible()
    assert faults(page, largest.locator("xpath=..")) == []
    shoot(page, "way-03-approval")

    lead = open_first_lead(page, stage)
    before = contacts_on(lead)
    assert len(before) > 1
    expect(lead.get_by_text("repeat lead")).to_be_visible()
    shoot(lead, "way-04-lead-before")

    with page.context.expect_page() as opened:
        page.get_by_role("link", name="All changes, in the report of this run").click()
    shown = opened.value.frame_locator("iframe")
    expect(shown.get_by_role("heading", name="Lead link clean-up")).to_be_visible()
    expect(shown.get_by_text("changes planned")).to_be_visible()
    shoot(opened.value, "way-05-report-before")
    shown.get_by_role("link", name="Answer", exact=True).click()
    expect(opened.value.get_by_role("button", name="Approve")).to_be_enabled()
    shoot(opened.value, "way-05-back-to-the-question")

    page.get_by_role("button", name="Approve").click()
    watch_it_finish(page, stage, CLEAN_UP, run)
    shoot(page, "way-06-run-finished")
    return run, lead, before


def restore(page: Page, stage: Stage, run: str, shoot: Callable[[Page, str], None]) -> None:
    """Take a run back; approve that without a mouse."""
    cleaned = report_of(page, f"{stage.dag(CLEAN_UP)}/runs/{run}")
    journal = cleaned.get_by_label("Folder").input_value()
    assert journal == str(Path(stage.airflow.xcom(CLEAN_UP, run, "check")["report"]).parent)
    cleaned.get_by_role("link", name="Open that DAG").click()
    page.wait_for_url(f"{stage.dag(RESTORE)}*")
    form = trigger_form(page, stage.dag(RESTORE))
    form.switch("Dry run", on=False)
    form.input("Journal").fill(journal)
    shoot(page, "way-11-restore-form")
    back = start(page, form)
    open_question(page, stage, RESTORE, back)
    expect(page.get_by_text("links that are added back")).to_be_visible()
    shoot(page, "way-12-restore-approval")
    tab_to(page, page.get_by_role("button", name="Approve"), most=200)  # each contact is a link
    page.keyboard.press("Enter")
    watch_it_finish(page, stage, RESTORE, back, tasks=6)
    shoot(page, "way-13-restore-finished")
    shown = report_of(page, f"{stage.dag(RESTORE)}/runs/{back}")
    expect(shown.get_by_role("heading", name="Lead link restore")).to_be_visible()
    expect(
        shown.get_by_text(f"A restore. Takes back run {run} of the DAG {CLEAN_UP}, planned")
    ).to_be_visible()
    expect(shown.get_by_text("Done. Every change has its outcome.")).to_be_visible()
    shoot(page, "way-14-restore-report")
    cleaned = report_of(page, f"{stage.dag(CLEAN_UP)}/runs/{run}")
    taken = cleaned.get_by_text(f"Taken back by run {back} of the DAG {RESTORE}")
    expect(taken).to_have_count(2)  # as a notice, and in what happened when
    shoot(page, "way-15-taken-back")


def test_from_the_connection_to_the_restored_contacts(
    page: Page, stage: Stage, shoot: Callable[[Page, str], None]
) -> None:
    """Clean up, see the contacts of a lead gone, restore, see them back."""
    connect(page, stage)
    shoot(page, "way-01-connection")

    run, lead, before = clean_up(page, stage, shoot)
    read_the_report(page, f"{stage.dag(CLEAN_UP)}/runs/{run}", lead, shoot)
    read_the_logs(page, stage, run, len(stage.sandbox.released_leads()), shoot)
    assert contacts_on(lead) == []
    expect(lead.get_by_text("No contact is linked.")).to_be_visible()
    expect(lead.get_by_text("repeat lead")).to_have_count(0)
    shoot(lead, "way-10-lead-after")

    restore(page, stage, run, shoot)
    assert contacts_on(lead) == before
    shoot(lead, "way-16-lead-restored")
