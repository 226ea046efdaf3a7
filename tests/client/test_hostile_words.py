"""What a portal says is text: in an error it is one line, of bounded length, whatever it says."""

from __future__ import annotations

import json
import logging
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.wire import Call, Fault, Lost, Reply, error_of, fault_of, read
from airflow_bitrix.core.errors import LONGEST_MESSAGE, Bitrix24Error, InvalidInput, Rejected
from airflow_bitrix.core.foreign_text import LONGEST
from airflow_bitrix.core.links import Owner
from airflow_bitrix.core.owner_states import state_of
from airflow_bitrix.crm.filter_values import check_stages, checked_values
from airflow_bitrix.crm.known_values import KnownValues
from airflow_bitrix.hooks.connection import who_is_connected

CALL = Call("crm.lead.contact.add", {"id": 5})

EVIL = "no\r\n[2026-11-29] INFO - Approved by Olga\u2028::group::\x1b[2K\x1b]8;;http://x\x07\u202etxt.exe\u200b\ud83d\0\x85"
SHOWN = (
    r"no\r\n[2026-11-29] INFO - Approved by Olga\u2028\x3a:group::\x1b[2K\x1b]8;;http://x\x07\u202etxt.exe"
    r"\u200b\ud83d\x00"
)


def error_with(body: object, status: int = 400) -> Bitrix24Error:
    fault = read(Reply(status, json.dumps(body).encode()))
    assert isinstance(fault, Fault)
    return error_of(CALL, fault)


@pytest.mark.attack
def test_an_error_is_one_line_whatever_the_portal_says(caplog: pytest.LogCaptureFixture) -> None:
    error = error_with({"error": "", "error_description": EVIL})
    assert str(error) == f"crm.lead.contact.add (lead 5): the portal refused: {SHOWN}"
    assert error.answer.text == SHOWN
    logging.getLogger("airflow_bitrix").error("%s", error)
    assert len(caplog.text.splitlines()) == 1
    assert pickle.loads(pickle.dumps(error)).message == error.message  # noqa: S301 (our own)


@pytest.mark.attack
@pytest.mark.parametrize(
    "body",
    [
        {"error": EVIL, "error_description": EVIL},
        {"error": {"code": EVIL, "message": EVIL}},
        {"error": [EVIL], "error_description": {EVIL: EVIL}},
        {"error": 10**4_000, "error_description": 10**4_000},
        {"error": EVIL * 100_000, "error_description": EVIL * 100_000},
    ],
    ids=["texts", "of REST 3.0", "no texts", "numbers", "long"],
)
def test_what_an_error_keeps_is_small_and_can_be_written_anywhere(body: object) -> None:
    error = error_with(body)
    for text in (str(error), error.answer.code, error.answer.text):
        assert text.isprintable()
        assert "::group::" not in text
        assert len(text.encode()) < 1.5 * LONGEST
    assert len(pickle.dumps(error)) < 6 * LONGEST


TEXTS = st.text(max_size=20) | st.sampled_from([EVIL, "::group::", "ACCESS_DENIED", "x" * 9_999])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXTS, inside, max_size=3),
    max_leaves=9,
)
BODIES = (
    st.fixed_dictionaries({"error": JSON}, optional={"error_description": JSON, "time": JSON})
    | st.fixed_dictionaries({"error": st.fixed_dictionaries({"code": JSON, "message": JSON})})
    | JSON
)


@pytest.mark.attack
@pytest.mark.drawn
@given(
    BODIES.map(json.dumps).map(str.encode) | st.binary(max_size=200), st.sampled_from([200, 400, 401, 503])
)
def test_whatever_a_portal_says_its_error_is_one_line(body: bytes, status: int) -> None:
    fault = read(Reply(status, body))
    if isinstance(fault, Fault):
        error = error_of(CALL, fault)
        for text in (str(error), error.answer.code, error.answer.text):
            assert text.isprintable()
            assert "::group::" not in text
            assert "::endgroup::" not in text
            assert len(text) < 1.5 * LONGEST


@pytest.mark.attack
@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(500, EVIL.encode(errors="replace")), "can be read: no [2026-11-29] INFO - Appr"),
        (
            Reply(500, f"<title>\u202e{EVIL}</title>".encode(errors="replace")),
            r"read: \u202eno [2026-11-29]",
        ),
        (Reply(500, b"<title>&#27;[2J&#8238;&#0;</title>"), r"read: [2J\u202e"),
        (Reply(500, b"&#" + b"9" * 10_000), "read: &#999"),
        (Reply(200, b'{"a": "\\u202e\\n'), r'read: {"a": "\u202e\n'),
        (Reply(302, b"", "https://\u202eevil\u200b.example/rest/1/abc123/"), r"to \u202eevil\u200b.example;"),
        (Reply(302, b"", "https://" + "a" * 100_000), "the portal redirects to aaa"),
        (Lost(sent=True, reason=EVIL), r"Approved by Olga\u2028\x3a:group::"),
    ],
)
def test_what_is_no_answer_is_told_in_one_line(reply: Reply | Lost, told: str) -> None:
    fault = read(reply)
    assert isinstance(fault, Fault)
    error = error_of(CALL, fault)
    assert told in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 1.5 * LONGEST


@pytest.mark.attack
def test_a_record_that_cannot_be_read_is_told_of_in_one_line() -> None:
    row = {"id": 5, "contactIds": [1], "contactId": 1, "isReturnCustomer": "Y", "companyId": EVIL}
    with pytest.raises(Bitrix24Error) as raised:
        state_of("lead", row, ("title",))
    assert str(raised.value).isprintable()
    assert str(Call("crm.lead.contact.add", {"id": EVIL * 99})).isprintable()
    assert len(error_of(Call("crm.lead.contact.add", {"id": EVIL * 99}), fault_of({})).owner) < 50
    assert Call("crm.lead.contact.add", {"id": 5}).owner == str(Owner("lead", 5))


@pytest.mark.attack
def test_names_of_the_portal_are_told_in_one_line_of_bounded_length() -> None:
    stages = {"NEW": EVIL, **{f"S{number}": "x" * 9_999 for number in range(999)}}
    known = KnownValues(
        "deal",
        {"stageId": {"type": "crm_status", "statusType": "DEAL_STAGE"}},
        {"DEAL_STAGE": stages},
        {0: EVIL},
    )
    for ask in (lambda: checked_values({"stageId": "WON"}, known), lambda: check_stages(["WON"], known)):
        with pytest.raises(InvalidInput) as raised:
            ask()
        told = str(raised.value)
        assert r"NEW (no\r\n[2026-11-29] INFO" in told
        assert told.isprintable()
        assert len(told) <= LONGEST_MESSAGE
    _, said = who_is_connected("https://acme.bitrix24.com", {"NAME": EVIL * 99, "ADMIN": True}, ["crm"])
    assert said.isprintable()
    assert len(said) < 200
    _, said = who_is_connected("https://acme.bitrix24.com", {"ADMIN": True}, [EVIL] * 9_999)
    assert said.isprintable()
    assert len(said) < 1.1 * LONGEST


@pytest.mark.attack
def test_what_somebody_gave_is_told_in_one_line_and_kept_only_where_it_is_small() -> None:
    class Odd:
        def __repr__(self) -> str:
            return EVIL * 99

    deep: list[object] = []
    for _ in range(50_000):
        deep = [deep]
    for value in (EVIL * 99, [EVIL], Odd(), deep, 10**5_000, {"a": 10**5_000}, ["x" * 10**6]):
        error = InvalidInput("items", value, f"a list{EVIL}", problem="")
        assert str(error).isprintable()
        assert len(str(error)) < LONGEST
        assert len(pickle.dumps(error)) < 4 * LONGEST
    assert InvalidInput("items", [5, "a"], "a list").value == [5, "a"]
    assert isinstance(InvalidInput("x", "a", "b", problem=EVIL), Rejected)
