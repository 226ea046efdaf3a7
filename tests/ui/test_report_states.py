"""The report tab in every state that a run can be in, in light and in dark, seen by who is logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import OTHER
from tests.ui.screens import RUN_OVER, report_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import FrameLocator, Page

    from tests.ui.conftest import Stage, Watch

    Look = Callable[..., FrameLocator]

LEADS, DEALS = "bitrix24_lead_link_cleanup", "bitrix24_deal_link_cleanup"
SNAPSHOT = "bitrix24_link_snapshot"
REAL: dict[str, Any] = {"dry_run": False, "bitrix24_conn_id": OTHER}
LOCKED = {"error": "", "error_description": "The deal is locked by another user."}


@pytest.fixture(scope="module", autouse=True)
def _ready(stage: Stage) -> None:
    wrong = {**stage.other.connection(), "password": "notTheCode1"}
    stage.airflow.create_connection("bitrix24_locked_out", **wrong)


@pytest.fixture
def look(page: Page, shoot: Callable[[Page, str], None]) -> Look:
    """Open the report of a run, see that it says something, and take its picture in light and dark."""

    def looking(address: str, name: str, *says: str) -> FrameLocator:
        shown = report_of(page, address)
        for text in says:
            expect(shown.get_by_text(text).first).to_be_visible()
        for theme in ("light", "dark"):
            page.evaluate(f"document.documentElement.className = '{theme}'")
            expect(shown.locator("html")).to_have_attribute("data-theme", theme)
            shoot(page, f"report-{name}-{theme}")
        return shown

    return looking


def test_a_dry_run(stage: Stage, look: Look) -> None:
    shown = look(
        stage.run(LEADS, "success", bitrix24_conn_id=OTHER),
        "dry-run",
        "Lead link clean-up, dry run",
        "Nothing was written to the portal.",
        "nobody was asked to approve: a dry run writes nothing",
    )
    expect(shown.get_by_text("Take this run back")).to_have_count(0)


def test_a_rejected_plan(stage: Stage, look: Look) -> None:
    run_id = stage.airflow.trigger(LEADS, REAL)
    stage.airflow.wait_for_question(LEADS, run_id)
    stage.airflow.answer(LEADS, run_id, "approve", "Reject")
    assert stage.airflow.wait_for_run(LEADS, run_id) == "success"
    look(f"{stage.dag(LEADS)}/runs/{run_id}", "rejected", "Rejected by admin", "Nothing was written.")


def test_a_plan_that_waits_is_applied_and_is_done(stage: Stage, look: Look) -> None:
    """The page follows by itself: it is opened while somebody has to answer, and not opened again."""
    run_id = stage.airflow.trigger(LEADS, {**REAL, "canary": 0})
    stage.airflow.wait_for_question(LEADS, run_id)
    address = f"{stage.dag(LEADS)}/runs/{run_id}"
    shown = look(address, "waiting", "Waits for an approval.", "under Required actions")
    stage.other.set_faults(slow=1.0, slow_seconds=5)
    stage.airflow.answer(LEADS, run_id, "approve", "Approve")
    expect(shown.get_by_text("Being applied.")).to_be_visible()
    look(address, "running", "Being applied.", "changes have their outcome; this page follows by itself.")
    biggest = shown.get_by_role("region", name="The biggest changes").get_by_role("link").nth(3)
    biggest.focus()
    top = biggest.evaluate("() => scrollY")
    applied = shown.locator(".bar.applied .n")
    expect(applied).not_to_have_text(applied.inner_text())
    expect(biggest).to_be_focused()
    assert biggest.evaluate("() => scrollY") == top > 0, "it stays where whoever reads it is"
    stage.other.set_faults()
    expect(shown.get_by_text("Done. Every change has its outcome.")).to_be_visible(timeout=RUN_OVER)
    expect(shown.get_by_role("link", name="report.html")).to_be_visible()
    expect(shown.get_by_text("approved by admin")).to_be_visible()
    shown = look(address, "done", "Done. Every change has its outcome.")
    folder = shown.get_by_label("Folder")
    expect(folder).to_have_value(str(stage.left_by(address, "plan")))

    stage.other.set_faults(slow=1.0, slow_seconds=5)
    again = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["check"], "only_failed": False}
    stage.airflow.call("POST", f"/api/v2/dags/{LEADS}/clearTaskInstances", json=again)
    shown = look(address, "again", "Run again since", "The plan is older, and so are its outcomes")
    expect(shown.get_by_text("Done.")).to_have_count(0)
    stage.other.set_faults()
    expect(shown.get_by_text("Done. Every change has its outcome.")).to_be_visible(timeout=RUN_OVER)


def test_a_page_says_that_its_session_has_ended(stage: Stage, page: Page, watch: Watch) -> None:
    """And asks no more."""
    watch.expect("401")
    run_id = stage.airflow.trigger(DEALS, REAL)
    stage.airflow.wait_for_question(DEALS, run_id)
    shown = report_of(page, f"{stage.dag(DEALS)}/runs/{run_id}")
    expect(shown.get_by_text("Waits for an approval.")).to_be_visible()
    page.context.clear_cookies()
    page.route("**/ui/**", lambda route: route.abort())  # Airflow's own page would leave for its login
    page.route("**/api/v2/**", lambda route: route.abort())
    watch.expect("ERR_FAILED|Failed to fetch")
    expect(shown.get_by_text("Your session has ended: log in again")).to_be_visible()
    stage.airflow.answer(DEALS, run_id, "approve", "Reject")
    assert stage.airflow.wait_for_run(DEALS, run_id) == "success"


def test_a_plan_with_nothing_in_it(stage: Stage, look: Look) -> None:
    """There is nothing left to do after the run before."""
    look(stage.run(LEADS, "success", **REAL), "empty", "The plan is empty: nothing is to be changed.")


def test_a_run_in_which_changes_failed(
    stage: Stage, look: Look, page: Page, shoot: Callable[[Page, str], None]
) -> None:
    """With the portal's own words."""
    stage.other.set_faults(command=1.0, command_error=LOCKED, only_methods=["crm.deal.contact.items.set"])
    more = {"canary": 0, "max_failure_share": None}
    address = stage.run(DEALS, "failed", approve=True, **REAL, **more)
    stage.other.set_faults()
    shown = look(address, "failed", "changes failed.", "clear the tasks that apply the plan to try")
    reason = shown.get_by_role("region", name="Failed, drifted, overwritten").get_by_text(
        "The deal is locked"
    )
    reason.first.scroll_into_view_if_needed()
    expect(reason.first).to_be_visible()
    shoot(page, "report-failed-reasons")


def test_a_run_one_of_whose_tasks_is_to_be_tried_again(stage: Stage, look: Look) -> None:
    stage.other.set_faults(command=1.0, command_error=LOCKED, only_methods=["crm.deal.contact.items.set"])
    run_id = stage.airflow.trigger(DEALS, {**REAL, "canary": 3})
    stage.approve(DEALS, run_id)
    stage.airflow.wait_for_task(DEALS, run_id, "canary", "up_for_retry")
    stage.other.set_faults()
    tried = ("A task has failed, and Airflow will try it again:", "canary.", "The task canary failed: ")
    look(f"{stage.dag(DEALS)}/runs/{run_id}", "retrying", *tried, "Being applied.")
    over = {"state": "failed"}
    stage.airflow.call("PATCH", f"/api/v2/dags/{DEALS}/dagRuns/{run_id}", json=over)


def test_a_plan_that_may_not_run(stage: Stage, look: Look) -> None:
    address = stage.run(DEALS, "failed", **REAL, max_changes=1)
    look(address, "refused", "A real run of this plan is refused:", "max_changes allows 1", "not applied.")


def test_a_run_that_failed_before_it_had_a_plan(stage: Stage, look: Look) -> None:
    address = stage.run(DEALS, "failed", bitrix24_conn_id="bitrix24_locked_out")
    look(address, "no-plan", "The run failed before it had a plan.", "The task plan failed:", "Its log")


def test_a_run_that_compares_snapshots(stage: Stage, look: Look) -> None:
    """And leads back to them."""
    for _ in range(2):
        address = stage.run(SNAPSHOT, "success", bitrix24_conn_id=OTHER)
    shown = look(address, "snapshot", "Changed since the snapshot before", "None: every link is as")
    snapshot = stage.left_by(address, "deals", "snapshot")
    expect(shown.get_by_label("Snapshot of ").last).to_have_value(str(snapshot))
    expect(shown.get_by_label("Snapshot of ").first).not_to_have_value(str(snapshot))
    shown.get_by_role("link", name="leads", exact=True).click()
    expect(shown.get_by_role("link", name="leads", exact=True)).to_have_attribute("aria-current", "page")
