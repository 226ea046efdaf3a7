"""Answers of a portal that means harm: each ends in one clear error, soon, and in little memory."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import pytest

from airflow_bitrix.core.errors import Bitrix24Error, OutcomeUnknown, Rejected, RetryLater
from tests.growth import traced
from tests.hooks.raw_portals import BOTH_HOOKS, CODE, EACH_WAY, Way, answering, call_async, http, webhook_at

pytestmark = pytest.mark.attack

MB = 1_000_000
GZIP, CHUNKED = b"Content-Encoding: gzip", b"Transfer-Encoding: chunked"
RIGHT = b'{"result": 1}'


def bomb() -> bytes:
    """Give 8 MB of gzip that unpack to 8 GB."""
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    block = packing.compress(bytes(8 * MB)) + packing.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"", mtime=0)[:10] + block * 1000


def said(way: Way, answer: Any, connection: Any, **extra: Any) -> str:
    with answering(answer) as (port, _):
        connection(webhook_at(port), extra={"plan": "self_hosted", "deadline": 20, **extra})
        with pytest.raises(Bitrix24Error) as caught:
            way("profile", {})
    assert CODE not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
    return str(caught.value)


@EACH_WAY
@pytest.mark.parametrize("status", [b"200 OK", b"302 Found"])
def test_what_unpacks_to_gigabytes_costs_no_more_than_the_limit(
    way: Way, status: bytes, connection: Any
) -> None:
    answer = http(bomb(), GZIP, b"Location: https://acme.bitrix24.com/", status=status)
    with traced() as memory:
        text = said(way, answer, connection, largest_answer=20)
        _, most = memory()
    assert text.endswith("the answer is larger than 20,000,000 bytes")
    assert most < 2 * len(answer) + 30 * MB


def endless(head: bytes, piece: bytes) -> Any:
    return lambda: chain([head], repeat(piece))


@BOTH_HOOKS
@pytest.mark.parametrize(
    "flood",
    [
        endless(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 2**16),
        endless(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n", b"10000\r\n" + b" " * 2**16 + b"\r\n"),
        endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 2**16),
        endless(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n" * 2**12),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2**10),
        endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 2**10),
        endless(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n", b"1;" + b"x" * 2**16),
        endless(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n0\r\n", b"X: x\r\n" * 2**12),
    ],
    ids=["body", "chunks", "header", "headers", "continue", "early", "chunk_size", "trailers"],
)
def test_a_flood_ends_in_little_memory(way: Way, flood: Any, connection: Any) -> None:
    with traced() as memory:
        text = said(way, flood, connection, largest_answer=2, deadline=0.5)
        _, most = memory()
    known = (
        "larger than",
        "no answer by the rules of HTTP",
        "no whole answer within",
        "was closed before",
    )
    assert any(one in text for one in known), text
    assert most < 60 * MB


def packed(body: bytes = RIGHT) -> bytes:
    return gzip.compress(body, mtime=0)


@BOTH_HOOKS
@pytest.mark.parametrize(
    ("body", "encoding", "told"),
    [
        (packed()[:-5], b"gzip", "the end of a packed answer is missing"),
        (packed() + b"x", b"gzip", "something follows the end of a packed answer"),
        (packed() + packed(), b"gzip", "something follows the end of a packed answer"),
        (RIGHT, b"gzip", "the answer cannot be unpacked"),
        (packed(packed()), b"gzip, gzip",
         "the answer is packed in a way that was not asked for ('gzip, gzip')"),
        (RIGHT, b"br", "the answer is packed in a way that was not asked for ('br')"),
    ],
    ids=["cut", "followed", "two", "plain", "stacked", "unknown"],
)  # fmt: skip
def test_what_is_packed_oddly_is_a_lost_answer(
    way: Way, body: bytes, encoding: bytes, told: str, connection: Any
) -> None:
    text = said(way, http(body, b"Content-Encoding: " + encoding), connection)
    assert text == f"profile: the portal failed: {told}"


@BOTH_HOOKS
def test_an_encoding_is_shown_in_plain_letters(way: Way, connection: Any) -> None:
    odd = b"Content-Encoding: \x1b[2J\xff" + b"x" * 5000
    text = said(way, http(RIGHT, odd), connection)
    assert text.isprintable()
    assert len(text) < 200


@BOTH_HOOKS
def test_two_headers_that_say_how_it_is_packed_are_one(way: Way, connection: Any) -> None:
    text = said(way, http(packed(), GZIP, GZIP), connection)
    assert text.endswith("the answer is packed in a way that was not asked for ('gzip, gzip')")


@EACH_WAY
@pytest.mark.parametrize(
    ("body", "encoding"),
    [(packed(), b"gzip"), (packed(), b"X-GZip"), (zlib.compress(RIGHT), b"deflate"), (RIGHT, b"identity")],
    ids=["gzip", "x_gzip", "deflate", "identity"],
)
def test_what_is_packed_as_asked_is_read(way: Way, body: bytes, encoding: bytes, connection: Any) -> None:
    with answering(http(body, b"Content-Encoding: " + encoding)) as (port, asked):
        connection(webhook_at(port), extra={"plan": "self_hosted"})
        assert way("profile", {}) in (1, RIGHT.decode())
    assert b"accept-encoding: gzip, deflate\r\n" in asked[0].lower()


def nested(depth: int) -> bytes:
    return b'{"result": ' + b"[" * depth + b"]" * depth + b"}"


HIDDEN = b'{"result": ' + b'["]",' * 300 + b"1" + b"]" * 300 + b"}"


@EACH_WAY
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (nested(100), "maps and lists more than 100 deep"),
        (nested(10**5), "maps and lists more than 100 deep"),
        (HIDDEN, "maps and lists more than 100 deep"),
        (b'{"result": [' + b"{}," * 4 * MB + b"{}]}", "more than 4,000,000 values"),
        (b'{"result": ' + b"9" * 5000 + b"}", "and no answer that can be read: "),
        (b'{"result": -Infinity}', "and no answer that can be read: "),
        (b'{"result": NaN}', "and no answer that can be read: "),
    ],
    ids=["deep", "very_deep", "hidden_deep", "values", "digits", "infinite", "no_number"],
)
def test_json_beyond_measure_is_no_answer(way: Way, body: bytes, told: str, connection: Any) -> None:
    found = said(way, http(body), connection)
    assert found.startswith("profile: the portal failed: HTTP status 200")
    assert told in found


@BOTH_HOOKS
def test_what_is_refused_so_may_have_been_carried_out(way: Way, connection: Any) -> None:
    for answer in (http(nested(100)), http(RIGHT, b"Content-Encoding: br")):
        with answering(answer) as (port, _):
            connection(webhook_at(port), extra={"plan": "self_hosted"})
            with pytest.raises(OutcomeUnknown):
                way("crm.lead.add", {"fields": {"TITLE": "x"}})


def test_deep_as_portals_are_is_read(connection: Any) -> None:
    with answering(http(nested(99))) as (port, _):
        connection(webhook_at(port), extra={"plan": "self_hosted"})
        assert json.dumps(call_async("profile", {})) == "[" * 99 + "]" * 99


LOCATIONS = [
    b"http://[::1/",
    b"//[",
    b"\xff\xfe",
    b"http://acme.bitrix24.com:99999999/",
    b"x" * 8000,
    b"%",
    b"",
]


@EACH_WAY
@pytest.mark.parametrize("location", LOCATIONS, ids=range(len(LOCATIONS)))
def test_a_redirect_that_leads_nowhere_is_a_redirect(way: Way, location: bytes, connection: Any) -> None:
    answer = http(RIGHT, b"Location: " + location, status=b"302 Found")
    with answering(answer) as (port, asked):
        connection(webhook_at(port), extra={"plan": "self_hosted"})
        with pytest.raises(
            Rejected, match=r"^profile: the portal redirects (elsewhere|to acme\.bitrix24\.com); "
        ):
            way("profile", {})
    assert len(asked) == 1


ODD_HEADERS = {
    "charset": b'Content-Type: text/x; charset="\x00\xff',
    "cookie": b"Set-Cookie: \xff\x00=;;;expires=" + b"9" * 5000,
    "cookies": b"\r\n".join([b"Set-Cookie: a=" + b'"' * 4000] * 50),
    "retry_after": b"Retry-After: " + b"9" * 4000,
    "no_colon": b"no colon",
    "folded": b"X-A: a\r\n b",
    "empty_name": b": x",
    "length_twice": b"Content-Length: 5",
    "length_huge": b"Content-Length: " + b"9" * 5000,
    "length_no_number": b"Content-Length: x",
    "upgrade": b"Connection: upgrade\r\nUpgrade: websocket",
}
STATUSES = [b"0 OK", b"999 OK", b"99999 OK", b"-1 OK", b"abc OK", b"", b"200 \xff\x1b[2J", b"101 Switch"]


def whatever(way: Way, answer: Any, connection: Any) -> Any:
    """Give the result, or the text of the one error."""
    with answering(answer) as (port, _):
        connection(webhook_at(port), extra={"plan": "self_hosted", "deadline": 2})
        try:
            found = way("profile", {})
        except Bitrix24Error as error:
            found = f"{error} {error!r} {vars(error)}"
    assert CODE not in str(found)
    return found


@EACH_WAY
@pytest.mark.parametrize("header", ODD_HEADERS)
def test_headers_that_make_no_sense_change_no_answer_or_are_one_error(
    way: Way, header: str, connection: Any
) -> None:
    found = whatever(way, http(RIGHT, ODD_HEADERS[header]), connection)
    assert found in (1, RIGHT.decode()) or found.startswith(
        ("profile: the portal failed: ", "profile: HTTP status 200")
    ), found


@EACH_WAY
@pytest.mark.parametrize("status", STATUSES, ids=range(len(STATUSES)))
def test_a_status_that_there_is_not_is_one_error(way: Way, status: bytes, connection: Any) -> None:
    found = whatever(way, http(RIGHT, status=status), connection)
    assert found in (1, RIGHT.decode()) or found.startswith("profile: the portal "), found


@BOTH_HOOKS
def test_no_cookie_of_a_portal_is_kept(way: Way, connection: Any) -> None:
    with answering(http(RIGHT, b"Set-Cookie: a=b; Path=/")) as (port, asked):
        connection(webhook_at(port), extra={"plan": "self_hosted"})
        way("batch", {"cmd": {"a": "profile"}})
        way("batch", {"cmd": {"a": "profile"}})
    assert len(asked) == 2
    assert b"ookie" not in asked[1]


def early() -> Iterator[bytes]:
    yield b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + http()


@EACH_WAY
def test_an_answer_behind_early_ones_is_the_answer(way: Way, connection: Any) -> None:
    assert whatever(way, early, connection) in (1, RIGHT.decode())


@EACH_WAY
def test_lines_that_are_no_headers_are_no_answer_and_fill_no_log(
    way: Way, connection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Of each answer a library would write a megabyte of the portal's choice into the log, twice."""
    lines = b"\r\n".join([b"no header", *[b"x y " + b"A" * 50_000] * 10])
    with answering(http(b'{"result": 1}', lines)) as (port, _):
        connection(webhook_at(port), extra={"plan": "self_hosted"})
        with pytest.raises(RetryLater, match="what came is no answer by the rules of HTTP"):
            way("profile", {})
    assert "AAAA" not in caplog.text
