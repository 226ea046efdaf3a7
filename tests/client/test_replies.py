"""What came back for a request, read as an answer or a fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.wire import Answer, Call, Fault, FaultKind, Lost, Reply, error_of, fault_of, read
from airflow_bitrix.core.errors import PortalAnswer, Rejected


def body(code: object, text: object = "said so", status: int = 400) -> Reply:
    return Reply(status, json.dumps({"error": code, "error_description": text}).encode())


def fault(reply: Reply | Lost) -> Fault:
    found = read(reply)
    assert isinstance(found, Fault)
    return found


@pytest.mark.parametrize("result", [True, False, None, 0, "", [], {}, [1], {"items": []}], ids=repr)
def test_whatever_stands_under_result_is_the_result(result: object) -> None:
    reply = Reply(200, json.dumps({"result": result, "time": {"start": 1, "operating": 0.5}}).encode())
    assert read(reply) == Answer(result, time={"start": 1, "operating": 0.5})


def test_total_and_next_stand_beside_the_result() -> None:
    assert read(Reply(200, b'{"result": [], "total": 120, "next": 50}')) == Answer([], total=120, next=50)


@pytest.mark.parametrize("time", [b"[]", b"null", b"5"], ids=ascii)
def test_a_time_of_another_shape_is_no_time(time: bytes) -> None:
    assert read(Reply(200, b'{"result": true, "time": ' + time + b"}")) == Answer(result=True)


BY_CODE = [
    *[("QUERY_LIMIT_EXCEEDED", status, FaultKind.THROTTLED) for status in (503, 429, 200, 400)],
    *[("OPERATION_TIME_LIMIT", status, FaultKind.RESTING) for status in (429, 503, 200)],
    *[("expired_token", status, FaultKind.AUTH) for status in (401, 403)],
    *[("insufficient_scope", status, FaultKind.AUTH) for status in (401, 403)],
    *[("INVALID_CREDENTIALS", status, FaultKind.AUTH) for status in (401, 403)],
    ("NO_AUTH_FOUND", 401, FaultKind.AUTH),
    ("INVALID_REQUEST", 400, FaultKind.AUTH),
    ("user_access_error", 403, FaultKind.AUTH),
    ("authorization_error", 401, FaultKind.AUTH),
    ("WRONG_AUTH_TYPE", 403, FaultKind.AUTH),
    *[("ACCESS_DENIED", status, FaultKind.REJECTED) for status in (403, 400)],
    ("ACCESS_DENIED", 401, FaultKind.AUTH),
    *[("OVERLOAD_LIMIT", status, FaultKind.AUTH) for status in (503, 401)],
    *[("PORTAL_DELETED", status, FaultKind.AUTH) for status in (500, 403)],
    ("ERROR_METHOD_NOT_FOUND", 404, FaultKind.REJECTED),
    ("INTERNAL_SERVER_ERROR", 500, FaultKind.BROKEN),
    ("ERROR_UNEXPECTED_ANSWER", 500, FaultKind.BROKEN),
    ("ERROR_CORE", 500, FaultKind.BROKEN),
    ("ERROR_CORE", 400, FaultKind.REJECTED),
    ("", 400, FaultKind.REJECTED),
    ("", 403, FaultKind.REJECTED),
    ("", 200, FaultKind.REJECTED),
    ("", 401, FaultKind.AUTH),
    ("", 500, FaultKind.BROKEN),
    (None, 400, FaultKind.REJECTED),
]


@pytest.mark.parametrize(("code", "status", "kind"), BY_CODE)
def test_the_code_decides_before_the_status_does(code: str | None, status: int, kind: FaultKind) -> None:
    assert fault(body(code, "said so", status)) == Fault(kind, PortalAnswer(code or "", "said so", status))


def test_codes_are_the_same_in_any_case() -> None:
    assert fault(body("query_limit_exceeded", status=503)).kind is FaultKind.THROTTLED


def test_an_error_in_the_shape_of_rest_3_is_read_too() -> None:
    reply = Reply(400, b'{"error": {"code": "X", "message": "no", "validation": []}}')
    assert fault(reply) == Fault(FaultKind.REJECTED, PortalAnswer("X", "no", 400))


UNREADABLE = [
    *[
        (status, b"<html><title>Bad &amp; gone</title></html>", FaultKind.BROKEN)
        for status in (500, 502, 503, 504)
    ],
    (200, b"<html>maintenance</html>", FaultKind.BROKEN),
    (200, b"", FaultKind.BROKEN),
    (200, b"[]", FaultKind.BROKEN),
    (200, b"null", FaultKind.BROKEN),
    (200, b"{}", FaultKind.BROKEN),
    (200, b'{"result": tr', FaultKind.BROKEN),
    (200, b"\xff\xfe\xfa", FaultKind.BROKEN),
    (200, b"[" * 100_000, FaultKind.BROKEN),
    (204, b"", FaultKind.BROKEN),
    (500, b'{"result": true}', FaultKind.BROKEN),
    (429, b"<html>slow down</html>", FaultKind.RESTING),
    (401, b"<html>who?</html>", FaultKind.AUTH),
    (403, b"<html>no</html>", FaultKind.REJECTED),
    (404, b"<html>nothing here</html>", FaultKind.REJECTED),
    (413, b"", FaultKind.REJECTED),
]


@pytest.mark.parametrize(("status", "text", "kind"), UNREADABLE, ids=lambda value: repr(value)[:24])
def test_a_body_without_a_result_is_a_fault_by_its_status(status: int, text: bytes, kind: FaultKind) -> None:
    found = fault(Reply(status, text))
    assert found.kind is kind
    assert found.answer.status == status
    assert found.answer.text.startswith((f"HTTP status {status} (", "HTTP status 200, maps and lists"))
    assert len(found.answer.text) < 200


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"<html><head><TITLE lang=en>502 &lt;Bad&gt;\n Gateway</TITLE><p>x</html>", ": 502 <Bad> Gateway"),
        (b"<html><h1>Oops</h1><p>try\nlater</html>", ": Oops try later"),
        (b"", ""),
        (b"<br><hr>", ""),
        (b"502", ""),
        (b"<title>502 Bad Gateway</title>", ""),
        (b"bad gateway", ""),
    ],
)
def test_of_a_page_only_its_title_or_the_beginning_of_its_words_are_shown(text: bytes, shown: str) -> None:
    assert fault(Reply(502, text)).answer.text == (
        f"HTTP status 502 (Bad Gateway), and no answer that can be read{shown}"
    )


def test_a_status_that_nobody_knows_is_told_as_that() -> None:
    told = fault(Reply(599, b"")).answer.text
    assert told == "HTTP status 599 (a status that HTTP does not know), and no answer that can be read"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_only_the_host_of_the_new_address_is_told(status: int) -> None:
    found = fault(Reply(status, b"", "https://new.bitrix24.com/rest/1/secret/profile"))
    error = error_of(Call("profile"), found)
    assert isinstance(error, Rejected)
    assert "redirects to new.bitrix24.com" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "location", ["", "/rest/1/secret/x", "secret", "https://u:secret@new.example/x", "//"]
)
def test_a_redirect_to_anything_else_tells_no_secret(location: str) -> None:
    found = fault(Reply(302, b"", location))
    assert "redirects" in found.answer.text
    assert "secret" not in found.answer.text


@pytest.mark.parametrize(
    ("lost", "kind"),
    [
        (Lost(sent=True, reason="cut"), FaultKind.BROKEN),
        (Lost(sent=False, reason="refused"), FaultKind.UNREACHABLE),
    ],
    ids=["cut", "refused"],
)
def test_a_lost_answer_is_told_apart_from_a_request_that_never_left(lost: Lost, kind: FaultKind) -> None:
    assert fault(lost) == Fault(kind, PortalAnswer(text=lost.reason))


def test_a_certificate_that_cannot_be_verified_is_no_passing_fault() -> None:
    found = fault(Lost(sent=False, reason="self-signed", final=True))
    assert isinstance(error_of(Call("profile"), found), Rejected)


@pytest.mark.drawn
@given(st.integers(100, 599), st.binary(max_size=60))
def test_no_reply_whatsoever_makes_the_reading_fail(status: int, noise: bytes) -> None:
    assert isinstance(read(Reply(status, noise)), (Answer, Fault))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.mark.drawn
@given(
    st.integers(200, 599),
    st.dictionaries(st.sampled_from(["error", "error_description", "result"]), json_values),
)
def test_no_json_whatsoever_makes_the_reading_fail(status: int, noise: dict[str, Any]) -> None:
    assert isinstance(read(Reply(status, json.dumps(noise).encode())), (Answer, Fault))


@pytest.mark.parametrize("said", ["plain words", 5, None, [], ["x"]], ids=repr)
def test_a_commands_error_of_another_shape_is_a_refusal(said: object) -> None:
    assert fault_of(said).kind is FaultKind.REJECTED


def test_the_portals_words_can_always_be_written_to_a_file() -> None:
    r"""A text that was cut in the middle of an emoji comes as half of one: ``\ud83d``."""
    answer = fault(Reply(400, b'{"error": "\\ud83d", "error_description": "cut \\ud83d"}')).answer
    assert answer.text.encode().startswith(b"cut ")
    assert len(answer.code.encode()) < 10
