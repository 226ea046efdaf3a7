"""Whatever is sent to a sandbox, it says in a sentence what it takes, and never breaks."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.sandbox.request import MOST_BYTES, read_params
from airflow_bitrix.sandbox.server import Sandbox
from tests.answers import VALUES

pytestmark = pytest.mark.attack


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    with Sandbox(leads=2, contacts=2, deals=2, code="secretcode", plan="self_hosted") as sandbox:
        yield sandbox


DEEP = 50_000
CONTROLS = [
    b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"throttle": NaN}',
    b'{"throttle": Infinity}', b'{"throttle": 1e999}', b'{"throttle": -1}', b'{"throttle": "1"}',
    b'{"late": 1e999}', b'{"late": 1e300}', b'{"slow_seconds": 1e999}', b'{"operating_limit": 1e999}',
    b'{"rest_seconds": 1e300}', b'{"operating_seconds": {"a": 1e999}}', b'{"operating_seconds": []}',
    b'{"seed": 1%b}' % (b"0" * 400), b'{"seed": 1%b}' % (b"0" * 9000), b'{"late": 1%b}' % (b"0" * 400),
    b'{"self": 1}', b'{"given": 1}', b'{"": 1}', b'{"__class__": 1}', b'{"throttle": {"a": []}}',
    b'{"html_status": 204}', b'{"html_status": 304}', b'{"html_status": 200.5}',
    b'{"redirect": "a\\r\\nSet-Cookie: b"}', b'{"redirect": "\\u20ac"}', b'{"redirect": "a\\u0000"}',
    b'{"redirect": ""}', b'{"redirect": "%b"}' % (b"x" * 70_000), b'{"redirect": 1}',
    b'{"command_error": {"error": {"a": 1e999}, "error_description": ""}}',
    b'{"command_error": {"error": "", "error_description": []}}', b'{"throttle": "\\ud800"}',
    b"[" * DEEP + b"]" * DEEP, b'{"throttle":' * DEEP, b'{"throttle": %b}' % (b"[" * 400 + b"]" * 400),
    b'{"throttle": "%b"}' % (b"x" * 100_000),
]  # fmt: skip


@pytest.mark.parametrize("setting", ["faults", "switches"])
def test_a_setting_is_right_or_refused_in_a_sentence(served: Sandbox, setting: str) -> None:
    for body in CONTROLS:
        answer = requests.post(
            f"{served.base_url}/__sandbox/{setting}",
            data=body,
            headers={"Content-Type": "application/json"},
            timeout=10,
        )
        assert answer.status_code == 400, (body[:60], answer.text[:100])
        said = answer.json()["error"]
        assert said.endswith("."), said
        assert len(said) < 1500, body[:60]
    assert requests.post(served.webhook_url + "profile", timeout=10).status_code == 200


def test_a_body_has_a_bound(served: Sandbox) -> None:
    for path, body in (
        ("/rest/1/secretcode/profile", b" " * (MOST_BYTES + 1)),
        ("/__sandbox/faults", b" " * 2**21),
    ):
        answer = requests.post(
            served.base_url + path, data=body, headers={"Content-Type": "application/json"}, timeout=30
        )
        assert answer.status_code == 413
        assert "bytes" in answer.text


RAW = [
    b"\x00\x01\x02\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: HOST\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: HOST\r\nno colon\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: many\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST /rest/1/secretcode/x HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
    b"GET /crm/lead/details/" + b"9" * 9000 + b"/ HTTP/1.1\r\nHost: HOST\r\n\r\n",
    b"GET http://[::1/rest/1/secretcode/profile HTTP/1.1\r\nHost: HOST\r\n\r\n",
    b"GET //[::1/%ff%00%0a HTTP/1.1\r\nHost: HOST\r\n\r\n",
    b"GET /__sandbox/links?kind=%ff%00&kind=&&=%u HTTP/1.1\r\nHost: HOST\r\n\r\n",
    b"GET /rest/1/secretcode/%ff%00%0a?%ff[[]]=%&a[b=1 HTTP/1.1\r\nHost: HOST\r\n\r\n",
    b"GET /rest/%ff/%00/crm.lead.get HTTP/1.1\r\nHost: HOST\r\n\r\n",
    b"GET /crm/%ff/details/1/ HTTP/1.1\r\nHost: HOST\r\n\r\n",
]


def test_odd_lines_and_headers_are_the_clients_fault(
    served: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    for raw in RAW:
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
            connection.sendall(raw.replace(b"HOST", b"127.0.0.1:%d" % served.port))
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.split(b" ", 2)[1] in {b"400", b"403", b"404"}, (raw[:80], answer[:80])
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err


def test_who_goes_away_amid_a_body_leaves_no_trace(
    served: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        head = f"POST /rest/1/secretcode/profile HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
        connection.sendall(head.encode() + b"Content-Length: 100\r\n\r\nhalf")
    assert requests.post(served.webhook_url + "profile", timeout=10).status_code == 200
    assert "Traceback" not in capfd.readouterr().err


BATCHES = 4000
ODD_CALLS = [
    ("crm.lead.get", {"id": "9" * 9000}),
    ("crm.lead.get", {"id": 10**400}),
    ("crm.lead.list", {"filter": {"ID": "-" + "9" * 9000}, "start": "9" * 9000}),
    ("crm.lead.contact.add", {"id": 1, "fields": {"CONTACT_ID": 10**400, "SORT": "9" * 9000}}),
    ("batch", {"cmd": {"a": "BATCH?cmd[a]=" * BATCHES + "profile"}}),
    (
        "batch",
        {
            "cmd": {
                "a": "profile?a" + "[b]" * BATCHES + "=1",
                "b": "crm.lead.get?id=$result[a]" + "[c]" * BATCHES,
            }
        },
    ),
]


@pytest.mark.parametrize(("method", "params"), ODD_CALLS)
def test_numbers_and_depths_beyond_measure_are_answered(served: Sandbox, method: str, params: object) -> None:
    body = json.dumps(params)
    headers = {"Content-Type": "application/json"}
    answer = requests.post(served.webhook_url + method, data=body, headers=headers, timeout=30)
    assert answer.status_code in {200, 400}, answer.text[:200]


@pytest.mark.parametrize(
    "method", ["crm.lead.list", "crm.item.list", "crm.lead.add", "crm.lead.contact.items.set"]
)
def test_nested_parameters_are_answered(served: Sandbox, method: str) -> None:
    for wrapped in ('{"filter":%s}', '{"fields":%s}', '{"items":%s}', '{"select":%s}', '{"order":%s}'):
        for opening, closing in (("[", "]"), ('{"logic":"OR","0":', "}"), ('{"0":', "}")):
            deep = opening * 500 + "1" + closing * 500
            body = '{"id":1,"entityTypeId":1,' + wrapped[1:] % deep
            headers = {"Content-Type": "application/json"}
            answer = requests.post(served.webhook_url + method, data=body, headers=headers, timeout=30)
            assert answer.status_code in {200, 400}, (wrapped, opening)


_KINDS = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
_WORDS = st.sampled_from(
    ["boundary=b", 'boundary="b', "--b", "\r\n", "Content-Disposition: form-data", '; name="a[b]"', "--b--",
     "name*=utf-8''%", "filename=", "a=1&b[]=2", "[", "]", "%", "Content-Type: multipart/mixed; boundary=c",
     ";", "=?utf-8?q?x?="]
)  # fmt: skip


@given(
    kind=st.builds(str.__add__, st.sampled_from(_KINDS), st.lists(_WORDS, max_size=3).map(";".join)),
    body=st.binary(max_size=30) | st.lists(_WORDS, max_size=12).map(lambda words: "".join(words).encode()),
    query=st.text(st.characters(max_codepoint=126, min_codepoint=33), max_size=20),
    most=st.integers(1, 50),
)
def test_every_body_is_read(kind: str, body: bytes, query: str, most: int) -> None:
    assert isinstance(read_params("POST", query, kind.replace("\r\n", ""), body, most), dict)


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=3))
def test_every_json_is_read(params: dict[str, object]) -> None:
    body = json.dumps(params).encode("utf-8", "surrogatepass")
    assert isinstance(read_params("POST", "", "application/json", body, 1000), dict)
