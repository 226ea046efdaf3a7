"""Whatever is answered, both hooks give a value or an error of ours, and nobody prints the webhook's code."""

from __future__ import annotations

import logging
import os
import random
import sys
from collections.abc import Callable

import pytest

from scripts.fuzz import CODE, attack, holds_code, table, watched
from scripts.hostile_answers import answer

pytestmark = pytest.mark.attack


@pytest.mark.drawn
def test_nothing_comes_of_hostile_answers_but_our_errors_without_the_code() -> None:
    found = attack(range(1, 301))
    assert not found, table(found)


# The search is not blind.


def _printed() -> None:
    os.write(2, f"rest|1|{CODE.upper()}".encode())


def _logged() -> None:
    # As of a library that makes its records itself: others lose the code where they are made.
    record = logging.LogRecord("some.library", 10, "", 0, "%s", (f"%252Frest%252F1%252F{CODE}",), None)
    logging.getLogger("some.library").handle(record)


def _raised() -> None:
    try:
        os.stat(CODE)  # noqa: PTH116 (its error holds what it was given)
    except OSError:
        raise RuntimeError("something else")  # noqa: B904 (as libraries do)


@pytest.mark.parametrize(
    ("work", "kinds"),
    [
        (_printed, ["code in the stream"]),
        (lambda: sys.stdout.write(CODE), ["code in the stream"]),
        (_logged, ["code in the log of some.library"]),
        (_raised, ["RuntimeError in test_fuzz.py", "code in the error"]),
    ],
)
def test_what_should_not_be_said_is_found(work: Callable[[], None], kinds: list[str]) -> None:
    def call() -> str:
        work()
        return "nothing to hide"

    with watched() as look:
        assert [kind for kind, _ in look(call)] == kinds
        assert not [*look(lambda: "nothing to hide")]
        assert [kind for kind, _ in look(lambda: CODE)] == ["code in the words of the hook"]


@pytest.mark.parametrize(
    "text",
    [
        CODE, CODE.upper(), f"a{CODE}b", CODE.replace("s", r"\u0073"), CODE.replace("s", "%73"),
        CODE.replace("s", "%2573"), CODE.replace("s", "&#115;"), CODE.replace("s", r"\x73"),
        repr(CODE.encode()),
    ],
)  # fmt: skip
def test_the_code_is_found_in_any_spelling(text: str) -> None:
    assert holds_code(text)
    assert not holds_code(text.replace("42", "").replace("eb", ""))


def test_a_seed_draws_its_answer_again() -> None:
    drawn = [answer(random.Random(seed), CODE) for seed in range(200)]
    assert drawn == [answer(random.Random(seed), CODE) for seed in range(200)]
    assert len({*drawn}) > 190
