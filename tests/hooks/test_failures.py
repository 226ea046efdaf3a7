"""What a task that fails leaves for the report tab: one sentence, whatever went wrong."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.log import mask_secret

from airflow_bitrix.compat import AirflowSkipException
from airflow_bitrix.core import languages
from airflow_bitrix.core.errors import LONGEST_MESSAGE
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.hooks.failures import WHY, says_why


class Work:
    """A task that fails."""

    log = logging.getLogger(__name__)

    def __init__(self, error: BaseException) -> None:
        self._error = error

    @says_why
    def execute(self, context: Any) -> None:
        del context
        raise self._error


def left_by(error: BaseException) -> dict[str, str]:
    left: dict[str, str] = {}
    told = {"ti": SimpleNamespace(xcom_push=lambda key, value: left.update({key: value}))}
    with pytest.raises(type(error)) as caught:
        Work(error).execute(told)
    assert caught.value is error
    return left


def test_an_error_that_nobody_expects_leaves_its_type_and_text_in_a_line() -> None:
    assert left_by(KeyError("owner")) == {WHY: "KeyError: 'owner'"}
    assert left_by(RuntimeError("two\nlines\u202e")) == {WHY: r"RuntimeError: two\nlines\u202e"}


def test_what_is_no_failure_leaves_nothing() -> None:
    assert left_by(AirflowSkipException("nothing to do")) == {}
    assert left_by(KeyboardInterrupt()) == {}


@pytest.mark.attack
def test_its_text_is_cut_and_has_no_secret_that_airflow_masks() -> None:
    mask_secret("s3cr3tc0de")
    said = left_by(ValueError("https://acme.example/rest/1/s3cr3tc0de/" + "x" * 100_000))[WHY]
    assert "s3cr3tc0de" not in said
    assert said.startswith("ValueError: https://acme.example/rest/1/***/xxx")
    assert len(said) <= LONGEST_MESSAGE


def test_a_task_asks_once_which_language_it_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow takes its time for each answer, and a plan of 100,000 owners says several words of each."""
    asked: list[str] = []

    def ask() -> str:
        asked.append("ru")
        return "ru"

    class Speaker:
        @says_why
        def execute(self, context: Any) -> list[str]:
            del context
            return [gettext("none") for _ in range(9)]

    monkeypatch.setattr(languages, "_asked", [ask])
    assert Speaker().execute({}) == ["нет"] * 9
    assert asked == ["ru"]
