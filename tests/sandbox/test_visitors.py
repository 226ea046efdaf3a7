"""The sandbox is its developer's alone: pages of other sites, and names that point here, get nothing."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator, Mapping

import pytest
import requests
from starlette.routing import Route

from airflow_bitrix.sandbox import app
from airflow_bitrix.sandbox.server import Sandbox
from airflow_bitrix.sandbox.visitors import known_as

pytestmark = pytest.mark.attack

PATHS = {
    "/rest/{user}/{code}/{method:path}": "/rest/1/secretcode/crm.lead.delete?id=1",
    "/rest/{rest:path}": "/rest/1",
    "/crm/{kind}/": "/crm/lead/",
    "/crm/{kind}/list/": "/crm/lead/list/",
    "/crm/{kind}/details/{record_id}/": "/crm/lead/details/1/",
    "/crm/type/{type_id}/details/{record_id}/": "/crm/type/1/details/1/",
}
ROUTES = [
    (verb, PATHS.get(route.path, route.path))
    for route in app.routes()
    if isinstance(route, Route)
    for verb in sorted(route.methods or ())
]
BODY = b'{"throttle": 1}'
JSON = "application/json"


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    with Sandbox(leads=2, contacts=2, deals=2, code="secretcode", plan="self_hosted") as sandbox:
        yield sandbox


def ask(sandbox: Sandbox, verb: str, path: str, headers: Mapping[str, str], body: bytes = BODY) -> int:
    """Send a request with exactly these headers, and give the status of the answer."""
    return _send(sandbox, verb, path, headers, body)[0]


def _send(
    sandbox: Sandbox, verb: str, path: str, headers: Mapping[str, str], body: bytes = BODY
) -> tuple[int, str]:
    lines = {"Host": f"127.0.0.1:{sandbox.port}", "Content-Type": JSON, **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=10) as connection:
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall(f"{verb} {path} HTTP/1.1\r\n{head}".encode() + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return int(answer.split(" ", 2)[1]), answer


FOREIGN: Mapping[str, Mapping[str, str]] = {
    "rebound name": {"Host": "evil.example:{port}"},
    "name without a port": {"Host": "evil.example"},
    "another port": {"Host": "127.0.0.1:1"},
    "no port": {"Host": "127.0.0.1"},
    "a name that begins like ours": {"Host": "localhost.evil.example:{port}"},
    "a name that ends like ours": {"Host": "evil-127.0.0.1:{port}"},
    "every address": {"Host": "0.0.0.0:{port}"},
    "no address": {"Host": "[::1"},
    "page of another site": {"Origin": "https://evil.example"},
    "page of another port": {"Origin": "http://127.0.0.1:1"},
    "page without an origin": {"Origin": "null"},
    "script or picture of another site": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "script or picture of another port": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=[*FOREIGN])
def test_no_route_answers_a_stranger(served: Sandbox, foreign: Mapping[str, str]) -> None:
    headers = {name: value.format(port=served.port) for name, value in foreign.items()}
    answers = {(verb, path): ask(served, verb, path, headers) for verb, path in [*ROUTES, ("OPTIONS", "/")]}
    assert len(answers) > 20
    assert set(answers.values()) == {403}, answers
    assert served.portal.faults.throttle == 0
    assert served.state.row("lead", 1)


OWN: Mapping[str, Mapping[str, str]] = {
    "address": {},
    "name": {"Host": "LocalHost:{port}"},
    "IPv6": {"Host": "[::1]:{port}"},
    "own page": {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"},
    "typed in": {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
}


@pytest.mark.parametrize("own", OWN.values(), ids=[*OWN])
def test_every_route_answers_its_developer(served: Sandbox, own: Mapping[str, str]) -> None:
    headers = {name: value.format(port=served.port) for name, value in own.items()}
    for verb, path in ROUTES:
        status = ask(served, verb, path.replace("delete?id=1", "get?id=1"), headers, b"{}")
        assert status in {200, 400, 401}, (verb, path)


def test_links_out_of_reports_lead_to_records_and_to_nothing_else(served: Sandbox) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert ask(served, "GET", "/crm/lead/details/1/", link) == 200
    for path in ("/rest/1/secretcode/crm.lead.delete?id=1", "/__sandbox/truth"):
        assert ask(served, "GET", path, link) == 403, path


def test_a_stranger_is_told_who_is_let_in(served: Sandbox) -> None:
    status, answer = _send(served, "GET", "/__sandbox/truth", {"Host": "evil.example" + "x" * 5000})
    assert status == 403
    assert f"answers to 127.0.0.1:{served.port}, [::1]:{served.port}, localhost:{served.port}" in answer
    assert "--name" in answer
    assert len(answer) < 1000


def test_more_names_can_be_let_in() -> None:
    with Sandbox(names=["sandbox.test", "localhost:3000"]) as sandbox:
        own = f"sandbox.test:{sandbox.port}"
        page = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}
        for headers in ({"Host": own}, {"Host": "localhost:3000"}, page):
            assert ask(sandbox, "GET", "/__sandbox/faults", headers) == 200
        assert ask(sandbox, "GET", "/__sandbox/faults", {"Host": "sandbox.test:1"}) == 403


@pytest.mark.parametrize(
    ("host", "port", "names", "known"),
    [
        ("127.0.0.1", 8900, (), {"127.0.0.1:8900", "[::1]:8900", "localhost:8900"}),
        ("127.0.0.2", 1, ("A.test", "b:2"), {"127.0.0.2:1", "a.test:1", "b:2"}),
        ("::1", 443, (), {"[::1]:443", "[::1]", "localhost", "127.0.0.1"}),
    ],
)
def test_a_sandbox_knows_its_names(host: str, port: int, names: tuple[str, ...], known: set[str]) -> None:
    assert known <= {*known_as(host, port, names)}
    assert ("localhost" in known_as(host, port, names)) == (port == 443)


@pytest.mark.parametrize(
    "name", ["", "*", "http://sandbox.test", "a b", "sandbox.test:port", "x\r\ny", "a/b"]
)
def test_a_wrong_name_is_refused(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"names takes names such as sandbox\.test or sandbox\.test:8900, not"
    ):
        Sandbox(names=[name])


@pytest.mark.parametrize("setting", ["faults", "switches"])
@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"],
)
def test_controls_take_json_and_no_form(served: Sandbox, setting: str, kind: str) -> None:
    status, answer = _send(served, "POST", f"/__sandbox/{setting}", {"Content-Type": kind}, b"{}")
    assert status == 415
    assert "Content-Type: application/json" in answer


def test_json_may_name_its_charset(served: Sandbox) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert ask(served, "POST", "/__sandbox/faults", headers, b"{}") == 200


def test_portals_take_forms_and_so_does_the_sandbox(served: Sandbox) -> None:
    answer = requests.post(served.webhook_url + "crm.lead.get", data={"id": 1}, timeout=10)
    assert answer.json()["result"]["ID"] == "1"


def test_every_page_says_that_it_is_no_portal(served: Sandbox) -> None:
    for kind, number in itertools.product(("lead", "deal", "contact", "robot"), (1, 99)):
        page = requests.get(f"{served.base_url}/crm/{kind}/details/{number}/", timeout=10)
        assert '<p class="sandbox">Sandbox — this is no Bitrix24 portal</p>' in page.text
