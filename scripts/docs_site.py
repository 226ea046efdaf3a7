"""``make docs``: builds the documentation into ``build/site``, in each language, and refuses what is wrong.

Sphinx reads one folder of pages for each language, which is put together here: pages link to each other as
they lie in the repository, so that they can be read there, too, and what is not translated comes in English
with a word about that on top.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.docs_checks import broken_code, dead_ends, dead_links, holes
from scripts.docs_pages import DOCS, ROOT, Page, is_elsewhere, pages

BUILD = ROOT / "build"
SITE = BUILD / "site"
ENGLISH = "en"

TRANSLATIONS = ("ru",)
"""The other languages. ``docs/<language>/_english.md`` stands on top of a page that is in English alone."""

ON_TOP = "_english.md"

ENGLISH_ALONE = frozenset(
    {
        "arguments.md",
        "compared.md",
        "decisions.md",
        "files.md",
        "python.md",
        "releasing.md",
        "settings.md",
        "versions.md",
    }
)
"""Pages that are made from what stands in the code, or tell of how the package is made."""

NOT_SHOWN = frozenset({"decisions.md"})

_REPOSITORY = "https://github.com/airflow-bitrix/airflow-bitrix/blob/main"

_OF_AIRFLOW = " INFO airflow."
"""What stands in the lines that Airflow prints where it is imported."""

_DOOR = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>airflow-bitrix</title>
<script>location.replace(navigator.language.startsWith("ru") ? "ru/index.html" : "en/index.html")</script>
<p><a href="en/index.html">English</a>
<p lang="ru"><a href="ru/index.html">Русский</a>
"""


def sources(docs: Path, language: str) -> Iterator[Page]:
    """Give the pages of a language; those in English where there is no translation."""
    for path in sorted(docs.glob("*.md")):
        if path.name not in NOT_SHOWN:
            translated = docs / language / path.name
            yield Page.read(translated if translated.exists() else path)


def staged(page: Page, docs: Path, language: str) -> str:
    """Give a page's text as it stands in the folder of a language, where all pages lie side by side."""

    def leads(target: str) -> str:
        if is_elsewhere(target) or target.startswith("#"):
            return target
        name, mark, anchor = target.partition("#")
        path = (page.path.parent / name).resolve()
        translated = docs / language / path.name
        if (
            anchor and path.parent == docs and translated.exists()
        ):  # the same heading is called otherwise there
            known = dict(zip(Page.read(path).anchors, Page.read(translated).anchors, strict=False))
            anchor = known.get(anchor, anchor)
        for folder in (docs / language, docs):
            if path.is_relative_to(folder) and path.name not in NOT_SHOWN:
                return f"{path.relative_to(folder).as_posix()}{mark}{anchor}"
        return f"{_REPOSITORY}/{path.relative_to(docs.parent).as_posix()}{mark}{anchor}"

    text = page.with_links(leads)
    if language == ENGLISH or page.path.parent == docs / language:
        return text
    title, _, rest = text.partition("\n")
    return f"{title}\n\n{(docs / language / ON_TOP).read_text(encoding='utf-8')}{rest}"


def stage(docs: Path, language: str, target: Path) -> None:
    """Put the pages of a language together."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for page in sources(docs, language):
        (target / page.path.name).write_text(staged(page, docs, language), encoding="utf-8")
    shutil.copytree(DOCS / "_locale", target / "_locale")  # where Sphinx compiles it
    shutil.copytree(docs / "images", target / "images", ignore=shutil.ignore_patterns(*TRANSLATIONS))
    if (docs / "images" / language).exists():
        shutil.copytree(docs / "images" / language, target / "images", dirs_exist_ok=True)


def build(docs: Path, site: Path, language: str) -> subprocess.Popen[str]:
    """Begin to build the site of a language; a warning makes it fail."""
    source = BUILD / "docs" / language
    stage(docs, language, source)
    options = ["-W", "--keep-going", "-q", "-E", "-b", "html", "-D", f"language={language}"]
    places = [
        "-c",
        str(DOCS),
        "-d",
        str(BUILD / "docs" / f"{language}.kept"),
        str(source),
        str(site / language),
    ]
    # Airflow writes its configuration where it is imported.
    environment = os.environ | {"AIRFLOW_HOME": str(BUILD / "docs" / "airflow"), "NO_COLOR": "1"}
    environment["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
    return subprocess.Popen(
        [sys.executable, "-m", "sphinx", *options, *places],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def problems(docs: Path, site: Path) -> Iterator[str]:
    """Build the whole site, and tell all that is wrong with it and with the pages beside it."""
    shutil.rmtree(site, ignore_errors=True)
    begun = {language: build(docs, site, language) for language in (ENGLISH, *TRANSLATIONS)}
    for language, builder in begun.items():
        said = "\n".join(
            line for line in builder.communicate()[1].splitlines() if line and _OF_AIRFLOW not in line
        )
        if builder.returncode:
            yield said.replace(str(BUILD / "docs" / language), str(docs)) or f"{language}: Sphinx has failed"
    (site / "index.html").write_text(_DOOR, encoding="utf-8")
    english = {page.path.name: page for page in sources(docs, ENGLISH)}
    for language in TRANSLATIONS:
        other = {path.name: Page.read(path) for path in sorted((docs / language).glob("[!_]*.md"))}
        yield from holes(english, other, ENGLISH_ALONE)
    yield from dead_ends(site)


def main() -> int:
    """Build and check; return the exit code."""
    found = [*broken_code(pages()), *dead_links(pages(), ROOT), *problems(DOCS, SITE)]
    for one in found:
        print(one, file=sys.stderr)
    if not found:
        print(f"the site stands in {SITE.relative_to(ROOT)}/index.html")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
