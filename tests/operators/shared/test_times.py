"""Hours that people set: how long an approval counts, an answer is awaited, another run is waited for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.operators.shared.parameters import hours, is_nothing, wait

TEN_YEARS = timedelta(hours=24 * 366 * 10)
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.timedeltas(),
    st.text(),
    st.decimals(allow_nan=True).map(str),
    st.integers().map(str),
    st.lists(st.integers(), max_size=2),
)


def outcome(read: Any, value: Any) -> timedelta | str | None:
    """Give what is read, or what the refusal says."""
    try:
        found: timedelta | None = read("patience", value)
    except InvalidInput as refused:
        return str(refused)
    return found


@pytest.mark.drawn
@given(ANYTHING)
@example(10**400)
@example("0\x1f")
def test_hours_are_what_was_given_or_one_clear_error(value: Any) -> None:
    for read, accepted in ((hours, "hours above 0"), (wait, "hours, 0 or above")):
        found = outcome(read, value)
        if isinstance(found, str):
            assert found.startswith("patience: ")
            assert f"accepted: a number of {accepted}" in found
        elif found is None:
            assert read is hours
            assert is_nothing(value)
        else:
            assert timedelta(0) <= found <= TEN_YEARS
            assert found or read is wait
            number = value.strip() if isinstance(value, str) else value
            assert found == (number if isinstance(number, timedelta) else timedelta(hours=float(number)))


@pytest.mark.parametrize("value", [0, "0", 0.0, timedelta(0)])
def test_not_waiting_is_a_way_to_wait_and_no_time_is_no_period(value: Any) -> None:
    assert wait("patience", value) == timedelta(0)
    with pytest.raises(InvalidInput):
        hours("patience", value)
