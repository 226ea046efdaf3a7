"""What was saved since the last look: nothing is missed, and nothing told twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.saved_records import MOST_KEPT, OVERLAP, Place, checked_moment

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
DELAY = int(OVERLAP.total_seconds())


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


SAVES = st.lists(
    # Record, when it was saved, and how much later that shows.
    st.tuples(st.integers(1, 5), st.integers(0, 900), st.integers(0, DELAY - 1)),
    max_size=30,
    unique_by=lambda save: save[:2],
)


@pytest.mark.parametrize("restarts", [False, True])
@example(saves=[(1, 30, 0)], pauses=[150, 10])
@given(saves=SAVES, pauses=st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_each_record_is_told_after_its_last_save_and_never_twice(
    saves: list[tuple[int, int, int]], pauses: list[int], *, restarts: bool
) -> None:
    """The portal shows the latest save that it shows yet of each record."""
    place, now = Place(NOON), 0
    told: list[tuple[int, datetime]] = []
    for pause in [*pauses, 2000]:
        now += pause
        shown = {
            one: moment
            for one, moment, late in sorted(saves, key=lambda save: save[1])
            if moment + late <= now
        }
        begin = place.begin.replace(microsecond=0)  # the portal reads whole seconds
        found = {one: at(moment) for one, moment in shown.items() if at(moment) >= begin}
        new, place = place.after(found, at(now) + timedelta(milliseconds=500))
        told += new.items()
        if restarts:
            place = Place.from_json(json.loads(json.dumps(place.as_json())))
    assert len(told) == len(set(told))
    last = {one: at(moment) for one, moment, _ in sorted(saves, key=lambda save: save[1])}
    assert set(last.items()) <= set(told)


def test_saves_that_are_dated_ahead_keep_nothing_from_being_told() -> None:
    new, place = Place(NOON).after({1: at(10**9)}, at(60))
    assert (set(new), place.begin) == ({1}, NOON)
    new, place = place.after({1: at(10**9), 2: at(70)}, at(600))
    assert (set(new), place.begin) == ({2}, at(600) - OVERLAP)


def test_what_is_remembered_has_an_end() -> None:
    _, place = Place(NOON).after({one: at(60) for one in range(1, MOST_KEPT + 2)}, at(60))
    assert len(place.known) == MOST_KEPT + 1
    assert place.as_json()["known"] == {}
    assert len(json.dumps(Place(NOON, {2**31 - 1 - n: at(n) for n in range(MOST_KEPT)}).as_json())) < 65535


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        {},
        {"begin": "x", "known": {}},
        {"begin": NOON.isoformat(), "known": []},
        {"begin": "2026-11-01", "known": {}},
    ],
)
def test_what_is_no_place_is_refused(told: Any) -> None:
    with pytest.raises(ValueError, match=r"^it is no place of a watcher$"):
        Place.from_json(told)


@pytest.mark.parametrize(
    "given", ["yesterday", "2026-11-01", "2026-11-01T08:00:00", 17, NOON.replace(tzinfo=None)]
)
def test_a_moment_has_its_offset(given: object) -> None:
    with pytest.raises(InvalidInput, match=r"^since: .*accepted: a moment with its offset from UTC"):
        checked_moment("since", given)
