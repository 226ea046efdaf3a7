"""A real Airflow with the sample DAGs, a sandbox portal, and a browser in which a person is logged in."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

from airflow_bitrix.operators.shared.artifacts import folder_names
from scripts.airflow_api import USER
from scripts.local_airflow import LocalAirflow
from scripts.local_sandbox import ROOT, LocalSandbox
from scripts.processes import Processes, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Page,
        Request,
        Response,
        ViewportSize,
    )

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
PATIENCE = 30_000
"""Milliseconds that anything may take to appear; the machine may be busy with other things."""

OTHER = "bitrix24_other"
FAILED, EXCERPT = 500, 2_000
"""The first status that tells of a fault of the server, and the characters kept of what it says."""

SIZE: ViewportSize = {"width": 1200, "height": 1000}


@dataclass(frozen=True)
class Stage:
    """Airflow, and the portal that a connection could lead to; there is none by the default name.

    :param other: A second portal, to which the connection :data:`OTHER` leads.
    """

    airflow: LocalAirflow
    sandbox: LocalSandbox
    other: LocalSandbox

    def dag(self, dag_id: str) -> str:
        """Tell the address of a DAG's page."""
        return f"{self.airflow.url}/dags/{dag_id}"

    def run(self, dag_id: str, state: str, *, approve: bool = False, **conf: Any) -> str:
        """Run a DAG to its end, and give the address of the run."""
        run_id = self.airflow.trigger(dag_id, conf)
        if approve:
            self.approve(dag_id, run_id)
        assert self.airflow.wait_for_run(dag_id, run_id) == state
        return f"{self.dag(dag_id)}/runs/{run_id}"

    def approve(self, dag_id: str, run_id: str) -> None:
        """Let a run go on that asks whether its plan may be applied."""
        self.airflow.wait_for_question(dag_id, run_id)
        self.airflow.answer(dag_id, run_id, "approve", "Approve")

    def left_by(self, address: str, *names: str) -> Path:
        """Give a file or folder that a run has left, by the address of the run."""
        dag_id, _, run_id = address.rpartition("/dags/")[2].partition("/runs/")
        return self.airflow.home.joinpath("artifacts", *folder_names(dag_id, run_id), *names)

    def details(self, dag_id: str) -> dict[str, Any]:
        """Tell what Airflow knows of a DAG."""
        found: dict[str, Any] = self.airflow.call("GET", f"/api/v2/dags/{dag_id}/details")
        return found


@dataclass
class Watch:
    """What a browser should not do: complain in its console, or ask another host.

    :param homes: The addresses that may be asked.
    :param expected: Patterns of complaints that a test brings about on purpose.
    """

    homes: tuple[str, ...]
    expected: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Watch all pages of a context."""
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("request", self._see)
        context.on("response", self._read)

    def expect(self, pattern: str) -> None:
        """Take a complaint for what the test is about."""
        self.expected.append(pattern)

    def problems(self) -> list[str]:
        """Tell the complaints that nobody expected, and the requests to strangers."""
        errors = [one for one in self.errors if not any(re.search(known, one) for known in self.expected)]
        return errors + self.strangers

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location['url']}")

    def _read(self, response: Response) -> None:
        """Keep what a server says that has failed; the console tells its address only."""
        if response.status >= FAILED:
            said = f"{response.request.method} {response.url}: {response.text()[:EXCERPT]}"
            self.errors.append(f"{response.status} {said}")

    def _see(self, request: Request) -> None:
        if not request.url.startswith((*self.homes, "data:", "blob:")):
            self.strangers.append(f"{request.method} {request.url}")


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Airflow and a sandbox portal for the whole test session."""
    with Processes(clean_environment()) as processes:
        sandbox = LocalSandbox(processes, leads=600, deals=300, contacts=500).start()
        home = tmp_path_factory.mktemp("airflow") / "home"
        airflow = LocalAirflow(processes, home=home, dags=ROOT / "dags", schedules=False).start()
        other = LocalSandbox(processes, leads=400, deals=300, contacts=300).start()
        for file in sorted((ROOT / "dags").glob("*.py")):
            airflow.wait_for_dag(file.stem)
            # Or the trigger form does it in the moment of its own request; see `LOCKED` of the local Airflow.
            airflow.unpause(file.stem)
        airflow.create_connection(OTHER, **other.connection())
        yield Stage(airflow, sandbox, other)


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """Open Debian's Chromium; Playwright's own is never downloaded."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert path, "no Chromium on this machine: run `make browser`"
    expect.set_options(timeout=PATIENCE)
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=path, args=list(FLAGS))) as chromium,
    ):
        yield chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with open_chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def login(browser: Browser, stage: Stage) -> Any:
    """Log in once, and give the cookies that came of it."""
    with closing(browser.new_context()) as context:
        log_in(context.new_page(), stage.airflow.url, stage.airflow.password)
        return context.storage_state()


def log_in(page: Page, url: str, password: str) -> None:
    """Log in on Airflow's own page."""
    page.goto(f"{url}/auth/login/")
    page.locator("input[name=username]").fill(USER)
    page.locator("input[name=password]").fill(password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name=re.compile("^(Dags|Dag-и)$"))).to_be_visible()


@pytest.fixture
def watch(stage: Stage) -> Iterator[Watch]:
    """Fail a test whose pages complain or ask another host."""
    watching = Watch(tuple(f"{home.url}/" for home in (stage.airflow, stage.sandbox, stage.other)))
    yield watching
    assert watching.problems() == []


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: ``UI_ARTIFACTS``, or a folder of this session."""
    named = os.environ.get("UI_ARTIFACTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def shoot(pictures: Path) -> Callable[[Page, str], None]:
    """Take a picture of a page as it is seen."""

    def take(page: Page, name: str) -> None:
        page.screenshot(path=pictures / f"{name}.png", animations="disabled")

    return take


@pytest.fixture
def page(
    browser: Browser, login: Any, watch: Watch, pictures: Path, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A page in which a person is logged in; its last picture is kept."""
    with closing(browser.new_context(storage_state=login, viewport=SIZE)) as context:
        watch.over(context)
        context.set_default_timeout(PATIENCE)
        opened = context.new_page()
        yield opened
        name = re.sub(r"\W+", "-", request.node.name.removeprefix("test_")).strip("-")
        opened.screenshot(path=pictures / f"end-{name}.png", animations="disabled")
