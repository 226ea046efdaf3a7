"""Starting and stopping, in this process and as a command; TLS; record pages."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_bitrix.sandbox.__main__ import main
from airflow_bitrix.sandbox.server import Sandbox
from airflow_bitrix.sandbox.settings import Faults, Switches

if TYPE_CHECKING:
    from collections.abc import Iterator

# Not in development mode: there asyncio prints whatever takes longer than 0.1 s.
COMMAND = [sys.executable, "-W", "error", "-m", "airflow_bitrix.sandbox"]
ROOT = Path(__file__).parents[2]
SMALL = ["--port", "0", "--leads", "5", "--deals", "5", "--contacts", "5"]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


# In this process


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_starting_and_stopping_is_quick_and_leaves_nothing(*, tls: bool) -> None:
    threads = set(threading.enumerate())
    with requests.Session() as session:
        started = time.monotonic()
        with Sandbox(tls=tls) as sandbox:
            trusted = str(sandbox.authority or True)
            answer = session.post(sandbox.webhook_url + "profile", verify=trusted, timeout=10)
            assert answer.json()["result"]["ADMIN"] is True
            port, authority = sandbox.port, sandbox.authority
        assert time.monotonic() - started < 0.5
    assert set(threading.enumerate()) <= threads
    assert _is_free(port)
    assert authority is None or not authority.parent.exists()


def test_two_sandboxes_live_side_by_side() -> None:
    with Sandbox(code="one") as one, Sandbox(code="two") as two:
        assert (one.webhook_url, two.webhook_url) == (
            f"http://127.0.0.1:{one.port}/rest/1/one/",
            f"http://127.0.0.1:{two.port}/rest/1/two/",
        )
        one.state.add("lead", {})
        assert (len(one.links("lead")), len(two.links("lead"))) == (1, 0)


def test_stopping_does_not_wait_for_slow_answers_to_the_end() -> None:
    with Sandbox() as sandbox:
        sandbox.set_faults(slow=1.0, slow_seconds=30)
        with pytest.raises(requests.ReadTimeout):
            requests.post(sandbox.webhook_url + "profile", timeout=0.05)
        started = time.monotonic()
    assert time.monotonic() - started < 0.5


def test_latency_delays_every_call() -> None:
    with Sandbox(latency=0.1) as sandbox:
        started = time.monotonic()
        requests.post(sandbox.webhook_url + "profile", timeout=10)
        assert time.monotonic() - started >= 0.1


@pytest.mark.parametrize("tls", [False, True])
def test_an_answer_that_is_under_way_is_given_when_it_stops(tls: bool) -> None:  # noqa: FBT001 (parametrized)
    with ThreadPoolExecutor() as clients:
        with Sandbox(plan="self_hosted", tls=tls) as sandbox:
            sandbox.set_faults(slow=1.0, slow_seconds=60)
            url, authority = sandbox.webhook_url + "profile", str(sandbox.authority) if tls else True
            asked = clients.submit(requests.post, url, timeout=30, verify=authority)
            while not sandbox.stats()["faults"]:
                time.sleep(0.01)
        assert asked.result().json()["result"]["ADMIN"] is True


def test_whoever_comes_while_it_stops_is_answered_or_turned_away_at_once() -> None:
    told = Counter[str]()

    def ask(url: str) -> None:
        while True:
            try:
                requests.post(url, timeout=5)
                told["answered"] += 1
            except requests.ConnectionError as error:
                told[type(error).__name__] += 1
                if "refused" in str(error):
                    return

    with ThreadPoolExecutor() as clients:
        for _ in range(20):
            with Sandbox(plan="self_hosted") as sandbox:
                asking = [clients.submit(ask, sandbox.webhook_url + "profile") for _ in range(3)]
                before = told["answered"]
                while told["answered"] < before + 3:
                    time.sleep(0.001)
            for one in asking:
                one.result()
    assert told.keys() <= {"answered", "ConnectionError"}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", ""])  # noqa: S104 - it must be refused
def test_other_hosts_than_this_one_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match="host takes a loopback address"):
        Sandbox(host=host)


def test_reset_is_as_good_as_a_new_start() -> None:
    with Sandbox(leads=20, contacts=20) as sandbox:
        before = sandbox.links("lead")
        sandbox.state.clear_links("lead", 1)
        sandbox.state.delete("lead", 2)
        sandbox.set_faults(throttle=1.0)
        sandbox.set_switches(limited_user=True)
        sandbox.reset()
        assert sandbox.links("lead") == before
        assert requests.post(sandbox.webhook_url + "profile", timeout=10).json()["result"]["ADMIN"] is True


# As a command


def _lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout
    return [process.stdout.readline().rstrip("\n") for _ in range(count)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_the_command_serves_until_a_signal(number: signal.Signals) -> None:
    command = [*COMMAND, *SMALL, "--code", "abc", "--user", "7", "--seed", "3"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        [line] = _lines(process, 1)
        found = re.fullmatch(r"webhook: (http://127\.0\.0\.1:(\d+)/rest/7/abc/)", line)
        assert found
        assert requests.post(found[1] + "profile", timeout=10).json()["result"]["ID"] == "7"
        process.send_signal(number)
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (0, "stopped\n", "")
    assert _is_free(int(found[2]))


def test_the_command_serves_https_with_an_authority_of_its_own() -> None:
    with subprocess.Popen(
        [*COMMAND, *SMALL, "--tls"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        webhook, authority = (line.partition(": ")[2] for line in _lines(process, 2))
        assert re.fullmatch(r"https://127\.0\.0\.1:\d+/rest/1/[a-z0-9]{16}/", webhook)
        for address in (webhook, webhook.replace("127.0.0.1", "localhost")):
            assert requests.post(address + "profile", verify=authority, timeout=10).status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            requests.post(webhook + "profile", timeout=10)
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
    assert not Path(authority).parent.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "argument --port: takes a whole number from 0 to 65535, not '70000'"),
        (["--leads", "many"], "argument --leads: takes a whole number"),
        (["--latency", "-1"], "argument --latency: takes seconds from 0 to 60"),
        (["--host", "0.0.0.0"], "argument --host: takes a loopback address"),  # noqa: S104 - it must be refused
        (["--plan", "gold"], "argument --plan: invalid choice: 'gold'"),
        (["--code", "a/b"], "argument --code: takes up to 64 letters and digits"),
        (["--user", "0"], "argument --user: takes a whole number from 1"),
        (["--what"], "unrecognized arguments: --what"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    output, errors = capsys.readouterr()
    assert (ended.value.code, output, errors.count("\n")) == (2, "", 1)
    assert words in errors


def test_the_help_names_every_fault_and_every_switch(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    told = {words[0] for words in lines if len(words) > 1}
    assert {one.name for kind in (Faults, Switches) for one in fields(kind)} <= told


def test_a_busy_port_is_one_line_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [*COMMAND, *SMALL, "--port", str(port)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in ended.stderr


# Record pages


@pytest.fixture
def pages() -> Iterator[Sandbox]:
    with Sandbox(plan="self_hosted") as sandbox:
        ada, bo = (
            sandbox.state.add("contact", {"NAME": name, "LAST_NAME": "<Case>"}) for name in ("Ada", "Bo")
        )
        sandbox.state.add("lead", {"TITLE": "Quote & more", "CONTACT_IDS": [bo, ada, 999]})
        sandbox.state.add("deal", {"TITLE": "Empty", "STAGE_ID": "WON", "LEAD_ID": 1})
        yield sandbox


def _page(sandbox: Sandbox, address: str) -> Any:
    return requests.get(f"{sandbox.base_url}{address}", timeout=10)


def test_the_page_of_a_lead_shows_its_contacts_in_order(pages: Sandbox) -> None:
    page = _page(pages, "/crm/lead/details/1/")
    assert page.status_code == 200
    assert "Quote &amp; more" in page.text
    assert "repeat lead" in page.text
    assert "NEW · in progress" in page.text
    order = [
        page.text.index(words)
        for words in ("Bo &lt;Case&gt;", "primary</span>", "Ada &lt;Case&gt;", "Contact 999")
    ]
    assert order == sorted(order)
    assert "no such contact" in page.text


def test_pages_ask_for_nothing_else(pages: Sandbox) -> None:
    for address in (
        "/",
        "/crm/lead/",
        "/crm/lead/details/1/",
        "/crm/contact/details/1/",
        "/crm/lead/details/77/",
    ):
        text = _page(pages, address).text
        assert not re.search(r"<script|<img|@import|url\(|src=|https?://", text)


def test_the_first_page_lists_records_searches_them_and_leads_on(pages: Sandbox) -> None:
    text = _page(pages, "/").text
    for address in (
        *("/crm/lead/details/1/", "/crm/deal/details/1/", "/crm/contact/details/2/", "/crm/deal/"),
        *("/online/", "/__sandbox/truth", "/__sandbox/faults"),
    ):
        assert f'href="{address}"' in text
    assert "Ada &lt;Case&gt;" in text

    def found(address: str) -> list[str]:
        return re.findall(r"/crm/(\w+/details/\d+)/", _page(pages, address).text)

    assert found("/?q=ADA") == ["contact/details/1"]
    assert found("/?q=1") == ["lead/details/1", "deal/details/1", "contact/details/1"]
    assert found("/crm/contact/list/?q=case") == found("/crm/contact/?q=case")
    assert found("/crm/contact/?q=case") == ["contact/details/1", "contact/details/2"]
    assert found("/?q=%3Cscript%3E") == []
    assert "<script>" not in _page(pages, "/?q=%3Cscript%3E").text
    assert _page(pages, "/crm/task/").status_code == 404


def test_the_page_of_a_deal(pages: Sandbox) -> None:
    text = _page(pages, "/crm/deal/details/1/").text
    assert "No contact is linked." in text
    assert "WON · succeeded" in text
    assert 'href="/crm/lead/details/1/"' in text


def test_the_page_of_a_contact_leads_to_its_owners(pages: Sandbox) -> None:
    assert 'href="/crm/lead/details/1/"' in _page(pages, "/crm/contact/details/1/").text


def test_cards_of_every_kind_have_the_address_that_the_portal_gives_them(pages: Sandbox) -> None:
    state = pages.state
    company = state.add("company", {"TITLE": "Case & Sons", "CONTACT_IDS": [1]})
    for kind, path in (
        ("quote", "crm/type/7/details"),
        ("smart_invoice", "crm/type/31/details"),
        ("dynamic_1036", "crm/type/1036/details"),
    ):
        number = state.add(kind, {"CONTACT_IDS": [1], "TITLE": kind})
        assert kind in _page(pages, f"/{path}/{number}/").text
        assert f'href="/{path}/{number}/"' in _page(pages, "/crm/contact/details/1/").text
        assert f'href="/{path}/{number}/"' in _page(pages, f"/crm/{kind}/").text
    assert "Case &amp; Sons" in _page(pages, "/crm/contact/details/1/").text
    assert 'href="/crm/contact/details/1/"' in _page(pages, f"/crm/company/details/{company}/").text
    assert _page(pages, "/crm/type/99/details/1/").status_code == 404


@pytest.mark.parametrize(
    "address", ["/crm/lead/details/77/", "/crm/robot/details/1/", "/crm/lead/details/x/", "/no"]
)
def test_other_pages_are_not_found(pages: Sandbox, address: str) -> None:
    assert _page(pages, address).status_code == 404
