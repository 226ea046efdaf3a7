"""Pieces of a range of ids: each id in exactly one, and no request that another would have made."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.id_ranges import Range, Ranges
from airflow_bitrix.client.row_pages import PAGE


def settle(ranges: Ranges, pages: Sequence[tuple[Range, Sequence[int]]]) -> None:
    ranges.settle([(piece, len(page), page[-1] if page else piece[0]) for piece, page in pages])


@given(st.sets(st.integers(1, 4000), max_size=600), st.floats(0.001, 1), st.integers(1, 50))
def test_every_id_is_found_once_whatever_density_was_expected(
    ids: set[int], density: float, most: int
) -> None:
    ranges = Ranges((1, 4000), density)
    found: list[int] = []
    while pieces := ranges.take(most):
        assert len(pieces) <= most
        pages = [(piece, sorted(n for n in ids if piece[0] <= n <= piece[1])[:PAGE]) for piece in pieces]
        found += [n for _, page in pages for n in page]
        settle(ranges, pages)
    assert sorted(found) == sorted(ids)
    assert ranges.lowest == math.inf


def test_a_stretch_without_a_row_makes_the_next_pieces_wider() -> None:
    ranges = Ranges((1, 10_000_000), 1.0)
    narrow = ranges.take(50)
    assert [last - first + 1 for first, last in narrow] == [50] * 50
    settle(ranges, [(piece, []) for piece in narrow])
    wide = ranges.take(50)
    assert min(last - first for first, last in wide) > 100_000


def test_a_request_that_would_not_be_full_waits_for_those_under_way() -> None:
    """What they leave over may ride along."""
    ranges = Ranges((1, 8000), 0.5)
    one, other = ranges.take(50), ranges.take(50)
    settle(ranges, [(one[0], range(1, PAGE + 1)), *((piece, []) for piece in one[1:])])
    assert ranges.take(50) == []
    settle(ranges, [(other[0], range(4001, 4001 + PAGE)), *((piece, []) for piece in other[1:])])
    assert ranges.take(50) == [(51, 80), (4051, 4080)]


def test_what_pieces_left_over_comes_first_and_lowest_first() -> None:
    ranges = Ranges((1, 100_000), 0.1)
    pieces = ranges.take(3)
    full = [(piece, list(range(piece[0], piece[0] + 2 * PAGE, 2))) for piece in pieces]
    settle(ranges, full[::-1])
    assert ranges.lowest == 100
    left = ranges.take(50, ahead=False)
    assert left == sorted(left)
    assert [n for first, last in left for n in range(first, last + 1)] == [
        n for piece in pieces for n in range(piece[0] + 2 * PAGE - 1, piece[1] + 1)
    ]
    settle(ranges, [(piece, []) for piece in left])
    assert ranges.take(50, ahead=False) == []
    assert ranges.take(50)[0][0] == pieces[-1][1] + 1


def read(ids: list[int], ranges: Ranges) -> int:
    """Read all that ranges leave to read, a request at a time; gives the number of requests."""
    requests, found = 0, []
    while pieces := ranges.take():
        requests += 1
        pages = [
            (piece, ids[bisect_left(ids, piece[0]) : bisect_right(ids, piece[1])][:PAGE]) for piece in pieces
        ]
        found += [n for _, page in pages for n in page]
        settle(ranges, pages)
    assert sorted(found) == ids
    return requests


def test_a_cluster_that_lies_in_one_piece_is_not_read_a_page_a_request() -> None:
    cluster = list(range(1_000_001, 1_005_001))
    assert read(cluster, Ranges((1, 1_005_000), 1 / 20_000)) <= 8


def test_ids_below_zero_are_cut_as_those_above() -> None:
    """That is how rows are read from the largest id down."""
    assert read(list(range(-5000, -2000)), Ranges((-5000, -1), 1.0)) == 2


def test_what_lies_behind_an_end_that_is_told_later_is_left_out() -> None:
    ranges = Ranges((1, 2**40), 1.0)
    pieces = ranges.take(4)
    assert pieces == [(1, 50), (51, 100), (101, 150), (151, 200)]
    ranges.end_at(120)
    pages = [range(1, 51), range(51, 101), range(101, 121), range(0)]
    settle(ranges, list(zip(pieces, pages, strict=True)))
    assert ranges.lowest == math.inf
    assert ranges.take(50) == []
