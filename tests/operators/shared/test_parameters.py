"""Arguments as templates, forms and people write them: a value, or one error that names all of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.operators.shared.parameters import (
    count,
    hours,
    optional_count,
    optional_day,
    optional_share,
    share,
)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        *[("20%", 0.2), ("20 %", 0.2), (" 0.5% ", 0.005), ("100%", 1), ("1%", 0.01), ("0%", 0)],
        *[(0.2, 0.2), ("0.2", 0.2), (0, 0), ("0", 0), (0.999, 0.999)],
    ],
)
def test_a_share_is_percent_as_text_or_a_number_below_1(given: Any, meant: float) -> None:
    assert share("max_share", given) == pytest.approx(meant)


@pytest.mark.parametrize(
    "given",
    [
        1,
        1.0,
        "1",
        "1.0",
        True,
        20,
        "20",
        "150%",
        "-5%",
        -0.1,
        "20%%",
        "%",
        "",
        " ",
        "1e-1",
        "0,2",
        "٢%",
        math.nan,
    ],
    ids=repr,
)
def test_a_share_that_may_mean_something_else_is_refused(given: Any) -> None:
    """1 meant as percent, or 20 put onto a bound, would be no limit at all."""
    accepted = "a share as text such as '20%', from 0% to 100%, or a number from 0 to below 1"
    with pytest.raises(
        InvalidInput, match=rf"^max_share: .* is not accepted; accepted: {accepted}"
    ) as refused:
        optional_share("max_share", given)
    assert str(refused.value).endswith(", or None for no limit")


@pytest.mark.parametrize("read", [optional_count, optional_share, optional_day, hours])
def test_a_limit_is_left_open_by_none_and_not_by_a_template_that_gives_nothing(
    read: Callable[[str, object], Any],
) -> None:
    assert read("limit", None) is None
    assert read("limit", "None") is None  # as a template renders it without native objects
    for nothing in ("", " "):
        with pytest.raises(InvalidInput, match=r"^limit: "):
            read("limit", nothing)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
TYPED = st.from_regex(r"\A ?[-+]?[0-9]{0,4}([.,][0-9]{0,3})? ?%?\Z") | st.just("2026-11-01")
GIVEN = SCALARS | TYPED | st.lists(SCALARS, max_size=2)

READERS: dict[Callable[[str, object], Any], Callable[[Any], bool]] = {
    count: lambda read: type(read) is int and read >= 0,
    share: lambda read: type(read) in (int, float) and 0 <= read <= 1,
    optional_day: lambda read: read is None or type(read) is date,
    hours: lambda read: read is None or (type(read) is timedelta and read > timedelta()),
}


@pytest.mark.drawn
@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@given(value=GIVEN)
def test_whatever_is_given_comes_to_a_value_or_to_one_error_that_names_it(
    read: Callable[[str, object], Any], value: Any
) -> None:
    told = outcome(read, value)
    if isinstance(told, InvalidInput):
        assert str(told).startswith("argument: ")
        assert "is not accepted; accepted: " in str(told)
    else:
        assert READERS[read](told)


def outcome(read: Callable[[str, object], Any], value: Any) -> Any:
    try:
        return read("argument", value)
    except InvalidInput as refused:
        return refused
