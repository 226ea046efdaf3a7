"""Errors: grouped by what the caller does next, and whole after they crossed a process boundary."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_bitrix.core.errors import (
    AuthFailed,
    Bitrix24Error,
    InvalidInput,
    OutcomeUnknown,
    PlanRefused,
    PortalAnswer,
    Rejected,
    RetryLater,
)

SAID = PortalAnswer("ACCESS_DENIED", "Access denied!", 403)
DETAILS: dict[str, Any] = {"answer": SAID, "method": "crm.lead.contact.add", "owner": "lead 5"}

ERRORS = [
    Bitrix24Error("it went wrong", **DETAILS),
    RetryLater("busy", retry_after=7.5, **DETAILS),
    Rejected("refused", **DETAILS),
    InvalidInput("items", [1, "a", {"b": None}], "a list"),
    AuthFailed("not accepted", **DETAILS),
    OutcomeUnknown("sent", **DETAILS),
    PlanRefused("edited", owner="lead 5"),
]


def all_kinds(kind: type[Bitrix24Error]) -> Iterator[type[Bitrix24Error]]:
    yield kind
    for further in kind.__subclasses__():
        yield from all_kinds(further)


def test_the_table_of_this_file_holds_every_error_of_the_package() -> None:
    ours = {kind for kind in all_kinds(Bitrix24Error) if kind.__module__ == Bitrix24Error.__module__}
    assert {type(error) for error in ERRORS} == ours


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])  # noqa: S301
def test_an_error_that_was_pickled_or_copied_says_all_that_it_said(error: Bitrix24Error, again: Any) -> None:
    back = again(error)
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)
    assert back.args == (error.message,)
    assert repr(back) == f"{type(error).__name__}({error.message!r})"


def test_an_error_about_a_value_that_cannot_be_pickled_can_be_pickled() -> None:
    """Whoever gives a generator for a list must still read the error in another process."""
    error = InvalidInput("items", (contact_id for contact_id in [7]), "a list")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301


def test_a_note_on_an_error_survives_pickling() -> None:
    error = Rejected("refused")
    error.add_note("while applying")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["while applying"]  # noqa: S301


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_reads_as_its_message(error: Bitrix24Error) -> None:
    assert str(error) == error.message


def test_an_error_of_nobody_in_particular_has_empty_details() -> None:
    error = PlanRefused("edited")
    assert (error.answer, error.method, error.owner) == (PortalAnswer(), "", "")


def test_refused_input_is_a_value_error_and_a_rejection() -> None:
    """So callers that know nothing of this package catch it, and Airflow does not retry it."""
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(InvalidInput, Rejected)


@pytest.mark.parametrize("passing", [RetryLater, OutcomeUnknown], ids=lambda kind: kind.__name__)
def test_what_may_pass_is_no_rejection(passing: type[Bitrix24Error]) -> None:
    assert not issubclass(passing, (Rejected, AuthFailed, PlanRefused))


@pytest.mark.parametrize("shape", [str, lambda text: [text], lambda text: {"id": text}])
def test_refused_input_shows_no_secret_of_an_address_that_somebody_pasted(shape: Any) -> None:
    error = InvalidInput("bitrix24_conn_id", shape("https://acme.bitrix24.com/rest/1/s3cr3tc0de/"), "an id")
    assert "https://acme.bitrix24.com/rest/1/***" in str(error)
    assert "s3cr3tc0de" not in f"{error} {error.value!r} {pickle.dumps(error)!r}"


def test_refused_input_shows_long_values_cut() -> None:
    error = InvalidInput("items", ["x" * 500], "a list")
    assert str(error).startswith("items: ['xxx")
    assert str(error).endswith("x… is not accepted; accepted: a list")
    assert len(str(error)) < 260
    assert error.value == ["x" * 500]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (PortalAnswer("CODE", "text", 400), "CODE: text"),
        (PortalAnswer("", "text", 400), "text"),
        (PortalAnswer("CODE", "", 400), "CODE"),
        (PortalAnswer("", "", 400), "HTTP status 400 without a reason"),
        (PortalAnswer(), "no reason given"),
    ],
    ids=["both", "empty code", "empty text", "status only", "nothing"],
)
def test_the_portals_answer_reads_as_code_and_text_as_far_as_there_are_any(
    answer: PortalAnswer, words: str
) -> None:
    assert str(answer) == words


@pytest.mark.parametrize("kind", [type(error) for error in ERRORS if not isinstance(error, InvalidInput)])
def test_no_error_says_the_secret_of_an_address_that_was_pasted_for_a_folder(
    kind: type[Bitrix24Error],
) -> None:
    error = kind("there is no plan in acme.bitrix24.com/rest/1/s3cr3tc0de")
    assert str(error) == "there is no plan in acme.bitrix24.com/rest/1/***"
    assert error.args == (error.message,) == (str(error),)


def test_an_argument_is_called_by_its_title_where_the_sentence_begins_with_it() -> None:
    error = InvalidInput("stages", "NEW", "a list")
    assert error.called("Stages") == "Stages (stages): 'NEW' is not accepted; accepted: a list"
    error.message = f"connection 'x': {error}"
    assert error.called("Stages") == str(error)
