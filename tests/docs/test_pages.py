"""The documentation: links lead somewhere, code runs, DAGs load, and no translation has a hole."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.sdk import DAG, TaskGroup

from scripts.docs_checks import broken_code, dead_links, holes
from scripts.docs_pages import DOCS, ROOT, Code, Page, pages
from scripts.docs_site import ENGLISH, ENGLISH_ALONE, ON_TOP, TRANSLATIONS, sources, staged
from tests.moved import DagBag

PAGES = pages()


def made(folder: Path, **texts: str) -> list[Page]:
    """Write pages, and read them."""
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return [Page.read(folder / f"{name}.md") for name in texts]


def makes_dag(block: Code) -> bool:
    """Whether a block defines a DAG."""
    named = {each.id for each in ast.walk(ast.parse(block.text)) if isinstance(each, ast.Name)}
    return bool(named & {"DAG", "dag"}) and "from airflow.sdk import" in block.text


def python(page: Page) -> Iterator[tuple[str, Code]]:
    """Give the Python blocks of a page; those that are a file are called as the line before says."""
    lines = page.text.splitlines()
    for block in page.code:
        if block.info == "python":
            told = re.findall(
                r"`(?:\w+/)?(\w+)\.py`", " ".join(lines[max(0, block.line - 5) : block.line - 2])
            )
            place = re.sub(r"\W", "_", f"{page.path.parent.name}_{page.path.stem}_{block.line}")
            yield told[-1] if told else place, block


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    assert list(dead_links(PAGES, ROOT)) == []


def test_a_link_that_leads_nowhere_is_told_with_its_line(tmp_path: Path) -> None:
    one, _ = made(
        tmp_path,
        one="# One\n\n[a](two.md) [b](two.md#there) [c](gone.md) [d](two.md#gone) [e\nf](#gone) <br>\n"
        "```\n[not](a-link.md)\n```\n[of another host](https://example.com/gone) [out](../../x)\n",
        two="# Two\n\n## There\n",
    )
    assert [wrong.partition(": ")[0] for wrong in dead_links([one], tmp_path)] == ["one.md:3"] * 2 + [
        "one.md:4",
        "one.md:8",
    ]


def test_headings_are_called_as_github_calls_them(tmp_path: Path) -> None:
    (page,) = made(tmp_path, page="# `a_b`: Что, где?\n## Same\n## Same\n```\n# no heading\n```\n")
    assert page.anchors == ["a_b-что-где", "same", "same-1"]


def test_all_python_compiles() -> None:
    assert list(broken_code(PAGES)) == []


def test_python_that_does_not_compile_is_told_with_its_line(tmp_path: Path) -> None:
    found = made(tmp_path, page="# P\n\n```python\nx = 1\ncall(a=1, …)\n```\n\n```text\nno python\n```\n")
    assert [wrong.rpartition(": ")[0].partition(" ")[0] for wrong in broken_code(found)] == ["page.md:5:"]


@pytest.mark.parametrize("language", [ENGLISH, *TRANSLATIONS])
def test_dag_examples_are_loaded_by_airflow_and_all_other_python_runs(language: str, tmp_path: Path) -> None:
    folders = [DOCS / language] if language in TRANSLATIONS else [DOCS, ROOT]
    read = [page for page in PAGES if page.path.parent in folders]
    files = {name: block for page in read for name, block in python(page) if not name.startswith("test_")}
    for name, block in files.items():
        (tmp_path / f"{name}.py").write_text(block.text, encoding="utf-8")
    dags = {name for name, block in files.items() if makes_dag(block)}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        bag = DagBag(str(tmp_path))
        assert bag.import_errors == {}
        assert {Path(dag.fileloc).stem for dag in bag.dags.values()} == dags != set()
        for page in read:
            known: dict[str, object] = {}
            with DAG(page.path.stem, schedule=None):
                for name, block in python(page):
                    if not makes_dag(block):
                        with TaskGroup(name):
                            exec(compile(block.text, name, "exec"), known)  # noqa: S102
    for name in files:
        sys.modules.pop(name, None)


def test_a_dag_that_does_not_load_is_told(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("from airflow.sdk import DAG\nDAG('a b')\n")
    assert len(DagBag(str(tmp_path)).import_errors) == 1


def english() -> dict[str, Page]:
    return {page.path.name: page for page in sources(DOCS, ENGLISH)}


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_has_every_page_heading_block_and_row(language: str) -> None:
    other = {path.name: Page.read(path) for path in (DOCS / language).glob("*.md") if path.name != ON_TOP}
    assert list(holes(english(), other, ENGLISH_ALONE)) == []


def test_a_hole_in_a_translation_is_told(tmp_path: Path) -> None:
    here, there = tmp_path / "en", tmp_path / "ru"
    here.mkdir()
    there.mkdir()
    one = made(here, a="# A\n\n## B\n\n| c |\n\n```python\n```\n", b="# B\n", alone="# C\n")
    two = made(there, a="# A\n\n| c |\n\n| d |\n", c="# C\n")
    told = list(holes({p.path.name: p for p in one}, {p.path.name: p for p in two}, ["alone.md"]))
    assert [wrong.partition(": ")[2].partition(":")[0] for wrong in told] == [
        "not translated",
        "translated, and should not be",
        "levels of headings",
        "code blocks",
        "rows of tables",
    ]


def test_a_page_in_english_alone_says_so_and_leads_to_translated_headings() -> None:
    shown = staged(Page.read(DOCS / "files.md"), DOCS, "ru")
    assert "только на английском" in shown
    assert "](plans.md#файлы-запуска)" in shown


def test_what_is_said_of_errors_is_what_errors_say() -> None:
    """Sentences that the page about errors quotes stand in the code, so that it does not outlive them."""
    code = "\n".join(
        each.value
        for path in sorted((ROOT / "airflow_bitrix").rglob("*.py"))
        for each in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    )
    page = Page.read(DOCS / "errors.md")
    quoted = {
        one
        for line in page.text.splitlines()
        if line.startswith("| `")
        for one in re.findall("`([^`]+)`", line.split("|")[1])
    }
    assert len(quoted) > 10
    assert {one for one in quoted if one.partition("#")[0].strip() not in code} == set()
