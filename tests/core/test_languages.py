"""Texts in the language of who reads them: plurals, numbers, moments, and the braces in them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from airflow_bitrix.core import languages
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.kind_words import named, owners, owners_of
from airflow_bitrix.core.languages import (
    as_set,
    gettext,
    go_by,
    in_all_languages,
    language,
    moment,
    nearest,
    ngettext,
    number,
    percent,
    speaking,
)
from airflow_bitrix.core.links import Owner


@pytest.fixture
def asked_nobody() -> Iterator[None]:
    before = [*languages._asked]
    languages._asked[:] = []
    yield
    languages._asked[:] = before


@pytest.mark.parametrize(
    ("count", "nominative", "genitive"),
    [(1, "1 лид", "1 лида"), (2, "2 лида", "2 лидов"), (5, "5 лидов", "5 лидов"), (21, "21 лид", "21 лида")],
)
def test_russian_counts_as_it_is_spoken(count: int, nominative: str, genitive: str) -> None:
    with speaking("ru"):
        assert owners("lead", count) == nominative
        assert owners_of("lead", count) == genitive


def test_english_stays_as_it_stands_in_the_code() -> None:
    with speaking("en"):
        assert owners("deal", 2500) == "2,500 deals"
        assert owners("deal", 1) == "1 deal"
        assert number(1234.5) == "1,234.5"
        assert moment(datetime(2026, 11, 25, 8, 37, tzinfo=UTC)) == "2026-11-25 08:37"


def test_numbers_and_moments_are_written_as_the_language_has_them() -> None:
    with speaking("ru"):
        assert number(1234567.5) == "1\xa0234\xa0567,5"
        assert owners("lead", 2500) == "2\xa0500 лидов"
        assert moment(datetime(2026, 11, 25, 8, 37, tzinfo=UTC)) == "25.11.2026 08:37"


def test_what_is_quoted_is_never_taken_for_a_text() -> None:
    assert gettext("{name} stays", name="{count} {0.__class__}") == "{count} {0.__class__} stays"
    assert gettext("{{one}} as it is") == "{one} as it is"
    assert ngettext("{count} x {what}", "{count} xs {what}", 2, what="{}") == "2 xs {}"


@pytest.mark.usefixtures("asked_nobody")
def test_a_language_lasts_as_long_as_it_is_said_to() -> None:
    assert language() == "en"
    go_by(lambda: "ru")
    assert language() == "ru"
    with speaking("en"):
        assert language() == "en"
    assert language() == "ru"


def test_an_error_speaks_the_language_too() -> None:
    with speaking("ru"):
        error = InvalidInput("kind", "quote", "lead, deal")
    assert str(error) == "kind: значение 'quote' не подходит; допустимо: lead, deal"


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("ru", "ru"),
        ("ru-RU", "ru"),
        ("RU_ru", "ru"),
        ("de", "en"),
        ("", "en"),
        ("../../ru", "en"),
        ("zh-CN", "en"),
    ],
)
def test_the_nearest_language_is_one_that_there_is(wanted: str, given: str) -> None:
    assert nearest(wanted) == given


def test_nothing_is_said_of_nothing() -> None:
    """A catalogue keeps its head as the translation of an empty text."""
    with speaking("ru"):
        assert gettext("") == ""


@pytest.mark.parametrize(
    ("share", "english", "russian"), [(0.125, "12.5%", "12,5\xa0%"), (1, "100.0%", "100,0\xa0%")]
)
def test_shares_are_written_as_the_language_has_them(share: float, english: str, russian: str) -> None:
    assert percent(share) == english
    with speaking("ru"):
        assert percent(share) == russian


def test_an_owner_is_named_to_people_in_their_language_and_to_programs_in_one() -> None:
    with speaking("ru"):
        assert (named(Owner("deal", 12345)), str(Owner("deal", 12345))) == ("сделка 12345", "deal 12345")


def test_a_text_is_known_again_in_whatever_language_it_was_said() -> None:
    assert in_all_languages("lead") == ("lead", "лид")


def test_an_error_is_told_with_its_place_and_without() -> None:
    with speaking("ru"):
        error = InvalidInput("host", "x", "адрес")
        error.inside("подключение 'a'", "Адрес портала")
    assert error.bare == "Адрес портала (host): значение 'x' не подходит; допустимо: адрес"
    assert str(error) == f"подключение 'a': {error.bare}"
    assert error.called("Other") == str(error), "it has its title already"


@pytest.mark.usefixtures("asked_nobody")
def test_what_airflow_calls_something_is_told_as_its_pages_do_whoever_reads() -> None:
    go_by(lambda: "ru")
    with speaking("en"):
        assert as_set("Ask for approval") == "Запросить одобрение"
    go_by(lambda: "en")
    with speaking("ru"):
        assert as_set("Ask for approval") == "Ask for approval"
