"""What is received, in whatever pieces, is the answer or one reason why it is not read."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

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


@given(VALUES | st.binary(max_size=30) | st.text('[]{}",:\\0e9.NaInfity', max_size=30))
def test_whatever_is_to_be_json_is_a_value_or_one_of_two_reasons(given: Any) -> None:
    text = given if isinstance(given, (str, bytes)) else json.dumps(given)
    body = text.encode() if isinstance(text, str) else text
    try:
        value = parsed(body)
    except (UnreadableError, ValueError):
        return
    assert value == json.loads(body)


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
        assert parsed(body)["result"][0] == []
    else:
        with pytest.raises(UnreadableError, match="more than 100 deep"):
            parsed(body)
