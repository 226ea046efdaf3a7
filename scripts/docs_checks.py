"""What can be wrong with the documentation, found without a network: dead links, code that is none, holes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from typing_extensions import override

from scripts.docs_pages import Code, Page, is_elsewhere

PYTHON = "python"


def dead_links(pages: Iterable[Page], root: Path) -> Iterator[str]:
    """Tell the links of Markdown pages that lead to no file or heading, as seen in the repository.

    :param root: What links must not lead out of.
    """
    anchors = cache(lambda path: Page.read(path).anchors)
    for page in pages:
        for line, target in page.links:
            if is_elsewhere(target):
                continue
            name, _, anchor = target.partition("#")
            path = (page.path.parent / unquote(name)).resolve() if name else page.path
            where = f"{page.path.relative_to(root)}:{line}: {target}"
            if not path.exists() or not path.is_relative_to(root):
                yield f"{where}: there is no such file"
            elif anchor and unquote(anchor) not in anchors(path):
                yield f"{where}: there is no such heading"


def broken_code(pages: Iterable[Page]) -> Iterator[str]:
    """Tell the Python blocks that do not compile."""
    for page in pages:
        for block in page.code:
            if block.info == PYTHON and (wrong := _error_of(block)):
                yield f"{page.path.name}:{wrong}"


def _error_of(block: Code) -> str:
    try:
        compile(block.text, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError as error:
        return f"{block.line + (error.lineno or 1) - 1}: {error.msg}: {(error.text or '').strip()}"
    return ""


def holes(english: Mapping[str, Page], other: Mapping[str, Page], alone: Iterable[str]) -> Iterator[str]:
    """Tell what a translation lacks: pages, headings, code blocks, rows of tables.

    :param alone: Pages that stand in English alone.
    """
    wanted = english.keys() - set(alone)
    for name in sorted(wanted ^ other.keys()):
        yield f"{name}: {'not translated' if name in wanted else 'translated, and should not be'}"
    for name in sorted(wanted & other.keys()):
        for what, (one, two) in _shapes(english[name], other[name]).items():
            if one != two:
                yield f"{name}: {what}: {one} in English, {two} in the translation"


def _shapes(one: Page, two: Page) -> Mapping[str, tuple[object, object]]:
    return {
        "levels of headings": tuple([level for level, _ in page.headings] for page in (one, two)),  # type: ignore[dict-item]
        "code blocks": tuple([block.info for block in page.code] for page in (one, two)),  # type: ignore[dict-item]
        "rows of tables": (one.table_rows, two.table_rows),
    }


class _Parts(HTMLParser):
    """What an HTML page names: its own places, where it leads, and what it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") != "canonical" and "href" in given:
            self.loaded.append(given["href"])
        elif "src" in given:
            self.loaded.append(given["src"])


def dead_ends(site: Path) -> Iterator[str]:
    """Tell the links of a built site that lead nowhere, and what it would load from another host.

    :param site: The folder of the site.
    """
    found = {path: _Parts() for path in sorted(site.rglob("*.html"))}
    for path, parts in found.items():
        parts.feed(path.read_text(encoding="utf-8"))
    for path, parts in found.items():
        where = path.relative_to(site)
        for target in parts.loaded:
            if target.startswith("//") or (is_elsewhere(target) and not target.startswith("data:")):
                yield f"{where}: asks another host for {target}"
        for target in [*parts.links, *parts.loaded]:
            if not is_elsewhere(target) and not _is_there(path, target, found):
                yield f"{where}: {target} leads nowhere"


def _is_there(page: Path, target: str, found: Mapping[Path, _Parts]) -> bool:
    split = urlsplit(target)
    path = (page.parent / unquote(split.path)).resolve() if split.path else page
    if split.fragment and path in found:
        return unquote(split.fragment) in found[path].ids
    return path.is_file()
