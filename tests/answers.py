"""Answers that no portal should give, drawn: any JSON, and what looks much like the right one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["7", "Y", "N", "id", "9" * 25, 10**400, -(10**400), 10**4000, 2**63, 1.7e308])
)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=2), below, max_size=2),
    max_leaves=5,
)


def rows(right: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Rows that are right but for some fields, or anything else."""
    wrong = st.dictionaries(st.sampled_from([*right]), VALUES, max_size=2)
    left = st.sets(st.sampled_from([*right]), max_size=1)
    almost = st.builds(
        lambda changed, gone: {
            name: value for name, value in {**right, **changed}.items() if name not in gone
        },
        wrong,
        left,
    )
    return almost | st.just(dict(right)) | VALUES


def pages(right: Mapping[str, Any], under: str = "") -> st.SearchStrategy[Any]:
    """Results of lists, of no rows to a few."""
    found: st.SearchStrategy[Any] = st.lists(rows(right), max_size=3)
    return (found.map(lambda one: {under: one}) if under else found) | VALUES
