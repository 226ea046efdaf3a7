"""Failures that are asked for happen, are counted, and can be repeated."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_bitrix.sandbox.server import Sandbox
from airflow_bitrix.sandbox.settings import SettingError

if TYPE_CHECKING:
    from tests.sandbox.conftest import Client


def _add(client: Client) -> requests.Response:
    return client.send("POST", "crm.lead.add", json={"fields": {"TITLE": "fault"}})


def _leads(sandbox: Sandbox) -> int:
    return len(sandbox.state.tables["lead"].rows)


def test_throttling(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_faults(throttle=1.0)
    answer = _add(client)
    assert (answer.status_code, answer.json()["error"]) == (503, "QUERY_LIMIT_EXCEEDED")
    assert _leads(sandbox) == 60
    assert sandbox.stats()["faults"] == {"throttle": 1}


@pytest.mark.parametrize("status", [500, 502, 504])
def test_an_html_page_in_place_of_an_answer(sandbox: Sandbox, client: Client, status: int) -> None:
    sandbox.set_faults(html=1.0, html_status=status)
    answer = _add(client)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.text.startswith("<html>")
    assert _leads(sandbox) == 60
    assert sandbox.stats()["faults"] == {"html": 1}


@pytest.mark.parametrize(("fault", "leads"), [("drop_before", 60), ("drop_after", 61)])
def test_a_connection_cut_before_or_after_the_work(
    sandbox: Sandbox, client: Client, fault: str, leads: int
) -> None:
    sandbox.set_faults(**{fault: 1.0})
    with pytest.raises(requests.ConnectionError):
        _add(client)
    sandbox.clear_faults()
    assert _leads(sandbox) == leads
    assert sandbox.stats()["faults"] == {fault: 1}
    assert _add(client).status_code == 200


def test_a_connection_is_cut_under_tls_too() -> None:
    with Sandbox(tls=True) as sandbox:
        sandbox.set_faults(drop_after=1.0)
        with pytest.raises(requests.ConnectionError):
            requests.post(sandbox.webhook_url + "profile", verify=str(sandbox.authority), timeout=10)


def test_a_failing_command_is_not_run(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_faults(command=1.0)
    maps = client.batch({"a": "crm.lead.add?fields[TITLE]=x", "b": "profile"})
    assert maps["result"] == []
    assert {error["error"] for error in maps["result_error"].values()} == {"INTERNAL_SERVER_ERROR"}
    assert _leads(sandbox) == 60
    assert sandbox.stats()["faults"] == {"command": 2}
    assert sandbox.stats()["writes"] == 0
    assert client.call("profile").status == 200


def test_the_error_and_the_methods_of_failing_commands_can_be_chosen(
    sandbox: Sandbox, client: Client
) -> None:
    error = {"error": "", "error_description": "Some reason"}
    sandbox.set_faults(command=1.0, command_error=error, only_methods=["crm.lead.add"])
    maps = client.batch({"a": "CRM.lead.add?fields[TITLE]=x", "b": "profile"})
    assert maps["result_error"] == {"a": error}
    assert list(maps["result"]) == ["b"]


def test_a_script_that_dies_leaves_what_it_did_before(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_faults(fatal_owners=[2])
    save = "crm.lead.update?id={}&fields[TITLE]=dead"
    commands = {str(lead): save.format(lead) for lead in (1, 2, 3)}
    answer = client.session.post(client.url + "batch", json={"cmd": commands}, timeout=10)
    assert answer.status_code == 500
    assert answer.text.startswith("<html>")
    titles = [sandbox.state.tables["lead"].rows[lead]["TITLE"] for lead in (1, 2, 3)]
    assert [title == "dead" for title in titles] == [True, False, False]
    assert sandbox.stats()["faults"] == {"fatal_owners": 1}
    assert client.call("crm.lead.update", {"id": 3, "fields": {"TITLE": "dead"}}).status == 200


def test_a_slow_answer_comes_after_the_work(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_faults(slow=1.0, slow_seconds=0.15)
    started = time.monotonic()
    assert _add(client).status_code == 200
    assert time.monotonic() - started >= 0.15
    with pytest.raises(requests.ReadTimeout):
        client.session.post(client.url + "crm.lead.add", json={"fields": {}}, timeout=0.05)
    assert _leads(sandbox) == 62


@pytest.mark.parametrize("fault", ["silent", "drip"])
def test_the_work_is_done_where_no_answer_comes_in_time(sandbox: Sandbox, client: Client, fault: str) -> None:
    sandbox.set_faults(**{fault: 1.0}, drip_seconds=60)
    with pytest.raises(requests.ReadTimeout):
        client.session.post(client.url + "crm.lead.add", json={"fields": {}}, timeout=0.5)
    assert _leads(sandbox) == 61
    assert sandbox.stats()["faults"] == {fault: 1}


def test_an_answer_that_drips_is_the_whole_answer_in_the_end(sandbox: Sandbox, client: Client) -> None:
    plain = client.call("crm.lead.get", {"id": 1}).result
    sandbox.set_faults(drip=1.0, drip_seconds=0)
    answer = client.session.post(client.url + "crm.lead.get", json={"id": 1}, timeout=30)
    assert (answer.status_code, answer.json()["result"]) == (200, plain)


def test_a_body_without_an_end(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_faults(endless=1.0)
    with client.session.post(
        client.url + "crm.lead.add", json={"fields": {}}, timeout=30, stream=True
    ) as answer:
        pieces = answer.iter_content(1024)
        assert {next(pieces).strip() for _ in range(5)} == {b""}
    assert _leads(sandbox) == 61


def test_a_chunk_whose_size_is_no_number(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_faults(bad_chunk=1.0)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.session.post(client.url + "crm.lead.add", json={"fields": {}}, timeout=30)
    assert _leads(sandbox) == 61


def test_a_line_among_the_headers_that_repeats_the_address(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_faults(telltale=1.0)
    host = sandbox.base_url.removeprefix("http://")
    with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2]))) as sock:
        path = f"/rest/1/{sandbox.code}/profile"
        sock.sendall(f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
        assert f"\r\nno header {path}\r\n\r\n" in sock.recv(10_000).decode()
    # One library reads over it and the other one does not.
    assert client.call("crm.lead.get", {"id": 1}).status == 200


def test_requests_that_are_late_come_so_late_on_average_and_some_much_later(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.set_faults(late=0.02)
    started = time.monotonic()
    for _ in range(30):
        assert client.call("profile").status == 200
    assert time.monotonic() - started >= 30 * 0.02 / 2
    waits = [sandbox.portal.lateness() for _ in range(2000)]
    assert 0.018 < sum(waits) / len(waits) < 0.022
    assert max(waits) > 0.08


def test_a_renamed_portal_redirects(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_faults(redirect="http://127.0.0.1:1/rest/")
    answer = _add(client)
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://127.0.0.1:1/rest/")
    assert _leads(sandbox) == 60


def test_the_same_seed_gives_the_same_failures(sandbox: Sandbox, client: Client) -> None:
    def run(seed: int) -> list[int]:
        sandbox.set_faults(seed=seed, throttle=0.3, html=0.2)
        return [client.send("POST", "profile").status_code for _ in range(40)]

    first = run(1)
    assert set(first) == {200, 502, 503}
    assert run(1) == first
    assert run(2) != first


def test_setting_faults_replaces_the_former_ones(sandbox: Sandbox) -> None:
    sandbox.set_faults(throttle=0.5)
    assert sandbox.set_faults(html=0.5)["throttle"] == 0
    sandbox.clear_faults()
    assert sandbox.portal.faults.html == 0


# The same over HTTP


def _control(sandbox: Sandbox, verb: str, name: str, body: Any = None) -> requests.Response:
    return requests.request(verb, f"{sandbox.base_url}/__sandbox/{name}", json=body, timeout=10)


def test_faults_by_request(sandbox: Sandbox, client: Client) -> None:
    assert _control(sandbox, "GET", "faults").json()["throttle"] == 0
    assert _control(sandbox, "POST", "faults", {"throttle": 1.0, "seed": 5}).json()["seed"] == 5
    assert _add(client).status_code == 503
    assert _control(sandbox, "DELETE", "faults").json()["throttle"] == 0
    assert _add(client).status_code == 200


def test_switches_by_request(sandbox: Sandbox, client: Client) -> None:
    assert _control(sandbox, "POST", "switches", {"scope": ["user"]}).status_code == 200
    assert _control(sandbox, "POST", "switches", {"limited_user": True}).json()["scope"] == ["user"]
    assert client.call("scope").result == ["user"]
    assert _control(sandbox, "DELETE", "switches").json() == _control(sandbox, "GET", "switches").json()
    assert client.call("scope").result == ["crm", "user"]


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("faults", {"trottle": 0.5}, "'trottle' among the faults"),
        ("faults", {"throttle": 2}, "throttle takes a share from 0 to 1, not 2"),
        ("faults", {"throttle": True}, "throttle takes a share"),
        ("faults", {"command_error": {"error": "x"}}, "command_error takes an object"),
        ("faults", {"html_status": 99}, "html_status takes an HTTP status"),
        ("faults", {"only_methods": "x"}, "only_methods takes null or a list"),
        ("faults", {"fatal_owners": ["5"]}, "fatal_owners takes a list of ids"),
        (
            "faults",
            {"wrong_rows": {"short": 1}},
            "wrong_rows takes an object of shares from 0 to 1, by short_",
        ),
        ("faults", {"wrong_rows": {"no_rows": 2}}, "wrong_rows takes an object of shares from 0 to 1"),
        ("faults", [], "a JSON object"),
        ("switches", {"plan": "x"}, "'plan' among the switches"),
        ("switches", {"auth_status": "x"}, 'auth_status takes "docs" or "source", not'),
        ("switches", {"scope": "crm"}, "scope takes a list of strings"),
        ("switches", {"operating_seconds": {"profile": -1}}, "operating_seconds takes an object"),
        ("switches", {"limited_user": "yes"}, "limited_user takes true or false"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence(
    sandbox: Sandbox, name: str, body: Any, words: str
) -> None:
    answer = _control(sandbox, "POST", name, body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert answer.json()["error"].endswith(".")


def test_a_wrong_setting_raises_in_python(sandbox: Sandbox) -> None:
    with pytest.raises(SettingError, match="throttle takes"):
        sandbox.set_faults(throttle=-1)
    with pytest.raises(SettingError, match="limitted"):
        sandbox.set_switches(limitted_user=True)


def test_stats(sandbox: Sandbox, client: Client) -> None:
    client.batch({"a": "profile", "b": "CRM.lead.contact.add?id=1&fields[CONTACT_ID]=3", "c": "nothing"})
    client.call("crm.lead.update", {"id": 1, "fields": {}})
    client.call("crm.lead.get", {"id": 1})
    shown = _control(sandbox, "GET", "stats").json()
    assert shown == sandbox.stats()
    assert shown == {
        "admitted": 3,
        "refused_503": 0,
        "refused_429": 0,
        "methods": {"batch": 1, "crm.lead.get": 1, "crm.lead.update": 1},
        "commands_in_batches": {"crm.lead.contact.add": 1, "nothing": 1, "profile": 1},
        "commands_outside": {"crm.lead.get": 1, "crm.lead.update": 1},
        "writes": 2,
        "faults": {},
        "oauth": {},
        "max_level": 0,
    }
    assert _control(sandbox, "DELETE", "stats").json() == shown
    assert sandbox.stats()["admitted"] == 0


def test_links_take_a_kind(sandbox: Sandbox) -> None:
    assert _control(sandbox, "GET", "links?kind=deal").json() == sandbox.links("deal")
    assert _control(sandbox, "GET", "links?kind=task").status_code == 400
