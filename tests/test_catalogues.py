"""The catalogues are whole: each text of the code has its translation, for each plural, with its braces."""

from __future__ import annotations

import re
import string
from gettext import GNUTranslations

import pytest
from babel.messages.catalog import Message

from airflow_bitrix.core.languages import ENGLISH, LANGUAGES
from scripts.catalogues import LOCALE, NAME, as_mo, as_po, catalogue, extracted, holes, translations, updated

TRANSLATED = [one for one in LANGUAGES if one != ENGLISH]


def test_there_are_texts() -> None:
    assert len(extracted()) > 10


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_has_what_stands_in_the_code_and_nothing_else(language: str) -> None:
    folder = LOCALE / language / "LC_MESSAGES"
    made = as_po(updated(language, extracted()))
    assert (folder / f"{NAME}.po").read_bytes() == made, "make catalogues, and translate what is new"


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_has_no_hole(language: str) -> None:
    assert holes(catalogue(language)) == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_the_product_reads_is_what_was_translated(language: str) -> None:
    assert (LOCALE / language / "LC_MESSAGES" / f"{NAME}.mo").read_bytes() == as_mo(catalogue(language))


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_has_the_braces_of_its_text(language: str) -> None:
    made = catalogue(language)
    for one in made:
        if not one.id:
            continue
        strings = translations(one, made.num_plurals)
        wanted = _braces(one.id if isinstance(one.id, str) else one.id[1])
        # A word in another form is another brace: {kinds} in English may be {kinds_of} in Russian.
        assert [_braces(told) - _INFLECTED for told in strings] == [wanted - _INFLECTED] * len(strings), (
            one.id
        )
        assert all(_braces(told) & _INFLECTED for told in strings) or not wanted & _INFLECTED, one.id


_INFLECTED = {"kind", "kind_of", "kind_it", "kinds", "kinds_of", "kinds_to", "kinds_with"}


def _braces(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


RUSSIAN = (
    ("лид", "лида", "лидов"),
    ("сделка", "сделки", "сделок"),
    ("контакт", "контакта", "контактов"),
    ("предложение", "предложения", "предложений"),
    ("компания", "компании", "компаний"),
    ("счёт", "счёта", "счетов"),
    ("элемент", "элемента", "элементов"),
    ("изменение", "изменения", "изменений"),
    ("запрос", "запроса", "запросов"),
    ("комментарий", "комментария", "комментариев"),
    ("различие", "различия", "различий"),
    ("связь", "связи", "связей"),
    ("день", "дня", "дней"),
    ("папка", "папки", "папок"),
    ("минута", "минуты", "минут"),
    ("час", "часа", "часов"),
)
"""What is counted: 1 and 21, 2, 5 of it."""

OTHER_CASES = (
    ("лида", "лидов", "лидов"),
    ("сделки", "сделок", "сделок"),
    ("контакта", "контактов", "контактов"),
    ("предложения", "предложений", "предложений"),
    ("компании", "компаний", "компаний"),
    ("счёта", "счетов", "счетов"),
    ("элемента", "элементов", "элементов"),
    ("изменения", "изменений", "изменений"),
    ("запроса", "запросов", "запросов"),
    ("дня", "дней", "дней"),
    ("папке", "папках", "папках"),
)
"""Likewise where something is said to be theirs, or in them: the links of 21, of 2, of 5."""


def test_russian_plurals_are_right_for_1_2_5_and_21() -> None:
    made = catalogue("ru")
    with (LOCALE / "ru" / "LC_MESSAGES" / f"{NAME}.mo").open("rb") as opened:
        spoken = GNUTranslations(opened)
    for one in made:
        if not one.id or isinstance(one.id, str):
            continue
        forms = translations(one, made.num_plurals)
        assert [_form(spoken, one, count) for count in (1, 2, 5, 21)] == [*forms, forms[0]], one.id
        if "{count}" in one.id[1]:
            assert forms[0] != forms[2], one.id
            assert _nouns(forms) or forms[1] != forms[2], one.id


def _form(spoken: GNUTranslations, one: Message, count: int) -> str:
    few, many = one.id[0], one.id[1]
    if one.context:
        return spoken.npgettext(one.context, few, many, count)
    return spoken.ngettext(few, many, count)


def _nouns(forms: list[str]) -> bool:
    """Whether what is counted is known, and stands in its forms."""
    words = [re.findall(r"\w+", form) for form in forms]
    known = [*RUSSIAN, *OTHER_CASES]
    found = [noun for noun in known if all(form in told for form, told in zip(noun, words, strict=True))]
    strange = [noun for noun in RUSSIAN if set(noun) & set(words[0])]
    assert found or not strange, forms
    return bool(found)


def test_a_wrong_plural_is_found() -> None:
    with pytest.raises(AssertionError):
        _nouns(["{count} лид", "{count} лидов", "{count} лидов"])
    assert _nouns(["связи {count} лида", "связи {count} лидов", "связи {count} лидов"])


def test_a_hole_is_found() -> None:
    made = catalogue("ru")
    made.add("A text that nobody has translated", "")
    made.add(("{count} thing", "{count} things"), ("{count} вещь", "{count} вещи"))
    assert holes(made) == ["A text that nobody has translated", str(("{count} thing", "{count} things"))]


def test_a_text_that_is_new_is_missed() -> None:
    texts = extracted()
    texts.add("A text that is new")
    assert as_po(updated("ru", texts)) != as_po(updated("ru", extracted()))


def test_braces_are_told_apart() -> None:
    assert _braces("{one} of {many:,} {{not}}") == {"one", "many"}
