"""What is received, in whatever pieces, is the answer or one reason why it is not read."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.bodies import DEEPEST, Body, UnreadableError, parsed
from tests.answers import VALUES

pytestmark = [pytest.mark.attack, pytest.mark.drawn]

MOST = 2000
PACKED: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "X-GZIP ": gzip.compress,
    "deflate": zlib.compress,
}
BODIES = st.binary(max_size=MOST) | st.integers(0, 10**6).map(bytes)


def received(pieces: list[bytes], encoding: str) -> bytes:
    body = Body(encoding, MOST)
    for piece in pieces:
        body.add(piece)
    return body.whole()


def in_pieces(whole: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})
    return [whole[one:other] for one, other in pairwise(places)]


CUTS = st.lists(st.integers(0, 10**6), max_size=4)


@given(BODIES, st.sampled_from([*PACKED]), CUTS)
def test_what_was_packed_comes_out_if_it_is_not_too_large(
    body: bytes, encoding: str, cuts: list[int]
) -> None:
    pieces = in_pieces(PACKED[encoding](body), cuts)
    if len(body) <= MOST and sum(map(len, pieces)) <= MOST:
        assert received(pieces, encoding) == body
    else:
        with pytest.raises(UnreadableError, match="the answer is larger than 2,000 bytes"):
            received(pieces, encoding)


@given(
    st.binary(max_size=40),
    st.integers(0, 60),
    st.binary(max_size=4),
    st.sampled_from([*PACKED, "br", "a, b"]),
    CUTS,
)
def test_what_is_damaged_is_a_reason_and_no_other_error(
    body: bytes, cut: int, behind: bytes, encoding: str, cuts: list[int]
) -> None:
    whole = PACKED.get(encoding, bytes)(body)[: cut or None] + behind
    try:
        found = received(in_pieces(whole, cuts), encoding)
    except UnreadableError as error:
        assert str(error)  # noqa: PT017 (either comes)
    else:
        assert len(found) <= MOST


def as_json_says(body: bytes) -> str:
    """Tell what is JSON to Python's own reader; empty for what is none, or not known to JSON."""
    constants: list[str] = []
    try:
        value = json.loads(body, parse_constant=constants.append)
    except ValueError:
        return ""
    return "" if constants else repr(value)  # which tells 1 from 1.0 and true, and the order of a map


PIECES = (
    *(piece.encode() for piece in '[]{}",:\\ue-+.01 \n\0\x1f\x7fé\ufeff'),
    *(b"true", b"false", b"null", b"NaN", b"Infinity", b"-0", b"1e5", b"1e400", b"4e-324", b"0.1"),
    *(b"9007199254740993", b"9" * 19, b"18446744073709551616", b"9" * 4301, b"1" + b"0" * 400 + b".5"),
    *(b"\\ud83d", b"\\ude00", b"\\u0000", b"\xed\xa0\xbd", b"\xff", b"\xc0\x80", b'{"a":', b',"a":', b'["'),
)
JOINED = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
TEXTS = JOINED.map(lambda inner: b'"' + inner + b'"')
LISTS = (JOINED | TEXTS).map(lambda inner: b"[" + inner + b"]")
WRITTEN = st.builds(
    lambda value, encoding: json.dumps(value, ensure_ascii=False).encode(encoding, "surrogatepass"),
    VALUES,
    st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"]),
)


@given(WRITTEN | st.binary(max_size=30) | JOINED | TEXTS | LISTS, st.sampled_from([0, 200]))
def test_whatever_is_to_be_json_is_read_as_python_reads_it(body: bytes, blanks: int) -> None:
    body += b" " * blanks
    try:
        found = repr(parsed(body))
    except ValueError:
        found = ""
    assert found == as_json_says(body)


@given(
    st.integers(1, 300),
    st.sampled_from(['["]",%s]', '{"[": %s, "]": 0}', '[[], %s, "{[{["]', '{"}": {"a": %s}}']),
)
def test_texts_hide_no_depth_and_make_none(depth: int, around: str) -> None:
    text, levels = "1", 0
    while levels < depth:
        text, levels = around.replace("%s", text), levels + around.count("%s") + around.count('{"a"')
    body = f'{{"result": [{", ".join(["[]"] * 120)}, {text}]}}'.encode()
    if levels + 2 + around.startswith("[[]") <= DEEPEST:
        assert repr(parsed(body)) == as_json_says(body)
    else:
        with pytest.raises(UnreadableError, match="more than 100 deep"):
            parsed(body)
