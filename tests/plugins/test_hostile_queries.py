"""Whatever a query string holds, each route gives one of its few answers, and soon."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.plugins.applied_run import at

NAMES = ("task", "search", "outcome", "sort", "at", "size", "nothing")
ROUTES = ("", "rows", "outcomes.csv", "outcomes.jsonl", "files/failed.csv")
VALUES = (
    "plan",
    "",
    "-1",
    "0",
    "1e9",
    "9" * 30,
    "9" * 9000,
    "%",
    "%zz",
    "%00",
    "\u202e",
    "a b",
    "../..",
    "*",
    "[]",
)
ANSWERS = {200, 404}

SOON = 2
"""Seconds of CPU."""

queries = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(max_size=30)), max_size=6
).map(lambda pairs: "&".join(f"{name}={quote(value, safe='%[]*')}" for name, value in pairs))


@pytest.mark.attack
@pytest.mark.drawn
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    route=st.sampled_from(["", "rows", "outcomes.csv", "outcomes.jsonl", "files/failed.csv"]), query=queries
)
def test_whatever_is_asked_the_answer_is_one_of_few_and_comes_soon(
    reader: TestClient, run: Path, route: str, query: str
) -> None:
    assert run.exists()

    def ask() -> float:
        began = time.process_time()
        assert reader.get(at(f"{route}?{query}")).status_code in ANSWERS
        return time.process_time() - began

    assert ask() < SOON or ask() < SOON  # a collection of all garbage so far takes longer, once
