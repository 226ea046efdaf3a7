"""Measure the report tab in a browser: ``python -m benchmarks.report_tab [--outcomes 100000]``.

A real Airflow shows runs that are there in size only, from a folder, and from an S3 server of this machine.
What the page says is checked before it counts.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # it carries no types, and its stubs would be one more package
import requests
from playwright.sync_api import expect, sync_playwright

from airflow_bitrix.files.outcome_index import keep_index
from airflow_bitrix.operators.shared.artifacts import folder_names
from scripts.airflow_api import USER
from scripts.big_run import FAILED_EVERY, plant
from scripts.local_airflow import LocalAirflow
from scripts.local_sandbox import ROOT, LocalSandbox
from scripts.object_storage import object_storage
from scripts.processes import Processes, clean_environment, interrupt_on_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Page

DAG_ID = "bitrix24_link_snapshot"
SMALL = 100
MOST_SECONDS, MOST_MB, MOST_REQUESTS = 2.0, 50.0, 100
WARM, OPENERS = 5, 10
BUSY = 503
NAME = "шмидт"
"""What some of those search who come at once: it stands in every part."""


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Place:
    """Where artifacts lie, and an API server that shows them.

    :ivar name: Where that is.
    :ivar url: The address of the server.
    :ivar component: Its name as a component.
    :ivar root: The artifacts root.
    :ivar requests: What an object storage was asked so far.
    """

    name: str
    url: str
    component: str
    root: Path
    requests: Sequence[str] = ()


def memory(airflow: LocalAirflow, place: Place) -> float:
    """Give the megabytes that an API server and its children have for themselves."""
    parent = psutil.Process(airflow.process(place.component).pid)
    every = [parent, *parent.children(recursive=True)]
    return float(sum(one.memory_full_info().pss for one in every)) / 1e6


def log_in(page: Page, airflow: LocalAirflow) -> None:
    """Log in, and look at a page of Airflow's own."""
    page.goto(f"{airflow.url}/auth/login/")
    page.locator("input[name=username]").fill(USER)
    page.locator("input[name=password]").fill(airflow.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Dags", exact=True)).to_be_visible()


def opened(page: Page, address: str, task: str, outcomes: int) -> float:
    """Open the page of a run's task, check what it says, and give the seconds that it took."""
    page.goto("about:blank")
    begun = time.perf_counter()
    page.goto(f"{address}?task={task}")
    status = page.locator("#changes").get_by_role("status")
    expect(status).to_have_text(f"1 to 50 of {outcomes:,}", timeout=60_000)
    took = time.perf_counter() - begun
    failed = f"{outcomes // FAILED_EVERY:,}"
    expect(page.locator(".bar.failed .n")).to_have_text(failed)
    return took


def in_airflow(page: Page, address: str, shown: str, *, inside: bool) -> float:
    """Open a tab of the run as Airflow shows it, until a text is there; give the seconds."""
    page.goto("about:blank")
    begun = time.perf_counter()
    page.goto(address)
    where = page.frame_locator("iframe") if inside else page
    expect(where.get_by_text(shown).first).to_be_visible(timeout=60_000)
    return time.perf_counter() - begun


def served(session: requests.Session, address: str) -> requests.Response:
    """Ask for something, and again where the server says that it is busy, as the page does."""
    while (answer := session.get(address, timeout=120)).status_code == BUSY:
        time.sleep(float(answer.headers.get("retry-after", 1)))
    answer.raise_for_status()
    return answer


def crowd(airflow: LocalAirflow, page: Page, address: str, outcomes: int) -> float:
    """Let several people open, search and save at once; give the seconds until all are served."""
    cookies = {one["name"]: one["value"] for one in page.context.cookies()}

    def person(number: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            session.cookies.update(cookies)
            query = f"task=big&search={number + 1}000 {NAME if number % 2 else ''}&size=50"
            served(session, f"{address}?task=big")
            found = served(session, f"{address}rows?{query}").json()["total"]
            lines = outcomes + 1
            if number == 0:
                lines = served(session, f"{address}outcomes.csv?task=big").text.count("\n")
            if not found or lines != outcomes + 1:
                raise ValueError(f"person {number} found {found} changes and saved {lines} lines")

    begun = time.perf_counter()
    with ThreadPoolExecutor(OPENERS) as pool:
        list(pool.map(person, range(OPENERS)))
    airflow.check_running()
    return time.perf_counter() - begun


def measure(airflow: LocalAirflow, page: Page, place: Place, run_id: str, outcomes: int) -> bool:
    """Measure, print, and tell whether all is within its limits."""
    folder = place.root.joinpath(*folder_names(DAG_ID, run_id))
    for task, many in (("big", outcomes), ("small", SMALL)):
        plant(folder / task, many)
        keep_index(folder / task)
    own = f"{place.url}/dags/{DAG_ID}/runs/{run_id}"
    address = f"{place.url}/bitrix24/report/{DAG_ID}/{run_id}/"
    tab = f"{own}/plugin/bitrix24_report"
    airflow_s = statistics.median(
        in_airflow(page, own, "Look at the deals", inside=False) for _ in range(WARM)
    )
    idle = memory(airflow, place)
    opened(page, address, "small", SMALL)
    began = memory(airflow, place) if place.requests else idle
    asked = len(place.requests)
    cold = in_airflow(page, tab, f"of {outcomes:,}", inside=True)
    first, at_first = memory(airflow, place), len(place.requests) - asked
    warm = statistics.median(in_airflow(page, tab, f"of {outcomes:,}", inside=True) for _ in range(WARM))
    asked = len(place.requests)
    big = statistics.median(opened(page, address, "big", outcomes) for _ in range(WARM))
    again = (len(place.requests) - asked) / WARM
    small = statistics.median(opened(page, address, "small", SMALL) for _ in range(WARM))
    crowded = crowd(airflow, page, address, outcomes)
    later = memory(airflow, place)
    say(f"{place.name}: {outcomes:,} outcomes, in the tab of a run, until the first changes stand:")
    say(f"  the first time      {cold:6.2f} s   at most {MOST_SECONDS:.1f}")
    say(f"  again               {warm:6.2f} s   {warm / airflow_s:.2f} times Airflow's own page of the run")
    say(f"the page alone, again {big:6.2f} s   {big / small:.2f} times that of {SMALL} outcomes")
    say(f"{OPENERS} people at once     {crowded:6.2f} s   each opens and searches, one saves all as CSV")
    say(f"memory of the API server: idle {idle:.0f} MB, +{first - began:.0f} after the first opening,")
    say(f"  +{later - began:.0f} after all of it   at most +{MOST_MB:.0f}")
    if place.requests:
        say(f"  the storage's client takes {began - idle:.0f} MB beside that")
        say(f"requests to the storage: the first time {at_first}, again {again:g}   at most {MOST_REQUESTS}")
    is_few = max(at_first, again) <= MOST_REQUESTS
    return is_few and cold <= MOST_SECONDS and max(first, later) - began <= MOST_MB


def main() -> int:
    """Start what is needed, measure, and stop it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report_tab", description=__doc__)
    parser.add_argument("--outcomes", type=int, default=100_000)
    options = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        say("no Chromium on this machine: run `make browser`")
        return 1
    interrupt_on_signals()
    with (
        tempfile.TemporaryDirectory() as folder,
        Processes(clean_environment()) as processes,
        object_storage() as storage,
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])) as browser,
        closing(browser.new_context()) as context,
    ):
        sandbox = LocalSandbox(processes, leads=100, deals=100, contacts=100).start()
        home = Path(folder) / "home"
        airflow = LocalAirflow(processes, home=home, dags=ROOT / "dags", schedules=False).start()
        airflow.create_connection("bitrix24_default", **sandbox.connection())
        airflow.wait_for_dag(DAG_ID)
        airflow.unpause(DAG_ID)
        run_id = airflow.trigger(DAG_ID)
        airflow.wait_for_run(DAG_ID, run_id)
        airflow.create_connection("report_store", **storage.connection)
        stored = "s3://report_store@artifacts/runs"
        places = (
            Place("a folder", airflow.url, "api-server", home / "artifacts"),
            Place(
                "S3",
                airflow.behind("/stored", AIRFLOW__BITRIX24__ARTIFACTS_PATH=stored),
                "api-server/stored",
                storage.folder("runs"),
                storage.requests.seen,
            ),
        )
        page = context.new_page()
        log_in(page, airflow)
        met = [measure(airflow, page, place, run_id, options.outcomes) for place in places]
        return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
