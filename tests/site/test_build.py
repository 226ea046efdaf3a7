"""The documentation site is refused where something is wrong with it, and asks nobody."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.docs_checks import dead_ends
from scripts.docs_pages import DOCS, ROOT
from scripts.docs_site import SITE

PYTHON = ROOT / ".venv-docs" / "bin" / "python"


def test_the_site_leads_nowhere_else_and_asks_no_other_host() -> None:
    assert len(list(SITE.rglob("*.html"))) > 2 * 20
    assert list(dead_ends(SITE)) == []


def test_what_leads_nowhere_or_asks_another_host_is_told(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<link rel="stylesheet" href="https://example.com/a.css"><script src="//example.com/x.js"></script>'
        '<img src="gone.png"><img src="data:,x"><a href="#here" id="here"></a><a href="#gone"></a>'
        '<a href="gone.html"></a><a href="https://example.com/"></a>'
    )
    assert list(dead_ends(tmp_path)) == [
        "page.html: asks another host for https://example.com/a.css",
        "page.html: asks another host for //example.com/x.js",
        "page.html: #gone leads nowhere",
        "page.html: gone.html leads nowhere",
        "page.html: //example.com/x.js leads nowhere",
        "page.html: gone.png leads nowhere",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# P\n\n[a](gone.md)\n", "gone.md"),
        ("# P\n\n[a](index.md#gone)\n", "local id not found in doc 'index': 'gone'"),
        ("# P\n\n![a](images/gone.png)\n", "image file not readable: images/gone.png"),
        ("# P\n\n### Too deep\n", "Non-consecutive header level increase"),
        ("# P\n\n```nosuch\nx\n```\n", "Pygments lexer name 'nosuch' is not known"),
        ("# P\n\n```{eval-rst}\n.. autofunction:: airflow_bitrix.gone\n```\n", "failed to import"),
    ],
    ids=["page", "heading", "picture", "level", "code", "docstring"],
)
def test_sphinx_refuses_a_page(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "index.md").write_text("# Index\n\n```{toctree}\npage\n```\n")
    (tmp_path / "page.md").write_text(text)
    assert told in build(tmp_path)


def test_sphinx_refuses_a_page_that_no_other_leads_to(tmp_path: Path) -> None:
    (tmp_path / "index.md").write_text("# Index\n")
    (tmp_path / "page.md").write_text("# P\n")
    assert "document isn't included in any toctree" in build(tmp_path)


def build(source: Path) -> str:
    """Build pages as the site is built, and give what is said of them."""
    shutil.copytree(DOCS / "_locale", source / "_locale")
    options = ("-W", "--keep-going", "-q", "-b", "html", "-c")
    command = [str(one) for one in (PYTHON, "-m", "sphinx", *options, DOCS, source, source / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode != 0
    return done.stderr
