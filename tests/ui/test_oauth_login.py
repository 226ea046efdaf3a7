"""A person logs in at the portal, in a browser, and Airflow has its tokens from then on."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from playwright.sync_api import expect

from scripts.processes import clean_environment, free_port
from tests.ui.screens import told
from tests.ui.test_connection_form import press_test

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from scripts.local_airflow import LocalAirflow
    from tests.ui.conftest import Stage, Watch

CONN_ID = "bitrix24_application"


@contextmanager
def login(airflow: LocalAirflow, port: int) -> Iterator[subprocess.Popen[str]]:
    """Run the command that waits for the browser."""
    command = [
        *(sys.executable, "-u", "-m", "airflow_bitrix.login"),
        *("--conn-id", CONN_ID, "--listen", str(port)),
    ]
    environment = {**clean_environment(), **airflow.environment()}
    with subprocess.Popen(
        command,
        env=environment,
        cwd=airflow.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def page_to_open(output: IO[str]) -> tuple[str, str]:
    """Give the address that the command prints, and all that it has said until then."""
    said = ""
    for line in output:
        said += line
        if found := re.search(r"http\S+/oauth/authorize/\S+", line):
            return found[0], said
    raise AssertionError(said)


def test_a_person_logs_in_as_an_application(
    page: Page, stage: Stage, watch: Watch, shoot: Callable[[Page, str], None]
) -> None:
    given = stage.sandbox.application(tokens=False)
    stage.airflow.create_connection(CONN_ID, **given)
    press_test(page, stage, CONN_ID)
    expect(told(page, "Test Connection Failed")).to_contain_text(
        "Nobody has logged in yet; log in again: python -m airflow_bitrix.login --conn-id …"
    )
    port = free_port()
    home = f"http://127.0.0.1:{port}/"
    watch.homes += (home,)
    watch.expect("favicon")
    stage.sandbox.set_switches(handler=home)
    with login(stage.airflow, port) as running:
        assert running.stdout
        address, said = page_to_open(running.stdout)
        page.goto(address)
        expect(page.locator("body")).to_contain_text("Back to the terminal")
        shoot(page, "logged-in")
        said += running.communicate(timeout=60)[0]
    assert running.returncode == 0, said
    assert "There are spare tokens, too" in said
    assert f"Logged in to {stage.sandbox.url}. The tokens are in the Variable bitrix24_oauth_token_" in said
    assert "code=" not in said
    press_test(page, stage, CONN_ID)
    expect(told(page, "Test Connection Successful")).to_contain_text(f"Connected to {stage.sandbox.url} as ")
    page.goto(f"{stage.airflow.url}/variables")
    kept = page.get_by_role("row").filter(has_text="bitrix24_oauth_token_")
    expect(kept).to_have_count(2)
    expect(kept.filter(has_text="***")).to_have_count(2)
    shoot(page, "tokens-in-a-variable")
    # Other tests count what is there.
    stage.airflow.call("DELETE", f"/api/v2/connections/{CONN_ID}")
