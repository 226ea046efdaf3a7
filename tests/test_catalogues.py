"""The catalogues are whole: each text of the code has its translation, for each plural, with its braces."""

from __future__ import annotations

import string

import pytest

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
