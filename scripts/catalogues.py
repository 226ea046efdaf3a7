"""The catalogues of texts: ``make catalogues`` gathers what stands in the code, and compiles translations.

A text that is new comes into each catalogue without a translation, one that is gone leaves it; the tests fail
until each has one. Entries stand in the order of their texts and name no lines, so that a change of the code
around them changes nothing here.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from airflow_bitrix.core.languages import ENGLISH, LANGUAGES

ROOT = Path(__file__).resolve().parents[1]
LOCALE = ROOT / "airflow_bitrix" / "locale"
NAME = "airflow_bitrix"

_METHODS = [("**.py", "python"), ("**.j2", "jinja2")]

_FUNCTIONS = {
    "gettext": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_noop": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}

_NOT_KEPT = (
    b'"Report-Msgid-Bugs-To',
    b'"POT-Creation-Date',
    b'"PO-Revision-Date',
    b'"Last-Translator',
    b'"Language-Team',
    b'"Generated-By',
)
"""Lines of the head that say nothing, or another thing each day."""


_NO_DAY = datetime(2026, 1, 1, tzinfo=UTC)
"""Stands in compiled catalogues, which else were other ones each minute."""


def _header(language: str) -> str:
    return f"# What airflow-bitrix says to people, in {language}. `make catalogues` keeps it complete."


def extracted() -> Catalog:
    """Give all texts of the package and of the sample DAGs."""
    found = Catalog()
    for folder in (NAME, "dags"):
        for _, _, message, comments, context in extract_from_dir(
            ROOT / folder, _METHODS, keywords=_FUNCTIONS, comment_tags=("Translators:",)
        ):
            found.add(message, auto_comments=comments, context=context)
    return found


def catalogue(language: str) -> Catalog:
    """Give the catalogue of a language as it is kept."""
    path = LOCALE / language / "LC_MESSAGES" / f"{NAME}.po"
    if not path.exists():
        return Catalog(language)
    with path.open("rb") as opened:
        return read_po(opened, locale=language)


def updated(language: str, texts: Catalog) -> Catalog:
    """Give a catalogue with the texts that there are, each with its translation as far as there is one."""
    kept = catalogue(language)
    made = Catalog(
        language, project=NAME, version="0", charset="utf-8", fuzzy=False, header_comment=_header(language)
    )
    for one in texts:
        if not one.id:
            continue
        was = kept.get(one.id if isinstance(one.id, str) else one.id[0], one.context)
        text = was.string if was and isinstance(was.id, str) == isinstance(one.id, str) else ""
        made.add(one.id, text, auto_comments=one.auto_comments, context=one.context)
    return made


def as_po(made: Catalog) -> bytes:
    """Give a catalogue as it is kept."""
    lines = BytesIO()
    write_po(lines, made, width=110, no_location=True, sort_output=True)
    return b"".join(
        line for line in lines.getvalue().splitlines(keepends=True) if not line.startswith(_NOT_KEPT)
    )


def as_mo(made: Catalog) -> bytes:
    """Give a catalogue as the product reads it."""
    with BytesIO(as_po(made)) as text, BytesIO() as compiled:
        told = read_po(text, locale=made.locale)
        told.creation_date = _NO_DAY
        write_mo(compiled, told)
        return compiled.getvalue()


def holes(made: Catalog) -> list[str]:
    """Give the texts that have no translation, or not one for each plural."""
    return [str(one.id) for one in made if one.id and not all(translations(one, made.num_plurals))]


def translations(one: Message, plurals: int) -> list[str]:
    """Give the translation of a text, or those of its plurals; empty ones where there are none."""
    if isinstance(one.id, str):
        return [str(one.string or "")]
    return [*(one.string or ()), *[""] * plurals][:plurals]


def main() -> None:
    """Write the catalogues anew, and say what is still to be translated."""
    texts = extracted()
    for language in LANGUAGES:
        if language == ENGLISH:
            continue
        made = updated(language, texts)
        folder = LOCALE / language / "LC_MESSAGES"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{NAME}.po").write_bytes(as_po(made))
        (folder / f"{NAME}.mo").write_bytes(as_mo(made))
        sys.stdout.write(f"{language}: {len(made)} texts, {len(holes(made))} of them without a translation\n")


if __name__ == "__main__":
    main()
