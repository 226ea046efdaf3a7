"""What a search may cost: words are distinct and few, so that no viewer of a report keeps a server busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from airflow_bitrix.files.outcome_index import OutcomeIndex, read_index
from airflow_bitrix.report.indexed import MOST_LETTERS, MOST_WORDS, search_for
from tests.plugins.applied_run import at
from tests.plugins.runs import change, make_plan

MANY = 3000

HOSTILE = {
    "equal words": "7 " * 100,
    "equal but for the star and the case": "because BECAUSE because* Because " * 6,
    "different words": " ".join(
        ["because", "because:", "release_repeat_leads:", "release_", "repeat", "leads"] * 3
    ),
    "each letter": " ".join("abcdefghijklmnopqrstuvwxyz"),
    "words without end": "because " * 100_000,
    "one word without end": "e" * 1_000_000,
    "digits without end": "7" * 1_000_000,
    "stars": "* " * 1000,
    "commas": "," * 100_000,
    "signs of expressions": "(a+)+$ .*.*.* [ ( \\d{1,9999} " * 6,
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> OutcomeIndex:
    """Many changes, each of which holds the words that are searched."""
    folder = tmp_path_factory.mktemp("many")
    make_plan(folder, (change(number, 7) for number in range(1, MANY + 1)))
    return read_index(folder)


def cost(index: OutcomeIndex, typed: str) -> float:
    def once() -> float:
        began = time.process_time()
        search = search_for(typed)
        index.rows((), "plan", search.matches if search.words else None, search.hints)
        return time.process_time() - began

    return min(once() for _ in range(3))


@pytest.mark.attack
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_search_costs_a_few_times_a_plain_one(index: OutcomeIndex, kind: str) -> None:
    assert cost(index, HOSTILE[kind]) < 4 * cost(index, "because")


@pytest.mark.attack
@pytest.mark.parametrize("kind", HOSTILE)
def test_the_words_of_a_search_are_distinct_few_and_short(kind: str) -> None:
    search = search_for(HOSTILE[kind])
    assert len(search.words) == len(set(search.words)) <= MOST_WORDS
    assert sum(map(len, search.words)) <= MOST_LETTERS


@pytest.mark.parametrize(
    ("typed", "is_cut"),
    [
        ("", False),
        ("1 2 3 4 5 6 7 8", False),
        ("1 2 3 4 5 6 7 8 8 1", False),
        ("1 2 3 4 5 6 7 8 9", True),
        ("x" * MOST_LETTERS + "  ", False),
        ("x" * MOST_LETTERS + " y", True),
    ],
)
def test_whether_all_is_searched_for_that_was_typed_is_told(typed: str, *, is_cut: bool) -> None:
    assert search_for(typed).is_cut is is_cut


def test_who_typed_too_much_is_told(reader: TestClient, run: Path) -> None:
    assert run.exists()
    ask: Callable[[str], dict[str, object]] = lambda typed: reader.get(  # noqa: E731
        at("rows"), params={"task": "plan", "search": typed}
    ).json()
    assert "note" not in ask("because 5")
    assert ask("because a b c d e f g h i")["note"] == (
        "only the first 8 words, of the first 200 letters, are searched for"
    )
