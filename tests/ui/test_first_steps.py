"""The way that the documentation tells of first, in each language: its pictures are taken here.

Found by addresses and by what the catalogue says, so that each language is walked by the same steps.
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from airflow_bitrix.core.languages import LANGUAGES, gettext, speaking
from scripts.local_airflow import LocalAirflow
from scripts.local_sandbox import ROOT, LocalSandbox
from scripts.processes import Processes, clean_environment
from tests.ui.conftest import PATIENCE, SIZE, log_in
from tests.ui.screens import Form

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Page

CLEAN_UP, RESTORE = "bitrix24_lead_link_cleanup", "bitrix24_link_restore"
TRIGGER = re.compile("^(Trigger|Запус)")


def form_of(page: Page, address: str) -> None:
    """Open the trigger form of a DAG."""
    page.goto(address)
    page.get_by_role("button", name=TRIGGER).first.click()
    expect(Form(page).field(gettext("Dry run"))).to_be_visible()


@pytest.mark.parametrize("language", LANGUAGES)
def test_from_a_dry_run_to_a_restore(
    browser: Browser, language: str, tmp_path: Path, shoot: Callable[[Page, str], None]
) -> None:
    with (
        Processes(clean_environment()) as processes,
        closing(browser.new_context(viewport=SIZE, locale=language)) as context,
        speaking(language),
    ):
        sandbox = LocalSandbox(processes).start()
        airflow = LocalAirflow(processes, home=tmp_path, dags=ROOT / "dags", language=language).start()
        airflow.create_connection("bitrix24_default", **sandbox.connection())
        for dag in (CLEAN_UP, RESTORE):
            airflow.wait_for_dag(dag)
            airflow.unpause(dag)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        log_in(page, airflow.url, airflow.password)

        def took(name: str) -> None:
            shoot(page, f"first-{language}-{name}")

        def run(dag: str, **conf: object) -> str:
            return f"{airflow.url}/dags/{dag}/runs/{airflow.trigger(dag, conf)}"

        def report(address: str) -> None:
            dag_id, _, run_id = address.rpartition("/dags/")[2].partition("/runs/")
            assert airflow.wait_for_run(dag_id, run_id) == "success"
            page.goto(f"{address}/plugin/bitrix24_report")
            expect(page.frame_locator("iframe").get_by_role("heading", level=1)).to_be_visible()

        form_of(page, f"{airflow.url}/dags/{CLEAN_UP}")
        took("trigger-form")
        report(run(CLEAN_UP))
        took("dry-run")

        real = run(CLEAN_UP, dry_run=False)
        run_id = real.rpartition("/")[2]
        airflow.wait_for_question(CLEAN_UP, run_id)
        page.goto(f"{real}/tasks/approve/required_actions")
        expect(page.locator("a[href*='bitrix24_report']").first).to_be_visible()
        took("approval")
        airflow.answer(CLEAN_UP, run_id, "approve", "Approve")
        report(real)
        took("report-tab")

        form_of(page, f"{airflow.url}/dags/{RESTORE}")
        report(run(RESTORE, journal=real))
        took("restore-report")
