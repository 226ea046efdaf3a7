"""How fast an apply went, by the seconds in which its outcomes were noted."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.files import part_name
from airflow_bitrix.files.apply_times import STRETCH, ApplyTimes, read_apply_times
from airflow_bitrix.files.kept_indexes import kept_parts, packed
from airflow_bitrix.files.outcome_index import read_index
from tests.plugins.runs import change, make_plan, note, outcome

BEGIN = 1_764_410_000


def noted(*seconds: int) -> ApplyTimes:
    times = ApplyTimes()
    for one in seconds:
        times.take([b'{"owner":1,"outcome":"applied","at":%d}\n' % (BEGIN + one)])
    return times


def test_the_pace_is_that_of_all_and_lately_that_of_the_end() -> None:
    times = noted(*(second for second in range(100) for _ in range(8)), *range(4000, 4300))
    assert (times.first, times.last) == (BEGIN, BEGIN + 4299)
    assert times.rate == pytest.approx(1100 / (95 + 299)), "a rest is no work"
    assert times.rate_lately == pytest.approx(1, rel=0.01)


def test_nothing_is_said_of_the_pace_in_the_first_seconds() -> None:
    times = noted(0, 0, 0, 1)
    assert (times.rate, times.rate_lately, times.bars(30)) == (None, None, [])
    assert ApplyTimes().rate is None
    assert noted(0, 6).rate is not None
    assert noted(0, 6).rate_lately is None


@given(st.lists(st.integers(0, 100_000), min_size=2), st.integers(1, 60))
def test_the_bars_hold_every_outcome(seconds: list[int], number: int) -> None:
    bars = noted(*seconds).bars(number)
    if noted(*seconds).rate is None:
        assert bars == []
        return
    assert 1 <= len(bars) <= number
    span = max(seconds) + STRETCH - min(seconds)
    widths = range(STRETCH, span + STRETCH * number, STRETCH)
    assert any(sum(bars) * width == pytest.approx(len(seconds)) for width in widths)


def test_parts_add_up_whatever_their_order() -> None:
    one, other = noted(0, 7, 9), noted(3, 20)
    both = ApplyTimes().add(one).add(other).add(ApplyTimes())
    assert both == ApplyTimes().add(other).add(one) == noted(0, 3, 7, 9, 20)
    assert all(early <= late for early, late in pairwise([both.first, both.last]))


def test_lines_that_tell_no_second_are_passed_over() -> None:
    times = ApplyTimes()
    for line in (b'{"owner":1}\n', b'{"owner":1,"at":0}\n', b'{"owner":1,"at":12345678901}\n', b""):
        times.take([line])
    assert times == ApplyTimes()


def test_a_journal_tells_the_times_of_real_runs_alone(tmp_path: Path) -> None:
    manifest = make_plan(tmp_path, [change(number) for number in range(1, 4)])
    parts = [tmp_path / "journal" / part_name(0), tmp_path / "journal" / part_name(1)]
    note(tmp_path, manifest, {0: [outcome(1, "skipped"), outcome(2, "skipped")]}, dry_run=True)
    assert read_apply_times(parts) == read_index(tmp_path).times == ApplyTimes()
    note(tmp_path, manifest, {0: [outcome(1), outcome(2), outcome(3, "failed", "why")]})
    times = read_apply_times(parts)
    assert times.counts.total() == 3
    assert 0 < times.first <= times.last
    index = read_index(tmp_path)
    assert index.times == times
    (tmp_path / "index").write_bytes(packed(index.parts))
    assert [one.times for one in kept_parts(tmp_path / "index").values()] == [times]
